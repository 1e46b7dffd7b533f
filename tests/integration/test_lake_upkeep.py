"""Merging, expiry and deletion of files, beside other threads and processes."""

import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from lake_rows import (
    PUMP,
    FreshPlace,
    LakePlace,
    Row,
    a_batch,
    a_keeper,
    a_lane,
    a_layout,
    a_reader,
    a_reading,
    read,
)
from thingport.adapters.lake import durability, file_replacement
from thingport.adapters.lake.file_replacement import FileReplacement
from thingport.adapters.lake.group_commit import GroupCommitWriter
from thingport.adapters.lake.keeper import DuckLakeKeeper
from thingport.adapters.lake.lake_names import Turn
from thingport.adapters.lake.lake_transaction import LakeTransaction
from thingport.domain.errors import CorruptData, StoreUnavailable

TESTS = Path(__file__).parents[1]
LATER = timedelta(hours=1)


@pytest.fixture
def keeper(place: LakePlace) -> DuckLakeKeeper:
    _write_four(place)
    return a_keeper(place)


def _write_four(place: LakePlace) -> None:
    writer = GroupCommitWriter(a_lane(place))
    for number in range(4):
        writer.write(
            [a_batch(a_reading("b", number, long=1), a_reading("a", number, long=2))]
        )
    writer.close()


def _table(place: LakePlace) -> Path:
    return place.lake / "data" / "main" / f"d_{PUMP}"


def _rows(place: LakePlace, snapshot: int | None = None) -> list[Row]:
    reader = a_reader(place)
    rows = read(reader, a_layout("long"), ["a", "b"], snapshot=snapshot)
    reader.close()
    return rows


def _delete(place: LakePlace, condition: str) -> None:
    """Delete rows, through the lane, as other parts of the service may."""
    lane = a_lane(place)
    lane.commit(
        lambda it: it.query(f"DELETE FROM lake.main.d_{PUMP} WHERE {condition}")
    )
    lane.close()


def test_a_merged_file_is_sorted_and_durable_before_it_counts(
    keeper: DuckLakeKeeper, place: LakePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[Path, int | None]] = []

    def watch(path: Path) -> None:
        reader = a_reader(place)
        synced.append((path, reader.current_snapshot()))
        reader.close()
        durability.sync(path)

    monkeypatch.setattr(file_replacement, "sync", watch)
    before = set(_table(place).iterdir())
    keeper.compact(is_thorough=True)

    (merged,) = set(_table(place).iterdir()) - before
    staging = place.lake / "compacting"
    # Its content, then its name; at that time the lake is what it was.
    assert synced == [
        (staging / merged.name, 4),
        (_table(place), 4),
        (staging, 4),
    ]
    assert list(staging.iterdir()) == []
    with a_lane(place).open_engine() as engine:
        keys = engine.execute(
            f"SELECT thing, ts, written_seq FROM '{merged}'"
        ).fetchall()
    assert len(keys) == 8
    assert keys == sorted(keys)


def test_writers_do_not_wait_while_a_merged_file_is_written(
    keeper: DuckLakeKeeper, place: LakePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = FileReplacement.write

    def write_and_be_overtaken(self: FileReplacement, engine: object) -> None:
        write(self, engine)  # type: ignore[arg-type]  # handed through
        writer = GroupCommitWriter(a_lane(place, patience_s=1))
        writer.write([a_batch(a_reading("a", 99, long=9, double=0.5))])
        writer.close()

    monkeypatch.setattr(FileReplacement, "write", write_and_be_overtaken)

    assert keeper.compact(is_thorough=True) == 4
    assert keeper.measure().files == 2
    assert ("a", 99, 9) in _rows(place)
    assert len(_rows(place)) == 9


def test_a_merge_that_a_deletion_overtakes_is_given_up(
    keeper: DuckLakeKeeper, place: LakePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = FileReplacement.write

    def write_and_be_overtaken(self: FileReplacement, engine: object) -> None:
        write(self, engine)  # type: ignore[arg-type]  # handed through
        _delete(place, "thing = 'a' AND ts = 1")

    with monkeypatch.context() as patch:
        patch.setattr(FileReplacement, "write", write_and_be_overtaken)
        assert keeper.compact(is_thorough=True) == 0
    rows = _rows(place)
    assert len(rows) == 7
    assert list((place.lake / "compacting").iterdir()) == []

    assert keeper.compact(is_thorough=True) == 4
    assert _rows(place) == rows


def test_deleted_rows_leave_the_files_and_stay_in_the_views_before(
    keeper: DuckLakeKeeper, place: LakePlace
) -> None:
    keeper.compact(is_thorough=True)
    before = _rows(place)
    _delete(place, "thing = 'a'")
    rows = _rows(place)

    assert keeper.compact(is_thorough=True) == 1
    assert keeper.compact(is_thorough=True) == 0

    assert _rows(place) == rows == [it for it in before if it[0] == "b"]
    assert _rows(place, 5) == before
    keeper.expire(before=datetime.now(UTC), oldest_pin=None)
    with a_lane(place).open_engine() as engine:
        found = engine.execute(
            f"SELECT DISTINCT thing FROM '{_table(place)}/*.parquet'"
        ).fetchall()
    assert found == [("b",)]


def test_a_merge_that_the_lake_sees_otherwise_changes_nothing(
    keeper: DuckLakeKeeper, place: LakePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _rows(place)
    write = FileReplacement.write

    def write_too_few(self: FileReplacement, engine: object) -> None:
        write(self, engine)  # type: ignore[arg-type]  # handed through
        self.rows -= 1

    monkeypatch.setattr(FileReplacement, "write", write_too_few)

    with pytest.raises(CorruptData, match="7 rows were merged, 8 are there"):
        keeper.compact(is_thorough=True)
    assert _rows(place) == before
    assert keeper.measure().files == 4


def test_only_one_process_merges_at_a_time(
    keeper: DuckLakeKeeper, place: LakePlace
) -> None:
    impatient = a_keeper(place, patience_s=0.05)
    keeper.compact(is_thorough=True)
    with (
        place.held(Turn.MERGING),
        pytest.raises(StoreUnavailable, match="another process is merging files"),
    ):
        impatient.compact()

    assert impatient.compact() == 0
    impatient.close()


def test_a_commit_that_has_to_be_tried_again_moves_the_file_once(
    keeper: DuckLakeKeeper, place: LakePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FileReplacement.store
    tries: list[bool] = []

    def store_at_the_second_try(
        self: FileReplacement, transaction: LakeTransaction
    ) -> None:
        store(self, transaction)
        tries.append(self.is_done)
        if len(tries) == 1:
            transaction.query("SELECT error('database is locked')")

    monkeypatch.setattr(FileReplacement, "store", store_at_the_second_try)
    before = _rows(place)

    assert keeper.compact(is_thorough=True) == 4
    assert tries == [True, True]
    assert _rows(place) == before
    assert keeper.measure().files == 1


def test_a_lake_that_was_moved_or_is_reached_otherwise_keeps_its_files(
    keeper: DuckLakeKeeper, place: LakePlace
) -> None:
    keeper.compact(is_thorough=True)
    keeper.close()
    before = _rows(place)
    moved, link = place.directory / "moved", place.directory / "link"
    moved.mkdir()
    shutil.move(place.directory / "lakes", moved)
    link.symlink_to(moved, target_is_directory=True)

    for directory in (moved, link):
        there = replace(place, directory=directory)
        other = a_keeper(there)
        assert other.delete_leftovers(before=datetime.now(UTC) + LATER) == 0
        assert other.compact(is_thorough=True) == 0
        other.expire(before=datetime.now(UTC), oldest_pin=None)
        other.close()
        assert _rows(there) == before


def test_a_reader_in_the_middle_of_a_pinned_view_is_not_disturbed(
    keeper: DuckLakeKeeper, place: LakePlace
) -> None:
    before = _rows(place, 4)
    is_over = threading.Event()
    seen: list[list[Row]] = []

    def look() -> None:
        reader = a_reader(place)
        while not is_over.is_set():
            seen.append(read(reader, a_layout("long"), ["a", "b"], snapshot=4))
        reader.close()

    looking = threading.Thread(target=look)
    looking.start()
    writer = GroupCommitWriter(a_lane(place))
    for number in range(10):
        writer.write([a_batch(a_reading("b", 100 + number, long=1))])
        keeper.compact(is_thorough=True)
        keeper.expire(before=datetime.now(UTC), oldest_pin=4)
        keeper.delete_leftovers(before=datetime.now(UTC))
    is_over.set()
    looking.join()
    writer.close()

    assert seen
    assert all(it == before for it in seen)


DIE = """
import os, signal, sys
from datetime import UTC, datetime
sys.path.insert(0, sys.argv[1])
from lake_rows import a_keeper, at_arguments
from thingport.adapters.lake import file_replacement, keeper
from thingport.adapters.lake.lake_transaction import LakeTransaction
die_at, calls = int(sys.argv[2]), 0
def dying(call):
    def wrapped(*args, **kwargs):
        global calls
        calls += 1
        if calls == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return call(*args, **kwargs)
        finally:
            calls += 1
            if calls == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
    return wrapped
file_replacement.sync = dying(file_replacement.sync)
LakeTransaction.query = dying(LakeTransaction.query)
LakeTransaction.count = dying(LakeTransaction.count)
one = a_keeper(at_arguments(*sys.argv[3:]))
one.compact(is_thorough=True)
one.expire(before=datetime.now(UTC), oldest_pin=4)
print(calls)
"""
"""Does its work, and dies before or after the n-th step of it."""


def _run_and_die(place: LakePlace, at: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", DIE, TESTS, str(at), *place.arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


def _check_after_death(place: LakePlace, before: list[Row]) -> None:
    assert _rows(place) == before
    assert _rows(place, 4) == before
    keeper = a_keeper(place)
    keeper.compact(is_thorough=True)
    assert keeper.measure().files == 1
    later = datetime.now(UTC) + LATER
    while keeper.expire(before=later, oldest_pin=None):
        pass
    keeper.delete_leftovers(before=later)
    keeper.close()
    assert _rows(place) == before
    assert len(list(place.lake.rglob("*.parquet"))) == 1


@pytest.mark.parametrize(
    "at",
    [
        pytest.param(2, id="the merged file is written"),
        pytest.param(6, id="it is beside the others"),
        pytest.param(12, id="it is taken in and not committed"),
        pytest.param(16, id="old files are deleted and it is not committed"),
    ],
)
def test_a_process_that_dies_in_the_middle_leaves_a_right_lake(
    keeper: DuckLakeKeeper, place: LakePlace, at: int
) -> None:
    keeper.close()
    before = _rows(place)

    assert _run_and_die(place, at).returncode == -signal.SIGKILL

    _check_after_death(place, before)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_process_may_die_before_and_after_every_step(
    fresh_place: FreshPlace,
) -> None:
    for at in count(1):
        with fresh_place() as place:
            _write_four(place)
            before = _rows(place)
            done = _run_and_die(place, at)
            if done.returncode == 0:
                break
            assert done.returncode == -signal.SIGKILL, done.stderr
            _check_after_death(place, before)
    assert at > 10
