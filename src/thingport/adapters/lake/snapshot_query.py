"""Questions to one table of a lake, at one snapshot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from thingport.adapters.lake.lake_names import (
    COLUMN_TYPES,
    added,
    column_name,
    qualified,
    quote,
    table_name,
)
from thingport.domain.errors import CorruptData
from thingport.domain.export_plan import PlannedColumn, PlannedLayout
from thingport.domain.ids import ThingDefinitionId, ThingId
from thingport.domain.metric import ValueType
from thingport.domain.period import Period

TableColumns = Mapping[str, str]
"""The columns of a table: name and type, as the engine names it."""

MAX_LISTED_THINGS = 50
"""Most things that are listed one by one in a query: each costs time to plan."""

MAX_MERGED_COLUMNS = 128
"""Most columns that one question merges. The engine sets memory aside for each value
of a group that there could be: for 4 096 columns it was more than 10 GB."""


def find_columns(
    engine: duckdb.DuckDBPyConnection,
    thing_definition_id: ThingDefinitionId,
    snapshot: int,
) -> TableColumns | None:
    """Give the columns that a table has at a snapshot; ``None`` if it has no table."""
    table = _at(thing_definition_id, snapshot)
    try:
        rows = engine.execute(
            f"DESCRIBE SELECT * FROM {table}"  # noqa: S608  # a quoted name
        ).fetchall()
    except duckdb.CatalogException as error:
        if "does not exist" in str(error):
            return None
        raise
    return {str(row[0]): str(row[1]) for row in rows}


@dataclass(frozen=True, slots=True)
class SnapshotQuery:
    """Questions about some things in a period; ids and instants are parameters.

    Attributes:
        columns: What the table has at the snapshot; a planned column that it has
            not is one without any value.
    """

    snapshot: int
    layout: PlannedLayout
    columns: TableColumns
    thing_ids: tuple[ThingId, ...]
    period: Period

    @property
    def parameters(self) -> list[object]:
        """What stands for the question marks, in their order."""
        things: list[object] = [*self.thing_ids]
        bounds = (self.period.start_ms, self.period.end_ms)
        return [
            *(things if self._are_listed else [things]),
            min(self.thing_ids),
            max(self.thing_ids),
            *(it for it in bounds if it is not None),
        ]

    def survey(self) -> str:
        """Ask for thing, rows and bytes of text, for each thing."""
        return (
            f"SELECT thing, count(*), {self._text_bytes()} {self._from()}"
            " GROUP BY thing"
        )

    def extent(self) -> str:
        """Ask for the first and the last timestamp."""
        return f"SELECT min(ts), max(ts) {self._from()}"

    def cost_by_stretch(self, row_cost_bytes: int, width_ms: int) -> str:
        """Ask for first timestamp, rows and what they cost, by stretches of time.

        Stretches of one width tile the period, which has a start.
        """
        cost = f"count(*) * {row_cost_bytes} + {self._text_bytes()}"
        return (
            f"SELECT min(ts), count(*), {cost} {self._from()}"
            f" GROUP BY (ts - {self.period.start_ms}) // {width_ms:d} ORDER BY min(ts)"
        )

    def rows(self) -> str:
        """Ask for the rows, in order."""
        columns = "".join(f", {self._planned(it)}" for it in self.layout.columns)
        return (
            f"SELECT thing, ts{columns} {self._from()} ORDER BY thing, ts, written_seq"
        )

    def merged_rows(self) -> Sequence[str]:
        """Ask for the one row of one timestamp: the last written value of each column.

        Needs the memory of what it gives, however often the timestamp was written.
        Each question is about some of the columns; the answers stand side by side.
        """
        columns = self.layout.columns
        starts = range(0, len(columns), MAX_MERGED_COLUMNS)
        return [self._merged(columns[it : it + MAX_MERGED_COLUMNS]) for it in starts]

    def _merged(self, columns: Sequence[PlannedColumn]) -> str:
        values = "".join(f", {self._last_known(it)}" for it in columns)
        return f"SELECT thing, ts{values} {self._from()} GROUP BY thing, ts"

    @property
    def _are_listed(self) -> bool:
        return len(self.thing_ids) <= MAX_LISTED_THINGS

    def _from(self) -> str:
        table = _at(self.layout.thing_definition_id, self.snapshot)
        listed = ", ".join("?" * len(self.thing_ids))
        things = listed if self._are_listed else "SELECT unnest(?::VARCHAR[])"
        # The bounds say nothing new, but by them the engine skips row groups: a list
        # is looked up in every row. Things asked for together are neighbours.
        conditions = [f"thing IN ({things})", "thing BETWEEN ? AND ?"]
        if self.period.start_ms is not None:
            conditions.append("ts >= ?")
        if self.period.end_ms is not None:
            conditions.append("ts < ?")
        return f"FROM {table} WHERE {' AND '.join(conditions)}"

    def _planned(self, column: PlannedColumn) -> str:
        """Give a column the name of the port, whatever it is called in the table."""
        return f"{self._value_of(column)} AS {quote(f'm_{column.metric_id}')}"

    def _last_known(self, column: PlannedColumn) -> str:
        value = self._value_of(column)
        return (
            f"arg_max({value}, written_seq) FILTER ({value} IS NOT NULL)"
            f" AS {quote(f'm_{column.metric_id}')}"
        )

    def _value_of(self, column: PlannedColumn) -> str:
        stored = self._find_stored(column)
        return quote(stored) if stored else f"NULL::{COLUMN_TYPES[column.value_type]}"

    def _text_bytes(self) -> str:
        """Ask for the bytes of all texts in the planned columns."""
        texts = [
            f"coalesce(sum(strlen({quote(stored)})), 0)"
            for column in self.layout.columns
            if column.value_type is ValueType.STRING
            and (stored := self._find_stored(column))
        ]
        return f"{added(texts)}::BIGINT"

    def _find_stored(self, column: PlannedColumn) -> str | None:
        name = column_name(column.metric_id)
        found, due = self.columns.get(name), COLUMN_TYPES[column.value_type]
        if found not in {None, due}:
            raise CorruptData(f"the lake keeps {found} in {name}, not {due}")
        return name if found else None


def _at(thing_definition_id: ThingDefinitionId, snapshot: int) -> str:
    """Name a table as it was at a snapshot, ready for SQL."""
    return f"{qualified(table_name(thing_definition_id))} AT (VERSION => {snapshot:d})"
