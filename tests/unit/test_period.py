"""Periods and timestamps."""

from hypothesis import given
from hypothesis import strategies as st

from thingport.domain.period import (
    ALL_TIME,
    MAX_TIMESTAMP_MS,
    MIN_TIMESTAMP_MS,
    Period,
    is_valid_timestamp,
)

timestamps = st.integers(MIN_TIMESTAMP_MS, MAX_TIMESTAMP_MS) | st.integers(-3, 3)


@given(edges=st.lists(timestamps, unique=True).map(sorted), timestamp=timestamps)
def test_successive_periods_tile(edges: list[int], timestamp: int) -> None:
    starts, ends = [None, *edges], [*edges, None]
    tiles = [Period(start, end) for start, end in zip(starts, ends, strict=True)]

    assert sum(it.contains(timestamp) for it in tiles) == 1


@given(timestamp=timestamps)
def test_all_time_contains_every_instant(timestamp: int) -> None:
    assert ALL_TIME.contains(timestamp)


def test_a_period_has_its_start_and_not_its_end() -> None:
    period = Period(1, 3)

    assert [it for it in range(5) if period.contains(it)] == [1, 2]


def test_timestamps_are_valid_from_1900_to_9999() -> None:
    assert is_valid_timestamp(MIN_TIMESTAMP_MS)
    assert is_valid_timestamp(MAX_TIMESTAMP_MS)
    assert not is_valid_timestamp(MIN_TIMESTAMP_MS - 1)
    assert not is_valid_timestamp(MAX_TIMESTAMP_MS + 1)
