"""Bringing the schema of a control database up to date."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from thingport.adapters.sql.engine import place_of
from thingport.adapters.sql.failures import explain, sqlite_error_name
from thingport.adapters.sql.turns import take_migration_turn
from thingport.domain.errors import (
    StoreUnavailable,
    UnusableDatabase,
    UnusableDataDirectory,
)

SCRIPTS = Path(__file__).parent / "migrations"
"""Where the migrations are."""


def upgrade(engine: Engine, *, to: str = "head") -> None:
    """Migrate a database to the newest schema; an empty one gets all of it.

    ``to`` names an older revision to stop at, which tests do.

    One transaction: it is migrated, or as it was. Processes that start at the
    same time take turns, and all but the first find nothing to do.

    Raises:
        UnusableDataDirectory: A newer release made the database in a file, or it
            cannot be opened or written; nothing was changed.
        UnusableDatabase: The same of a database on a server, or its server does
            not make durable what it says is stored; nothing was changed.
        StoreUnavailable: Another process keeps it busy, or its server is away;
            nothing was changed.
    """
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    try:
        with engine.begin() as connection:
            take_migration_turn(connection)
            _refuse_forgetful(connection)
            _refuse_newer(connection, ScriptDirectory.from_config(config))
            config.attributes["connection"] = connection
            command.upgrade(config, to)
    except DBAPIError as error:
        explained = explain(error)
        if isinstance(explained, StoreUnavailable) and _is_busy(error):
            raise explained from error
        raise _unusable(
            engine,
            f"the control database cannot be used: {error.orig}; see that it can be "
            "written, or restore it from a backup",
        ) from error


def _refuse_forgetful(connection: Connection) -> None:
    """Refuse a server that answers before what was committed is on its disk."""
    if connection.dialect.name == "sqlite":
        return
    found: object = connection.exec_driver_sql("SHOW synchronous_commit").scalar_one()
    if found == "off":
        raise _unusable(
            connection.engine,
            "synchronous_commit is off, so what was stored could be lost; turn it on "
            "for this database with ALTER DATABASE … SET synchronous_commit = on",
        )


def _refuse_newer(connection: Connection, scripts: ScriptDirectory) -> None:
    known = {script.revision for script in scripts.walk_revisions()}
    found = MigrationContext.configure(connection).get_current_heads()
    unknown = sorted(set(found) - known)
    if unknown:
        raise _unusable(
            connection.engine,
            f"a newer release of Thingport made it (schema {', '.join(unknown)}); "
            "use that release or a later one",
        )


def _is_busy(error: DBAPIError) -> bool:
    name = sqlite_error_name(error)
    return name is None or name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def _unusable(engine: Engine, reason: str) -> UnusableDatabase | UnusableDataDirectory:
    if engine.dialect.name == "sqlite" and engine.url.database:
        return UnusableDataDirectory(str(Path(engine.url.database).parent), reason)
    return UnusableDatabase(place_of(engine), reason)
