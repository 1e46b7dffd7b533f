"""Lakes for tests, and what is in them as plain Python."""

import threading
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import pyarrow as pa

from thingport.adapters.lake.eraser import DuckLakeEraser
from thingport.adapters.lake.keeper import DEFAULT_MAX_FILE_BYTES, DuckLakeKeeper
from thingport.adapters.lake.reader import DuckLakeReader
from thingport.adapters.lake.writer_lane import WriterLane
from thingport.application.ports import LakeReader
from thingport.domain.export_plan import PlannedColumn, PlannedLayout
from thingport.domain.ids import MetricId, TenantId, ThingDefinitionId, ThingId
from thingport.domain.metric import Value, ValueType
from thingport.domain.period import ALL_TIME, Period
from thingport.domain.reading import Reading, ReadingBatch

ACME = TenantId("acme")
PUMP = ThingDefinitionId("pump")

TYPES = {MetricId(it.value.lower()): it for it in ValueType}
"""One metric of each type."""

Row = tuple[object, ...]


class Numbers:
    """Allocates successive numbers, as the control database does."""

    def __init__(self) -> None:
        self._following = 1
        self._gate = threading.Lock()

    def allocate(self, count: int) -> int:
        with self._gate:
            first = self._following
            self._following += count
        return first


def a_lane(
    directory: Path, numbers: Numbers | None = None, *, patience_s: float = 60
) -> WriterLane:
    return WriterLane(
        directory / "lakes",
        ACME,
        (numbers or Numbers()).allocate,
        temp_dir=directory / "tmp",
        patience=timedelta(seconds=patience_s),
    )


def a_keeper(
    directory: Path,
    numbers: Numbers | None = None,
    *,
    max_file_bytes: int = DEFAULT_MAX_FILE_BYTES,
    patience_s: float = 60,
) -> DuckLakeKeeper:
    return DuckLakeKeeper(
        directory / "lakes",
        ACME,
        a_lane(directory, numbers),
        temp_dir=directory / "tmp",
        max_file_bytes=max_file_bytes,
        patience=timedelta(seconds=patience_s),
    )


def an_eraser(
    directory: Path, numbers: Numbers | None = None, *, patience_s: float = 60
) -> DuckLakeEraser:
    numbers = numbers or Numbers()
    return DuckLakeEraser(
        directory / "lakes",
        ACME,
        a_lane(directory, numbers, patience_s=patience_s),
        a_keeper(directory, numbers, patience_s=patience_s),
        temp_dir=directory / "tmp",
    )


def a_reader(directory: Path, *, memory_mb: int = 256) -> DuckLakeReader:
    return DuckLakeReader(
        directory / "lakes", ACME, temp_dir=directory / "tmp", memory_mb=memory_mb
    )


def a_reading(thing: str, timestamp_ms: int, **values: Value) -> Reading:
    return Reading(
        ThingId(thing), timestamp_ms, {MetricId(it): values[it] for it in values}
    )


def a_batch(
    *readings: Reading,
    definition: ThingDefinitionId = PUMP,
    types: Mapping[MetricId, ValueType] = TYPES,
) -> ReadingBatch:
    used = {metric_id for it in readings for metric_id in it.values}
    return ReadingBatch(
        thing_definition_id=definition,
        value_types={it: types[it] for it in types if it in used},
        readings=readings,
    )


def a_layout(
    *names: str,
    definition: ThingDefinitionId = PUMP,
    types: Mapping[MetricId, ValueType] = TYPES,
) -> PlannedLayout:
    columns = (
        PlannedColumn(MetricId(it), types[MetricId(it)], it) for it in names or types
    )
    return PlannedLayout(definition, tuple(columns))


def read(
    reader: LakeReader,
    layout: PlannedLayout,
    things: Sequence[str],
    *,
    period: Period = ALL_TIME,
    snapshot: int | None = None,
) -> list[Row]:
    """Give all rows, at the present snapshot by default."""
    at = reader.current_snapshot() if snapshot is None else snapshot
    thing_ids = [ThingId(it) for it in things]
    rows: list[Row] = []
    for batch in reader.iter_rows(at, layout, thing_ids, period):
        table = pa.record_batch(batch)
        columns = [it.to_pylist() for it in table.columns]
        assert table.schema.names == [
            "thing",
            "ts",
            *(f"m_{it.metric_id}" for it in layout.columns),
        ]
        rows.extend(zip(*columns, strict=True))
    return rows
