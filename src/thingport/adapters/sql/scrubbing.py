"""Taking what was deleted out of the files of a control database."""

import sqlite3
import time

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from thingport.adapters.sql.failures import explain
from thingport.adapters.sql.schema import metadata
from thingport.domain.errors import StoreUnavailable

_STORE = "the control database"

_PATIENCE_S = 60.0
_PAUSE_S = 0.1


def forget_deleted_bytes(engine: Engine) -> None:
    """Take deleted rows out of a database, as far as that goes; others go on meanwhile.

    The file of an embedded one is written anew, and its log emptied. A server gives
    up the rows, and what it noted of them to plan its queries; what its pages and its
    own log go on having until they are overwritten is out of reach.

    Raises:
        StoreUnavailable: The database does not answer, or somebody has been in the
            way for too long; it may be done again.
    """
    if engine.dialect.name == "sqlite":
        _write_file_anew(engine)
    else:
        _vacuum_server(engine)


def _vacuum_server(engine: Engine) -> None:
    quote = engine.dialect.identifier_preparer.format_table
    tables = ", ".join(quote(it) for it in metadata.sorted_tables)
    # The server refuses to do it in a transaction.
    autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")
    try:
        with autocommit.connect() as connection:
            connection.exec_driver_sql(f"VACUUM (ANALYZE) {tables}")
    except DBAPIError as error:
        explained = explain(error)
        if explained is None:
            raise
        raise explained from error


def _write_file_anew(engine: Engine) -> None:
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute("VACUUM")
        give_up_at_s = time.monotonic() + _PATIENCE_S
        while True:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            is_busy, *_ = cursor.fetchone() or (True,)
            if not is_busy:
                return
            if time.monotonic() >= give_up_at_s:
                raise StoreUnavailable(_STORE, "it is being read for long")
            time.sleep(_PAUSE_S)
    except sqlite3.OperationalError as error:
        raise StoreUnavailable(_STORE, str(error)) from error
    finally:
        connection.close()
