"""How long readings are kept, in calendar months."""

from calendar import monthrange
from datetime import UTC, datetime

from thingport.domain.errors import InvalidRequest
from thingport.domain.period import MIN_TIMESTAMP_MS, epoch_ms

MAX_MONTHS = 1_200
"""A hundred years: who wants more keeps readings for ever."""

_FIRST_YEAR = 1900
_MONTHS_PER_YEAR = 12


def check_months(months: int) -> None:
    """Do nothing if readings can be kept for so many months.

    Raises:
        InvalidRequest: They cannot.
    """
    if not 1 <= months <= MAX_MONTHS:
        raise InvalidRequest(f"--months: must be 1 to {MAX_MONTHS}")


def retention_start_ms(now: datetime, months: int) -> int:
    """Give the first instant of which readings are kept, in UTC ms since the epoch.

    It is the midnight at which the same day of an earlier month began, in UTC. Where
    that month has no such day, it is its last day: one month before 31 March is
    28 February, or the 29th. So readings are kept for the whole of their months and
    for up to a day longer, and the instant never goes back as time goes on.

    Args:
        now: The present instant, in UTC.
        months: For how many months readings are kept; at least 1.
    """
    count = now.year * _MONTHS_PER_YEAR + (now.month - 1) - months
    year, month = count // _MONTHS_PER_YEAR, count % _MONTHS_PER_YEAR + 1
    if year < _FIRST_YEAR:
        return MIN_TIMESTAMP_MS
    day = min(now.day, monthrange(year, month)[1])
    return epoch_ms(datetime(year, month, day, tzinfo=UTC))
