"""What looking after lakes needs from the world outside, beside the other ports."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from thingport.domain.ids import TenantId


class UpkeepRepository(Protocol):
    """How long the readings of one tenant are kept.

    What gives something raises ``NotFound`` when the tenant is being removed.
    """

    def get_retention_months(self) -> int | None:
        """Give for how many months readings are kept; ``None`` for ever."""
        ...

    def set_retention_months(self, months: int | None) -> None:
        """Keep readings for some months, or for ever."""
        ...

    def get_oldest_snapshot(self) -> int | None:
        """Give the oldest view that an export may be stored with, if any is too old.

        Nobody changes it before the transaction ends.
        """
        ...

    def raise_oldest_snapshot(self, snapshot: int) -> None:
        """Let no export be stored any more that would read at an older view."""
        ...


@dataclass(frozen=True, slots=True)
class LakeSize:
    """What a lake takes.

    Attributes:
        files: Files of the present state; the fewer, the quicker it is read.
        size_bytes: Bytes in them.
        kept_bytes: Bytes of all files, those of the past included.
    """

    files: int
    size_bytes: int
    kept_bytes: int


class LakeKeeper(Protocol):
    """Keeps one tenant's lake quick to read, and its past no longer than needed.

    Each method takes one bounded step, or finds nothing to do. Others read and
    write meanwhile, and writers wait for moments only. Wherever a step is broken
    off, the lake is right; at worst a file that nobody needs is left for
    ``delete_leftovers``.

    Every method raises ``StoreUnavailable`` when the lake is away, and
    ``CorruptData`` when it is damaged; the lake is as it was.
    """

    def measure(self) -> LakeSize:
        """Say what the lake takes."""
        ...

    def compact(self, *, is_thorough: bool = False) -> int:
        """Merge some files of a table into one that is sorted; give how many.

        Sorted by thing, timestamp and order of writing; every snapshot shows what
        it showed. 0 if no merge is due, or another writer was in the way.

        Args:
            is_thorough: Whether a merge is due as long as there are two files that
                can be one, or a file with deleted rows.
        """
        ...

    def expire(self, *, before: datetime, oldest_pin: int | None) -> int:
        """Give up some snapshots, and the files that only they need; give how many.

        The present state of every instant from ``before`` on stays, and so do
        ``oldest_pin`` and whatever is younger than it.
        """
        ...

    def drop_before(self, timestamp_ms: int) -> int:
        """Rewrite some files without what is stamped before an instant.

        Give how many; 0 if there is nothing so old, or another writer was in the way.
        Snapshots from before show what they showed.
        """
        ...

    def delete_leftovers(self, *, before: datetime) -> int:
        """Delete files that no snapshot knows of, last written before an instant.

        Give how many; what a process that died in a write has left.
        """
        ...


OpenLakeKeeper = Callable[[TenantId], AbstractContextManager[LakeKeeper]]
"""Opens the keeper of a tenant's lake for as long as the block lasts."""
