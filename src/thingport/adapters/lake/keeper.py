"""Keeping a lake quick to read, and its past no longer than needed."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb

from thingport.adapters.lake.catalogue import open_catalogue
from thingport.adapters.lake.durability import make_directory
from thingport.adapters.lake.engine import open_engine, room_mb
from thingport.adapters.lake.failures import reading_failures, writing_failures
from thingport.adapters.lake.file_replacement import FileReplacement, list_files
from thingport.adapters.lake.lake_names import (
    LAKE,
    STAGING_FOLDER,
    Turn,
    lake_directory,
    qualified,
)
from thingport.adapters.lake.lake_transaction import LakeTransaction
from thingport.adapters.lake.stored_files import (
    iter_stored_files,
    known_files,
    list_leftovers,
)
from thingport.adapters.lake.writer_lane import WriterLane
from thingport.application.upkeep_ports import LakeSize
from thingport.domain.compaction import (
    LakeFile,
    choose_files,
    choose_rewritten,
    choose_snapshots,
)
from thingport.domain.ids import TenantId
from thingport.domain.period import epoch_ms

DEFAULT_MAX_FILE_BYTES = 256 * 1024 * 1024
"""Largest file that merging makes: some ten million rows of ten metrics, for which
writers wait a second or two."""

_LOOKED_AT_ROWS = 100_000
"""Most rows that are looked at to find files with old ones: enough for many small
files to be rewritten together."""

_DELETE_FREED_FILES = (
    f"SELECT count(*) FROM ducklake_cleanup_old_files('{LAKE}', cleanup_all => true)"  # noqa: S608  # a constant
)


class DuckLakeKeeper:
    """Takes care of one tenant's lake; one thread uses it.

    Makes nothing: a lake that is not there yet needs no care.

    Args:
        lakes_dir: Folder of all lakes.
        tenant_id: Whose lake it is.
        lane: A writer lane of it, of the keeper's own; closed with it.
        temp_dir: Folder for temporary files.
        memory_mb: Memory for sorting, in 10^6 bytes; what needs more goes through
            temporary files. Rows of very many columns get some more.
        threads: Threads of the engine.
        max_file_bytes: Largest file that merging makes.
        patience: How long to wait for another process that merges.
        database_url: The PostgreSQL database that has the lake's catalogue, if
            one has.
    """

    def __init__(  # noqa: PLR0913  # limits with defaults
        self,
        lakes_dir: Path,
        tenant_id: TenantId,
        lane: WriterLane,
        *,
        temp_dir: Path,
        memory_mb: int = 512,
        threads: int = 1,
        max_file_bytes: int = DEFAULT_MAX_FILE_BYTES,
        patience: timedelta = timedelta(seconds=60),
        database_url: str | None = None,
    ) -> None:
        self._staging_directory = lake_directory(lakes_dir, tenant_id) / STAGING_FOLDER
        self._catalogue = open_catalogue(lakes_dir, tenant_id, database_url)
        self._metadata = self._catalogue.metadata
        self._lane = lane
        self._temp_dir = temp_dir
        self._memory_mb = memory_mb
        self._threads = threads
        self._max_file_bytes = max_file_bytes
        self._patience = patience
        self._engine: duckdb.DuckDBPyConnection | None = None

    def close(self) -> None:
        """Let go of the lake."""
        if self._engine is not None:
            self._engine.close()
        self._engine = None
        self._catalogue.close()
        self._lane.close()

    def measure(self) -> LakeSize:
        """Say what the lake takes.

        Raises:
            StoreUnavailable: The lake does not answer.
            CorruptData: The lake is damaged.
        """
        if not self._is_there():
            return LakeSize(0, 0, 0)
        with reading_failures():
            rows = self._ask(
                "SELECT sum(file_count)::BIGINT, sum(file_size_bytes)::BIGINT"  # noqa: S608  # a constant
                f" FROM ducklake_table_info('{LAKE}')"
            )
            kept = iter_stored_files(self._catalogue.data_directory)
            kept_bytes = sum(it.size_bytes for it in kept)
        return LakeSize(rows[0][0] or 0, rows[0][1] or 0, kept_bytes)

    def compact(self, *, is_thorough: bool = False) -> int:
        """Merge some files of a table into one that is sorted; give how many.

        The new file is written beside the lake, which takes seconds, and nobody
        waits for it; it takes the old ones' place in the writer lane, in a moment.

        Raises:
            StoreUnavailable: The lake does not answer, or another process merges
                for too long; nothing was merged.
            CorruptData: The lake is damaged; nothing was merged.
        """
        if not self._is_there():
            return 0
        return self._replace_some(
            lambda table, snapshot: choose_files(
                self._list_files(table, snapshot),
                self._max_file_bytes,
                is_thorough=is_thorough,
            )
        )

    def rewrite_deleted(self) -> int:
        """Rewrite some files of a table without their deleted rows; give how many.

        Raises:
            StoreUnavailable: The lake does not answer, or another process merges
                for too long; nothing was rewritten.
            CorruptData: The lake is damaged; nothing was rewritten.
        """
        if not self._is_there():
            return 0
        return self._replace_some(
            lambda table, snapshot: choose_rewritten(
                [it for it in self._list_files(table, snapshot) if it.delete_file],
                self._max_file_bytes,
            )
        )

    def find_snapshot_without_deleted(self) -> int | None:
        """Name the present state, if no file of it has deleted rows.

        Raises:
            StoreUnavailable: The lake does not answer.
            CorruptData: The lake is damaged.
        """
        if not self._is_there():
            return None
        with reading_failures():
            snapshot = self._current_snapshot()
            is_rewritten = not any(
                it.delete_file
                for table in self._list_tables()
                for it in self._list_files(table, snapshot)
            )
        return snapshot if is_rewritten else None

    def drop_before(self, timestamp_ms: int) -> int:
        """Rewrite some files without what is stamped before an instant.

        Give how many; 0 if there is nothing so old, or another writer was in the way.

        Raises:
            StoreUnavailable: The lake does not answer, or another process merges
                for too long; nothing was rewritten.
            CorruptData: The lake is damaged; nothing was rewritten.
        """
        if not self._is_there():
            return 0
        return self._replace_some(
            lambda table, snapshot: choose_rewritten(
                self._list_older(table, snapshot, timestamp_ms), self._max_file_bytes
            ),
            keep=f"ts >= {timestamp_ms:d}",
        )

    def expire(self, *, before: datetime, oldest_pin: int | None) -> int:
        """Give up some snapshots, and the files that only they need; give how many.

        Raises:
            StoreUnavailable: The lake does not answer; what was given up is.
            CorruptData: The lake is damaged.
        """
        if not self._is_there():
            return 0
        with reading_failures():
            chosen = self._choose_snapshots(before, oldest_pin)
            # There are such files without a snapshot to give up if a process died
            # between the two commits.
            freed = self._ask(
                "SELECT count(*)"  # noqa: S608  # a quoted name
                f" FROM {self._metadata}.ducklake_files_scheduled_for_deletion"
            )[0][0]
        if chosen:
            versions = ", ".join(str(it) for it in chosen)
            self._lane.commit(
                lambda transaction: transaction.query(
                    "SELECT count(*) FROM"  # noqa: S608  # numbers
                    f" ducklake_expire_snapshots('{LAKE}', versions => [{versions}])"
                )
            )
        if chosen or freed:
            # It does not mind files that are gone already, so it may be broken off
            # between deleting them and saying so.
            self._lane.commit(lambda it: it.query(_DELETE_FREED_FILES))
        return len(chosen)

    def delete_staged(self) -> int:
        """Delete merged files that a process which died left beside the lake.

        Raises:
            StoreUnavailable: Another process merges for too long.
        """
        if not self._is_there():
            return 0
        with reading_failures():
            staging = self._staging_directory
            left = len(list(staging.iterdir())) if staging.is_dir() else 0
            with self._staging():
                return left

    def delete_leftovers(self, *, before: datetime) -> int:
        """Delete files that no snapshot knows of, last written before an instant.

        Raises:
            StoreUnavailable: The lake does not answer.
            CorruptData: The lake is damaged.
        """
        if not self._is_there():
            return 0
        deleted = 0
        known = known_files(self._metadata)

        def delete(transaction: LakeTransaction) -> None:
            # In the lane, where no write is under way that knows of them alone.
            nonlocal deleted
            deleted = 0
            for path in list_leftovers(old, transaction.query(known)):
                path.unlink(missing_ok=True)
                deleted += 1

        with writing_failures():
            old = [
                it.path
                for it in iter_stored_files(self._catalogue.data_directory)
                if it.written_at < before
            ]
            if old and list_leftovers(old, self._ask(known)):
                self._lane.commit(delete)
        return deleted

    def _replace_some(
        self,
        choose: Callable[[str, int], Sequence[LakeFile]],
        keep: str = "true",
    ) -> int:
        """Put one file in the place of those chosen in the first table that has any."""
        with writing_failures(), self._staging() as staging:
            # Asked again in one's turn: a tenant may be removed meanwhile.
            if not self._catalogue.exists():
                return 0
            snapshot = self._current_snapshot()
            for table in self._list_tables():
                if chosen := choose(table, snapshot):
                    staged = staging / f"{uuid4().hex}.parquet"
                    return self._replace(
                        FileReplacement(table, snapshot, chosen, staged, keep)
                    )
        return 0

    def _current_snapshot(self) -> int:
        return int(self._ask(f"SELECT id FROM {LAKE}.current_snapshot()")[0][0])  # noqa: S608  # a constant

    def _list_tables(self) -> Sequence[str]:
        rows = self._ask(
            f"SELECT table_name FROM ducklake_table_info('{LAKE}') ORDER BY 1"  # noqa: S608  # a constant
        )
        return [str(name) for (name,) in rows]

    def _list_files(self, table: str, snapshot: int) -> Sequence[LakeFile]:
        found = self._ask(list_files(table, snapshot=snapshot))
        return [LakeFile(*it) for it in found]

    def _list_older(
        self, table: str, snapshot: int, timestamp_ms: int
    ) -> Sequence[LakeFile]:
        """Give some of the files with rows from before an instant, if there are any.

        The engine skips files and row groups by what is noted of them, and stops
        where it has seen enough.
        """
        rows = self._ask(
            f"SELECT DISTINCT filename FROM (SELECT filename FROM {qualified(table)}"  # noqa: S608  # a quoted name
            f" AT (VERSION => {snapshot:d}) WHERE ts < {timestamp_ms:d}"
            f" LIMIT {_LOOKED_AT_ROWS})"
        )
        paths = {str(path) for (path,) in rows}
        if not paths:
            return ()
        return [it for it in self._list_files(table, snapshot) if it.path in paths]

    def _replace(self, replacement: FileReplacement) -> int:
        self._make_room(replacement.table)
        replacement.write(self._attached())
        self._lane.commit(replacement.store)
        return len(replacement.replaced) if replacement.is_done else 0

    def _make_room(self, table: str) -> None:
        """Let the engine hold rows of many columns."""
        columns = len(self._ask(f"DESCRIBE {qualified(table)}"))
        memory_mb = self._memory_mb + room_mb(columns)
        self._attached().execute(f"SET memory_limit = '{memory_mb}MB'")

    def _choose_snapshots(
        self, before: datetime, oldest_pin: int | None
    ) -> Sequence[int]:
        """Choose what to give up: what ceased to be the present before an instant.

        A snapshot that is old may be the present one still, so what counts is the
        age of the one that came after it.
        """
        rows = self._ask(
            "SELECT snapshot_id, epoch_ms(snapshot_time)"  # noqa: S608  # a constant
            f" FROM ducklake_snapshots('{LAKE}') ORDER BY 1"
        )
        bygone = [it for it, at_ms in rows if at_ms <= epoch_ms(before)]
        if not bygone:
            return ()
        keep_from = bygone[-1] if oldest_pin is None else min(bygone[-1], oldest_pin)
        freed_files = self._ask(
            f"SELECT end_snapshot, count(*) FROM {self._metadata}.ducklake_data_file"  # noqa: S608  # a quoted name
            " WHERE end_snapshot IS NOT NULL GROUP BY 1"
        )
        return choose_snapshots([it for it, _ in rows], keep_from, dict(freed_files))

    @contextmanager
    def _staging(self) -> Generator[Path]:
        """Lend the folder for new files, empty, to one process at a time."""
        with self._catalogue.turn(Turn.MERGING, self._patience):
            staging = self._staging_directory
            make_directory(staging)
            _empty(staging)
            yield staging
            _empty(staging)

    def _is_there(self) -> bool:
        return self._engine is not None or self._catalogue.exists()

    def _ask(self, query: str) -> Sequence[tuple[Any, ...]]:
        return self._attached().execute(query).fetchall()

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
        return self._engine


def _empty(directory: Path) -> None:
    for leftover in directory.iterdir():
        leftover.unlink(missing_ok=True)
