"""Instants and half-open stretches of time, in UTC milliseconds since the epoch."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

MIN_TIMESTAMP_MS = -2_208_988_800_000
"""1900-01-01T00:00:00Z: the first instant that a reading may have."""

MAX_TIMESTAMP_MS = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z: the last one; ISO 8601 has no year 10000."""


@dataclass(frozen=True, slots=True)
class Period:
    """``[start_ms, end_ms)``: successive periods tile; ``None`` is unbounded."""

    start_ms: int | None = None
    end_ms: int | None = None

    def contains(self, timestamp_ms: int) -> bool:
        """Whether an instant lies in the period."""
        after_start = self.start_ms is None or timestamp_ms >= self.start_ms
        return after_start and (self.end_ms is None or timestamp_ms < self.end_ms)


ALL_TIME = Period()
"""From the first value to the last."""


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def epoch_ms(at: datetime) -> int:
    """Give an instant in milliseconds since the Unix epoch; fractions are cut."""
    return (at - _EPOCH) // _MILLISECOND


def instant_of(timestamp_ms: int) -> datetime:
    """Give an instant, in UTC, from its milliseconds since the Unix epoch."""
    return _EPOCH + timestamp_ms * _MILLISECOND


def is_valid_timestamp(timestamp_ms: int) -> bool:
    """Whether a reading may be stamped with this instant."""
    return MIN_TIMESTAMP_MS <= timestamp_ms <= MAX_TIMESTAMP_MS
