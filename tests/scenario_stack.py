"""Plays scenarios on the real stores."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from builders import a_tenant, a_user, an_actor
from fakes.inline_executor import InlineExecutor
from scenarios import Scenario, WriteCall
from strategies import Catalogue
from thingport.application.run_data_export import DataExportRunner
from thingport.bootstrap.runners import open_runner, render_in_worker
from thingport.bootstrap.services import Services, open_services
from thingport.domain.actor import Actor, Entity
from thingport.domain.data_export import (
    Archive,
    DataExport,
    DataExportRequest,
    DataExportState,
)
from thingport.domain.ids import TenantId, ThingDefinitionId
from thingport.domain.reading import Reading, ReadingBatch
from thingport.settings import Settings


@dataclass(frozen=True, slots=True)
class Stack:
    """The real stores and the real renderer, in this process."""

    services: Services
    runner: DataExportRunner

    def run(self, scenario: Scenario) -> tuple[Archive, bytes]:
        """Play a scenario as a tenant of its own; give the archive."""
        actor = self.add_actor(scenario)
        self.write(actor.tenant_id, scenario.catalogue, scenario.before)
        scheduled = self.services.data_exports.schedule(actor, scenario.request)
        self.write(actor.tenant_id, scenario.catalogue, scenario.after)
        return self._finish(actor, scheduled, scenario.max_chunk_bytes)

    def export(self, actor: Actor, request: DataExportRequest) -> bytes:
        """Export what an actor sees; give the archive."""
        scheduled = self.services.data_exports.schedule(actor, request)
        return self._finish(actor, scheduled, self.runner.max_chunk_cost_bytes)[1]

    def add_actor(self, scenario: Scenario) -> Actor:
        """Add a tenant with a scenario's catalogue, and who asks in it."""
        tenant_id = self._add_tenant(scenario.catalogue)
        return self._add_actor(tenant_id, scenario.entity)

    def _finish(
        self, actor: Actor, scheduled: DataExport, max_chunk_bytes: int
    ) -> tuple[Archive, bytes]:
        claim = self.runner.claim()
        assert claim is not None
        assert claim.data_export == scheduled
        replace(self.runner, max_chunk_cost_bytes=max_chunk_bytes).run(claim)
        finished = self.services.data_exports.get(actor, scheduled.id).data_export
        assert finished.state is DataExportState.COMPLETED, finished.error
        assert finished.archive is not None
        archives = self.services.data_exports.archives
        path = archives.find_archive(actor.tenant_id, scheduled.id)
        assert path is not None
        return finished.archive, path.read_bytes()

    def _add_tenant(self, catalogue: Catalogue) -> TenantId:
        tenant = a_tenant()
        with self.services.control.for_service() as service:
            service.tenants.add(tenant)
        with self.services.control.for_tenant(tenant.id) as tx:
            for entity in catalogue.entities:
                tx.catalogue.save(entity)
        return tenant.id

    def _add_actor(self, tenant_id: TenantId, entity: Entity) -> Actor:
        user = a_user(entity=entity)
        with self.services.control.for_tenant(tenant_id) as tx:
            tx.credentials.add_user(user)
        return an_actor(tenant_id=tenant_id, user_id=user.id, entity=entity)

    def write(
        self, tenant_id: TenantId, catalogue: Catalogue, calls: Sequence[WriteCall]
    ) -> None:
        """Write what was sent, call by call."""
        writer = self.services.readings.lake_writer(tenant_id)
        for readings in calls:
            if batches := list(_iter_batches(catalogue, readings)):
                writer.write(batches)


def _iter_batches(catalogue: Catalogue, readings: WriteCall) -> Iterator[ReadingBatch]:
    kind_of = {it.id: it.thing_definition_id for it in catalogue.things}
    value_types = {it.id: it.value_type for it in catalogue.metrics}
    by_kind: dict[ThingDefinitionId, list[Reading]] = {}
    for reading in readings:
        by_kind.setdefault(kind_of[reading.thing_id], []).append(reading)
    for kind, of_kind in by_kind.items():
        yield ReadingBatch(
            thing_definition_id=kind,
            value_types={
                metric_id: value_types[metric_id]
                for reading in of_kind
                for metric_id in reading.values
            },
            readings=of_kind,
        )


@contextmanager
def scenario_stack(directory: Path) -> Generator[Stack]:
    """Open stores for scenarios."""
    chosen = Settings(data_dir=directory)
    with open_services(chosen) as services, open_runner(chosen) as runner:
        executor = InlineExecutor(partial(render_in_worker, chosen))
        yield Stack(services, replace(runner, executor=executor))
