"""Putting one sorted file in the place of several, in a moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from thingport.adapters.lake.durability import sync
from thingport.adapters.lake.lake_names import LAKE, qualified, quote_text
from thingport.adapters.lake.lake_transaction import LakeTransaction
from thingport.domain.compaction import LakeFile
from thingport.domain.errors import CorruptData

_ROW_GROUP_ROWS = 122_880
"""Rows that lie together in a file: what the engine itself takes."""

_ROW_GROUP_VALUES = 16 * 1024 * 1024
"""Most values that lie together, since they are held in memory: 128 MiB of numbers."""

_MIN_ROW_GROUP_ROWS = 2_048
"""Rows that the engine handles at once."""


def list_files(table: str, *, snapshot: int | None = None) -> str:
    """Ask for the files of a table, in the order of ``LakeFile``; now by default."""
    at = "" if snapshot is None else f", snapshot_version => {snapshot:d}"
    return (
        "SELECT data_file, data_file_size_bytes, delete_file"  # noqa: S608  # quoted
        f" FROM ducklake_list_files('{LAKE}', {quote_text(table)}{at})"
    )


@dataclass(slots=True)
class FileReplacement:
    """Some files of a table, and the one that is to take their place.

    Attributes:
        table: As the engine names it.
        snapshot: What the new file is made from; the replaced files are in it.
        replaced: They go on to count in the snapshots before.
        staged: The new file, outside of the lake's data until it counts.
        keep: Which rows the new file has, as SQL; all of them by default.
        rows: Rows in it.
        dropped_rows: Rows that it leaves out.
        is_done: Whether the last run of :meth:`store` found the old files as they
            were; else nothing was changed.
    """

    table: str
    snapshot: int
    replaced: Sequence[LakeFile]
    staged: Path
    keep: str = "true"
    rows: int = 0
    dropped_rows: int = 0
    is_done: bool = False

    def write(self, engine: duckdb.DuckDBPyConnection) -> None:
        """Write the new file; returns when its content is on the disk.

        Takes as long as sorting takes, and memory within the engine's limit. Writers
        and readers are not in its way, nor it in theirs.
        """
        columns = len(engine.execute(f"DESCRIBE {qualified(self.table)}").fetchall())
        row_group_rows = min(
            _ROW_GROUP_ROWS, max(_MIN_ROW_GROUP_ROWS, _ROW_GROUP_VALUES // columns)
        )
        replaced = (
            f"FROM {qualified(self.table)} AT (VERSION => {self.snapshot:d})"
            f" WHERE {self._are_replaced()}"
        )
        total = engine.execute(f"SELECT count(*) {replaced}").fetchone()
        written = engine.execute(
            f"COPY (SELECT * {replaced} AND {self.keep}"  # quoted names
            f" ORDER BY thing, ts, written_seq) TO {quote_text(str(self.staged))}"
            f" (FORMAT parquet, ROW_GROUP_SIZE {row_group_rows})"
        ).fetchone()
        self.rows = int(written[0]) if written else 0
        self.dropped_rows = (int(total[0]) if total else 0) - self.rows
        sync(self.staged)

    def store(self, transaction: LakeTransaction) -> None:
        """Exchange the files; may be run again from the start.

        To the engine it is a deletion of all rows of some files, which looks at no
        value, and a file that is taken in as it is. So snapshots before it keep
        their very files, and views of the past cannot change.

        Raises:
            CorruptData: The engine sees other rows than were written; nothing counts.
        """
        self.is_done = False
        present = {LakeFile(*it) for it in transaction.query(list_files(self.table))}
        if not present.issuperset(self.replaced):
            return  # Rows were deleted meanwhile, so the new file has too many.
        place = self._move_in() if self.rows else self.staged
        if place is None:
            return
        deleted = transaction.count(
            f"DELETE FROM {qualified(self.table)} WHERE {self._are_replaced()}"  # noqa: S608  # quoted
        )
        if deleted != self.rows + self.dropped_rows:
            raise CorruptData(
                f"{self.table}: {self.rows} rows were merged, {deleted} are there"
                + (f", to drop {self.dropped_rows}" if self.dropped_rows else "")
            )
        if self.rows:
            # Columns that were added since the file was written have no value in it.
            transaction.query(
                f"CALL ducklake_add_data_files('{LAKE}', {quote_text(self.table)},"
                f" {quote_text(str(place))}, allow_missing => true)"
            )
        self.is_done = True

    def _move_in(self) -> Path | None:
        """Move the new file beside the old ones, durably; it counts from the commit on.

        Until then it is a leftover, should the process die. ``None`` if it is gone:
        somebody merges who took us for dead, and has swept up after us.
        """
        place = Path(self.replaced[0].path).parent / self.staged.name
        try:
            self.staged.rename(place)
        except FileNotFoundError:
            if not place.exists():
                return None
        sync(place.parent)
        sync(self.staged.parent)
        return place

    def _are_replaced(self) -> str:
        # Written out: so the engine opens these files, and no others.
        paths = ", ".join(quote_text(it.path) for it in self.replaced)
        return f"filename IN ({paths})"
