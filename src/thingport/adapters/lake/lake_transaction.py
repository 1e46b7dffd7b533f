"""What can be done to a lake within one transaction."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import starmap
from pathlib import Path
from typing import Any

import duckdb

from thingport.adapters.lake.arrow import ArrowTable
from thingport.adapters.lake.durability import make_directory, new_files_made_durable
from thingport.adapters.lake.engine import room_mb
from thingport.adapters.lake.lake_names import (
    COLUMN_TYPES,
    KEY_COLUMNS,
    LAKE,
    column_name,
    qualified,
    quote,
    quote_text,
    table_name,
)
from thingport.adapters.lake.removal import Removal
from thingport.adapters.lake.staged_batches import RowReader
from thingport.domain.errors import CorruptData
from thingport.domain.ids import MetricId, ThingDefinitionId
from thingport.domain.metric import ValueType
from thingport.domain.reading import ValueDeletion

TableColumns = Mapping[str, str]
"""The columns of a table: name and type, as the engine names it."""

MAX_NEW_COLUMNS = 64
"""Most columns that one transaction adds to a table that is there already.

The engine takes them one by one, and keeps a copy of all columns for each until the
transaction ends: two thousand more beside as many took 5 GB and 15 seconds, and in
steps of 64 they take 0.4 GB and 6 seconds."""


class TooManyNewColumns(Exception):
    """A table lacks more columns than one transaction may add.

    Attributes:
        columns: All that it lacks.
    """

    def __init__(self, table: str, columns: TableColumns) -> None:
        super().__init__(f"{table} lacks {len(columns)} columns")
        self.table = table
        self.columns = columns


class LakeTransaction:
    """One transaction of the writer lane; made by it, and used inside it only.

    Attributes:
        tables: The columns of every table that is known, those that this
            transaction makes included.
    """

    def __init__(
        self,
        engine: duckdb.DuckDBPyConnection,
        data_dir: Path,
        tables: dict[str, TableColumns],
        allocate_written_seqs: Callable[[int], int],
        memory_mb: int,
    ) -> None:
        self._engine = engine
        self._data_dir = data_dir
        self.tables = tables
        self._memory_mb = memory_mb
        self.allocate_written_seqs = allocate_written_seqs

    def insert(
        self,
        thing_definition_id: ThingDefinitionId,
        value_types: Mapping[MetricId, ValueType],
        rows: str,
        views: Mapping[str, ArrowTable | RowReader],
    ) -> None:
        """Insert rows, sorted as they are read; makes table and columns if missing.

        The new files are durable when it returns; they count from the commit on.

        Args:
            thing_definition_id: Whose table it is.
            value_types: The metrics that the rows have, in the order of columns.
            rows: The query that gives them: thing, ts, written_seq, and a column
                for each metric, named as in the table. Zeros lose their sign.
            views: The tables that the query names.

        Raises:
            CorruptData: The lake keeps values of another type for a metric.
            TooManyNewColumns: The writer lane adds them first, then tries again.
        """
        table = table_name(thing_definition_id)
        wanted = {
            column_name(metric_id): COLUMN_TYPES[value_type]
            for metric_id, value_type in value_types.items()
        }
        self._ensure(table, wanted)
        self._make_room(self.tables[table])
        columns = ", ".join(map(quote, (*KEY_COLUMNS, *wanted)))
        values = ", ".join(starmap(_stored, {**KEY_COLUMNS, **wanted}.items()))
        with self._registered(views), self._new_files_made_durable(table):
            self._engine.execute(
                f"INSERT INTO {qualified(table)} ({columns})"  # noqa: S608  # quoted names
                f" SELECT {values} FROM ({rows}) ORDER BY thing, ts, written_seq"
            )

    def add_columns(self, table: str, columns: TableColumns) -> None:
        """Add columns to a table; no row has a value in them yet."""
        for name, type_ in columns.items():
            self._engine.execute(
                f"ALTER TABLE {qualified(table)} ADD COLUMN {quote(name)} {type_}"
            )

    def delete(self, deletion: ValueDeletion) -> None:
        """Remove values that are stored by now; does nothing where there are none.

        Rows that have other values are written anew without the one that goes,
        under their old numbers, and the old rows are marked in delete files, which
        only later snapshots see. The new files are durable when it returns.
        """
        table = table_name(deletion.thing_definition_id)
        column = column_name(deletion.metric_id)
        # Asked for anew: a column that another process has added must not get lost.
        columns = self._find_columns(table)
        if column not in columns:
            return
        self._make_room(columns)
        removal = Removal(table, column, tuple(columns), deletion)
        with self._new_files_made_durable(table):
            for statement in removal.statements:
                self._engine.execute(statement, removal.parameters)

    def mark(self, word: str) -> None:
        """Let the snapshot that this transaction makes bear a word."""
        self._engine.execute(
            f"CALL {LAKE}.set_commit_message('thingport', '', extra_info => ?)", [word]
        )

    def has_mark(self, word: str) -> bool:
        """Whether a snapshot that is kept bears a word."""
        query = (
            f"SELECT count(*) FROM {LAKE}.snapshots() WHERE commit_extra_info = "  # noqa: S608  # our own names
            f"{quote_text(word)}"
        )
        return self.count(query) > 0

    def list_tables(self) -> Sequence[str]:
        """Give the names of all tables, as the engine has them."""
        rows = self.query(
            f"SELECT table_name FROM ducklake_table_info('{LAKE}') ORDER BY 1"  # noqa: S608  # a constant
        )
        return [str(name) for (name,) in rows]

    def remove_rows(
        self, table: str, condition: str, parameters: Sequence[object]
    ) -> int:
        """Remove the rows of a table that a condition is true for; give how many.

        They are marked in delete files, which only later snapshots see; files that
        nothing is left of are dropped. The new files are durable when it returns.

        Args:
            table: As the engine names it.
            condition: As SQL, with a question mark for each parameter.
            parameters: What stands for the question marks.
        """
        with self._new_files_made_durable(table):
            removed = self._engine.execute(
                f"DELETE FROM {qualified(table)} WHERE {condition}",  # noqa: S608  # quoted
                parameters,
            ).fetchone()
        return int(removed[0]) if removed else 0

    def count(self, query: str) -> int:
        """Give the one number that a query asks for, or that a statement counts."""
        return int(self.query(query)[0][0])

    def query(self, query: str) -> Sequence[tuple[Any, ...]]:
        """Give the rows that a query asks for."""
        return self._engine.execute(query).fetchall()

    def _new_files_made_durable(self, table: str) -> AbstractContextManager[None]:
        directory = self._data_dir / "main" / table
        make_directory(directory)
        return new_files_made_durable(directory)

    @contextmanager
    def _registered(
        self, views: Mapping[str, ArrowTable | RowReader]
    ) -> Generator[None]:
        for name, view in views.items():
            self._engine.register(name, view)
        try:
            yield
        finally:
            for name in views:
                self._engine.unregister(name)

    def _make_room(self, columns: TableColumns) -> None:
        """Whichever columns are written, the engine writes all that a table has."""
        memory_mb = self._memory_mb + room_mb(len(columns))
        self._engine.execute(f"SET memory_limit = '{memory_mb}MB'")

    def _ensure(self, table: str, wanted: TableColumns) -> None:
        known = self.tables.get(table, {})
        if not wanted.keys() <= known.keys():
            known = self._extend(table, wanted)
            self.tables[table] = known
        for name, type_ in wanted.items():
            if known[name] != type_:
                raise CorruptData(
                    f"the lake keeps {known[name]} in {table}.{name}, not {type_}"
                )

    def _extend(self, table: str, wanted: TableColumns) -> TableColumns:
        """Add what a table lacks, whoever made it; give the columns it has then."""
        columns = ", ".join(
            f"{quote(name)} {type_}"
            for name, type_ in {**KEY_COLUMNS, **wanted}.items()
        )
        self._engine.execute(
            f"CREATE TABLE IF NOT EXISTS {qualified(table)} ({columns})"
        )
        known = self._describe(table)
        missing = {it: wanted[it] for it in wanted if it not in known}
        if len(missing) > MAX_NEW_COLUMNS:
            raise TooManyNewColumns(table, missing)
        self.add_columns(table, missing)
        return {**known, **missing}

    def _find_columns(self, table: str) -> TableColumns:
        """Give the columns of a table; none if there is no such table."""
        try:
            return self._describe(table)
        except duckdb.CatalogException:
            return {}

    def _describe(self, table: str) -> TableColumns:
        rows = self._engine.execute(f"DESCRIBE {qualified(table)}").fetchall()
        return {str(row[0]): str(row[1]) for row in rows}


def _stored(column: str, type_: str) -> str:
    """Give what is stored of a column, ready for SQL.

    The engine's dictionaries take 0.0 and -0.0 for one value and keep the first of
    them, so that the sign of a zero would depend on its neighbours.
    """
    name = quote(column)
    return f"{name} + 0" if type_ in {"FLOAT", "DOUBLE"} else name
