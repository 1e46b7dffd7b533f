"""Merging rows of one thing and timestamp: the last written wins, by metric."""

from collections.abc import Iterable, Iterator, Mapping
from typing import cast

import polars as pl

from thingport.application.ports import RowBatch
from thingport.domain.errors import CorruptData
from thingport.domain.export_plan import PlannedLayout
from thingport.domain.metric import ValueType
from thingport.domain.period import is_valid_timestamp

THING = "thing"
TIMESTAMP = "ts"

_KEY_COLUMNS = 2

_TYPES: Mapping[ValueType, pl.DataType] = {
    ValueType.STRING: pl.String(),
    ValueType.BOOLEAN: pl.Boolean(),
    ValueType.INTEGER: pl.Int64(),
    ValueType.LONG: pl.Int64(),
    ValueType.FLOAT: pl.Float32(),
    ValueType.DOUBLE: pl.Float64(),
}


def iter_merged(
    layout: PlannedLayout, batches: Iterable[RowBatch]
) -> Iterator[pl.DataFrame]:
    """Yield rows in which every thing has each timestamp once, and some value.

    Lazy: holds one batch and the rows before it, however often one timestamp was
    written.

    Args:
        layout: What the columns are.
        batches: Columns ``thing``, ``ts`` (UTC ms), ``m_<metric id>`` …; rows of
            one thing stand together, by timestamp and order of writing.

    Yields:
        The same columns; never an empty frame. Rows without any value are left out.

    Raises:
        CorruptData: The columns are others, or timestamps of a thing step back or
            are out of range.
    """
    schema = _schema_of(layout)
    pending = pl.DataFrame(schema=schema)
    for batch in batches:
        rows = _read(batch, schema)
        if rows.is_empty():
            continue
        if _continues(pending, rows):
            # Made anew: a slice would keep the whole of every earlier batch alive.
            carried = pl.DataFrame([pending.row(-1)], schema=schema, orient="row")
            rows = pl.concat([carried, rows], rechunk=True)
            pending = pending.head(-1)
        yield from _with_values(pending)
        pending = _merge(rows)
    yield from _with_values(pending)


def _schema_of(layout: PlannedLayout) -> pl.Schema:
    return pl.Schema(
        {
            THING: pl.String(),
            TIMESTAMP: pl.Int64(),
            **{f"m_{it.metric_id}": _TYPES[it.value_type] for it in layout.columns},
        }
    )


def _read(batch: RowBatch, schema: pl.Schema) -> pl.DataFrame:
    rows = pl.DataFrame(batch)
    if rows.schema != schema:
        raise CorruptData(f"rows have columns {rows.schema}, where {schema} are due")
    if rows.is_empty():
        return rows
    if rows[THING].null_count() or rows[TIMESTAMP].null_count():
        raise CorruptData("a row has no thing or no timestamp")
    timestamps = rows[TIMESTAMP]
    for limit in (timestamps.min(), timestamps.max()):
        if not is_valid_timestamp(cast("int", limit)):
            raise CorruptData(f"timestamp {limit!r} is out of range")
    return rows


def _continues(earlier: pl.DataFrame, later: pl.DataFrame) -> bool:
    """Whether rows go on with the very thing and timestamp where others end."""
    if earlier.is_empty() or earlier.item(-1, THING) != later.item(0, THING):
        return False
    before, after = earlier.item(-1, TIMESTAMP), later.item(0, TIMESTAMP)
    if after < before:
        raise _stepped_back(later.item(0, THING))
    return bool(before == after)


def _merge(rows: pl.DataFrame) -> pl.DataFrame:
    things, timestamps = rows[THING], rows[TIMESTAMP]
    is_same_thing = things.slice(1) == things.head(-1)
    steps_back = is_same_thing & (timestamps.slice(1) < timestamps.head(-1))
    if steps_back.any():
        raise _stepped_back(things[steps_back.arg_true()[0]])
    goes_on = is_same_thing & (timestamps.slice(1) == timestamps.head(-1))
    if not goes_on.any():
        return rows
    ends = pl.concat([~goes_on, pl.Series([True])]).arg_true().cast(pl.Int64)
    starts = ends.shift(1, fill_value=-1) + 1
    values = rows.get_columns()[_KEY_COLUMNS:]
    return pl.DataFrame(
        [
            things.gather(ends),
            timestamps.gather(ends),
            *(_last_known(it, starts, ends) for it in values),
        ]
    )


def _last_known(values: pl.Series, starts: pl.Series, ends: pl.Series) -> pl.Series:
    """Give the last value that is there, of each group of successive rows."""
    nowhere = pl.Series([None], dtype=pl.Int64)
    places = pl.int_range(values.len(), eager=True)
    known = places.zip_with(
        values.is_not_null(), nowhere.new_from_index(0, len(places))
    )
    last = known.fill_null(strategy="forward").gather(ends)
    is_inside = (last >= starts).fill_null(value=False)
    return values.gather(last.zip_with(is_inside, nowhere.new_from_index(0, len(last))))


def _with_values(rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield the rows that have a value, if there are any."""
    values = rows.get_columns()[_KEY_COLUMNS:]
    if not any(it.null_count() == 0 for it in values):
        has_value = pl.any_horizontal(pl.exclude(THING, TIMESTAMP).is_not_null())
        rows = rows.filter(has_value) if values else rows.clear()
    if not rows.is_empty():
        yield rows


def _stepped_back(thing_id: str) -> CorruptData:
    return CorruptData(f"the rows of thing {thing_id} are out of order")
