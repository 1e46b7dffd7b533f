"""Imports on real stores, and runners that meet with what a test wants to happen."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from builders import a_metric, a_tenant, a_thing, a_user, an_actor, an_organization
from http_service import StoppedClock
from lake_rows import Row, read
from stored_tenants import store
from thingport.application.data_imports import DataImportRequest
from thingport.application.import_ports import ImportClaim
from thingport.application.import_upkeep import ImportUpkeep
from thingport.application.run_data_import import DataImportRunner
from thingport.bootstrap.runners import open_import_runner
from thingport.bootstrap.services import Services, open_services
from thingport.domain.actor import Actor, OrganizationEntity
from thingport.domain.catalogue import ThingDefinition
from thingport.domain.data_import import (
    DataImport,
    DataImportState,
    ImportFailure,
    ImportReport,
)
from thingport.domain.errors import ThingportError
from thingport.domain.export_plan import PlannedColumn, PlannedLayout
from thingport.domain.ids import MetricId, ThingDefinitionId, ThingId
from thingport.domain.metric import MetricType, ValueType
from thingport.settings import Settings

PUMP = ThingDefinitionId("pump")
THING = ThingId("p1")

METRICS = [
    a_metric(id=MetricId(name), thing_definition_id=PUMP, name=name, value_type=kind)
    for name, kind in (
        ("flow", ValueType.DOUBLE),
        ("count", ValueType.LONG),
        ("on", ValueType.BOOLEAN),
        ("level", ValueType.FLOAT),
        ("note", ValueType.STRING),
    )
]

LAYOUT = PlannedLayout(
    PUMP, tuple(PlannedColumn(it.id, it.value_type, it.name) for it in METRICS)
)

HEADER = "TIMESTAMP,flow,count,on,level,note"


class Died(BaseException):
    """The end of a runner: nothing of its own code handles it."""


@dataclass(frozen=True, slots=True)
class ImportStack:
    """The real stores, somebody who may import, and a runner.

    Attributes:
        clock: What everybody goes by.
    """

    settings: Settings
    services: Services
    actor: Actor
    clock: StoppedClock
    runner: DataImportRunner
    upkeep: ImportUpkeep

    def schedule(
        self, content: str | bytes, thing: ThingId = THING, **request: object
    ) -> DataImport:
        wanted = replace(DataImportRequest(thing_id=thing), **request)  # type: ignore[arg-type]  # as told
        upload = self.services.data_imports.begin(self.actor, wanted)
        try:
            upload.file.write(content.encode() if isinstance(content, str) else content)
            return self.services.data_imports.schedule(upload)
        finally:
            upload.file.close()

    def claim(self) -> ImportClaim:
        claim = self.runner.claim()
        assert claim is not None
        return claim

    def run(self, **changes: object) -> ThingportError | None:
        """Claim the import that waits, and run it, as far as it gets."""
        runner = replace(self.runner, **changes)  # type: ignore[arg-type]  # as told
        return runner.run(self.claim())

    def bring_in(
        self, content: str | bytes, thing: ThingId = THING, **request: object
    ) -> DataImport:
        """Schedule and run; give how it ended."""
        scheduled = self.schedule(content, thing, **request)
        self.run()
        return self.look(scheduled)

    def look(self, data_import: DataImport) -> DataImport:
        return self.services.data_imports.get(self.actor, data_import.id)

    def report_of(self, data_import: DataImport) -> ImportReport:
        found = self.look(data_import)
        assert found.state is DataImportState.COMPLETED, found
        assert found.report is not None
        assert self.files == []
        return found.report

    def failure_of(self, data_import: DataImport) -> ImportFailure:
        found = self.look(data_import)
        assert found.state is DataImportState.ERROR, found
        assert found.error is not None
        assert self.files == []
        return found.error

    def rows(self, *things: str) -> list[Row]:
        """Give what is stored: thing, timestamp and values, in the order of METRICS."""
        with self.services.lakes.open_reader(self.actor.tenant_id) as reader:
            if reader.current_snapshot() is None:
                return []
            return read(reader, LAYOUT, things or [THING])

    def values(self) -> Sequence[Row]:
        """Give timestamp and values of the thing."""
        return [row[1:] for row in self.rows()]

    @property
    def files(self) -> list[str]:
        """All that is kept of files."""
        folder = self.settings.data_dir
        found = [*(folder / "imports").rglob("*.*"), *folder.glob("temporary/*.arrow")]
        return sorted(it.name for it in found)


@contextmanager
def import_stack(directory: Path, **limits: object) -> Generator[ImportStack]:
    """Open stores with a tenant that has two pumps."""
    settings = Settings(data_dir=directory, **limits)  # type: ignore[arg-type]  # as told
    clock = StoppedClock()
    with (
        open_services(settings) as services,
        open_import_runner(settings) as (runner, upkeep),
    ):
        tenant, organization = a_tenant(), an_organization()
        user = a_user(entity=OrganizationEntity(organization.id))
        with services.control.for_service() as service:
            service.tenants.add(tenant)
        record = a_metric(thing_definition_id=PUMP, name="blob", type=MetricType.BLOB)
        pumps = [
            a_thing(id=it, serial_number=it, thing_definition_id=PUMP)
            for it in (THING, ThingId("p2"))
        ]
        kind = ThingDefinition(id=PUMP, name="pump")
        store(services.control, tenant.id, organization, kind, *METRICS, record, *pumps)
        with services.control.for_tenant(tenant.id) as tx:
            tx.credentials.add_user(user)
        imports = replace(services.data_imports, clock=clock)
        yield ImportStack(
            settings=settings,
            services=replace(services, data_imports=imports),
            actor=an_actor(tenant_id=tenant.id, user_id=user.id, entity=user.entity),
            clock=clock,
            runner=replace(runner, clock=clock),
            upkeep=replace(upkeep, clock=clock),
        )
