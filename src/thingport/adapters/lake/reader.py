"""Reading a lake as it was at a snapshot."""

import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, cast

import duckdb

from thingport.adapters.lake.arrow import ArrowError, side_by_side
from thingport.adapters.lake.catalogue import open_catalogue
from thingport.adapters.lake.engine import open_engine, room_mb
from thingport.adapters.lake.failures import explain, reading_failures
from thingport.adapters.lake.lake_names import LAKE
from thingport.adapters.lake.snapshot_query import (
    SnapshotQuery,
    TableColumns,
    find_columns,
)
from thingport.adapters.lake.span_cutting import cut_spans
from thingport.adapters.lake.thing_stretches import ThingStretches
from thingport.application.ports import RowBatch
from thingport.domain.export_plan import PlannedLayout, SurveyedSpan, ThingSurvey
from thingport.domain.ids import TenantId, ThingDefinitionId, ThingId
from thingport.domain.period import Period

BATCH_ROWS = 8_192
"""Rows in one batch: enough that its overhead vanishes, little enough to hold."""


class _ArrowSource(Protocol):
    """A cursor, as far as the engine's own types leave out."""

    def to_arrow_reader(self, batch_size: int) -> Iterator[RowBatch]: ...


class DuckLakeReader:
    """The readings of one tenant. Threads may share it; processes make their own.

    Makes nothing: a lake that is not there yet has no snapshot.

    Args:
        lakes_dir: Folder of all lakes.
        tenant_id: Whose lake it is.
        temp_dir: Folder for temporary files.
        memory_mb: Memory of the engine, in 10^6 bytes; sorting more than that
            goes through temporary files. Rows of very many columns get some more.
        threads: Threads of the engine.
        database_url: The PostgreSQL database that has the lake's catalogue, if
            one has.
    """

    def __init__(  # noqa: PLR0913  # limits with defaults
        self,
        lakes_dir: Path,
        tenant_id: TenantId,
        *,
        temp_dir: Path,
        memory_mb: int = 256,
        threads: int = 1,
        database_url: str | None = None,
    ) -> None:
        self._catalogue = open_catalogue(lakes_dir, tenant_id, database_url)
        self._temp_dir = temp_dir
        self._memory_mb = memory_mb
        self._threads = threads
        self._gate = threading.Lock()
        self._roomy_mb = memory_mb
        self._engine: duckdb.DuckDBPyConnection | None = None
        self._columns: dict[tuple[ThingDefinitionId, int], TableColumns | None] = {}

    def close(self) -> None:
        """Let go of the lake; what is being read from it ends."""
        with self._gate:
            if self._engine is not None:
                self._engine.close()
            self._engine = None

    @property
    def is_open(self) -> bool:
        """Whether it has found a lake, and not been closed since."""
        return self._engine is not None

    def current_snapshot(self) -> int | None:
        """Name the present state; ``None`` if nothing was ever written.

        Raises:
            StoreUnavailable: The lake does not answer.
            CorruptData: The lake is damaged.
        """
        if self._engine is None and not self._catalogue.exists():
            return None
        with self._cursor() as cursor:
            row = cursor.execute(
                f"SELECT id FROM {LAKE}.current_snapshot()"  # noqa: S608  # a constant
            ).fetchone()
        # A lake without any table is one whose first commit never ended.
        return int(row[0]) if row and int(row[0]) > 0 else None

    def survey(
        self,
        snapshot: int | None,
        layout: PlannedLayout,
        thing_ids: Sequence[ThingId],
        period: Period,
    ) -> Mapping[ThingId, ThingSurvey]:
        """Count what things have; a thing without any rows is absent.

        Raises:
            StoreUnavailable: The lake does not answer.
            CorruptData: The lake is damaged.
        """
        query = self._find_query(snapshot, layout, thing_ids, period)
        if query is None:
            return {}
        with self._cursor() as cursor:
            rows = cursor.execute(query.survey(), query.parameters).fetchall()
        return {ThingId(row[0]): ThingSurvey(row[1], row[2]) for row in rows}

    def cut_thing(
        self,
        snapshot: int | None,
        layout: PlannedLayout,
        thing_id: ThingId,
        period: Period,
        max_cost_bytes: int,
    ) -> Sequence[SurveyedSpan]:
        """Cut a thing into successive spans that tile the period.

        A thing without any rows gives one empty span.

        Raises:
            StoreUnavailable: The lake does not answer.
            CorruptData: The lake is damaged.
        """
        query = self._find_query(snapshot, layout, [thing_id], period)
        if query is None:
            return [SurveyedSpan(period, 0)]
        with self._cursor() as cursor:
            extent = cursor.execute(query.extent(), query.parameters).fetchone()
            first_ms, last_ms = extent or (None, None)
            if first_ms is None or last_ms is None:
                return [SurveyedSpan(period, 0)]
            survey = ThingStretches(cursor, query, max_cost_bytes)
            return cut_spans(
                period, survey.iter_within(first_ms, last_ms + 1), max_cost_bytes
            )

    def iter_rows(
        self,
        snapshot: int | None,
        layout: PlannedLayout,
        thing_ids: Sequence[ThingId],
        period: Period,
    ) -> Iterator[RowBatch]:
        """Yield stored rows by thing, timestamp and order of writing.

        What was written to one instant of one thing is merged already: it is what
        no cut makes smaller, however often it was overwritten.

        Raises:
            StoreUnavailable: The lake does not answer.
            CorruptData: A file of the lake is damaged or gone; what was yielded
                is right, but not all.
        """
        query = self._find_query(snapshot, layout, thing_ids, period)
        if query is None:
            return
        with self._cursor() as cursor:
            self._make_room(cursor, len(layout.columns))
            if len(thing_ids) == 1 and _is_instant(cursor, query):
                answers = [
                    list(_ask(cursor, asked, query)) for asked in query.merged_rows()
                ]
                for parts in zip(*answers, strict=True):
                    yield side_by_side(parts)
            else:
                yield from _ask(cursor, query.rows(), query)

    def _find_query(
        self,
        snapshot: int | None,
        layout: PlannedLayout,
        thing_ids: Sequence[ThingId],
        period: Period,
    ) -> SnapshotQuery | None:
        """Prepare a query; ``None`` if it cannot find anything."""
        if snapshot is None or not thing_ids:
            return None
        key = layout.thing_definition_id, snapshot
        if key not in self._columns:
            with self._cursor() as cursor:
                self._columns[key] = find_columns(cursor, *key)
        columns = self._columns[key]
        if columns is None:
            return None
        return SnapshotQuery(snapshot, layout, columns, tuple(thing_ids), period)

    @contextmanager
    def _cursor(self) -> Generator[duckdb.DuckDBPyConnection]:
        """Lend a connection of its own to whoever asks something."""
        with reading_failures():
            with self._gate:
                cursor = self._attached().cursor()
            try:
                yield cursor
            finally:
                cursor.close()

    def _make_room(self, cursor: duckdb.DuckDBPyConnection, columns: int) -> None:
        """Let the engine hold a few of the vectors that it moves many columns in."""
        needed_mb = self._memory_mb + room_mb(columns)
        with self._gate:
            if needed_mb > self._roomy_mb:
                cursor.execute(f"SET memory_limit = '{needed_mb}MB'")
                self._roomy_mb = needed_mb

    def _attached(self) -> duckdb.DuckDBPyConnection:
        if self._engine is None:
            engine = open_engine(
                memory_mb=self._memory_mb,
                threads=self._threads,
                temp_dir=self._temp_dir,
            )
            try:
                self._catalogue.attach(engine, read_only=True)
            except duckdb.Error:
                engine.close()
                raise
            self._engine = engine
            self._roomy_mb = self._memory_mb
        return self._engine


def _is_instant(cursor: duckdb.DuckDBPyConnection, query: SnapshotQuery) -> bool:
    """Whether all rows have one timestamp."""
    extent = cursor.execute(query.extent(), query.parameters).fetchone()
    return extent is not None and extent[0] is not None and extent[0] == extent[1]


def _ask(
    cursor: duckdb.DuckDBPyConnection, asked: str, query: SnapshotQuery
) -> Iterator[RowBatch]:
    cursor.execute(asked, query.parameters)
    return _translated(cast("_ArrowSource", cursor).to_arrow_reader(BATCH_ROWS))


def _translated(batches: Iterator[RowBatch]) -> Iterator[RowBatch]:
    """Yield batches; what goes wrong between two of them is told in our words."""
    while True:
        try:
            batch = next(batches, None)
        except (ArrowError, OSError) as error:
            raise explain(error) or error from error
        if batch is None:
            return
        yield batch
