"""The services that the ways in ask for."""

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from thingport.adapters.archives.local import LocalArchiveStore
from thingport.adapters.catalogue_files.catalogue_document_reader import (
    read_catalogue_document,
)
from thingport.adapters.identity.secrets import RandomSecrets
from thingport.adapters.identity.tokens import JwtAccessTokens
from thingport.adapters.imports.local import LocalImportFiles
from thingport.adapters.lake.lakes import Lakes
from thingport.adapters.lake.parquet_ingest import ingest_parquet
from thingport.adapters.lake.source_checks import IngestReport
from thingport.adapters.sql.database import SqlControlDatabase
from thingport.adapters.system.clock import SystemClock
from thingport.adapters.system.ids import Uuid7Source
from thingport.adapters.system.pause import pause
from thingport.application.catalogue import Change, apply_catalogue
from thingport.application.data_exports import DataExports
from thingport.application.data_imports import DataImports
from thingport.application.downloads import Downloads
from thingport.application.erasure import Erasure
from thingport.application.housekeeping import Housekeeping
from thingport.application.identity import Identity
from thingport.application.reading_batches import ReadingBatches
from thingport.application.readings import Readings
from thingport.application.retention import Retention
from thingport.application.tenant_removal import TenantRemoval
from thingport.bootstrap.stores import (
    control_url_of,
    housekeeping_of,
    opened_lakes,
    prepare_data_dir,
    read_secret,
)
from thingport.domain.catalogue import Tenant
from thingport.domain.errors import InvalidRequest
from thingport.settings import DataDir, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything that the ways in can ask for."""

    settings: Settings
    clock: SystemClock
    identity: Identity
    data_exports: DataExports
    data_imports: DataImports
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
        control = SqlControlDatabase(control_url_of(settings))
        stack.callback(control.close)
        archives = LocalArchiveStore(data_dir.archives)
        import_files = LocalImportFiles(data_dir.imports)
        token_key = read_secret(settings.token_secret, data_dir.secret("token"))
        lakes = stack.enter_context(opened_lakes(settings, control))
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
            data_imports=DataImports(control, import_files, clock, ids),
            readings=Readings(control=control, lake_writer=lakes.writer),
            housekeeping=housekeeping_of(settings, control, lakes),
            reading_batches=ReadingBatches(
                control=control, lake_writer=lakes.writer, open_table=lakes.open_table
            ),
            retention=Retention(control),
            erasure=_erasure(control, lakes, archives, import_files),
            tenant_removal=_tenant_removal(control, lakes, archives, import_files),
            downloads=_downloads(settings, control, archives),
        )


def _erasure(
    control: SqlControlDatabase,
    lakes: Lakes,
    archives: LocalArchiveStore,
    import_files: LocalImportFiles,
) -> Erasure:
    return Erasure(
        control=control,
        open_eraser=lakes.open_eraser,
        archives=archives,
        import_files=import_files,
        clock=SystemClock(),
        pause=pause,
    )


def _tenant_removal(
    control: SqlControlDatabase,
    lakes: Lakes,
    archives: LocalArchiveStore,
    import_files: LocalImportFiles,
) -> TenantRemoval:
    return TenantRemoval(
        control=control,
        remove_lake=lakes.remove,
        archives=archives,
        import_files=import_files,
        clock=SystemClock(),
        pause=pause,
    )


def _downloads(
    settings: Settings, control: SqlControlDatabase, archives: LocalArchiveStore
) -> Downloads:
    return Downloads(
        control=control,
        archives=archives,
        clock=SystemClock(),
        secret=read_secret(
            settings.link_secret, DataDir(settings.data_dir).secret("link")
        ),
        lifetime=settings.link_lifetime,
        public_base_url=settings.public_base_url,
    )
