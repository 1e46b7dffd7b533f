"""Taking things out of a lake, so that nothing of them is left."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from thingport.adapters.lake.catalogue import open_catalogue
from thingport.adapters.lake.catalogue_scrubbing import work_bounds_out_anew
from thingport.adapters.lake.durability import sync
from thingport.adapters.lake.failures import writing_failures
from thingport.adapters.lake.keeper import DuckLakeKeeper
from thingport.adapters.lake.lake_inspection import inspect_files, iter_all_files
from thingport.adapters.lake.lake_names import LAKE, lake_directory
from thingport.adapters.lake.lake_transaction import LakeTransaction
from thingport.adapters.lake.temporary_folders import remove_abandoned
from thingport.adapters.lake.writer_lane import WriterLane
from thingport.application.erasure_ports import ErasedRows, LakeFinding
from thingport.domain.ids import TenantId, ThingId

_ALWAYS = datetime.max.replace(tzinfo=UTC)
"""Everything was written before it, whatever clocks say."""


class DuckLakeEraser:
    """Takes things out of one tenant's lake; one thread uses it.

    Args:
        lakes_dir: Folder of all lakes.
        tenant_id: Whose lake it is.
        lane: A writer lane of it, of the eraser's own; closed with it.
        keeper: Its keeper, of the eraser's own; closed with it.
        temp_dir: Folder for temporary files of all engines.
        database_url: The PostgreSQL database that has the lake's catalogue, if
            one has.
    """

    def __init__(  # noqa: PLR0913  # parts and places
        self,
        lakes_dir: Path,
        tenant_id: TenantId,
        lane: WriterLane,
        keeper: DuckLakeKeeper,
        *,
        temp_dir: Path,
        database_url: str | None = None,
    ) -> None:
        self._catalogue = open_catalogue(lakes_dir, tenant_id, database_url)
        self._temp_dir = temp_dir
        self._directory = lake_directory(lakes_dir, tenant_id)
        self._lane = lane
        self._keeper = keeper

    def close(self) -> None:
        """Let go of the lake."""
        self._keeper.close()
        self._lane.close()
        self._catalogue.close()

    def delete_things(self, thing_ids: Sequence[ThingId]) -> ErasedRows:
        """Remove all rows of things from the present state, at one instant.

        Raises:
            StoreUnavailable: The lake does not answer; nothing was removed.
            CorruptData: The lake is damaged; nothing was removed.
        """
        erased = ErasedRows(0, None, 0)
        if not thing_ids or not self._is_there():
            return erased

        def delete(transaction: LakeTransaction) -> None:
            nonlocal erased
            # In the lane, so it is larger than all numbers of what was committed.
            end_seq = transaction.allocate_written_seqs(1)
            before = transaction.count(f"SELECT id FROM {LAKE}.current_snapshot()")  # noqa: S608  # a constant
            rows = sum(
                # The bounds say nothing new, but by them the engine skips files.
                transaction.remove_rows(
                    table,
                    "thing IN (SELECT unnest(?::VARCHAR[])) AND thing BETWEEN ? AND ?",
                    [[*thing_ids], min(thing_ids), max(thing_ids)],
                )
                for table in transaction.list_tables()
            )
            erased = ErasedRows(rows, before + bool(rows), end_seq)

        self._lane.commit(delete)
        return erased

    def rewrite(self) -> int:
        """Rewrite some files without their deleted rows; give how many."""
        return self._keeper.rewrite_deleted()

    def find_rewritten(self) -> int | None:
        """Name the present state if no file of it has a deleted row; else ``None``."""
        return self._keeper.find_snapshot_without_deleted()

    def expire_before(self, snapshot: int) -> int:
        """Give up views from before one, and what only they need; give how many.

        Raises:
            StoreUnavailable: The lake does not answer; what was given up is.
            CorruptData: The lake is damaged.
        """
        return self._keeper.expire(before=_ALWAYS, oldest_pin=snapshot)

    def delete_leftovers(self) -> int:
        """Delete all files that no view knows of; give how many.

        That they are gone is durable when it returns, and so it is of files that
        were deleted before.

        Raises:
            StoreUnavailable: The lake does not answer, or is being merged for long.
            CorruptData: The lake is damaged.
        """
        deleted = remove_abandoned(self._temp_dir)
        deleted += self._keeper.delete_staged()
        deleted += self._keeper.delete_leftovers(before=_ALWAYS)
        with writing_failures():
            for folder in self._iter_folders():
                with suppress(FileNotFoundError):
                    sync(folder)
        return deleted

    def scrub_catalogue(self) -> None:
        """Take out of the catalogue what it has noted of rows that are gone.

        Raises:
            StoreUnavailable: The lake does not answer, or somebody reads from it for
                too long; it may be done again.
        """
        if not self._is_there():
            return
        self._lane.commit(
            partial(work_bounds_out_anew, metadata=self._catalogue.metadata)
        )
        with self._lane.held():
            self._catalogue.forget_deleted_bytes()

    def inspect(self, thing_ids: Sequence[ThingId], end_seq: int) -> LakeFinding:
        """Look through every file in the folder of the lake, and its catalogue.

        Raises:
            StoreUnavailable: The folder or the catalogue cannot be read, or somebody
                writes for too long.
        """
        with writing_failures(), self._lane.open_engine() as engine:
            found = inspect_files(
                engine,
                iter_all_files(self._directory),
                thing_ids,
                end_seq,
                self._catalogue.iter_content(),
            )
            if not found.unreadable:
                return found
            # Some may have been in the middle of being written: looked at once more
            # while nobody merges, and then while nobody writes.
            self._keeper.delete_staged()
            paths = [Path(it) for it in found.unreadable]
            with self._lane.held():
                again = inspect_files(engine, paths, thing_ids, end_seq)
        return LakeFinding(
            files=found.files + again.files,
            rows=found.rows + again.rows,
            rows_since=found.rows_since + again.rows_since,
            unreadable=again.unreadable,
            mentions=found.mentions,
        )

    def _is_there(self) -> bool:
        return self._catalogue.exists()

    def _iter_folders(self) -> Sequence[Path]:
        data = self._catalogue.data_directory
        if not data.is_dir():
            return ()
        return [data, *(it for it in data.rglob("*") if it.is_dir())]
