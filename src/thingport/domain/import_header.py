"""Which metric each column of an imported file is of."""

import difflib
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from thingport.domain.column_headers import TIMESTAMP_HEADER, column_headers
from thingport.domain.csv_format import guard_text, unguard_text
from thingport.domain.csv_rows import Cells
from thingport.domain.data_import import ImportFault, ImportRefused, TextGuard
from thingport.domain.ids import MetricId
from thingport.domain.metric import Metric

_UNIT = re.compile(r"(.+) \[[^\]]*\]", re.DOTALL)

_MAX_SHOWN = 200
"""Most characters of a header in a message."""


def read_header(
    cells: Cells, metrics: Mapping[MetricId, Metric], text_guard: TextGuard
) -> Sequence[Metric]:
    """Give the metric of each column but the first, which is the timestamp.

    A header is a metric's name, letter for letter. An export puts the metric's id
    behind names that are equal without case; that is understood too.

    Raises:
        ImportRefused: With every fault; each names its header.
    """
    headers = [
        unguard_text(it or "") if text_guard is TextGuard.FORMULA else it or ""
        for it in cells
    ]
    if headers[0].casefold() != TIMESTAMP_HEADER.casefold():
        raise ImportRefused(
            ImportFault.HEADER_NOT_VALID,
            f"the first column must be {TIMESTAMP_HEADER}, not {_shown(headers[0])}; "
            "csvHeaderRow says on which line the header is",
        )
    names = _Names(metrics)
    found = [names.find(it) for it in headers[1:]]
    faults = [
        names.explain(header)
        for header, metric in zip(headers[1:], found, strict=True)
        if metric is None
    ]
    columns = [it for it in found if it is not None]
    counts = Counter(it.name for it in columns)
    faults += [
        f"{_shown(name)}: more than one column is of this metric"
        for name, count in counts.items()
        if count > 1
    ]
    if faults:
        raise ImportRefused(ImportFault.HEADER_NOT_VALID, *faults)
    return names.settle(headers[1:], columns)


class _Names:
    """How headers name the metrics of a thing."""

    def __init__(self, metrics: Mapping[MetricId, Metric]) -> None:
        self._metrics = metrics
        self._by_name = {it.name: it for it in metrics.values() if it.is_exportable}
        self._without_values = {
            it.name for it in metrics.values() if not it.is_exportable
        }

    def find(self, header: str) -> Metric | None:
        return self._by_name.get(header) or self._find_with_id(header)

    def settle(
        self, headers: Sequence[str], columns: Sequence[Metric]
    ) -> Sequence[Metric]:
        """Choose for headers that are a name, and a name with an id as well."""
        others = [
            self._find_with_id(header) or metric
            for header, metric in zip(headers, columns, strict=True)
        ]
        if others == columns:
            return columns
        guarded = [guard_text(it) for it in headers]
        for choice in (columns, others):
            if column_headers(choice, include_unit=False) == guarded:
                return choice
        raise ImportRefused(
            ImportFault.HEADER_NOT_VALID,
            "a header is the name of one metric, and that of another one with its id",
        )

    def explain(self, header: str) -> str:
        """Say what is wrong with a header that names no metric with values."""
        if not header:
            return "a column has no header"
        if header.casefold() == TIMESTAMP_HEADER.casefold():
            return f"more than one column is {TIMESTAMP_HEADER}"
        if header in self._without_values:
            return f"{_shown(header)}: this metric has no plain values"
        with_unit = _UNIT.fullmatch(header)
        if with_unit and with_unit[1] in self._by_name:
            return (
                f"{_shown(header)}: a header is the metric's name alone; export "
                "without units (includeUnit: false)"
            )
        near = difflib.get_close_matches(header[:_MAX_SHOWN], self._by_name, 1, 0.0)
        nearest = f"; the nearest is {_shown(near[0])}" if near else ""
        return f"{_shown(header)}: the thing has no such metric{nearest}"

    def _find_with_id(self, header: str) -> Metric | None:
        name, metric = header, None
        while name.endswith(")"):
            name, _, metric_id = name[:-1].rpartition(" (")
            found = self._metrics.get(MetricId(metric_id))
            if found is None or metric not in {None, found}:
                return None
            if found.name == name:
                return found if found.is_exportable else None
            metric = found
        return None


def _shown(header: str) -> str:
    cut = header[:_MAX_SHOWN]
    return repr(cut) if cut == header else f"{cut!r}…"
