"""Connections to the control database, and what is asked of each."""

import sqlite3
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import cast

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

READ_ONLY = "thingport_read_only"
"""Execution option of a connection whose transactions write nothing."""

BUSY_TIMEOUT = timedelta(seconds=10)
"""How long a transaction waits for another process's one.

Longer than any transaction takes, shorter than a runner's lease lasts.
"""


def sqlite_url(path: Path) -> URL:
    """Give the address of a database in a file."""
    return URL.create("sqlite+pysqlite", database=str(path))


def open_engine(url: str | URL, *, busy_timeout: timedelta = BUSY_TIMEOUT) -> Engine:
    """Give a pool of connections to a control database; connects to nothing yet."""
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", partial(_prepare_sqlite, busy_timeout))
        event.listen(engine, "begin", _begin_sqlite)
    return engine


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
    reads = connection.get_execution_options().get(READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
