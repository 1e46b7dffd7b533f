"""What a failing database means for the caller."""

from sqlalchemy.exc import DataError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from thingport.domain.errors import (
    CorruptData,
    InvalidRequest,
    StoreUnavailable,
    ThingportError,
)

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

_PASSING_STATES = (
    "08",  # the connection is lost, or was refused
    "25006",  # a stand-by, or a server that was made read-only
    "25P03",  # the transaction stood still for too long
    "40",  # two transactions were in each other's way
    "53",  # disk, memory or connections are used up
    "55006",  # something is in use
    "55P03",  # a lock was not free in time
    "57",  # somebody or something stopped the statement, or the server
    "58030",  # a file could not be read or written
)
_DAMAGED_STATES = ("58P01", "XX001", "XX002")
"""Files of the server are gone, or a table or an index of it is damaged.

Source: PostgreSQL, *Error Codes* (appendix A of its documentation).
"""

_NUL = "contain NUL (0x00)"


def explain(error: DBAPIError | PoolTimeout) -> ThingportError | None:
    """Say what an error of the database means; ``None`` for one that is a bug."""
    if isinstance(error, PoolTimeout):
        return StoreUnavailable(_STORE, "all connections are in use")
    reason = " ".join(str(error.orig).split())
    code = sqlite_error_name(error) or _sql_state(error)
    if code is None:
        return _explain_driver(error, reason)
    if code.startswith(_PASSING + _PASSING_STATES):
        return StoreUnavailable(_STORE, reason)
    if code.startswith(_DAMAGED + _DAMAGED_STATES):
        return CorruptData(f"{_STORE} is damaged: {reason}")
    return None


def sqlite_error_name(error: DBAPIError) -> str | None:
    """Give SQLite's own name of an error; ``None`` if it is another database's."""
    name: object = getattr(error.orig, "sqlite_errorname", None)
    return name if isinstance(name, str) else None


def _sql_state(error: DBAPIError) -> str | None:
    """Give the code by which a server names an error; ``None`` if no server did."""
    state: object = getattr(error.orig, "sqlstate", None)
    return state if isinstance(state, str) else None


def _explain_driver(error: DBAPIError, reason: str) -> ThingportError | None:
    """Say what an error means that the driver itself found, not a server."""
    if isinstance(error, OperationalError):
        # Drivers keep this class for what is wrong with the connection.
        return StoreUnavailable(_STORE, reason)
    if isinstance(error, DataError) and _NUL in reason:
        return InvalidRequest("a text has the character U+0000 in it; leave it out")
    return None
