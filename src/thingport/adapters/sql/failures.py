"""What a failing database means for the caller."""

from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from thingport.domain.errors import CorruptData, StoreUnavailable, ThingportError

_STORE = "the control database"

_PASSING = (
    "SQLITE_BUSY",
    "SQLITE_LOCKED",
    "SQLITE_CANTOPEN",
    "SQLITE_IOERR",
    "SQLITE_FULL",
    "SQLITE_READONLY",
    "SQLITE_PROTOCOL",
)
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")


def explain(error: DBAPIError | PoolTimeout) -> ThingportError | None:
    """Say what an error of the database means; ``None`` for one that is a bug."""
    if isinstance(error, PoolTimeout):
        return StoreUnavailable(_STORE, "all connections are in use")
    name = sqlite_error_name(error)
    if name is None:
        # Other drivers keep this class for what is wrong with the connection.
        passing = isinstance(error, OperationalError)
        return StoreUnavailable(_STORE, str(error.orig)) if passing else None
    if name.startswith(_PASSING):
        return StoreUnavailable(_STORE, str(error.orig))
    if name.startswith(_DAMAGED):
        return CorruptData(f"{_STORE} is damaged: {error.orig}")
    return None


def sqlite_error_name(error: DBAPIError) -> str | None:
    """Give SQLite's own name of an error; ``None`` if it is another database's."""
    name: object = getattr(error.orig, "sqlite_errorname", None)
    return name if isinstance(name, str) else None
