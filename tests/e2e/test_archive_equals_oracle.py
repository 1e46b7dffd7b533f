"""Whatever was written and is asked for, the archive is what the oracle says."""

import hashlib
import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from builders import a_tenant, a_user, an_actor
from fakes.inline_executor import InlineExecutor
from oracle.archive import expected_files
from oracle.rfc4180 import parse
from scenarios import MARCH_2020, Scenario, WriteCall, scenarios
from strategies import Catalogue
from thingport.application.run_data_export import DataExportRunner
from thingport.bootstrap import (
    Services,
    open_runner,
    open_services,
    render_in_worker,
)
from thingport.domain.actor import Actor, Entity, OrganizationEntity
from thingport.domain.catalogue import Organization, Thing, ThingDefinition
from thingport.domain.data_export import (
    Archive,
    DataExportRequest,
    DataExportState,
    Selection,
)
from thingport.domain.ids import (
    MetricId,
    OrganizationId,
    TenantId,
    ThingDefinitionId,
    ThingId,
)
from thingport.domain.metric import Metric, ValueType
from thingport.domain.period import Period
from thingport.domain.reading import Reading, ReadingBatch
from thingport.settings import Settings


@dataclass(frozen=True, slots=True)
class Stack:
    """The real stores and the real renderer, in this process."""

    services: Services
    runner: DataExportRunner

    def run(self, scenario: Scenario) -> tuple[Archive, bytes]:
        """Play a scenario as a tenant of its own; give the archive."""
        tenant_id = self._add_tenant(scenario.catalogue)
        actor = self._add_actor(tenant_id, scenario.entity)
        self._write(tenant_id, scenario.catalogue, scenario.before)
        scheduled = self.services.data_exports.schedule(actor, scenario.request)
        self._write(tenant_id, scenario.catalogue, scenario.after)
        claim = self.runner.claim()
        assert claim is not None
        assert claim.data_export == scheduled
        replace(self.runner, max_chunk_cost_bytes=scenario.max_chunk_bytes).run(claim)
        finished = self.services.data_exports.get(actor, scheduled.id).data_export
        assert finished.state is DataExportState.COMPLETED, finished.error
        assert finished.archive is not None
        archives = self.services.data_exports.archives
        path = archives.find_archive(tenant_id, scheduled.id)
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

    def _write(
        self, tenant_id: TenantId, catalogue: Catalogue, calls: Sequence[WriteCall]
    ) -> None:
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


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    chosen = Settings(data_dir=Path(tmp_path_factory.mktemp("data")))
    with open_services(chosen) as services, open_runner(chosen) as runner:
        executor = InlineExecutor(partial(render_in_worker, chosen))
        yield Stack(services, replace(runner, executor=executor))


def check(stack: Stack, scenario: Scenario) -> None:
    readings = [it for call in scenario.before for it in call]
    expected = expected_files(
        scenario.catalogue, scenario.entity, readings, scenario.request
    )

    archive, content = stack.run(scenario)

    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        assert len(opened.namelist()) == len(expected)
        found = {name: opened.read(name) for name in opened.namelist()}
    assert found == {name: text.encode() for name, text in expected.items()}
    assert archive == Archive(
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        things=len(expected),
        rows=sum(len(parse(text)) - 1 for text in expected.values()),
    )


@given(scenario=scenarios())
@settings(
    max_examples=30,
    # Each example is a tenant with a lake of its own on the disk.
    suppress_health_check=[HealthCheck.too_slow],
)
def test_an_archive_is_what_the_oracle_says(stack: Stack, scenario: Scenario) -> None:
    check(stack, scenario)


@pytest.mark.slow
@given(scenario=scenarios())
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
def test_many_more_archives_are_what_the_oracle_says(
    stack: Stack, scenario: Scenario
) -> None:
    check(stack, scenario)


@pytest.mark.parametrize("max_chunk_bytes", [100_000, 8 * 1024 * 1024])
def test_a_long_history_is_whole_and_in_order(
    stack: Stack, max_chunk_bytes: int
) -> None:
    check(stack, replace(A_LONG_HISTORY, max_chunk_bytes=max_chunk_bytes))


PUMP = ThingDefinitionId("pump")

MAKER = Organization(id=OrganizationId("maker"), name="Maker")

A_LONG_HISTORY = Scenario(
    catalogue=Catalogue(
        organizations=[MAKER],
        partners=[],
        customers=[],
        locations=[],
        thing_definitions=[ThingDefinition(id=PUMP, name="pump")],
        metrics=[
            Metric(
                id=MetricId(name),
                thing_definition_id=PUMP,
                name=name,
                value_type=value_type,
            )
            for name, value_type in (
                ("flow", ValueType.DOUBLE),
                ("count", ValueType.LONG),
            )
        ],
        product_models=[],
        product_model_parts=[],
        things=[
            Thing(id=ThingId(it), serial_number=it, name=it, thing_definition_id=PUMP)
            for it in ("first", "second", "third")
        ],
    ),
    entity=OrganizationEntity(MAKER.id),
    request=DataExportRequest(
        selection=Selection(
            period=Period(MARCH_2020 + 5, MARCH_2020 + 24_995),
        )
    ),
    # Ten thousand rows a thing, many written twice or more, not in order.
    before=[
        [
            Reading(
                ThingId(thing),
                MARCH_2020 + step * factor % 25_000,
                {MetricId(metric): step + offset},
            )
            for step in range(15_000)
            for thing in ("second", "first")
        ]
        for factor, metric, offset in (
            (7, "flow", 0.5),
            (11, "count", 0),
            (9, "flow", 0.25),
        )
    ],
    after=[[Reading(ThingId("first"), MARCH_2020 + 6, {MetricId("count"): 1})]],
    max_chunk_bytes=100_000,
)
