"""What erasing readings needs from the world outside, beside the other ports."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from thingport.domain.ids import DataExportId, TenantId, ThingId


@dataclass(frozen=True, slots=True)
class ErasedRows:
    """What was taken out of a lake, and where others stand to it.

    Attributes:
        rows: How many there were.
        snapshot: The first view without them; ``None`` if nothing was ever written.
        end_seq: What is numbered lower was written before; nothing of it is left.
            What is numbered higher was written since.
    """

    rows: int
    snapshot: int | None
    end_seq: int


@dataclass(frozen=True, slots=True)
class LakeFinding:
    """What is physically there of some things, whatever the lake knows of it.

    Attributes:
        files: Files that were looked through, each of them whole.
        rows: Rows that should be gone.
        rows_since: Rows that were written after the erasure, which stay.
        unreadable: Paths of files that could not be looked through.
        mentions: Things that the catalogue names, though no row of theirs is left.
    """

    files: int
    rows: int
    rows_since: int
    unreadable: Sequence[str]
    mentions: int


class LakeEraser(Protocol):
    """Takes things out of one tenant's lake, so that nothing of them is left.

    To be done in this order; each step may be broken off anywhere and done again.
    Others read and write meanwhile. A lake that is not there has nothing in it.

    Every method raises ``StoreUnavailable`` when the lake is away, and
    ``CorruptData`` when it is damaged.
    """

    def delete_things(self, thing_ids: Sequence[ThingId]) -> ErasedRows:
        """Remove all rows of things from the present state, at one instant.

        What is written before it is removed, and what comes after it stays.
        """
        ...

    def rewrite(self) -> int:
        """Rewrite some files without their deleted rows; give how many.

        0 if there are none, or if another writer was in the way.
        """
        ...

    def find_rewritten(self) -> int | None:
        """Name the present state if no file of it has a deleted row; else ``None``."""
        ...

    def expire_before(self, snapshot: int) -> int:
        """Give up views from before one, and what only they need; give how many."""
        ...

    def delete_leftovers(self) -> int:
        """Delete all files that no view knows of; give how many.

        What engines put aside that were killed goes with them.
        """
        ...

    def scrub_catalogue(self) -> None:
        """Take out of the catalogue what it has noted of rows that are gone.

        Bounds of columns are worked out anew, and no byte of what was deleted stays
        in its files.
        """
        ...

    def inspect(self, thing_ids: Sequence[ThingId], end_seq: int) -> LakeFinding:
        """Look through every file in the folder of the lake.

        Goes by what lies in the folder, not by the catalogue.
        """
        ...


OpenLakeEraser = Callable[[TenantId], AbstractContextManager[LakeEraser]]
"""Opens the eraser of a tenant's lake for as long as the block lasts."""


@dataclass(frozen=True, slots=True)
class StoredExport:
    """What an archive store keeps of an export, its plan left aside.

    Attributes:
        has_staging: Whether there is anything that was staged.
        has_archive: Whether there is a finished archive.
    """

    id: DataExportId
    has_staging: bool
    has_archive: bool
