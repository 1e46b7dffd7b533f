"""Picks the adapters and builds the services; knows everything, does nothing."""

import os
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from socket import gethostname

import structlog
from pydantic import SecretStr
from sqlalchemy import URL

from thingport.adapters.archives.local import LocalArchiveStore
from thingport.adapters.catalogue_files.catalogue_document_reader import (
    read_catalogue_document,
)
from thingport.adapters.executors.local import LocalExecutor
from thingport.adapters.identity.secrets import RandomSecrets
from thingport.adapters.identity.tokens import JwtAccessTokens
from thingport.adapters.lake.lakes import Lakes
from thingport.adapters.lake.parquet_ingest import ingest_parquet
from thingport.adapters.lake.reader import DuckLakeReader
from thingport.adapters.lake.source_checks import IngestReport
from thingport.adapters.render.chunk_renderer import CsvZipRenderer
from thingport.adapters.sql.database import SqlControlDatabase
from thingport.adapters.sql.engine import open_engine, sqlite_url
from thingport.adapters.sql.migrate import upgrade
from thingport.adapters.system.clock import SystemClock
from thingport.adapters.system.ids import Uuid7Source
from thingport.adapters.system.pause import pause
from thingport.adapters.system.secret_files import make_secret
from thingport.application.catalogue import Change, apply_catalogue
from thingport.application.data_exports import DataExports
from thingport.application.downloads import Downloads
from thingport.application.erasure import Erasure
from thingport.application.housekeeping import Housekeeping
from thingport.application.identity import Identity
from thingport.application.ports import RenderTask
from thingport.application.reading_batches import ReadingBatches
from thingport.application.readings import Readings
from thingport.application.render_chunk import render_chunk
from thingport.application.retention import Retention
from thingport.application.run_data_export import DataExportRunner
from thingport.application.tenant_removal import TenantRemoval
from thingport.domain.catalogue import Tenant
from thingport.domain.errors import InvalidRequest, UnusableDataDirectory
from thingport.domain.export_plan import ExportPlan
from thingport.domain.ids import DataExportId, TenantId
from thingport.domain.segment import StoredSegment
from thingport.settings import MIN_SECRET_CHARACTERS, DataDir, Settings


def configure_logs() -> None:
    """Send what is logged to standard error, a line an event, with its time in UTC.

    A traceback shows code and never the values in it, which may be secrets.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(),
                exception_formatter=structlog.dev.plain_traceback,
            ),
        ],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )


def prepare_data_dir(settings: Settings) -> None:
    """Make the data directory, its secrets and the newest schema.

    Raises:
        UnusableDataDirectory: It cannot be made, opened or written, or a newer
            release has used it; nothing in it was changed.
        UnusableDatabase: The same of the database on a server.
        StoreUnavailable: The database does not answer.
    """
    data_dir = DataDir(settings.data_dir)
    if data_dir.root.is_file():
        raise UnusableDataDirectory(
            str(data_dir.root), "it is a file; name a directory with --data-dir"
        )
    with _writing_in(data_dir):
        data_dir.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    # First of all: it refuses what another release or another program has made.
    engine = open_engine(_control_url(settings))
    try:
        upgrade(engine)
    finally:
        engine.dispose()
    with _writing_in(data_dir):
        data_dir.temporary.mkdir(exist_ok=True)
        for name in ("token", "link"):
            make_secret(data_dir.secret(name))


@contextmanager
def _writing_in(data_dir: DataDir) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise UnusableDataDirectory(
            str(data_dir.root),
            f"cannot be written: {error.strerror}; give the service the right to "
            "write there, or name another directory with --data-dir",
        ) from error


def _database_url(settings: Settings) -> str | None:
    url = settings.database_url
    return None if url is None else url.get_secret_value()


def _control_url(settings: Settings) -> str | URL:
    url = _database_url(settings)
    return url or sqlite_url(DataDir(settings.data_dir).control_database)


def _secret(given: SecretStr | None, path: Path) -> bytes:
    text = path.read_text() if given is None else given.get_secret_value()
    if len(text) < MIN_SECRET_CHARACTERS:
        raise UnusableDataDirectory(
            str(path.parent.parent),
            f"secrets/{path.name} is not whole; restore it from a backup, or delete it "
            "to have a new one made",
        )
    return text.encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything that the ways in can ask for."""

    settings: Settings
    clock: SystemClock
    identity: Identity
    data_exports: DataExports
    downloads: Downloads
    readings: Readings
    housekeeping: Housekeeping
    reading_batches: ReadingBatches
    retention: Retention
    erasure: Erasure
    tenant_removal: TenantRemoval
    control: SqlControlDatabase
    lakes: Lakes

    def get_tenant(self, name: str) -> Tenant:
        """Give a tenant by its name.

        Raises:
            InvalidRequest: There is none.
        """
        with self.control.for_service(read_only=True) as tx:
            tenant = tx.tenants.find_by_name(name)
        if tenant is None:
            raise InvalidRequest(f"tenant: there is none called {name!r}")
        return tenant

    def apply_catalogue(self, tenant_name: str, path: Path) -> Sequence[Change]:
        """Create and update what a catalogue file says; give what changed."""
        tenant = self.get_tenant(tenant_name)
        document = read_catalogue_document(path)
        return apply_catalogue(self.control, tenant, document, Uuid7Source())

    def ingest_parquet(
        self, tenant_name: str, path: Path, on_progress: Callable[[int, int], None]
    ) -> IngestReport:
        """Store the readings of a Parquet file, all of them or none."""
        tenant = self.get_tenant(tenant_name)
        with self.control.for_tenant(tenant.id, read_only=True) as tx:
            things = tx.catalogue.list_things()
            definitions = tx.catalogue.get_definitions()
        used = {it.thing_definition_id for it in things}
        metrics = {
            definition_id: {
                metric.name: metric
                for metric in definitions.metrics_of(definition_id).values()
            }
            for definition_id in used
        }
        by_serial_number = {
            it.serial_number: (it.id, it.thing_definition_id) for it in things
        }
        with closing(self.lakes.new_lane(tenant.id)) as lane:
            return ingest_parquet(path, by_serial_number, metrics, lane, on_progress)


@contextmanager
def open_services(settings: Settings) -> Generator[Services]:
    """Open the stores of a data directory for as long as the block lasts.

    Raises:
        UnusableDataDirectory: It cannot be used; nothing in it was changed.
    """
    prepare_data_dir(settings)
    data_dir = DataDir(settings.data_dir)
    clock, ids = SystemClock(), Uuid7Source()
    with ExitStack() as stack:
        control = SqlControlDatabase(_control_url(settings))
        stack.callback(control.close)
        archives = LocalArchiveStore(data_dir.archives)
        token_key = _secret(settings.token_secret, data_dir.secret("token"))
        lakes = stack.enter_context(_opened_lakes(settings, control))
        yield Services(
            settings=settings,
            clock=clock,
            control=control,
            lakes=lakes,
            identity=Identity(
                control=control,
                secrets=RandomSecrets(),
                tokens=JwtAccessTokens(token_key),
                token_lifetime=settings.token_lifetime,
                clock=clock,
                ids=ids,
            ),
            data_exports=DataExports(
                control=control,
                open_lake=lakes.open_reader,
                archives=archives,
                clock=clock,
                ids=ids,
            ),
            readings=Readings(control=control, lake_writer=lakes.writer),
            housekeeping=_housekeeping(settings, control, lakes),
            reading_batches=ReadingBatches(
                control=control, lake_writer=lakes.writer, open_table=lakes.open_table
            ),
            retention=Retention(control),
            erasure=_erasure(control, lakes, archives),
            tenant_removal=_tenant_removal(control, lakes, archives),
            downloads=Downloads(
                control=control,
                archives=archives,
                clock=clock,
                secret=_secret(settings.link_secret, data_dir.secret("link")),
                lifetime=settings.link_lifetime,
                public_base_url=settings.public_base_url,
            ),
        )


def _erasure(
    control: SqlControlDatabase, lakes: Lakes, archives: LocalArchiveStore
) -> Erasure:
    return Erasure(
        control=control,
        open_eraser=lakes.open_eraser,
        archives=archives,
        clock=SystemClock(),
        pause=pause,
    )


def _tenant_removal(
    control: SqlControlDatabase, lakes: Lakes, archives: LocalArchiveStore
) -> TenantRemoval:
    return TenantRemoval(
        control=control,
        remove_lake=lakes.remove,
        archives=archives,
        clock=SystemClock(),
        pause=pause,
    )


@contextmanager
def _opened_lakes(settings: Settings, control: SqlControlDatabase) -> Generator[Lakes]:
    def allocate_written_seqs(tenant_id: TenantId, count: int) -> int:
        with control.for_tenant(tenant_id) as tx:
            return tx.allocate_written_seqs(count)

    data_dir = DataDir(settings.data_dir)
    lakes = Lakes(
        data_dir.lakes,
        temp_dir=data_dir.temporary,
        allocate_written_seqs=allocate_written_seqs,
        group_commit_pause=settings.group_commit_pause,
        max_file_bytes=settings.compaction_file_bytes,
        database_url=_database_url(settings),
    )
    with closing(lakes):
        yield lakes


def _housekeeping(
    settings: Settings, control: SqlControlDatabase, lakes: Lakes
) -> Housekeeping:
    return Housekeeping(
        control=control,
        open_keeper=lakes.open_keeper,
        clock=SystemClock(),
        snapshot_retention=settings.snapshot_retention,
    )


@contextmanager
def open_housekeeping(settings: Settings) -> Generator[Housekeeping]:
    """Open what looks after the lakes of a data directory, for a runner.

    Raises:
        UnusableDataDirectory: It cannot be used; nothing in it was changed.
    """
    prepare_data_dir(settings)
    control = SqlControlDatabase(_control_url(settings))
    with closing(control), _opened_lakes(settings, control) as lakes:
        yield _housekeeping(settings, control, lakes)


@contextmanager
def open_runner(
    settings: Settings, *, is_stopping: Callable[[], bool] = lambda: False
) -> Generator[DataExportRunner]:
    """Open a runner on a data directory for as long as the block lasts.

    Args:
        settings: Where the directory is, and how much to render at a time.
        is_stopping: Asked by the runner: whether to give back what it works on.

    Raises:
        UnusableDataDirectory: It cannot be used; nothing in it was changed.
    """
    prepare_data_dir(settings)
    data_dir = DataDir(settings.data_dir)
    with ExitStack() as stack:
        control = SqlControlDatabase(_control_url(settings))
        stack.callback(control.close)
        lakes = stack.enter_context(_opened_lakes(settings, control))
        executor = LocalExecutor(
            partial(render_in_worker, settings),
            settings.workers,
            settings.worker_niceness,
        )
        stack.callback(executor.close)
        yield DataExportRunner(
            name=f"{gethostname()}-{os.getpid()}",
            control=control,
            open_lake=lakes.open_reader,
            archives=LocalArchiveStore(data_dir.archives),
            renderer=CsvZipRenderer(),
            executor=executor,
            clock=SystemClock(),
            max_chunk_cost_bytes=settings.max_chunk_bytes,
            is_stopping=is_stopping,
        )


def render_in_worker(settings: Settings, task: RenderTask) -> StoredSegment:
    """Render one chunk; what a worker process is given to do.

    Plan and lake of the last export stay open for its next chunk.
    """
    archives = LocalArchiveStore(DataDir(settings.data_dir).archives)
    plan = _load_plan(settings.data_dir, task.tenant_id, task.data_export_id)
    lake = _worker_lake(
        settings.data_dir,
        settings.worker_memory_mb,
        _database_url(settings),
        task.tenant_id,
    )
    return render_chunk(task, plan, lake, CsvZipRenderer(), archives)


@lru_cache(maxsize=1)
def _worker_lake(
    root: Path, memory_mb: int, database_url: str | None, tenant_id: TenantId
) -> DuckLakeReader:
    data_dir = DataDir(root)
    return DuckLakeReader(
        data_dir.lakes,
        tenant_id,
        temp_dir=data_dir.temporary,
        memory_mb=memory_mb,
        database_url=database_url,
    )


@lru_cache(maxsize=1)
def _load_plan(
    root: Path, tenant_id: TenantId, data_export_id: DataExportId
) -> ExportPlan:
    return LocalArchiveStore(DataDir(root).archives).load_plan(
        tenant_id, data_export_id
    )
