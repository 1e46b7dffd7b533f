"""Which files of a table to merge, and which snapshots of a lake to give up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

MIN_MERGED_FILES = 8
"""Fewest files that are worth a merge while nobody asks for one."""

MAX_MERGED_FILES = 256
"""Most files of one merge, whatever their size, and most that are freed at once:
each costs the catalogue some work while writers wait."""

MAX_EXPIRED_SNAPSHOTS = 64
"""Most snapshots that are given up at once, while writers wait."""


@dataclass(frozen=True, slots=True)
class LakeFile:
    """A file of a table, in the present state of a lake.

    Attributes:
        path: Where it is.
        delete_file: Where it is written which of its rows count no longer;
            ``None`` if all do.
    """

    path: str
    size_bytes: int
    delete_file: str | None = None


def choose_files(
    files: Sequence[LakeFile], max_file_bytes: int, *, is_thorough: bool = False
) -> Sequence[LakeFile]:
    """Choose the files of a table that are to become one; empty if none are due.

    A file of half the largest size or more is full and stays as it is. Of the
    others the smallest go together with every next one that is no larger than all
    before it, once they are some, or make a full one. So what is left grows from
    file to file like the powers of two, there are few of them, and a row is
    rewritten a logarithmic number of times in its life.

    Args:
        files: All present files of one table.
        max_file_bytes: Most that the chosen ones have together, as far as there are
            two that fit.
        is_thorough: Whether two files are enough, whatever their sizes, and a full
            file of which rows were deleted is rewritten too. When nothing is due in
            this sense, at most one file is not full, and no row is deleted.
    """
    open_files = sorted(
        (it for it in files if 2 * it.size_bytes < max_file_bytes),
        key=lambda it: (it.size_bytes, it.path),
    )
    chosen = _fitting(open_files, max_file_bytes)
    if not is_thorough:
        chosen = _alike(chosen)
        is_full = 2 * sum(it.size_bytes for it in chosen) >= max_file_bytes
        return chosen if is_full or len(chosen) >= MIN_MERGED_FILES else ()
    if len(chosen) > 1:
        return chosen
    return next(([it] for it in files if it.delete_file), ())


def choose_rewritten(
    files: Sequence[LakeFile], max_file_bytes: int
) -> Sequence[LakeFile]:
    """Choose the files that are rewritten together: the smallest ones.

    Args:
        files: All files of one table that something must leave.
        max_file_bytes: Most that the chosen ones have together, as far as there are
            two that fit.

    Returns:
        Empty only if there are no files.
    """
    ordered = sorted(files, key=lambda it: (it.size_bytes, it.path))
    return _fitting(ordered, max_file_bytes) or ordered[:1]


def _fitting(files: Sequence[LakeFile], max_bytes: int) -> Sequence[LakeFile]:
    """Give the first ones, as many as may be merged at once."""
    sums = accumulate(it.size_bytes for it in files[:MAX_MERGED_FILES])
    return [it for it, so_far in zip(files, sums, strict=False) if so_far <= max_bytes]


def _alike(files: Sequence[LakeFile]) -> Sequence[LakeFile]:
    """Give the longest beginning whose last is no larger than all before it."""
    sums = accumulate(it.size_bytes for it in files)
    ends = [
        end
        for end, (it, so_far) in enumerate(zip(files, sums, strict=True), start=1)
        if it.size_bytes <= so_far - it.size_bytes
    ]
    return files[: max(ends, default=0)]


def choose_snapshots(
    snapshots: Sequence[int], keep_from: int, freed_files: Mapping[int, int]
) -> Sequence[int]:
    """Choose the snapshots to give up in one step: the oldest ones.

    Args:
        snapshots: All snapshots, ascending.
        keep_from: The oldest one that must stay.
        freed_files: By the snapshot from which on they count no longer, how many
            files are needed by earlier ones only.

    Returns:
        Empty if there is none to give up; else at least one, and only as many as
        free few files.
    """
    due = [it for it in snapshots if it < keep_from]
    chosen: list[int] = []
    for candidate, following in pairwise([*due, keep_from]):
        freed = sum(count for end, count in freed_files.items() if end <= following)
        is_enough = freed > MAX_MERGED_FILES or len(chosen) == MAX_EXPIRED_SNAPSHOTS
        if chosen and is_enough:
            break
        chosen.append(candidate)
    return chosen
