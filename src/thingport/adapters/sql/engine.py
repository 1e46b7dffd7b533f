"""Connections to the control database, and what is asked of each."""

import sqlite3
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from thingport.domain.errors import UnusableDatabase

BUSY_TIMEOUT = timedelta(seconds=10)
"""How long a transaction waits for another one's.

Longer than any transaction takes, shorter than a runner's lease lasts.
"""

_READ_ONLY = "thingport_read_only"
"""Execution option of a SQLite connection whose transactions write nothing."""

_POOL_SIZE = 20
"""Most connections of one process to a server; a server takes a hundred as it comes."""

_CONNECTION = {
    "connect_timeout": "10",
    # A machine that vanished says nothing: both ends find out within a minute.
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
}
"""Said to a server's client library, where the address says nothing else."""

_SESSION = {
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}
"""Said to a server at the begin of a session."""


def sqlite_url(path: Path) -> URL:
    """Give the address of a database in a file."""
    return URL.create("sqlite+pysqlite", database=str(path))


def open_engine(url: str | URL, *, busy_timeout: timedelta = BUSY_TIMEOUT) -> Engine:
    """Give a pool of connections to a control database; connects to nothing yet.

    Args:
        url: ``postgresql://…``, or what :func:`sqlite_url` gives.
        busy_timeout: How long a transaction waits for another one's.

    Raises:
        UnusableDatabase: The driver for it is not installed.
    """
    address = make_url(url)
    if address.get_backend_name() == "sqlite":
        engine = create_engine(address)
        event.listen(engine, "connect", partial(_prepare_sqlite, busy_timeout))
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    engine = _create_postgresql(address, busy_timeout)
    event.listen(engine, "connect", partial(_prepare_postgresql, busy_timeout))
    return engine


def begin_options(engine: Engine, *, read_only: bool) -> Mapping[str, Any]:
    """Give the options of a connection for one kind of transactions.

    Those that read see one view from their first statement to their last. Those
    that write see what was committed before each statement: they took their turn
    first, see :mod:`thingport.adapters.sql.turns`.
    """
    if not read_only:
        return {}
    if engine.dialect.name == "sqlite":
        return {_READ_ONLY: True}
    return {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


def place_of(engine: Engine) -> str:
    """Name a server's database without anything secret."""
    url = engine.url
    bare = URL.create(
        url.get_backend_name(),
        username=url.username,
        host=url.host,
        port=url.port,
        database=url.database,
    )
    return bare.render_as_string()


def _create_postgresql(address: URL, busy_timeout: timedelta) -> Engine:
    driver = address.set(drivername="postgresql+psycopg")
    wanted = {it: _CONNECTION[it] for it in _CONNECTION if it not in address.query}
    try:
        return create_engine(
            driver,
            # Whatever the server's own default is.
            isolation_level="READ COMMITTED",
            max_overflow=0,
            pool_pre_ping=True,
            pool_size=_POOL_SIZE,
            pool_timeout=busy_timeout.total_seconds(),
            connect_args=wanted,
        )
    except ModuleNotFoundError as error:
        raise UnusableDatabase(
            "PostgreSQL", "its driver is not installed; install thingport[postgres]"
        ) from error


def _prepare_postgresql(
    busy_timeout: timedelta, connection: DBAPIConnection, _record: ConnectionPoolEntry
) -> None:
    timeout = f"{busy_timeout // timedelta(milliseconds=1)}ms"
    settings = {**_SESSION, "lock_timeout": timeout}
    cursor = connection.cursor()
    for setting in settings.items():
        cursor.execute("SELECT set_config(%s, %s, false)", setting)
    cursor.close()
    connection.commit()


def _prepare_sqlite(
    busy_timeout: timedelta, connection: DBAPIConnection, _record: ConnectionPoolEntry
) -> None:
    raw = cast("sqlite3.Connection", cast("object", connection))
    # Python's driver would begin transactions late and only before some
    # statements; without an isolation level it leaves that to _begin_sqlite.
    raw.isolation_level = None
    raw.execute(f"PRAGMA busy_timeout = {busy_timeout // timedelta(milliseconds=1)}")
    raw.execute("PRAGMA journal_mode = WAL")
    raw.execute("PRAGMA synchronous = FULL")
    raw.execute("PRAGMA foreign_keys = ON")
    # Few rows are ever deleted, and those that are shall be gone.
    raw.execute("PRAGMA secure_delete = ON")


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later cannot wait for another
    # writer: its view would be old, and SQLite refuses. So who may write takes
    # its turn at the beginning, where waiting is possible.
    reads = connection.get_execution_options().get(_READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
