"""The CSV of whole frames is, to the letter, what the specification composes."""

import math
from collections.abc import Callable
from itertools import groupby

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from oracle.rfc4180 import Cell, parse
from renderings import (
    StoredRow,
    a_batch,
    a_layout,
    a_row,
    layouts,
    rows_of,
    text_of,
    timestamp_formats,
)
from scenarios import any_text, telling_texts
from thingport.adapters.render.csv_text import (
    format_rows,
    header_line,
    iter_thing_rows,
)
from thingport.domain.column_headers import TIMESTAMP_HEADER
from thingport.domain.csv_format import FORMULA_STARTS, format_double, format_float
from thingport.domain.data_export import TimestampFormat
from thingport.domain.errors import CorruptData
from thingport.domain.export_plan import PlannedColumn, PlannedLayout
from thingport.domain.ids import MetricId, ThingDefinitionId
from thingport.domain.metric import Value, ValueType

MILLIS = TimestampFormat.EPOCH_MILLIS


def a_frame(layout: PlannedLayout, *rows: StoredRow) -> pl.DataFrame:
    return pl.DataFrame(a_batch(layout, rows))


def cells_of(value_type: ValueType, *values: Value | None) -> list[str]:
    """Write values under one another; give what stands after each timestamp."""
    frame = a_frame(a_layout(value_type), *(a_row("a", 0, it) for it in values))
    lines = bytes(format_rows(frame, MILLIS)).decode().split("\r\n")
    return [it.removeprefix("0,") for it in lines[:-1]]


@given(layout=layouts, written_as=timestamp_formats, data=st.data())
def test_a_frame_is_written_as_its_rows_are_one_by_one(
    layout: PlannedLayout, written_as: TimestampFormat, data: DataObject
) -> None:
    rows = data.draw(rows_of(layout))

    text = format_rows(a_frame(layout, *rows), written_as)

    assert bytes(text).decode() == text_of(layout, rows, written_as)


@given(layout=layouts, written_as=timestamp_formats, data=st.data())
def test_a_frame_is_cut_between_its_things(
    layout: PlannedLayout, written_as: TimestampFormat, data: DataObject
) -> None:
    rows = data.draw(rows_of(layout))

    found = list(iter_thing_rows(a_frame(layout, *rows), written_as))

    by_thing = groupby(rows, key=lambda it: it.thing_id)
    things = [(thing_id, list(of_thing)) for thing_id, of_thing in by_thing]
    assert [
        (it.thing_id, bytes(it.text).decode(), it.rows, it.first_ms, it.last_ms)
        for it in found
    ] == [
        (
            thing_id,
            text_of(layout, of_thing, written_as),
            len(of_thing),
            of_thing[0].timestamp_ms,
            of_thing[-1].timestamp_ms,
        )
        for thing_id, of_thing in things
    ]


def test_line_feeds_inside_texts_end_no_row() -> None:
    layout = a_layout(ValueType.STRING, ValueType.STRING)
    frame = a_frame(
        layout,
        a_row("a", 0, "one\ntwo\r\nthree", None),
        a_row("a", 1, None, "\n"),
        a_row("b", 0, "x", "=\n"),
        a_row("c", 0, None, None),
    )

    assert [bytes(it.text) for it in iter_thing_rows(frame, MILLIS)] == [
        b'0,"one\ntwo\r\nthree",\r\n1,,"\n"\r\n',
        b'0,x,"\'=\n"\r\n',
        b"0,,\r\n",
    ]


@pytest.mark.parametrize("start", FORMULA_STARTS)
def test_a_text_is_guarded_though_no_other_one_needs_it(start: str) -> None:
    *harmless, guarded = cells_of(ValueType.STRING, None, "", "Zeno", f"{start}x")

    assert harmless == ["", '""', "Zeno"]
    assert guarded.strip('"') == f"'{start}x"


@given(
    headers=st.lists(st.sampled_from(telling_texts) | any_text, min_size=1, max_size=5)
)
def test_the_header_line_is_timestamp_and_the_headers_as_planned(
    headers: list[str],
) -> None:
    columns = (
        PlannedColumn(MetricId(f"{n}"), ValueType.DOUBLE, it)
        for n, it in enumerate(headers)
    )
    layout = PlannedLayout(ThingDefinitionId("definition"), tuple(columns))

    [cells] = parse(header_line(layout).decode())

    assert cells[0] == Cell(TIMESTAMP_HEADER)
    assert [it.text for it in cells[1:]] == headers


def test_a_header_is_quoted_where_it_must_be_and_not_guarded_again() -> None:
    columns = (
        PlannedColumn(MetricId(it), ValueType.STRING, it)
        for it in ("temp [°C]", "a,b", 'say "hi"', "'=x")
    )
    layout = PlannedLayout(ThingDefinitionId("definition"), tuple(columns))

    assert (
        header_line(layout).decode()
        == 'TIMESTAMP,temp [°C],"a,b","say ""hi""",\'=x\r\n'
    )


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=3)
def test_doubles_of_any_bits_are_written_as_specified(seed: int) -> None:
    bits = np.random.default_rng(seed).integers(0, 2**64, 20_000, dtype=np.uint64)
    numbers = [it for it in bits.view(np.float64).tolist() if math.isfinite(it)]

    assert cells_of(ValueType.DOUBLE, *numbers) == [format_double(it) for it in numbers]


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=3)
def test_32_bit_floats_of_any_bits_are_written_as_specified(seed: int) -> None:
    bits = np.random.default_rng(seed).integers(0, 2**32, 5_000, dtype=np.uint32)
    numbers = [it for it in bits.view(np.float32).tolist() if math.isfinite(it)]

    assert cells_of(ValueType.FLOAT, *numbers) == [format_float(it) for it in numbers]


@pytest.mark.parametrize(
    ("value_type", "spec"),
    [(ValueType.DOUBLE, format_double), (ValueType.FLOAT, format_float)],
)
def test_numbers_at_every_power_of_ten_are_written_as_specified(
    value_type: ValueType, spec: Callable[[float], str]
) -> None:
    ends = {ValueType.DOUBLE: (-323, 308), ValueType.FLOAT: (-45, 38)}[value_type]
    powers = [float(f"1e{it}") for it in range(ends[0], ends[1] + 1)]
    numbers = [
        number
        for power in powers
        for number in (power, -power, math.nextafter(power, 0), power * 1.5)
    ]

    assert cells_of(value_type, *numbers) == [spec(it) for it in numbers]


@pytest.mark.parametrize("value_type", [ValueType.FLOAT, ValueType.DOUBLE])
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_corrupt_data(
    value_type: ValueType, number: float
) -> None:
    layout = a_layout(ValueType.LONG, value_type)
    frame = a_frame(
        layout, a_row("a", 0, 1, None), a_row("a", 1, 2, 0.5), a_row("b", 0, 3, number)
    )

    with pytest.raises(CorruptData, match="m_1 has a number that is not finite"):
        list(iter_thing_rows(frame, MILLIS))
