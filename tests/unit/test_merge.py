"""Merging rows of one thing and timestamp."""

from collections.abc import Iterator, Sequence
from itertools import chain

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from renderings import (
    StoredRow,
    a_batch,
    a_layout,
    a_row,
    cut_anywhere,
    layouts,
    merged,
    rows_of,
)
from thingport.adapters.render.merge import iter_merged
from thingport.application.ports import RowBatch
from thingport.domain.errors import CorruptData
from thingport.domain.export_plan import PlannedLayout
from thingport.domain.metric import ValueType
from thingport.domain.period import MAX_TIMESTAMP_MS, MIN_TIMESTAMP_MS

LONG = a_layout(ValueType.LONG)

close_instants = st.integers(0, 5)


def merge(
    layout: PlannedLayout, batches: Sequence[Sequence[StoredRow]]
) -> list[StoredRow]:
    frames = iter_merged(layout, [a_batch(layout, it) for it in batches])
    return [row for frame in frames for row in rows_in(frame)]


def rows_in(frame: pl.DataFrame) -> list[StoredRow]:
    return [
        StoredRow(thing, timestamp, tuple(values))
        for thing, timestamp, *values in frame.rows()
    ]


def exactly(rows: Sequence[StoredRow]) -> list[str]:
    """Tell apart what equality does not: the two zeros, a boolean and a number."""
    return [repr(it) for it in rows]


@given(layout=layouts, data=st.data())
def test_the_last_written_value_wins_metric_by_metric_however_rows_are_batched(
    layout: PlannedLayout, data: DataObject
) -> None:
    rows = data.draw(rows_of(layout, timestamps=close_instants, max_size=40))
    batches = data.draw(cut_anywhere(rows))

    assert exactly(merge(layout, batches)) == exactly(merged(rows))


@given(layout=layouts, data=st.data())
def test_a_frame_has_the_columns_of_the_rows_and_is_never_empty(
    layout: PlannedLayout, data: DataObject
) -> None:
    rows = data.draw(rows_of(layout, timestamps=close_instants))
    batches = [a_batch(layout, it) for it in data.draw(cut_anywhere(rows))]

    for frame in iter_merged(layout, batches):
        assert frame.schema == pl.DataFrame(batches[0]).schema
        assert not frame.is_empty()


@given(data=st.data())
def test_all_rows_before_the_last_batch_are_out_when_the_next_one_is_read(
    data: DataObject,
) -> None:
    rows = data.draw(rows_of(LONG, timestamps=close_instants, max_size=40))
    batches = data.draw(cut_anywhere(rows))
    found: list[StoredRow] = []

    def iter_batches() -> Iterator[RowBatch]:
        read: list[list[StoredRow]] = []
        for batch in batches:
            before = [*chain.from_iterable(read[:-1])]
            still_open = read[-1][0].key if read else None
            assert found == merged(it for it in before if it.key != still_open)
            if batch:
                read.append(batch)
            yield a_batch(LONG, batch)

    for frame in iter_merged(LONG, iter_batches()):
        found.extend(rows_in(frame))
    assert found == merged(rows)


@pytest.mark.parametrize("layout", [a_layout(), LONG])
def test_rows_without_a_value_are_dropped(layout: PlannedLayout) -> None:
    nothing = [None] * len(layout.columns)
    rows = [a_row("a", 0, *nothing), a_row("a", 0, *nothing), a_row("b", 0, *nothing)]

    assert list(iter_merged(layout, [a_batch(layout, rows)])) == []


def test_a_missing_value_replaces_none_and_reaches_no_other_timestamp() -> None:
    layout = a_layout(ValueType.LONG, ValueType.STRING)
    batches = [
        [a_row("a", 0, 1, None), a_row("a", 0, None, "x")],
        [a_row("a", 0, None, None), a_row("a", 1, None, "y")],
        [a_row("a", 1, 2, None), a_row("b", 1, None, "")],
    ]

    assert merge(layout, batches) == [
        a_row("a", 0, 1, "x"),
        a_row("a", 1, 2, "y"),
        a_row("b", 1, None, ""),
    ]


def test_however_often_a_timestamp_was_written_few_batches_are_held() -> None:
    rows_in_batch, batches_in_all = 1_000, 50
    layout = a_layout(ValueType.LONG, ValueType.STRING)
    one_batch_bytes = pa.record_batch(a_batch(layout, busy_rows(rows_in_batch))).nbytes
    before = pa.total_allocated_bytes()
    taken: list[int] = []

    def iter_batches() -> Iterator[RowBatch]:
        for _ in range(batches_in_all):
            taken.append(pa.total_allocated_bytes() - before)
            yield a_batch(layout, busy_rows(rows_in_batch))

    [frame] = iter_merged(layout, iter_batches())

    assert frame.height == 1
    assert max(taken) < 4 * one_batch_bytes


def busy_rows(count: int) -> list[StoredRow]:
    return [a_row("a", 0, n, f"{n:0100}") for n in range(count)]


@pytest.mark.parametrize(
    "batches",
    [
        [[a_row("a", 1, 1), a_row("a", 0, 1)]],
        [[a_row("a", 1, 1)], [a_row("a", 0, 1)]],
        [[a_row("a", 1, 1)], [], [a_row("a", 0, 1)]],
        [[a_row("a", 1, 1)], [a_row("a", 1, 1)], [a_row("a", 0, 1)]],
        [[a_row("a", 1, None)], [a_row("a", 0, 1)]],
        [[a_row("b", 0, 1), a_row("a", 0, 1), a_row("a", 2, 1), a_row("a", 1, 1)]],
    ],
)
def test_timestamps_of_a_thing_that_step_back_are_corrupt_data(
    batches: list[list[StoredRow]],
) -> None:
    with pytest.raises(CorruptData, match="rows of thing a are out of order"):
        merge(LONG, batches)


def test_the_timestamps_of_another_thing_begin_anew() -> None:
    rows = [a_row("a", 5, 1), a_row("b", 0, 2), a_row("c", 3, 3)]

    assert merge(LONG, [rows]) == rows
    assert merge(LONG, [[it] for it in rows]) == rows


@pytest.mark.parametrize(
    "batch",
    [
        pa.record_batch({"thing": ["a"], "ts": [0]}),
        pa.record_batch({"thing": ["a"], "ts": [0], "m_1": [1]}),
        pa.record_batch({"thing": ["a"], "ts": [0], "m_0": [1], "m_1": [1]}),
        pa.record_batch({"ts": [0], "thing": ["a"], "m_0": [1]}),
        pa.record_batch({"thing": ["a"], "ts": [0], "m_0": [1.0]}),
        pa.record_batch({"thing": ["a"], "ts": [0], "m_0": ["1"]}),
        pa.record_batch({"thing": [1], "ts": [0], "m_0": [1]}),
        pa.record_batch({"thing": ["a"], "ts": ["0"], "m_0": [1]}),
        pa.record_batch({"thing": ["a"], "ts": [0], "m_0": pa.array([1], pa.int32())}),
        # Columns are wrong even where there is no row that could be.
        pa.record_batch({"thing": pa.array([], pa.string())}),
    ],
)
def test_other_columns_than_the_layouts_are_corrupt_data(batch: RowBatch) -> None:
    with pytest.raises(CorruptData, match="rows have columns"):
        list(iter_merged(LONG, [batch]))


@pytest.mark.parametrize(
    "key",
    [
        {"thing": pa.array([None], pa.string()), "ts": [0]},
        {"thing": ["a"], "ts": pa.array([None], pa.int64())},
    ],
)
def test_a_row_of_no_thing_or_no_timestamp_is_corrupt_data(
    key: dict[str, object],
) -> None:
    with pytest.raises(CorruptData, match="no thing or no timestamp"):
        list(iter_merged(LONG, [pa.record_batch({**key, "m_0": [1]})]))


@pytest.mark.parametrize(
    ("first", "last"),
    [(MIN_TIMESTAMP_MS - 1, 0), (0, MAX_TIMESTAMP_MS + 1), (-(2**63), 2**63 - 1)],
)
def test_a_timestamp_out_of_range_is_corrupt_data(first: int, last: int) -> None:
    with pytest.raises(CorruptData, match="is out of range"):
        merge(LONG, [[a_row("a", first, 1), a_row("a", last, 1)]])


def test_the_first_and_the_last_instant_are_in_range() -> None:
    rows = [a_row("a", MIN_TIMESTAMP_MS, 1), a_row("a", MAX_TIMESTAMP_MS, 1)]

    assert merge(LONG, [rows]) == rows
