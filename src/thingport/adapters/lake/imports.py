"""Whole files of readings of one thing, each stored in one commit, and once."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from thingport.adapters.lake.arrow import INTEGER, VALUE_TYPES
from thingport.adapters.lake.failures import STORE
from thingport.adapters.lake.lake_names import column_name, quote, quote_text
from thingport.adapters.lake.lake_transaction import LakeTransaction
from thingport.adapters.lake.parquet_ingest import MAX_TEXT_BYTES_OF_INSERT
from thingport.adapters.lake.staged_batches import StagedBatches
from thingport.adapters.lake.temporary_folders import new_folder, removed_at_the_end
from thingport.adapters.lake.writer_lane import WriterLane
from thingport.domain.errors import StoreUnavailable
from thingport.domain.ids import DataImportId, ThingDefinitionId, ThingId
from thingport.domain.import_rows import ImportedRows
from thingport.domain.metric import Metric

_TIMESTAMP = "ts"
_ROW_NUMBER = "row_number"


class DuckLakeImports:
    """The way in for imports to one tenant's lake.

    Args:
        lane: The writer lane; its owner closes it.
        temp_dir: Folder for what waits to be stored.
    """

    def __init__(self, lane: WriterLane, temp_dir: Path) -> None:
        self._lane = lane
        self._temp_dir = temp_dir

    @contextmanager
    def stage(
        self,
        thing_id: ThingId,
        thing_definition_id: ThingDefinitionId,
        metrics: Sequence[Metric],
    ) -> Generator["DuckLakeStagedReadings"]:
        """Gather readings for as long as the block lasts."""
        types = {
            _TIMESTAMP: INTEGER,
            _ROW_NUMBER: INTEGER,
            **{column_name(it.id): VALUE_TYPES[it.value_type] for it in metrics},
        }
        try:
            folder = new_folder(self._temp_dir)
            folder.mkdir(parents=True)
            with (
                removed_at_the_end(folder),
                StagedBatches(folder / "rows.arrow", types) as batches,
            ):
                yield DuckLakeStagedReadings(
                    batches, self._lane, thing_id, thing_definition_id, metrics
                )
        except OSError as error:
            raise StoreUnavailable(STORE, str(error)) from error

    def is_stored(self, data_import_id: DataImportId) -> bool:
        """Whether an import was stored, as far back as snapshots are kept."""
        found: list[bool] = []
        # In the lane: who is storing it at this moment is waited for.
        self._lane.commit(lambda tx: found.append(tx.has_mark(data_import_id)))
        return found[-1]


class DuckLakeStagedReadings:
    """Readings of one thing that wait to be stored."""

    def __init__(
        self,
        batches: StagedBatches,
        lane: WriterLane,
        thing_id: ThingId,
        thing_definition_id: ThingDefinitionId,
        metrics: Sequence[Metric],
    ) -> None:
        self._batches = batches
        self._lane = lane
        self._thing_id = thing_id
        self._thing_definition_id = thing_definition_id
        self._metrics = metrics
        self._rows = 0
        self._cuts: list[int] = []
        self._text_bytes = 0
        self.has_values = False

    def add(self, rows: ImportedRows) -> None:
        """Add rows; a later one of the same timestamp wins, metric by metric."""
        count = len(rows.timestamps_ms)
        if not count:
            return
        if self._text_bytes + rows.text_bytes > MAX_TEXT_BYTES_OF_INSERT:
            self._cut()
        self._text_bytes += rows.text_bytes
        self._batches.add(
            {
                _TIMESTAMP: rows.timestamps_ms,
                _ROW_NUMBER: range(self._rows, self._rows + count),
                **{
                    column_name(metric.id): column
                    for metric, column in zip(self._metrics, rows.columns, strict=True)
                },
            }
        )
        self._rows += count
        self.has_values = self.has_values or any(
            value is not None for column in rows.columns for value in column
        )

    def store(self, data_import_id: DataImportId, go_on: Callable[[], None]) -> None:
        """Store all of them in one commit, durably, unless they are stored already."""
        self._cut()

        def store(transaction: LakeTransaction) -> None:
            if transaction.has_mark(data_import_id):
                return
            first = transaction.allocate_written_seqs(self._rows)
            for reader in self._batches.iter_readers(self._cuts):
                transaction.insert(
                    self._thing_definition_id,
                    {it.id: it.value_type for it in self._metrics},
                    self._query(first),
                    {"incoming": reader},
                )
                go_on()
            transaction.mark(data_import_id)
            go_on()

        self._lane.commit(store)

    def _cut(self) -> None:
        """Let what is added from here on be sorted and written by itself."""
        if self._batches.batches > (self._cuts[-1] if self._cuts else 0):
            self._cuts.append(self._batches.batches)
        self._text_bytes = 0

    def _query(self, first: int) -> str:
        names = [quote(column_name(it.id)) for it in self._metrics]
        values = "".join(f", {it}" for it in names)
        has_values = " OR ".join(f"{it} IS NOT NULL" for it in names)
        # Numbered by their place in the file, so that the later row wins.
        return (
            f"SELECT {quote_text(self._thing_id)} AS thing, {_TIMESTAMP},"  # noqa: S608  # quoted names
            f" {_ROW_NUMBER} + {first:d} AS written_seq{values}"
            f" FROM incoming WHERE {has_values}"
        )
