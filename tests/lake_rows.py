"""Lakes for tests, and what is in them as plain Python."""

import fcntl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Protocol, TypeVar

import psycopg
import pyarrow as pa

from thingport.adapters.lake.eraser import DuckLakeEraser
from thingport.adapters.lake.keeper import DEFAULT_MAX_FILE_BYTES, DuckLakeKeeper
from thingport.adapters.lake.lake_names import LOCK_FILES, Turn, schema_name
from thingport.adapters.lake.postgres_catalogue import lock_name
from thingport.adapters.lake.reader import DuckLakeReader
from thingport.adapters.lake.writer_lane import WriterLane
from thingport.application.ports import LakeReader
from thingport.domain.export_plan import PlannedColumn, PlannedLayout
from thingport.domain.ids import MetricId, TenantId, ThingDefinitionId, ThingId
from thingport.domain.metric import Value, ValueType
from thingport.domain.period import ALL_TIME, Period
from thingport.domain.reading import Reading, ReadingBatch, ValueDeletion

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


class _Closable(Protocol):
    def close(self) -> None: ...


_Opened = TypeVar("_Opened", bound=_Closable)


@dataclass(frozen=True, slots=True)
class LakePlace:
    """Where a lake is: its files, and the database of its catalogue if it has one."""

    directory: Path
    database_url: str | None = None
    _opened: list[_Closable] = field(default_factory=list)

    def keep(self, opened: _Opened) -> _Opened:
        """Close something at the latest when the place goes."""
        self._opened.append(opened)
        return opened

    def close(self) -> None:
        """Close all that was opened here."""
        while self._opened:
            self._opened.pop().close()

    @property
    def lake(self) -> Path:
        """The folder of the lake."""
        return self.directory / "lakes" / ACME

    @property
    def is_on_a_server(self) -> bool:
        return self.database_url is not None

    @property
    def arguments(self) -> Sequence[str]:
        """What another process takes to get here, with ``at_arguments``."""
        return [str(self.directory), self.database_url or ""]

    @contextmanager
    def held(self, work: Turn) -> Iterator[None]:
        """Have the turn, as another process would."""
        if self.database_url is None:
            with (self.lake / LOCK_FILES[work]).open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        else:
            with psycopg.connect(self.database_url) as connection:
                connection.execute(
                    "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
                    [lock_name(schema_name(ACME), work)],
                )
                yield


FreshPlace = Callable[[], AbstractContextManager[LakePlace]]
"""Gives a way to as many places for a lake as are wanted; each goes with its block."""


def at_arguments(directory: str, database_url: str) -> LakePlace:
    return LakePlace(Path(directory), database_url or None)


def a_lane(
    place: LakePlace, numbers: Numbers | None = None, *, patience_s: float = 60
) -> WriterLane:
    return place.keep(
        WriterLane(
            place.directory / "lakes",
            ACME,
            (numbers or Numbers()).allocate,
            temp_dir=place.directory / "tmp",
            patience=timedelta(seconds=patience_s),
            database_url=place.database_url,
        )
    )


def a_keeper(
    place: LakePlace,
    numbers: Numbers | None = None,
    *,
    max_file_bytes: int = DEFAULT_MAX_FILE_BYTES,
    patience_s: float = 60,
) -> DuckLakeKeeper:
    return place.keep(
        DuckLakeKeeper(
            place.directory / "lakes",
            ACME,
            a_lane(place, numbers),
            temp_dir=place.directory / "tmp",
            max_file_bytes=max_file_bytes,
            patience=timedelta(seconds=patience_s),
            database_url=place.database_url,
        )
    )


def an_eraser(
    place: LakePlace, numbers: Numbers | None = None, *, patience_s: float = 60
) -> DuckLakeEraser:
    numbers = numbers or Numbers()
    return place.keep(
        DuckLakeEraser(
            place.directory / "lakes",
            ACME,
            a_lane(place, numbers, patience_s=patience_s),
            a_keeper(place, numbers, patience_s=patience_s),
            temp_dir=place.directory / "tmp",
            database_url=place.database_url,
        )
    )


def a_reader(place: LakePlace, *, memory_mb: int = 256) -> DuckLakeReader:
    return place.keep(
        DuckLakeReader(
            place.directory / "lakes",
            ACME,
            temp_dir=place.directory / "tmp",
            memory_mb=memory_mb,
            database_url=place.database_url,
        )
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


def a_deletion(
    thing: str,
    metric: str,
    period: Period = ALL_TIME,
    definition: ThingDefinitionId = PUMP,
) -> ValueDeletion:
    return ValueDeletion(
        thing_definition_id=definition,
        thing_id=ThingId(thing),
        metric_id=MetricId(metric),
        period=period,
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
