"""Cutting the rows of one thing into spans of bounded cost."""

from collections.abc import Iterable, Sequence

from thingport.domain.export_plan import SurveyedSpan
from thingport.domain.period import Period

Stretch = tuple[int, int, int]
"""The first timestamp in a stretch of time, in UTC ms; its rows; what they cost."""


def cut_spans(
    period: Period, stretches: Iterable[Stretch], max_cost_bytes: int
) -> Sequence[SurveyedSpan]:
    """Cut a period between stretches, each span as long as the limit allows.

    Args:
        period: What the spans tile, in order.
        stretches: All that have rows in the period, ascending.
        max_cost_bytes: Most that a span costs, unless it is one single stretch.

    Returns:
        At least one span; without any stretch it is the period, with no rows.
    """
    spans: list[SurveyedSpan] = []
    start_ms = period.start_ms
    rows = cost_bytes = 0
    for first_ms, more_rows, more_bytes in stretches:
        if rows and cost_bytes + more_bytes > max_cost_bytes:
            spans.append(SurveyedSpan(Period(start_ms, first_ms), rows))
            start_ms, rows, cost_bytes = first_ms, 0, 0
        rows += more_rows
        cost_bytes += more_bytes
    return [*spans, SurveyedSpan(Period(start_ms, period.end_ms), rows)]
