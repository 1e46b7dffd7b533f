"""What was exported in ms and without units is imported again as it was."""

import io
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scenario_stack import Stack, scenario_stack
from scenarios import Scenario, scenarios, telling_numbers, telling_texts
from strategies import Catalogue
from thingport.application.data_imports import DataImportRequest
from thingport.application.run_data_import import DataImportRunner
from thingport.bootstrap.runners import open_import_runner
from thingport.domain.actor import Actor, OrganizationEntity
from thingport.domain.catalogue import Organization, Thing, ThingDefinition
from thingport.domain.data_export import DataExportRequest, Rendition, TimestampFormat
from thingport.domain.data_import import DataImportState, TextGuard
from thingport.domain.ids import MetricId, OrganizationId, ThingDefinitionId, ThingId
from thingport.domain.metric import MAX_FLOAT32, Metric, Value, ValueType
from thingport.domain.reading import Reading


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with scenario_stack(tmp_path_factory.mktemp("data")) as opened:
        yield opened


@pytest.fixture(scope="module")
def runner(stack: Stack) -> Iterator[DataImportRunner]:
    with open_import_runner(stack.services.settings) as (opened, _):
        yield opened


def as_it_is(_name: str, content: bytes) -> bytes:
    return content


def zipped(name: str, content: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr(name, content)
    return archive.getvalue()


def files_of(archive: bytes) -> Mapping[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {it: opened.read(it) for it in opened.namelist()}


def import_file(
    stack: Stack, runner: DataImportRunner, actor: Actor, thing: str, content: bytes
) -> None:
    request = DataImportRequest(thing_id=ThingId(thing), text_guard=TextGuard.FORMULA)
    upload = stack.services.data_imports.begin(actor, request)
    upload.file.write(content)
    scheduled = stack.services.data_imports.schedule(upload)
    claim = runner.claim()
    assert claim is not None
    runner.run(claim)
    ended = stack.services.data_imports.get(actor, scheduled.id)
    assert ended.state is DataImportState.COMPLETED, ended.error
    assert ended.report is not None
    assert ended.report.rejected_rows == ()


def check(
    stack: Stack,
    runner: DataImportRunner,
    scenario: Scenario,
    timestamp_format: TimestampFormat,
    sent_as: Callable[[str, bytes], bytes],
) -> None:
    rendition = Rendition(
        thing_file_name="${thing.id}", timestamp_format=timestamp_format
    )
    request = replace(scenario.request, rendition=rendition)
    scenario = replace(scenario, request=request, after=[])
    _, first = stack.run(scenario)
    empty = stack.add_actor(scenario)

    for name, content in files_of(first).items():
        thing = name.removesuffix(".csv")
        import_file(stack, runner, empty, thing, sent_as(name, content))

    assert files_of(stack.export(empty, request)) == files_of(first)


@given(
    scenario=scenarios(),
    timestamp_format=st.sampled_from(TimestampFormat),
    sent_as=st.sampled_from([as_it_is, zipped]),
)
@settings(
    max_examples=12,
    # Each example is two tenants with lakes of their own on the disk.
    suppress_health_check=[HealthCheck.too_slow],
)
def test_an_export_imported_into_an_empty_tenant_gives_the_same_export(
    stack: Stack,
    runner: DataImportRunner,
    scenario: Scenario,
    timestamp_format: TimestampFormat,
    sent_as: Callable[[str, bytes], bytes],
) -> None:
    check(stack, runner, scenario, timestamp_format, sent_as)


@pytest.mark.slow
@pytest.mark.timeout(1_200)
@given(scenario=scenarios(), sent_as=st.sampled_from([as_it_is, zipped]))
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
def test_many_more_exports_come_back_as_they_were(
    stack: Stack,
    runner: DataImportRunner,
    scenario: Scenario,
    sent_as: Callable[[str, bytes], bytes],
) -> None:
    check(stack, runner, scenario, TimestampFormat.EPOCH_MILLIS, sent_as)


PUMP = ThingDefinitionId("pump")
MAKER = Organization(id=OrganizationId("maker"), name="Maker")

METRICS = [
    Metric(
        id=MetricId(f"m{number}"),
        thing_definition_id=PUMP,
        name=name,
        value_type=value_type,
        unit="°C",
    )
    for number, (name, value_type) in enumerate(
        zip(
            ["=x", "'=x", "a", "A", "timestamp", 'say "hi",\nthere'],
            ValueType,
            strict=True,
        )
    )
]

VALUES: Mapping[ValueType, Sequence[Value]] = {
    ValueType.STRING: telling_texts,
    ValueType.BOOLEAN: [True, False],
    ValueType.INTEGER: [0, -1, 2**63 - 1, -(2**63)],
    ValueType.LONG: [0, -1, 2**63 - 1, -(2**63)],
    ValueType.FLOAT: [*telling_numbers, 1e-45, MAX_FLOAT32],
    ValueType.DOUBLE: [*telling_numbers, 5e-324, 1.7976931348623157e308],
}

EVERY_VALUE = Scenario(
    catalogue=Catalogue(
        organizations=[MAKER],
        partners=[],
        customers=[],
        locations=[],
        thing_definitions=[ThingDefinition(id=PUMP, name="pump")],
        metrics=METRICS,
        product_models=[],
        product_model_parts=[],
        things=[
            Thing(
                id=ThingId("p1"), serial_number="p1", thing_definition_id=PUMP, name="p"
            )
        ],
    ),
    entity=OrganizationEntity(MAKER.id),
    request=DataExportRequest(),
    # Each value in a row of its own, and all of them in rows together.
    before=[
        [
            Reading(ThingId("p1"), 1000 * number + at, {metric.id: value})
            for at, metric in enumerate(METRICS)
            for number, value in enumerate(VALUES[metric.value_type])
        ],
        [
            Reading(ThingId("p1"), -1 - number, {metric.id: value})
            for metric in METRICS
            for number, value in enumerate(VALUES[metric.value_type])
        ],
    ],
    after=[],
    max_chunk_bytes=8 * 1024 * 1024,
)


@pytest.mark.parametrize("sent_as", [as_it_is, zipped])
@pytest.mark.parametrize("timestamp_format", list(TimestampFormat))
def test_every_telling_value_comes_back(
    stack: Stack,
    runner: DataImportRunner,
    timestamp_format: TimestampFormat,
    sent_as: Callable[[str, bytes], bytes],
) -> None:
    check(stack, runner, EVERY_VALUE, timestamp_format, sent_as)
