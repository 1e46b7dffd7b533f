"""Rows for the renderer, and the text that the specification gives them."""

import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from scenarios import instants, values_of
from thingport.application.ports import RowBatch
from thingport.domain.csv_format import (
    LINE_END,
    format_boolean,
    format_double,
    format_float,
    format_integer,
    format_timestamp,
    guard_text,
    quote,
)
from thingport.domain.data_export import TimestampFormat
from thingport.domain.export_plan import (
    ExportPlan,
    PlannedColumn,
    PlannedFile,
    PlannedLayout,
)
from thingport.domain.ids import MetricId, TenantId, ThingDefinitionId, ThingId
from thingport.domain.metric import Value, ValueType
from thingport.domain.period import ALL_TIME

SCHEDULED_AT = datetime(2026, 1, 2, 3, 4, 6, 789000, tzinfo=UTC)
"""An even second, which the archive can say as it is."""

ARROW_TYPES: Mapping[ValueType, pa.DataType] = {
    ValueType.STRING: pa.string(),
    ValueType.BOOLEAN: pa.bool_(),
    ValueType.INTEGER: pa.int64(),
    ValueType.LONG: pa.int64(),
    ValueType.FLOAT: pa.float32(),
    ValueType.DOUBLE: pa.float64(),
}


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A row as the lake has it: one writing of some values.

    Attributes:
        values: One for each column; ``None`` where nothing was written.
    """

    thing_id: ThingId
    timestamp_ms: int
    values: tuple[Value | None, ...]

    @property
    def key(self) -> tuple[ThingId, int]:
        """What rows merge by."""
        return self.thing_id, self.timestamp_ms


# --- plans ---------------------------------------------------------------------


def a_layout(*value_types: ValueType) -> PlannedLayout:
    columns = (
        PlannedColumn(MetricId(f"{n}"), it, f"header {n}")
        for n, it in enumerate(value_types)
    )
    return PlannedLayout(ThingDefinitionId("definition"), tuple(columns))


def a_plan(
    layouts: Sequence[PlannedLayout],
    files: Sequence[int],
    timestamp_format: TimestampFormat = TimestampFormat.ISO_8601,
) -> ExportPlan:
    """Plan a file for each of these layouts; the first is ``thing 0``'s."""
    return ExportPlan(
        tenant_id=TenantId("acme"),
        snapshot=1,
        scheduled_at=SCHEDULED_AT,
        period=ALL_TIME,
        timestamp_format=timestamp_format,
        layouts=tuple(layouts),
        files=tuple(
            PlannedFile(ThingId(f"thing {n}"), f"città {n}.csv", layout)
            for n, layout in enumerate(files)
        ),
    )


# --- rows ----------------------------------------------------------------------


def a_row(thing: str, timestamp_ms: int, *values: Value | None) -> StoredRow:
    return StoredRow(ThingId(thing), timestamp_ms, values)


def a_batch(layout: PlannedLayout, rows: Sequence[StoredRow]) -> RowBatch:
    """Give rows as the lake hands them over."""
    columns = [
        pa.array([it.thing_id for it in rows], pa.string()),
        pa.array([it.timestamp_ms for it in rows], pa.int64()),
        *(
            pa.array([it.values[n] for it in rows], ARROW_TYPES[column.value_type])
            for n, column in enumerate(layout.columns)
        ),
    ]
    names = ["thing", "ts", *(f"m_{it.metric_id}" for it in layout.columns)]
    batch: RowBatch = pa.record_batch(columns, names=names)
    return batch


def merged(rows: Iterable[StoredRow]) -> list[StoredRow]:
    """Let later values replace earlier ones, metric by metric."""
    found: dict[tuple[ThingId, int], list[Value | None]] = {}
    for row in rows:
        cells = found.setdefault(row.key, [None] * len(row.values))
        for n, value in enumerate(row.values):
            if value is not None:
                cells[n] = value
    return [
        StoredRow(*key, tuple(cells))
        for key, cells in found.items()
        if any(it is not None for it in cells)
    ]


# --- text ----------------------------------------------------------------------


def text_of(
    layout: PlannedLayout,
    rows: Iterable[StoredRow],
    timestamp_format: TimestampFormat,
) -> str:
    """Compose the text of rows cell by cell, as the specification says."""
    return "".join(
        ",".join(
            [
                format_timestamp(row.timestamp_ms, timestamp_format),
                *(
                    cell_of(column.value_type, value)
                    for column, value in zip(layout.columns, row.values, strict=True)
                ),
            ]
        )
        + LINE_END
        for row in rows
    )


def cell_of(value_type: ValueType, value: Value | None) -> str:
    if value is None:
        return ""
    match value_type:
        case ValueType.STRING:
            return quote(guard_text(str(value)))
        case ValueType.BOOLEAN:
            return format_boolean(bool(value))
        case ValueType.INTEGER | ValueType.LONG:
            return format_integer(int(value))
        case ValueType.FLOAT:
            return format_float(float(value))
        case ValueType.DOUBLE:
            return format_double(float(value))


# --- generated -----------------------------------------------------------------

_FLOATS = {32: struct.Struct("<f"), 64: struct.Struct("<d")}


def float_of(bits: int, width: int) -> float:
    """Give the float that these bits are, in 32 or 64 bits."""
    [found] = _FLOATS[width].unpack(bits.to_bytes(width // 8, "little"))
    return float(found)


def to_float32(number: float) -> float:
    """Round to 32 bits."""
    [found] = _FLOATS[32].unpack(_FLOATS[32].pack(number))
    return float(found)


def any_bits(width: int) -> SearchStrategy[float]:
    """Draw finite floats from their bits: most are huge or tiny, none is round."""
    bits = st.integers(0, 2**width - 1)
    return bits.map(lambda it: float_of(it, width)).filter(math.isfinite)


def around_powers_of_two(width: int) -> SearchStrategy[float]:
    """Draw floats at, just below and just above which others lie unevenly far."""
    fraction_bits = {32: 23, 64: 52}[width]
    exponents = st.integers(1, 2 ** (width - 1 - fraction_bits) - 2)
    return st.builds(
        lambda exponent, step: float_of((exponent << fraction_bits) + step, width),
        exponents,
        st.sampled_from([-1, 0, 1]),
    )


float32s = st.one_of(
    values_of[ValueType.FLOAT].map(float).map(to_float32),
    any_bits(32),
    around_powers_of_two(32),
)

doubles = st.one_of(
    values_of[ValueType.DOUBLE].map(float), any_bits(64), around_powers_of_two(64)
)

_values: Mapping[ValueType, SearchStrategy[Value]] = {
    **values_of,
    ValueType.FLOAT: float32s,
    ValueType.DOUBLE: doubles,
}

timestamp_formats = st.sampled_from(TimestampFormat)

layouts = st.lists(st.sampled_from(ValueType), max_size=7).map(lambda it: a_layout(*it))


def rows_of(
    layout: PlannedLayout,
    things: Sequence[str] = ("a", "b", "c"),
    timestamps: SearchStrategy[int] = instants,
    max_size: int = 25,
) -> SearchStrategy[list[StoredRow]]:
    """Draw rows by thing and timestamp; equal ones stand in any order."""
    row = st.builds(
        StoredRow,
        st.sampled_from([ThingId(it) for it in things]),
        timestamps,
        st.tuples(*(st.none() | _values[it.value_type] for it in layout.columns)),
    )
    # Of its own accord a list is short; most rules need rows that meet.
    rows = st.integers(0, max_size).flatmap(
        lambda it: st.lists(row, min_size=it, max_size=it)
    )
    return rows.map(lambda it: sorted(it, key=lambda row: row.key))


def cut_anywhere(rows: Sequence[StoredRow]) -> SearchStrategy[list[list[StoredRow]]]:
    """Cut rows into successive batches, some of them empty."""
    cuts = st.lists(st.integers(0, len(rows)), max_size=8).map(sorted)
    return cuts.map(
        lambda it: [
            list(rows[start:end])
            for start, end in zip([0, *it], [*it, len(rows)], strict=True)
        ]
    )
