"""From when on readings are kept, in calendar months."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingport.domain.errors import InvalidRequest
from thingport.domain.period import MIN_TIMESTAMP_MS, instant_of
from thingport.domain.retention import MAX_MONTHS, check_months, retention_start_ms

DAY = timedelta(days=1)

instants = st.datetimes(
    datetime(2001, 1, 1),  # noqa: DTZ001  # it has none, as the strategy wants
    datetime(2200, 1, 1),  # noqa: DTZ001  # the same
    timezones=st.just(UTC),
)
months = st.integers(1, MAX_MONTHS)


def _start(now: datetime, count: int) -> datetime:
    return instant_of(retention_start_ms(now, count))


@given(now=instants, count=months)
def test_it_is_a_midnight_so_many_months_ago(now: datetime, count: int) -> None:
    start = _start(now, count)

    assert (start.hour, start.minute, start.second, start.microsecond) == (0, 0, 0, 0)
    if start > instant_of(MIN_TIMESTAMP_MS):
        passed = (now.year - start.year) * 12 + now.month - start.month
        assert passed == count


@given(now=instants, count=st.integers(1, 12 * 50))
def test_the_day_is_the_same_or_the_last_of_a_shorter_month(
    now: datetime, count: int
) -> None:
    start = _start(now, count)

    is_last_of_its_month = (start + DAY).day == 1
    assert start.day == now.day or (start.day < now.day and is_last_of_its_month)


@given(now=instants, count=months, later=st.timedeltas(timedelta(0), 99 * DAY))
def test_it_never_goes_back(now: datetime, count: int, later: timedelta) -> None:
    assert _start(now + later, count) >= _start(now, count)


@given(now=instants, count=st.integers(1, MAX_MONTHS - 1))
def test_more_months_keep_more(now: datetime, count: int) -> None:
    assert _start(now, count + 1) <= _start(now, count)


@pytest.mark.parametrize(
    ("now", "count", "start"),
    [
        ("2026-03-31T23:59", 1, "2026-02-28"),
        ("2024-03-31T00:00", 1, "2024-02-29"),
        ("2026-03-01T00:00", 1, "2026-02-01"),
        ("2026-01-15T12:00", 1, "2025-12-15"),
        ("2026-12-31T12:00", 12, "2025-12-31"),
        ("2024-02-29T12:00", 12, "2023-02-28"),
        ("2026-12-31T12:00", 13, "2025-11-30"),
        ("1950-01-01T00:00", 1_200, "1900-01-01"),
    ],
)
def test_it_is_what_a_calendar_says(now: str, count: int, start: str) -> None:
    found = _start(datetime.fromisoformat(f"{now}:00+00:00"), count)

    assert found.isoformat() == f"{start}T00:00:00+00:00"


@pytest.mark.parametrize("count", [0, -1, MAX_MONTHS + 1])
def test_a_time_that_is_none_is_refused(count: int) -> None:
    with pytest.raises(InvalidRequest, match="--months: must be 1 to 1200"):
        check_months(count)


@pytest.mark.parametrize("count", [1, MAX_MONTHS])
def test_the_bounds_themselves_are_allowed(count: int) -> None:
    check_months(count)
