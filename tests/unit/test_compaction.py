"""Which files are merged, and which snapshots are given up."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from thingport.domain.compaction import (
    MAX_EXPIRED_SNAPSHOTS,
    MAX_MERGED_FILES,
    MIN_MERGED_FILES,
    LakeFile,
    choose_files,
    choose_rewritten,
    choose_snapshots,
)

MAX_BYTES = 1_000

file_sizes = st.lists(st.integers(1, 2 * MAX_BYTES), max_size=40)


def _files(
    sizes: Sequence[int], *, deleted: frozenset[int] = frozenset()
) -> list[LakeFile]:
    return [
        LakeFile(f"f{number:04}", size, "d" if number in deleted else None)
        for number, size in enumerate(sizes)
    ]


def _merge(files: list[LakeFile], chosen: Sequence[LakeFile]) -> list[LakeFile]:
    """Give the files after a merge; the new one is as large as those in it."""
    merged = LakeFile(f"m{chosen[0].path}", sum(it.size_bytes for it in chosen))
    return [*(it for it in files if it not in chosen), merged]


def _merge_all(files: list[LakeFile], *, is_thorough: bool) -> list[LakeFile]:
    for _ in range(1_000):
        chosen = choose_files(files, MAX_BYTES, is_thorough=is_thorough)
        if not chosen:
            return files
        files = _merge(files, chosen)
    raise AssertionError("it never ends")


@given(sizes=file_sizes, is_thorough=st.booleans())
def test_a_merge_takes_some_files_and_no_more_bytes_than_it_may(
    sizes: Sequence[int], *, is_thorough: bool
) -> None:
    files = _files(sizes)

    chosen = choose_files(files, MAX_BYTES, is_thorough=is_thorough)

    assert set(chosen) <= set(files)
    assert len(chosen) == len(set(chosen)) != 1
    assert sum(it.size_bytes for it in chosen) <= MAX_BYTES


@given(sizes=file_sizes, deleted=st.frozensets(st.integers(0, 39)))
def test_when_nothing_is_left_to_do_at_most_one_file_is_not_full(
    sizes: Sequence[int], deleted: frozenset[int]
) -> None:
    left = _merge_all(_files(sizes, deleted=deleted), is_thorough=True)

    assert sum(2 * it.size_bytes < MAX_BYTES for it in left) <= 1
    assert not any(it.delete_file for it in left)
    assert sum(it.size_bytes for it in left) == sum(sizes)


@given(sizes=file_sizes)
def test_left_alone_a_lake_has_few_files_that_are_not_full(
    sizes: Sequence[int],
) -> None:
    left = _merge_all(_files(sizes), is_thorough=False)

    not_full = [it for it in left if 2 * it.size_bytes < MAX_BYTES]
    # Sizes at least double from the MIN_MERGED_FILES-th on.
    assert len(not_full) <= MIN_MERGED_FILES + MAX_BYTES.bit_length()


def test_files_that_come_one_by_one_are_rewritten_few_times() -> None:
    files: list[LakeFile] = []
    rewritten = 0
    for number in range(1_000):
        files.append(LakeFile(f"f{number:04}", 1))
        chosen = choose_files(files, 10**6)
        if chosen:
            rewritten += sum(it.size_bytes for it in chosen)
            files = _merge(files, chosen)

    assert len(files) <= 16
    assert rewritten <= 8 * 1_000


def test_a_few_files_are_left_alone_unless_they_make_a_full_one() -> None:
    few = _files([10] * (MIN_MERGED_FILES - 1))
    assert choose_files(few, MAX_BYTES) == ()
    assert choose_files(few, MAX_BYTES, is_thorough=True) == few
    assert choose_files(few, 2 * 10 * len(few) - 20) == few


def test_one_merge_opens_so_many_files_and_no_more() -> None:
    files = _files([1] * (MAX_MERGED_FILES + 1))

    assert len(choose_files(files, 10**6)) == MAX_MERGED_FILES


def test_a_full_file_with_deleted_rows_is_rewritten_only_when_asked_for() -> None:
    files = _files([MAX_BYTES, 3 * MAX_BYTES], deleted=frozenset({1}))

    assert choose_files(files, MAX_BYTES) == ()
    assert choose_files(files, MAX_BYTES, is_thorough=True) == [files[1]]


@given(
    snapshots=st.lists(st.integers(0, 300), unique=True, max_size=200).map(sorted),
    keep_from=st.integers(0, 300),
    freed=st.dictionaries(st.integers(1, 300), st.integers(1, 200), max_size=20),
)
def test_the_oldest_snapshots_go_first_and_few_files_with_them(
    snapshots: list[int], keep_from: int, freed: dict[int, int]
) -> None:
    chosen = choose_snapshots(snapshots, keep_from, freed)

    due = [it for it in snapshots if it < keep_from]
    assert chosen == due[: len(chosen)]
    assert len(chosen) <= MAX_EXPIRED_SNAPSHOTS
    assert bool(chosen) == bool(due)
    if len(chosen) > 1:
        following = min(
            (it for it in [*due, keep_from] if it > chosen[-1]), default=keep_from
        )
        gone = sum(count for end, count in freed.items() if end <= following)
        assert gone <= MAX_MERGED_FILES


@given(sizes=file_sizes)
def test_files_that_something_must_leave_are_all_rewritten_in_the_end(
    sizes: Sequence[int],
) -> None:
    files = _files(sizes)

    while files:
        chosen = choose_rewritten(files, MAX_BYTES)
        assert chosen
        assert set(chosen) <= set(files)
        assert len(chosen) == 1 or sum(it.size_bytes for it in chosen) <= MAX_BYTES
        files = [it for it in files if it not in chosen]

    assert choose_rewritten([], MAX_BYTES) == []
