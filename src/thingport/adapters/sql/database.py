"""The control database: transactions, and what can be reached in them."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from thingport.adapters.sql.catalogue import SqlCatalogueRepository
from thingport.adapters.sql.credentials import SqlCredentialRepository
from thingport.adapters.sql.data_exports import SqlDataExportRepository
from thingport.adapters.sql.data_imports import SqlDataImportRepository
from thingport.adapters.sql.engine import begin_options, open_engine
from thingport.adapters.sql.export_queue import SqlExportQueue
from thingport.adapters.sql.failures import explain
from thingport.adapters.sql.import_queue import SqlImportQueue
from thingport.adapters.sql.scrubbing import forget_deleted_bytes
from thingport.adapters.sql.tenants import SqlTenantRepository, allocate_written_seqs
from thingport.adapters.sql.turns import take_turn
from thingport.adapters.sql.upkeep import SqlUpkeepRepository
from thingport.domain.ids import TenantId


class SqlTenantTransaction:
    """One transaction that can reach one tenant's rows, and no others'."""

    def __init__(
        self, connection: Connection, tenant_id: TenantId, *, read_only: bool
    ) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self.catalogue = SqlCatalogueRepository(connection, tenant_id)
        self.data_exports = SqlDataExportRepository(
            connection, tenant_id, read_only=read_only
        )
        self.data_imports = SqlDataImportRepository(connection, tenant_id)
        self.credentials = SqlCredentialRepository(connection, tenant_id)
        self.upkeep = SqlUpkeepRepository(connection, tenant_id)

    def allocate_written_seqs(self, count: int) -> int:
        """Reserve ``count`` successive numbers; give the first.

        They are reserved once the transaction is committed: use them after it.

        Raises:
            NotFound: There is no such tenant.
        """
        return allocate_written_seqs(self._connection, self._tenant_id, count)


@dataclass(frozen=True, slots=True)
class SqlServiceTransaction:
    """One transaction of the service itself, over all tenants."""

    tenants: SqlTenantRepository
    queue: SqlExportQueue
    import_queue: SqlImportQueue


class SqlControlDatabase:
    """The control database in an SQL database whose schema is up to date.

    Threads may share it. Processes make their own.

    Args:
        url_or_engine: Where it is; an engine comes from ``open_engine``.
    """

    def __init__(self, url_or_engine: str | URL | Engine) -> None:
        if isinstance(url_or_engine, Engine):
            self._engine = url_or_engine
        else:
            self._engine = open_engine(url_or_engine)

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._engine.dispose()

    @contextmanager
    def for_tenant(
        self, tenant_id: TenantId, *, read_only: bool = False
    ) -> Generator[SqlTenantTransaction]:
        """Begin a transaction for one tenant.

        Args:
            tenant_id: Whose rows it reaches.
            read_only: Promise to write nothing; such transactions see one view,
                and neither wait for others nor keep them waiting.

        Raises:
            StoreUnavailable: The database does not answer; nothing was written.
            CorruptData: It is damaged.
        """
        with self._begin(read_only=read_only) as connection:
            if not read_only:
                take_turn(connection, tenant_id)
            yield SqlTenantTransaction(connection, tenant_id, read_only=read_only)

    @contextmanager
    def for_service(
        self, *, read_only: bool = False
    ) -> Generator[SqlServiceTransaction]:
        """Begin a transaction of the service itself.

        Raises:
            StoreUnavailable: The database does not answer; nothing was written.
            CorruptData: It is damaged.
        """
        with self._begin(read_only=read_only) as connection:
            yield SqlServiceTransaction(
                SqlTenantRepository(connection),
                SqlExportQueue(connection),
                SqlImportQueue(connection),
            )

    def forget_deleted_bytes(self) -> None:
        """Take what was deleted out of the files of the database too.

        Others go on meanwhile. A server does as much of it as it can.

        Raises:
            StoreUnavailable: The database does not answer, or somebody reads from it
                for too long; it may be done again.
        """
        forget_deleted_bytes(self._engine)

    @contextmanager
    def _begin(self, *, read_only: bool) -> Generator[Connection]:
        options = begin_options(self._engine, read_only=read_only)
        try:
            with (
                self._engine.connect().execution_options(**options) as connection,
                connection.begin(),
            ):
                yield connection
        except (DBAPIError, PoolTimeout) as error:
            explained = explain(error)
            if explained is None:
                raise
            raise explained from error
