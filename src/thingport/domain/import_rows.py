"""From the cells of imported rows to values, column by column.

Every cell means what ``parse_value`` says. Whole columns are looked at first, and a
cell by itself only where something is wrong in its column: that is ten times faster.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from thingport.domain.csv_format import NUMBER_PATTERN, unguard_text
from thingport.domain.csv_rows import CsvRow, CsvSlice
from thingport.domain.data_import import RejectedRow, TextGuard
from thingport.domain.metric import (
    END_OF_FLOAT32,
    MAX_TEXT_BYTES,
    Metric,
    Value,
    ValueDoesNotFit,
    ValueType,
    parse_value,
)
from thingport.domain.period import (
    MAX_TIMESTAMP_MS,
    MIN_TIMESTAMP_MS,
    epoch_ms,
    is_valid_timestamp,
)

_Column = Sequence[str | None]
_Values = Sequence[Value | None]

_MAX_BYTES_OF_CHARACTER = 4

_WHOLE_NUMBERS = re.compile(r"(?:[+-]?[0-9]{1,18}\n)*+")
_DECIMALS = re.compile(rf"(?:{NUMBER_PATTERN}\n)*+")
_MILLISECONDS = re.compile(r"[+-]?[0-9]{1,18}")
_ISO_8601 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)"
    r"(?:[.,]([0-9]{1,9}))?([Zz]|[+-][0-9]{2}:?[0-9]{2})"
)
_BOOLEANS: Mapping[str | None, bool | None] = {
    "true": True,
    "false": False,
    None: None,
}
_TIMESTAMP_DUE = "TIMESTAMP: UTC milliseconds, or ISO 8601 with a time zone, are due"


@dataclass(frozen=True, slots=True)
class ImportedRows:
    """Rows of which everything fits, in the order of the file.

    Attributes:
        timestamps_ms: UTC milliseconds of each.
        columns: For each metric the value of each row; ``None`` where it has none.
        text_bytes: At most so many bytes of text are in them.
        rejected: The rows that do not fit, by line.
    """

    timestamps_ms: Sequence[int]
    columns: Sequence[_Values]
    text_bytes: int
    rejected: Sequence[RejectedRow]


class ImportRowReader:
    """Turns rows into columns of values.

    Args:
        metrics: Of each column but the first.
        text_guard: What was put before texts.
    """

    def __init__(self, metrics: Sequence[Metric], text_guard: TextGuard) -> None:
        self._metrics = metrics
        self._is_guarded = text_guard is TextGuard.FORMULA

    def read(self, found: CsvSlice) -> ImportedRows:
        """Read a slice; of each row that does not fit the first fault is told."""
        rejected = {it.line: it.reason for it in found.rejected}
        rows = self._of_full_width(found.rows, rejected)
        if not rows:
            return ImportedRows([], [[] for _ in self._metrics], 0, _sorted(rejected))
        cells = list(zip(*(it.cells for it in rows), strict=True))
        faults: dict[int, str] = {}
        timestamps = _read_timestamps(cells[0], faults)
        columns = [
            self._read_column(metric, column, faults)
            for metric, column in zip(self._metrics, cells[1:], strict=True)
        ]
        if faults:
            rejected.update({rows[at].line: reason for at, reason in faults.items()})
            kept = [at for at in range(len(rows)) if at not in faults]
            timestamps = [timestamps[at] for at in kept]
            columns = [[column[at] for at in kept] for column in columns]
        text_bytes = _MAX_BYTES_OF_CHARACTER * sum(
            sum(len(it) for it in column if isinstance(it, str))
            for metric, column in zip(self._metrics, columns, strict=True)
            if metric.value_type is ValueType.STRING
        )
        return ImportedRows(timestamps, columns, text_bytes, _sorted(rejected))

    def _of_full_width(
        self, rows: Sequence[CsvRow], rejected: dict[int, str]
    ) -> Sequence[CsvRow]:
        due = 1 + len(self._metrics)
        full = [it for it in rows if len(it.cells) == due]
        if len(full) < len(rows):
            rejected.update(
                {
                    it.line: f"{len(it.cells)} cells, but the header has {due}"
                    for it in rows
                    if len(it.cells) != due
                }
            )
        return full

    def _read_column(
        self, metric: Metric, column: _Column, faults: dict[int, str]
    ) -> _Values:
        if metric.value_type is ValueType.STRING and self._is_guarded:
            column = [None if it is None else unguard_text(it) for it in column]
        at_once = _AT_ONCE[metric.value_type](column)
        if at_once is not None:
            return at_once
        values: list[Value | None] = []
        for at, cell in enumerate(column):
            value: Value | None = None
            try:
                if cell is not None:
                    value = parse_value(metric.value_type, cell)
            except ValueDoesNotFit as misfit:
                faults.setdefault(at, f"column {metric.name[:200]!r}: {misfit}")
            values.append(value)
        return values


def _sorted(rejected: Mapping[int, str]) -> Sequence[RejectedRow]:
    return [RejectedRow(line, rejected[line]) for line in sorted(rejected)]


# --- timestamps ---------------------------------------------------------------


def _read_timestamps(column: _Column, faults: dict[int, str]) -> Sequence[int]:
    at_once = _whole_numbers(column)
    if at_once is not None:
        known = [it for it in at_once if isinstance(it, int)]
        is_full = len(known) == len(column)
        if is_full and MIN_TIMESTAMP_MS <= min(known) <= max(known) <= MAX_TIMESTAMP_MS:
            return known
    timestamps: list[int] = []
    for at, cell in enumerate(column):
        found = _read_timestamp(cell)
        if isinstance(found, str):
            faults[at] = found
            found = 0
        timestamps.append(found)
    return timestamps


def _read_timestamp(cell: str | None) -> int | str:
    """Give UTC milliseconds, or what is wrong."""
    if cell is not None and _MILLISECONDS.fullmatch(cell):
        timestamp_ms = int(cell)
    else:
        iso = _ISO_8601.fullmatch(cell or "")
        if iso is None:
            return _TIMESTAMP_DUE
        date, time, fraction, zone = iso.groups(default="")
        try:
            instant = datetime.fromisoformat(f"{date}T{time}{zone.upper()}")
            instant += timedelta(milliseconds=int(fraction.ljust(3, "0")[:3]))
            timestamp_ms = epoch_ms(instant)
        except ValueError:
            return "TIMESTAMP: there is no such instant"
        if fraction[3:].strip("0"):
            return "TIMESTAMP: it has a fraction of a millisecond"
    if not is_valid_timestamp(timestamp_ms):
        return "TIMESTAMP: it is not within 1900 to 9999"
    return timestamp_ms


# --- columns at once: None where a cell may not fit ----------------------------


def _booleans(column: _Column) -> _Values | None:
    if not _BOOLEANS.keys() >= set(column):
        return None
    return [_BOOLEANS[it] for it in column]


def _whole_numbers(column: _Column) -> _Values | None:
    if not _match(_WHOLE_NUMBERS, column):
        return None
    return [None if it is None else int(it) for it in column]


def _decimals_below(end: float) -> Callable[[_Column], _Values | None]:
    def decimals(column: _Column) -> _Values | None:
        if not _match(_DECIMALS, column):
            return None
        values = [None if it is None else float(it) for it in column]
        greatest = max((abs(it) for it in values if it is not None), default=0.0)
        return values if greatest < end else None

    return decimals


def _texts(column: _Column) -> _Values | None:
    longest = max((len(it) for it in column if it is not None), default=0)
    return column if longest * _MAX_BYTES_OF_CHARACTER <= MAX_TEXT_BYTES else None


def _match(pattern: re.Pattern[str], column: _Column) -> bool:
    """Whether every cell that is there matches; each must be one line."""
    there = [it for it in column if it is not None]
    joined = "\n".join([*there, ""])
    return joined.count("\n") == len(there) and bool(pattern.fullmatch(joined))


_AT_ONCE: Mapping[ValueType, Callable[[_Column], _Values | None]] = {
    ValueType.STRING: _texts,
    ValueType.BOOLEAN: _booleans,
    ValueType.INTEGER: _whole_numbers,
    ValueType.LONG: _whole_numbers,
    ValueType.FLOAT: _decimals_below(END_OF_FLOAT32),
    ValueType.DOUBLE: _decimals_below(math.inf),
}
