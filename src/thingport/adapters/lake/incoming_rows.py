"""Readings on their way in, turned into columns."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from thingport.adapters.lake.arrow import (
    INTEGER,
    TEXT,
    VALUE_TYPES,
    ArrowTable,
    concatenated,
    table_from,
    table_of,
    with_numbers,
)
from thingport.adapters.lake.lake_names import KEY_COLUMNS, column_name, quote
from thingport.adapters.lake.lake_transaction import LakeTransaction
from thingport.application.ports import ReadingColumns
from thingport.domain.errors import CorruptData
from thingport.domain.ids import MetricId, ThingDefinitionId
from thingport.domain.metric import ValueType
from thingport.domain.reading import ReadingBatch


@dataclass(frozen=True, slots=True)
class IncomingRows:
    """Readings of things of one definition, in the order in which they were sent.

    Attributes:
        table: Their things, timestamps, and a column for each metric.
    """

    thing_definition_id: ThingDefinitionId
    value_types: Mapping[MetricId, ValueType]
    table: ArrowTable


def rows_of(batch: ReadingBatch) -> IncomingRows:
    """Turn readings into columns."""
    readings = batch.readings
    table = table_of(
        {
            "thing": (TEXT, [it.thing_id for it in readings]),
            "ts": (INTEGER, [it.timestamp_ms for it in readings]),
            **{
                column_name(metric_id): (
                    VALUE_TYPES[value_type],
                    [it.values.get(metric_id) for it in readings],
                )
                for metric_id, value_type in batch.value_types.items()
            },
        }
    )
    return IncomingRows(batch.thing_definition_id, batch.value_types, table)


def rows_of_columns(columns: ReadingColumns) -> IncomingRows:
    """Take over readings that are columns already; copies nothing."""
    table = table_from(columns.table)
    return IncomingRows(columns.thing_definition_id, columns.value_types, table)


def store_rows(transaction: LakeTransaction, rows: Sequence[IncomingRows]) -> None:
    """Store rows, numbered in their order.

    Raises:
        CorruptData: The lake keeps another type of values for a metric.
    """
    first = transaction.allocate_written_seqs(sum(it.table.num_rows for it in rows))
    for merged in _iter_merged(rows):
        table = with_numbers(merged.table, "written_seq", first)
        metrics = (column_name(it) for it in merged.value_types)
        columns = ", ".join(quote(it) for it in (*KEY_COLUMNS, *metrics))
        transaction.insert(
            merged.thing_definition_id,
            merged.value_types,
            f"SELECT {columns} FROM incoming",  # noqa: S608  # names are quoted
            {"incoming": table},
        )
        first += merged.table.num_rows


def _iter_merged(rows: Sequence[IncomingRows]) -> Iterator[IncomingRows]:
    """Yield one table for each definition, its rows in their order."""
    found: dict[ThingDefinitionId, list[IncomingRows]] = {}
    for it in rows:
        found.setdefault(it.thing_definition_id, []).append(it)
    for thing_definition_id, parts in found.items():
        yield IncomingRows(
            thing_definition_id,
            _merged_types(parts),
            concatenated([it.table for it in parts]),
        )


def _merged_types(parts: Sequence[IncomingRows]) -> Mapping[MetricId, ValueType]:
    merged: dict[MetricId, ValueType] = {}
    for part in parts:
        for metric_id, value_type in part.value_types.items():
            known = merged.setdefault(metric_id, value_type)
            if VALUE_TYPES[known] != VALUE_TYPES[value_type]:
                raise CorruptData(f"metric {metric_id} is {known} and {value_type}")
    return merged
