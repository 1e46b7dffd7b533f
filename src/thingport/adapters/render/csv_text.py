"""CSV text of whole frames; equal to the letter to ``domain.csv_format``."""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import polars as pl
from numpy.typing import NDArray

from thingport.adapters.render.merge import THING, TIMESTAMP
from thingport.domain.column_headers import TIMESTAMP_HEADER
from thingport.domain.csv_format import (
    FORMULA_STARTS,
    LINE_END,
    NUMBER_PATTERN,
    format_double,
    format_line,
)
from thingport.domain.data_export import TimestampFormat
from thingport.domain.errors import CorruptData
from thingport.domain.export_plan import PlannedLayout
from thingport.domain.ids import ThingId

_LINE_FEED = ord("\n")
_ISO_8601 = "%Y-%m-%dT%H:%M:%S%.3fZ"

_MAY_BE_FORMULA_BELOW = "A"
"""Every one of the formula starts sorts before it: one comparison sorts out nearly
all texts, at a fraction of what a regular expression takes."""

_FORMULA = rf"\A[{FORMULA_STARTS.replace('-', '')}\-]"
_NUMBER = rf"\A(?:{NUMBER_PATTERN})\z"

_MIN_ALIKE = 1e-4
"""Polars writes smaller numbers otherwise: ``0.00001`` and ``1e-7``."""

_FLOAT32_END_ALIKE = 1e13
"""Polars writes 32-bit floats from here on otherwise: ``1e+13``."""


@dataclass(frozen=True, slots=True)
class ThingRows:
    """Successive rows of one thing as CSV; shares its memory with its neighbours."""

    thing_id: ThingId
    text: memoryview
    rows: int
    first_ms: int
    last_ms: int


def header_line(layout: PlannedLayout) -> bytes:
    """Give the header of a file; its texts have their guard already."""
    headers = (it.header for it in layout.columns)
    return format_line([TIMESTAMP_HEADER, *headers]).encode()


def iter_thing_rows(
    rows: pl.DataFrame, timestamp_format: TimestampFormat
) -> Iterator[ThingRows]:
    """Yield the CSV of a frame's rows, thing by thing.

    The frame is written in one go, and its text cut between things: a call of the
    writer costs as much as some hundred rows.

    Raises:
        CorruptData: A number is not finite.
    """
    text = format_rows(rows, timestamp_format)
    runs = rows[THING].rle().struct.unnest()
    ends = np.cumsum(runs["len"].to_numpy(), dtype=np.int64)
    cuts = _cuts_after(rows, text, ends)
    timestamps = rows[TIMESTAMP]
    row = position = 0
    for thing_id, end, cut in zip(runs["value"], ends.tolist(), cuts, strict=True):
        yield ThingRows(
            thing_id=ThingId(thing_id),
            text=text[position:cut],
            rows=end - row,
            first_ms=timestamps[row],
            last_ms=timestamps[end - 1],
        )
        row, position = end, cut


def format_rows(rows: pl.DataFrame, timestamp_format: TimestampFormat) -> memoryview:
    """Give rows as CSV, without the column of things.

    Raises:
        CorruptData: A number is not finite.
    """
    timestamps = rows[TIMESTAMP]
    if timestamp_format is TimestampFormat.ISO_8601:
        timestamps = timestamps.cast(pl.Datetime("ms"))
    values = rows.drop(THING, TIMESTAMP).get_columns()
    text = BytesIO()
    pl.DataFrame([timestamps, *map(_as_specified, values)]).write_csv(
        text,
        include_header=False,
        line_terminator=LINE_END,
        quote_style="necessary",
        datetime_format=_ISO_8601,
    )
    return text.getbuffer()


def _as_specified(values: pl.Series) -> pl.Series:
    """Give values that the writer writes as the specification says."""
    if values.dtype == pl.String:
        return _guarded(values)
    if values.dtype.is_float():
        return _laid_out(values)
    return values


def _guarded(texts: pl.Series) -> pl.Series:
    suspects = texts.filter(texts < _MAY_BE_FORMULA_BELOW)
    if not suspects.str.contains(_FORMULA).any():
        return texts
    text = pl.col(texts.name)
    needs_guard = text.str.contains(_FORMULA) & ~text.str.contains(_NUMBER)
    guarded = pl.when(needs_guard).then(pl.lit("'") + text).otherwise(text)
    return texts.to_frame().select(guarded.alias(texts.name)).to_series()


def _laid_out(numbers: pl.Series) -> pl.Series:
    if not numbers.is_finite().all():
        raise CorruptData(f"column {numbers.name} has a number that is not finite")
    sizes = numbers.abs()
    is_other = (sizes < _MIN_ALIKE) & (sizes != 0)
    if numbers.dtype == pl.Float32:
        is_other |= sizes >= _FLOAT32_END_ALIKE
    if not is_other.any():
        return numbers
    is_other = is_other.fill_null(value=False)
    texts = numbers.cast(pl.String)
    # The digits are the right ones, and few enough that a double keeps them all.
    others = [format_double(float(it)) for it in texts.filter(is_other)]
    places = (is_other.cum_sum().cast(pl.Int64) - 1).clip(lower_bound=0)
    return texts.zip_with(~is_other, pl.Series(others, dtype=pl.String).gather(places))


def _cuts_after(
    rows: pl.DataFrame, text: memoryview, ends: NDArray[np.int64]
) -> list[int]:
    """Give the place in the text where each of some counts of rows ends."""
    if len(ends) == 1:
        return [len(text)]
    line_feeds = np.flatnonzero(np.frombuffer(text, dtype=np.uint8) == _LINE_FEED)
    within = np.zeros(rows.height, dtype=np.int64)
    for texts in rows.drop(THING).select(pl.col(pl.String)).get_columns():
        counts = texts.str.count_matches("\n", literal=True).fill_null(0)
        within += counts.to_numpy()
    up_to = np.cumsum(within)
    return [int(it) + 1 for it in line_feeds[ends - 1 + up_to[ends - 1]]]
