"""The catalogue of a lake in a schema of a PostgreSQL database."""

from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from thingport.adapters.lake.durability import make_directory
from thingport.adapters.lake.engine import attach, load_extension
from thingport.adapters.lake.failures import STORE
from thingport.adapters.lake.lake_names import (
    DATA_FOLDER,
    LAKE,
    Turn,
    metadata_name,
    quote_text,
    schema_name,
)
from thingport.domain.errors import StoreUnavailable
from thingport.domain.ids import TenantId

_DEFAULTS = {
    "application_name": "thingport lake",
    "connect_timeout": "10",
    # A machine that vanished says nothing: both ends find out within a minute.
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
}
"""Parameters of connections, where the address says nothing else."""

_NOTICES_LOSS = (
    "SELECT set_config('tcp_keepalives_idle', '30', false),"
    " set_config('tcp_keepalives_interval', '10', false),"
    " set_config('tcp_keepalives_count', '3', false)"
)
"""Has the server find out within a minute that a machine which writes is gone."""

_PATIENCE = timedelta(seconds=60)
"""How long to wait for who reads: longer than an export reads one chunk."""

_PRESENT = "SELECT schemaname FROM pg_tables WHERE tablename = 'ducklake_snapshot'"
"""Names the schemas that have a catalogue."""


class PostgresCatalogue:
    """A catalogue for the processes of many machines.

    Writers take turns by an advisory lock, which the server frees when their
    connection is lost. Whoever loses the turn without noticing cannot commit any
    more once somebody else has: see :meth:`begin`.

    Args:
        directory: The folder of the lake; all machines must see it.
        tenant_id: Whose lake it is.
        database_url: The address of the database, ``postgresql://…``.
    """

    def __init__(self, directory: Path, tenant_id: TenantId, database_url: str) -> None:
        self._directory = directory
        self._schema = schema_name(tenant_id)
        self._parameters = {**_DEFAULTS, **conninfo_to_dict(database_url)}
        self._session: psycopg.Connection | None = None

    @property
    def data_directory(self) -> Path:
        """Where the lake's files lie."""
        return self._directory / DATA_FOLDER

    @property
    def metadata(self) -> str:
        """Where its own tables are in an engine that has attached it, for SQL."""
        return metadata_name(self._schema)

    def exists(self) -> bool:
        """Whether somebody has made it.

        Raises:
            StoreUnavailable: The server does not answer.
        """
        with _translated():
            if self._session is not None:
                try:
                    return self._is_in(self._session)
                except psycopg.OperationalError:
                    # A server that was started again has forgotten us.
                    self.close()
            with self._connect() as connection:
                return self._is_in(connection)

    def make(self, engine: duckdb.DuckDBPyConnection) -> None:
        """Make an empty one; its tables appear all at once, or none of them."""
        with _translated(), self._connect() as connection:
            # Left alone it is an empty schema, which is no lake.
            connection.execute(
                sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(
                    sql.Identifier(self._schema)
                )
            )
        make_directory(self.data_directory)
        self.attach(engine, read_only=False)
        engine.execute(f"DETACH {LAKE}")

    def attach(self, engine: duckdb.DuckDBPyConnection, *, read_only: bool) -> None:
        """Attach the lake to an engine, which connects when it needs to.

        What the engine says when something fails has the address in it, so the
        password goes another way.
        """
        load_extension(engine, "postgres_scanner")
        address = {**self._parameters}
        password = address.pop("password", None)
        options = [f"META_SCHEMA {quote_text(self._schema)}"]
        if password is not None:
            engine.execute(
                "CREATE OR REPLACE SECRET catalogue"
                f" (TYPE postgres, PASSWORD {quote_text(str(password))})"
            )
            options.append("META_SECRET 'catalogue'")
        if not read_only:
            # See begin: a commit that comes too late fails, and is not repeated.
            engine.execute("SET ducklake_max_retry_count = 0")
        attach(
            engine,
            f"postgres:{make_conninfo('', **address)}",
            self.data_directory,
            read_only=read_only,
            options=options,
        )

    def begin(self, engine: duckdb.DuckDBPyConnection) -> None:
        """Begin a transaction, and settle which snapshot it adds to.

        A commit makes the snapshot after the one that was the last when its
        transaction began, and of two that make the same one the database refuses
        the second. So a writer that lost its turn, and gave its rows numbers
        before those of one that has committed since, stores nothing: numbers grow
        in the order of commits, whatever becomes of connections.
        """
        engine.execute("BEGIN")
        engine.execute(
            f"SELECT id FROM {LAKE}.current_snapshot()"  # noqa: S608  # a constant
        ).fetchall()

    @contextmanager
    def turn(self, work: Turn, patience: timedelta) -> Generator[None]:
        """Keep all others from some work for as long as the block lasts.

        Raises:
            StoreUnavailable: It was not our turn for too long, or the server does
                not answer.
        """
        with _translated(work):
            session = self._take_turn(work, patience)
        try:
            yield
        finally:
            self._end_turn(session, work)

    def withdraw(self) -> None:
        """Do nothing: a turn leaves nothing."""

    def forget_deleted_bytes(self) -> None:
        """Let the server give up rows that were deleted, and what it noted of them.

        To plan its queries it keeps some values of each column, which are those
        of rows that are there once it has looked again. What its pages and its own
        write-ahead log go on having until they are overwritten is out of reach.

        Raises:
            StoreUnavailable: The server does not answer, or others look after the
                tables for too long; it may be done again.
        """
        with _translated("looking after its tables"), self._connect() as connection:
            _wait_at_most(connection, _PATIENCE)
            for table in self._list_tables(connection):
                connection.execute(sql.SQL("VACUUM (ANALYZE) {}").format(table))

    def iter_content(self) -> Iterator[bytes]:
        """Yield all rows of its tables, each whole, with texts as UTF-8.

        Raises:
            StoreUnavailable: The server does not answer.
        """
        with _translated(), self._connect() as connection:
            for table in self._list_tables(connection):
                rows = sql.SQL("COPY {} TO STDOUT (FORMAT binary, ENCODING 'UTF8')")
                with connection.cursor().copy(rows.format(table)) as copy:
                    for row in copy:
                        yield bytes(row)

    def remove(self) -> None:
        """Drop the schema, and all that is in it.

        Raises:
            StoreUnavailable: The server does not answer, or somebody has read for
                too long; it may be done again.
        """
        with _translated("reading"), self._connect() as connection:
            _wait_at_most(connection, _PATIENCE)
            connection.execute(
                sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(
                    sql.Identifier(self._schema)
                )
            )

    def close(self) -> None:
        """Close the connection that is kept between two turns."""
        if self._session is not None:
            self._session.close()
        self._session = None

    def _connect(self) -> psycopg.Connection:
        return _connect(self._parameters)

    def _is_in(self, connection: psycopg.Connection) -> bool:
        found = connection.execute(f"{_PRESENT} AND schemaname = %s", [self._schema])
        return found.fetchone() is not None

    def _list_tables(self, connection: psycopg.Connection) -> Sequence[sql.Identifier]:
        found = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = %s ORDER BY 1",
            [self._schema],
        )
        return [sql.Identifier(self._schema, name) for (name,) in found.fetchall()]

    def _take_turn(self, work: Turn, patience: timedelta) -> psycopg.Connection:
        if self._session is not None:
            try:
                return self._locked(self._session, work, patience)
            except psycopg.OperationalError as error:
                self.close()
                # A server that was started again has forgotten us.
                if isinstance(error, psycopg.errors.LockNotAvailable):
                    raise
        session = self._session = self._connect()
        session.execute(_NOTICES_LOSS)
        return self._locked(session, work, patience)

    def _locked(
        self, session: psycopg.Connection, work: Turn, patience: timedelta
    ) -> psycopg.Connection:
        _wait_at_most(session, patience)
        session.execute(
            "SELECT pg_advisory_lock(hashtextextended(%s, 0))",
            [lock_name(self._schema, work)],
        )
        return session

    def _end_turn(self, session: psycopg.Connection, work: Turn) -> None:
        try:
            session.execute(
                "SELECT pg_advisory_unlock(hashtextextended(%s, 0))",
                [lock_name(self._schema, work)],
            )
        except psycopg.OperationalError:
            # What was committed is committed; the server frees what a lost
            # connection held.
            self.close()


def lock_name(schema: str, work: Turn) -> str:
    """Name the advisory lock of a turn; its key is the hash that PostgreSQL gives."""
    return f"thingport lake {schema} {work}"


def list_schemas(database_url: str) -> Collection[str]:
    """Name the schemas of a database that have a catalogue.

    Raises:
        StoreUnavailable: The server does not answer.
    """
    with _translated(), _connect({**_DEFAULTS, **conninfo_to_dict(database_url)}) as it:
        return {schema for (schema,) in it.execute(_PRESENT).fetchall()}


def _connect(parameters: Mapping[str, Any]) -> psycopg.Connection:
    return psycopg.connect(make_conninfo("", **parameters), autocommit=True)


def _wait_at_most(connection: psycopg.Connection, patience: timedelta) -> None:
    timeout = f"{patience // timedelta(milliseconds=1)}ms"
    connection.execute("SELECT set_config('lock_timeout', %s, false)", [timeout])


@contextmanager
def _translated(work: str = Turn.WRITING) -> Generator[None]:
    try:
        yield
    except psycopg.errors.LockNotAvailable as error:
        raise StoreUnavailable(STORE, f"another process is {work}") from error
    except psycopg.OperationalError as error:
        raise StoreUnavailable(STORE, " ".join(str(error).split())) from error
