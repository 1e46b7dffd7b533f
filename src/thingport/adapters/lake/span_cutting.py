"""Cutting the rows of one thing into spans of bounded cost."""

from collections.abc import Iterable, Sequence

from thingport.domain.export_plan import SurveyedSpan
from thingport.domain.period import Period

Instant = tuple[int, int, int]
"""A timestamp in UTC ms, the rows at it, and what they cost in bytes."""


def cut_spans(
    period: Period, batches: Iterable[Iterable[Instant]], max_cost_bytes: int
) -> Sequence[SurveyedSpan]:
    """Cut a period between timestamps, each span as long as the limit allows.

    Args:
        period: What the spans tile, in order.
        batches: All instants with rows in the period, ascending, some at a time.
        max_cost_bytes: Most that a span costs, unless it is one single instant.

    Returns:
        At least one span; without any instant it is the period, with no rows.
    """
    spans: list[SurveyedSpan] = []
    start_ms = period.start_ms
    rows = cost_bytes = 0
    for batch in batches:
        for timestamp_ms, more_rows, more_bytes in batch:
            if rows and cost_bytes + more_bytes > max_cost_bytes:
                spans.append(SurveyedSpan(Period(start_ms, timestamp_ms), rows))
                start_ms, rows, cost_bytes = timestamp_ms, 0, 0
            rows += more_rows
            cost_bytes += more_bytes
    return [*spans, SurveyedSpan(Period(start_ms, period.end_ms), rows)]
