"""The writer lane and group commit, against real files, threads and processes."""

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from lake_rows import (
    PUMP,
    LakePlace,
    Numbers,
    a_batch,
    a_deletion,
    a_lane,
    a_layout,
    a_reader,
    a_reading,
    read,
)
from thingport.adapters.lake import durability
from thingport.adapters.lake.group_commit import MAX_WAITING, GroupCommitWriter
from thingport.adapters.lake.lake_names import Turn
from thingport.domain.errors import CorruptData, NotFound, StoreUnavailable
from thingport.domain.ids import MetricId
from thingport.domain.metric import ValueType

PAUSE = timedelta(milliseconds=200)


@pytest.fixture
def writer(place: LakePlace) -> Iterator[GroupCommitWriter]:
    writer = GroupCommitWriter(a_lane(place), pause=PAUSE)
    yield writer
    writer.close()


def test_writes_that_come_together_share_one_commit(
    writer: GroupCommitWriter, place: LakePlace
) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(
                lambda it: writer.write([a_batch(a_reading("t", it, long=it))]),
                range(8),
            )
        )

    reader = a_reader(place)
    assert reader.current_snapshot() == 1
    assert len(read(reader, a_layout("long"), ["t"])) == 8


def test_a_write_at_fault_does_not_fail_those_that_it_came_with(
    writer: GroupCommitWriter, place: LakePlace
) -> None:
    writer.write([a_batch(a_reading("t", 0, long=0))])
    wrong = a_batch(
        a_reading("t", 1, long="text"), types={MetricId("long"): ValueType.STRING}
    )
    with ThreadPoolExecutor(4) as pool:
        failing = pool.submit(writer.write, [wrong])
        others = [
            pool.submit(writer.write, [a_batch(a_reading("t", it, long=it))])
            for it in (2, 3)
        ]

    with pytest.raises(CorruptData, match="keeps BIGINT"):
        failing.result()
    assert [it.result() for it in others] == [None, None]
    rows = read(a_reader(place), a_layout("long"), ["t"])
    assert rows == [("t", 0, 0), ("t", 2, 2), ("t", 3, 3)]


def test_closing_waits_for_what_is_under_way_and_refuses_the_rest(
    writer: GroupCommitWriter, place: LakePlace
) -> None:
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(writer.write, [a_batch(a_reading("t", 1, long=1))])
        time.sleep(PAUSE.total_seconds() / 4)
        writer.close()
        assert under_way.result() is None

    with pytest.raises(StoreUnavailable, match="stopping"):
        writer.write([a_batch(a_reading("t", 2, long=2))])
    assert read(a_reader(place), a_layout("long"), ["t"]) == [("t", 1, 1)]


def test_nothing_is_stored_when_no_number_can_be_had(place: LakePlace) -> None:
    class NoNumbers(Numbers):
        def allocate(self, count: int) -> int:  # noqa: ARG002  # it refuses any
            raise NotFound

    writer = GroupCommitWriter(a_lane(place, NoNumbers()))

    with pytest.raises(NotFound):
        writer.write([a_batch(a_reading("t", 1, long=1))])
    assert a_reader(place).current_snapshot() is None
    assert list(place.directory.rglob("*.parquet")) == []


def test_a_lane_that_stays_taken_is_an_unavailable_store(place: LakePlace) -> None:
    lane = a_lane(place, patience_s=0.05)
    writer = GroupCommitWriter(lane)
    writer.write([a_batch(a_reading("t", 1, long=1))])
    with (
        place.held(Turn.WRITING),
        pytest.raises(StoreUnavailable, match="another process is writing"),
    ):
        writer.write([a_batch(a_reading("t", 2, long=2))])

    writer.write([a_batch(a_reading("t", 3, long=3))])
    assert len(read(a_reader(place), a_layout("long"), ["t"])) == 2


def test_only_so_many_wait_for_a_lane_that_another_holds(place: LakePlace) -> None:
    writer = GroupCommitWriter(a_lane(place))
    writer.write([a_batch(a_reading("t", 0, long=0))])
    holding = ExitStack()
    holding.enter_context(place.held(Turn.WRITING))

    def write(number: int) -> bool:
        try:
            writer.write([a_batch(a_reading("t", number, long=number))])
        except StoreUnavailable:
            # All who may wait do: nobody else is let in before the lane is free.
            holding.close()
            return False
        return True

    with ThreadPoolExecutor(MAX_WAITING + 1) as pool:
        stored = list(pool.map(write, range(1, MAX_WAITING + 2)))

    assert stored.count(False) == 1
    assert len(read(a_reader(place), a_layout("long"), ["t"])) == MAX_WAITING + 1


def test_a_locked_catalogue_is_tried_again(file_place: LakePlace) -> None:
    lane = a_lane(file_place)
    writer = GroupCommitWriter(lane)
    writer.write([a_batch(a_reading("t", 1, long=1))])
    hold = (
        "import sqlite3, sys, time; c = sqlite3.connect(sys.argv[1],"
        " isolation_level=None); c.execute('BEGIN IMMEDIATE');"
        " print('held', flush=True); time.sleep(0.1)"
    )
    catalogue = file_place.lake / "catalogue.sqlite"
    with subprocess.Popen(
        [sys.executable, "-c", hold, catalogue], stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        writer.write([a_batch(a_reading("t", 2, long=2))])

    assert len(read(a_reader(file_place), a_layout("long"), ["t"])) == 2


WRITE_SOME = """
import sys
sys.path.insert(0, sys.argv[1])
from lake_rows import a_batch, a_lane, a_reading, at_arguments
from thingport.adapters.lake.group_commit import MAX_WAITING, GroupCommitWriter
writer = GroupCommitWriter(a_lane(at_arguments(*sys.argv[3:])))
for number in range(10):
    writer.write([a_batch(a_reading(sys.argv[2], number, long=number))])
writer.close()
"""


def test_processes_take_turns_from_the_first_commit_on(place: LakePlace) -> None:
    tests = Path(__file__).parents[1]
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITE_SOME, tests, it, *place.arguments]
        )
        for it in ("a", "b")
    ]
    assert [it.wait(timeout=120) for it in writers] == [0, 0]

    reader = a_reader(place)
    rows = read(reader, a_layout("long"), ["a", "b"])
    assert rows == [(it, n, n) for it in "ab" for n in range(10)]
    assert reader.current_snapshot() == 20


def test_numbers_grow_in_the_order_of_commits_over_lanes(place: LakePlace) -> None:
    numbers = Numbers()
    writers = [GroupCommitWriter(a_lane(place, numbers)) for _ in range(2)]
    writers[0].write([a_batch(a_reading("t", 1, long=-1))])

    def write(number: int) -> None:
        writers[number % 2].write([a_batch(a_reading("t", 0, long=number))])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(24)))

    reader = a_reader(place)
    last = reader.current_snapshot()
    assert last is not None
    *by_number, _ = [it[2] for it in read(reader, a_layout("long"), ["t"])]
    for snapshot in range(1, last):
        *seen, _ = [
            it[2] for it in read(reader, a_layout("long"), ["t"], snapshot=snapshot)
        ]
        assert seen == by_number[: len(seen)], "a later commit got a smaller number"


def test_new_files_and_folders_are_synced_before_the_commit(
    place: LakePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    counted: list[int] = []

    def watch(path: Path) -> None:
        synced.append(path)
        counted.append(a_reader(place).current_snapshot() or 0)

    monkeypatch.setattr(durability, "sync", watch)
    GroupCommitWriter(a_lane(place)).write([a_batch(a_reading("t", 1, long=1))])

    lake = place.lake
    table = lake / "data" / "main" / f"d_{PUMP}"
    (file,) = table.glob("*.parquet")
    assert synced[-2:] == [file, table]
    assert {
        place.directory,
        place.directory / "lakes",
        lake,
        lake / "data",
        table.parent,
    } <= set(synced)
    assert set(counted) == {0}, "something was to be seen before it was durable"


def test_the_catalogue_has_a_write_ahead_log(file_place: LakePlace) -> None:
    GroupCommitWriter(a_lane(file_place)).write([a_batch(a_reading("t", 1, long=1))])

    connection = sqlite3.connect(file_place.lake / "catalogue.sqlite")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    inlined = "SELECT count(*) FROM ducklake_inlined_data_tables"
    assert connection.execute(inlined).fetchone() == (0,)
    connection.close()


def test_what_a_crash_left_of_a_new_lake_is_swept_away(file_place: LakePlace) -> None:
    lake = file_place.lake
    lake.mkdir(parents=True)
    (lake / "catalogue.new").write_bytes(b"half")
    (lake / "catalogue.new-wal").write_bytes(b"half")

    assert a_reader(file_place).current_snapshot() is None
    GroupCommitWriter(a_lane(file_place)).write([a_batch(a_reading("t", 1, long=1))])

    assert read(a_reader(file_place), a_layout("long"), ["t"]) == [("t", 1, 1)]
    assert not (lake / "catalogue.new").exists()


def test_a_place_that_cannot_be_written_is_an_unavailable_store(
    place: LakePlace,
) -> None:
    (place.directory / "lakes").write_text("a file where a folder is due")

    with pytest.raises(StoreUnavailable):
        GroupCommitWriter(a_lane(place)).write([a_batch(a_reading("t", 1, long=1))])


def test_a_lake_can_be_moved(place: LakePlace) -> None:
    old, new = (replace(place, directory=place.directory / it) for it in ("old", "new"))
    GroupCommitWriter(a_lane(old)).write([a_batch(a_reading("t", 1, long=1))])
    old.directory.rename(new.directory)

    assert read(a_reader(new), a_layout("long"), ["t"]) == [("t", 1, 1)]
    GroupCommitWriter(a_lane(new)).write([a_batch(a_reading("t", 2, long=2))])
    assert len(read(a_reader(new), a_layout("long"), ["t"])) == 2
    assert not old.directory.exists()


def test_readers_and_a_writer_do_not_disturb_each_other(place: LakePlace) -> None:
    writer = GroupCommitWriter(a_lane(place))
    writer.write([a_batch(a_reading("t", 0, long=0))])
    is_over = threading.Event()

    def look() -> int:
        reader = a_reader(place)
        looks = 0
        while not is_over.is_set():
            assert reader.current_snapshot() is not None
            assert read(reader, a_layout("long"), ["t"], snapshot=1) == [("t", 0, 0)]
            looks += 1
        return looks

    with ThreadPoolExecutor(2) as pool:
        looking = [pool.submit(look) for _ in range(2)]
        for number in range(1, 20):
            writer.write([a_batch(a_reading("t", number, long=number))])
        is_over.set()
        assert all(it.result() > 0 for it in looking)


def test_a_deletion_keeps_a_column_that_another_process_has_added(
    place: LakePlace,
) -> None:
    numbers = Numbers()
    one, other = (GroupCommitWriter(a_lane(place, numbers)) for _ in range(2))
    one.write([a_batch(a_reading("t", 1, long=1))])
    other.write([a_batch(a_reading("t", 2, long=2, double=0.5))])

    one.delete(a_deletion("t", "long"))

    rows = read(a_reader(place), a_layout("long", "double"), ["t"])
    assert rows == [("t", 2, None, 0.5)]


def test_what_a_deletion_writes_is_synced_before_its_commit(
    place: LakePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = GroupCommitWriter(a_lane(place))
    stays = a_reading("u", 1, long=1)
    writer.write([a_batch(a_reading("t", 1, long=1, double=0.5), stays)])
    before = set(place.directory.rglob("*.parquet"))
    synced: list[Path] = []
    counted: list[int] = []

    def watch(path: Path) -> None:
        synced.append(path)
        counted.append(a_reader(place).current_snapshot() or 0)

    monkeypatch.setattr(durability, "sync", watch)
    writer.delete(a_deletion("t", "long"))

    new = set(place.directory.rglob("*.parquet")) - before
    assert len(new) == 2, "the rest of the row, and the mark on the old one"
    assert new < set(synced)
    assert set(counted) == {1}, "something was to be seen before it was durable"


def test_a_deletion_is_refused_once_the_writer_is_closed(place: LakePlace) -> None:
    writer = GroupCommitWriter(a_lane(place))
    writer.write([a_batch(a_reading("t", 1, long=1))])
    writer.close()

    with pytest.raises(StoreUnavailable, match="stopping"):
        writer.delete(a_deletion("t", "long"))
    assert read(a_reader(place), a_layout("long"), ["t"]) == [("t", 1, 1)]


def test_deletions_among_concurrent_writes_leave_what_was_answered_after_them(
    place: LakePlace,
) -> None:
    writer = GroupCommitWriter(a_lane(place))

    def work(thing: str) -> None:
        for number in range(6):
            writer.write([a_batch(a_reading(thing, number, long=0, double=0.5))])
            writer.delete(a_deletion(thing, "long"))
            writer.write([a_batch(a_reading(thing, number, long=number))])

    things = ["a", "b", "c"]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, things))

    rows = read(a_reader(place), a_layout("long", "double"), things)
    assert rows == [
        row
        for thing in things
        for at in range(6)
        for row in (
            (thing, at, None, 0.5),
            *([(thing, at, at, None)] if at == 5 else []),
        )
    ]
