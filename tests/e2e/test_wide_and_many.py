"""The largest definitions: 4 096 metrics, and 100 000 things."""

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builders import an_actor
from fakes.inline_executor import InlineExecutor
from running import TENANT, add_tenant, add_user
from thingport.adapters.archives.local import LocalArchiveStore
from thingport.adapters.lake.lake_transaction import MAX_NEW_COLUMNS
from thingport.application.reading_batches import IncomingReadings
from thingport.application.run_data_export import DataExportRunner
from thingport.bootstrap.runners import open_runner, render_in_worker
from thingport.bootstrap.services import Services, open_services
from thingport.domain.actor import Actor, OrganizationEntity
from thingport.domain.data_export import (
    DataExportRequest,
    DataExportState,
    Selection,
)
from thingport.domain.errors import InvalidRequest
from thingport.domain.ids import MetricId, ThingId
from thingport.domain.metric import MetricAnywhere
from thingport.settings import Settings

MOST_METRICS = 4_096
MOST_THINGS = 100_000


@dataclass(frozen=True)
class Stack:
    """A tenant on the real stores, and a runner in this process."""

    services: Services
    runner: DataExportRunner
    archives: LocalArchiveStore
    actor: Actor
    file: Path

    def apply(self, text: str) -> int:
        self.file.write_text(text)
        return len(self.services.apply_catalogue(TENANT, self.file))

    def write(self, readings: Sequence[IncomingReadings]) -> None:
        batches = self.services.reading_batches
        batches.store(batches.accept(self.actor, readings))

    def export(self, *metrics: str) -> Mapping[str, Sequence[str]]:
        """Give the lines of each file, in the order of the archive."""
        wanted = tuple(MetricAnywhere(MetricId(it)) for it in metrics)
        request = DataExportRequest(selection=Selection(qualified_metrics=wanted))
        exports = self.services.data_exports
        scheduled = exports.schedule(self.actor, request)
        claim = self.runner.claim()
        assert claim is not None
        self.runner.run(claim)
        ended = exports.get(self.actor, scheduled.id).data_export
        assert ended.state is DataExportState.COMPLETED, ended
        path = self.archives.find_archive(ended.tenant_id, ended.id)
        assert path is not None
        with zipfile.ZipFile(path) as archive:
            return {
                it: archive.read(it).decode().splitlines() for it in archive.namelist()
            }


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    data_dir = tmp_path / "data"
    add_tenant(data_dir, "organizations: [{name: Maker}]")
    add_user(data_dir, "ada@acme.example", "--organization", "Maker")
    settings = Settings(data_dir=data_dir)
    with ExitStack() as opened:
        services = opened.enter_context(open_services(settings))
        runner = opened.enter_context(open_runner(settings))
        tenant = services.get_tenant(TENANT)
        with services.control.for_tenant(tenant.id) as tx:
            (maker,) = tx.catalogue.get_network().organizations
            user = tx.credentials.find_user_by_email("ada@acme.example")
        assert user is not None
        yield Stack(
            services,
            replace(
                runner, executor=InlineExecutor(partial(render_in_worker, settings))
            ),
            LocalArchiveStore(data_dir / "archives"),
            an_actor(
                tenant_id=tenant.id,
                user_id=user.id,
                entity=OrganizationEntity(maker.id),
            ),
            tmp_path / "catalogue.yaml",
        )


def _wide(metrics: int, value_type: str) -> str:
    listed = "".join(
        f"      - {{id: m{it:04d}, name: n{it:04d}, valueType: {value_type}}}\n"
        for it in range(metrics)
    )
    return (
        f"thingDefinitions:\n  - name: wide\n    metrics:\n{listed}"
        "things: [{id: one, serialNumber: one, thingDefinition: wide}]\n"
    )


def _reading(at: int, metrics: int, of: str = "{}") -> IncomingReadings:
    values: dict[str, object] = {f"n{it:04d}": of.format(it) for it in range(metrics)}
    return IncomingReadings("[0]", ThingId("one"), [(at, values)])


def test_a_table_gets_more_columns_than_one_transaction_adds(stack: Stack) -> None:
    columns = 2 * MAX_NEW_COLUMNS + 2
    stack.apply(_wide(columns, "LONG"))
    stack.write([_reading(0, 1)])
    stack.write([_reading(1, columns)])

    (lines,) = stack.export().values()

    assert lines[1].split(",")[1:] == ["0", *[""] * (columns - 1)]
    assert lines[2].split(",")[1:] == [str(it) for it in range(columns)]


@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_a_definition_grows_to_all_its_metrics_and_each_is_exported(
    stack: Stack,
) -> None:
    assert stack.apply(_wide(MOST_METRICS, "LONG")) == MOST_METRICS + 2
    widths = [1, 100, 2_000, MOST_METRICS, 1]
    for at, width in enumerate(widths):
        stack.write([_reading(at, width)])

    (lines,) = stack.export().values()

    names = [f"n{it:04d}" for it in range(MOST_METRICS)]
    assert lines[0].split(",") == ["TIMESTAMP", *names]
    for line, width in zip(lines[1:], widths, strict=True):
        values = [str(it) if it < width else "" for it in range(MOST_METRICS)]
        assert line.split(",")[1:] == values
    (some,) = stack.export("m4095", "m0000").values()
    assert [it.split(",")[1:] for it in some] == [
        ["n4095", "n0000"],
        *([["", "0"]] * 3),
        ["4095", "0"],
        ["", "0"],
    ]

    with stack.services.lakes.open_keeper(stack.actor.tenant_id) as keeper:
        assert keeper.compact(is_thorough=True) == len(widths)
    assert list(stack.export().values()) == [lines]


@pytest.mark.parametrize("instants", [1, 2])
def test_all_metrics_of_a_definition_may_be_texts(stack: Stack, instants: int) -> None:
    stack.apply(_wide(MOST_METRICS, "STRING"))
    for at in range(instants):
        stack.write([_reading(at, MOST_METRICS, "text {}")])

    (lines,) = stack.export().values()

    values = [f"text {it}" for it in range(MOST_METRICS)]
    assert [it.split(",")[1:] for it in lines[1:]] == [values] * instants


def test_one_metric_too_many_is_refused_with_nothing_changed(stack: Stack) -> None:
    with pytest.raises(InvalidRequest, match="would have 4097 metrics, but at most"):
        stack.apply(_wide(MOST_METRICS + 1, "LONG"))

    with stack.services.control.for_tenant(stack.actor.tenant_id) as tx:
        assert not tx.catalogue.get_definitions().thing_definitions
        assert not tx.catalogue.list_things()


@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_a_definition_has_a_hundred_thousand_things(
    stack: Stack, tmp_path: Path
) -> None:
    ids = [f"t{it:06d}" for it in range(MOST_THINGS)]
    things = "".join(
        f"  - {{id: {it}, serialNumber: S{it}, thingDefinition: pump}}\n" for it in ids
    )
    metrics = "[{name: count, valueType: LONG}]"
    kinds = f"thingDefinitions: [{{name: pump, metrics: {metrics}}}]\n"
    assert stack.apply(f"{kinds}things:\n{things}") == MOST_THINGS + 2
    stack.write(
        [
            IncomingReadings(f"[{place}]", ThingId(it), [(0, {"count": place})])
            for place, it in enumerate(ids)
        ]
    )
    file = tmp_path / "more.parquet"
    columns = {
        "thing": [f"S{it}" for it in ids],
        "timestamp": [1] * MOST_THINGS,
        "count": [*range(MOST_THINGS)],
    }
    pq.write_table(pa.table(columns), file)
    report = stack.services.ingest_parquet(TENANT, file, lambda _done, _total: None)
    assert report.things == MOST_THINGS

    files = stack.export()

    assert list(files) == [f"S{it}_pump.csv" for it in ids]
    for place, lines in enumerate(files.values()):
        assert [it.rpartition(",")[2] for it in lines] == ["count", *[str(place)] * 2]
