"""Whatever was written and is asked for, the archive is what the oracle says."""

import hashlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings

from oracle.archive import expected_files
from oracle.rfc4180 import parse
from scenario_stack import Stack, scenario_stack
from scenarios import MARCH_2020, Scenario, scenarios
from strategies import Catalogue
from thingport.domain.actor import OrganizationEntity
from thingport.domain.catalogue import Organization, Thing, ThingDefinition
from thingport.domain.data_export import (
    Archive,
    DataExportRequest,
    Selection,
)
from thingport.domain.ids import (
    MetricId,
    OrganizationId,
    ThingDefinitionId,
    ThingId,
)
from thingport.domain.metric import Metric, ValueType
from thingport.domain.period import Period
from thingport.domain.reading import Reading


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with scenario_stack(tmp_path_factory.mktemp("data")) as opened:
        yield opened


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
@pytest.mark.timeout(1_200)
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
