"""Bulk readings of many things, from one Parquet file, all or none."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import duckdb

from thingport.adapters.lake.failures import explain
from thingport.adapters.lake.lake_transaction import LakeTransaction
from thingport.adapters.lake.parquet_source import open_source
from thingport.adapters.lake.reading_source import (
    ReadingSource,
    Things,
    things_table,
)
from thingport.adapters.lake.source_checks import IngestReport, SourceChecks
from thingport.adapters.lake.writer_lane import WriterLane
from thingport.domain.errors import CorruptData, InvalidRequest
from thingport.domain.ids import ThingDefinitionId
from thingport.domain.metric import Metric

MAX_TEXT_BYTES_OF_INSERT = 16_000_000
"""Most bytes of text that are sorted and written together: they become one row group,
which whoever reads it must hold."""

_BLOCK_ROWS = 64
"""Rows that are not cut apart; of the longest texts they have four megabytes."""

Progress = Callable[[int, int], None]
"""Told how many definitions are stored, of how many."""


def ingest_parquet(
    path: Path,
    things: Things,
    metrics: Mapping[ThingDefinitionId, Mapping[str, Metric]],
    lane: WriterLane,
    progress: Progress = lambda _done, _total: None,
) -> IngestReport:
    """Store a file's readings in one commit; returns when they are durable.

    Columns: ``thing`` (serial number), ``timestamp`` (UTC milliseconds, or a
    timestamp, taken as UTC), one for each metric, by name. Of two values for one
    thing, metric and timestamp the one further down the file wins. Everything is
    checked before the first row is stored. Memory is bounded by the lane's
    engine, whatever the size of the file.

    Args:
        path: The file. It must not change meanwhile.
        things: Id and definition of each thing, by serial number.
        metrics: The metrics of each definition, inherited ones too, by name.
        lane: The way into the tenant's lake; held while the rows are stored.
        progress: Told before the first definition, and after each.

    Raises:
        InvalidRequest: The file cannot be stored as it is; with every fault.
            Nothing was stored.
        StoreUnavailable: The lake is away; nothing was stored.
    """
    definitions = sorted({definition for _, definition in things.values()})
    plain = {
        definition: {
            name: metric
            for name, metric in metrics.get(definition, {}).items()
            if metric.is_exportable
        }
        for definition in {*definitions, *metrics}
    }
    source, report = _check(path, things, definitions, plain, lane)
    if report.rows:
        _Storing(source, things, definitions, plain, progress).store_in(lane)
    return report


def _check(
    path: Path,
    things: Things,
    definitions: Sequence[ThingDefinitionId],
    metrics: Mapping[ThingDefinitionId, Mapping[str, Metric]],
    lane: WriterLane,
) -> tuple[ReadingSource, IngestReport]:
    with lane.open_engine() as engine:
        source = open_source(engine, path)
        engine.register("things", things_table(things, definitions))
        try:
            report = SourceChecks(engine, source, definitions, metrics).check()
        except duckdb.Error as error:
            explained = explain(error)
            if isinstance(explained, CorruptData):
                raise InvalidRequest(f"{path}: it cannot be read: {error}") from error
            raise explained or error from error
    return source, report


class _Storing:
    """How the rows of a checked file get into the lake."""

    def __init__(
        self,
        source: ReadingSource,
        things: Things,
        definitions: Sequence[ThingDefinitionId],
        metrics: Mapping[ThingDefinitionId, Mapping[str, Metric]],
        progress: Progress,
    ) -> None:
        self._source = source
        self._things = things
        self._definitions = definitions
        self._metrics = metrics
        self._progress = progress

    def store_in(self, lane: WriterLane) -> None:
        lane.commit(self._store)

    def _store(self, transaction: LakeTransaction) -> None:
        names = {it.name for it in self._source.columns}
        views = {"things": things_table(self._things, self._definitions)}
        total = transaction.count(f"SELECT count(*) FROM {self._source.relation}")  # noqa: S608  # quoted names
        first = transaction.allocate_written_seqs(total)
        slices = self._cut(transaction, total)
        self._progress(0, len(self._definitions))
        for place, definition in enumerate(self._definitions):
            metrics = [
                it for it in self._metrics[definition].values() if it.name in names
            ]
            # Numbered by place in the file, so that the later row wins.
            rows = self._source.rows_of(place, metrics, f"row_number + {first:d}")
            for start, end in slices if metrics else ():
                transaction.insert(
                    definition,
                    {it.id: it.value_type for it in metrics},
                    f"{rows} AND row_number BETWEEN {start:d} AND {end - 1:d}",
                    views,
                )
            self._progress(place + 1, len(self._definitions))

    def _cut(
        self, transaction: LakeTransaction, total: int
    ) -> Sequence[tuple[int, int]]:
        """Cut the file between rows, so that no insert has many bytes of text.

        The engine sorts and writes numbers in bounded memory, and long texts not.
        """
        text_bytes = self._source.text_bytes
        if text_bytes is None:
            return [(0, total)]
        cuts, bytes_since = [0], 0
        for block, more in transaction.query(
            f"SELECT row_number // {_BLOCK_ROWS} AS block, sum({text_bytes})::BIGINT"  # noqa: S608  # quoted names
            f" FROM {self._source.relation} GROUP BY block ORDER BY block"
        ):
            if bytes_since and bytes_since + more > MAX_TEXT_BYTES_OF_INSERT:
                cuts.append(block * _BLOCK_ROWS)
                bytes_since = 0
            bytes_since += more
        return list(pairwise([*cuts, total]))
