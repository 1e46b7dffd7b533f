"""Headers of a CSV file's columns."""

from collections import Counter
from collections.abc import Sequence

from thingport.domain.csv_format import guard_text
from thingport.domain.metric import Metric

TIMESTAMP_HEADER = "TIMESTAMP"
"""Header of the first column; no metric's header equals it."""


def column_headers(metrics: Sequence[Metric], *, include_unit: bool) -> list[str]:
    """Give the header of each metric's column, in the same order.

    A header is the metric's name, with ``[unit]`` where a unit is wanted and there
    is one. Each of several equal ones, and one that equals ``TIMESTAMP``, gets the
    metric's id in parentheses, until all differ. Compared without case.

    Equality is judged before the text guard. The guard puts the same character
    before some texts and can be undone exactly, so what differed before it
    differs after it.

    Args:
        metrics: Each at most once; their ids differ without case.
        include_unit: Whether units are wanted.

    Returns:
        Texts with the guard, before CSV quoting.
    """
    headers = [_bare_header(it, include_unit=include_unit) for it in metrics]
    while True:
        keys = [it.casefold() for it in headers]
        counts = Counter([TIMESTAMP_HEADER.casefold(), *keys])
        if counts.total() == len(counts):
            return [guard_text(it) for it in headers]
        headers = [
            f"{header} ({metric.id})" if counts[key] > 1 else header
            for header, key, metric in zip(headers, keys, metrics, strict=True)
        ]


def _bare_header(metric: Metric, *, include_unit: bool) -> str:
    if include_unit and metric.unit:
        return f"{metric.name} [{metric.unit}]"
    return metric.name
