"""What every eraser of a lake keeps of its promise."""

import pytest

from lake_rows import (
    PUMP,
    LakePlace,
    Numbers,
    Row,
    a_batch,
    a_keeper,
    a_lane,
    a_layout,
    a_reader,
    a_reading,
    an_eraser,
    read,
)
from server_rows import iter_rows, take_notes
from thingport.adapters.lake.group_commit import GroupCommitWriter
from thingport.application.erasure_ports import ErasedRows, LakeEraser, LakeFinding
from thingport.application.ports import LakeReader, LakeWriter
from thingport.domain.errors import ThingportError
from thingport.domain.ids import ThingDefinitionId, ThingId

FAN = ThingDefinitionId("fan")

GONE = ThingId("aaa-to-be-gone")
"""Sorts before all others: it is the least in every file that has it."""

MARK = "AAA-SECRET"
"""A text of it alone, which sorts before the texts of others."""


@pytest.fixture
def numbers() -> Numbers:
    return Numbers()


@pytest.fixture
def writer(place: LakePlace, numbers: Numbers) -> LakeWriter:
    return place.keep(GroupCommitWriter(a_lane(place, numbers)))


@pytest.fixture
def reader(place: LakePlace) -> LakeReader:
    return a_reader(place)


@pytest.fixture
def eraser(place: LakePlace, numbers: Numbers) -> LakeEraser:
    return an_eraser(place, numbers)


def _write(writer: LakeWriter, *, first: int = 0, count: int = 3) -> None:
    for number in range(first, first + count):
        writer.write(
            [
                a_batch(
                    a_reading(
                        GONE, number, long=-99 - number, string=f"{MARK}{number}"
                    ),
                    a_reading("b", number, long=number, string=f"text {number}"),
                    a_reading("c", number, double=number + 0.5),
                ),
                a_batch(
                    a_reading(GONE, number, long=-number, string=f"{MARK}-of-fan"),
                    a_reading("b", number, long=number),
                    definition=FAN,
                ),
            ]
        )


def _rows(reader: LakeReader, *things: str, snapshot: int | None = None) -> list[Row]:
    of_pump = read(reader, a_layout(), things, snapshot=snapshot)
    return of_pump + read(reader, a_layout(definition=FAN), things, snapshot=snapshot)


def _erase(eraser: LakeEraser, *things: ThingId) -> ErasedRows:
    erased = eraser.delete_things(things or [GONE])
    while (snapshot := eraser.find_rewritten()) is None:
        assert eraser.rewrite()
    while eraser.expire_before(snapshot):
        pass
    eraser.delete_leftovers()
    eraser.scrub_catalogue()
    return erased


def _places_with(place: LakePlace, text: str) -> list[str]:
    """Give the files of the lake that have a text, and the tables of its catalogue."""
    files = (it for it in place.lake.rglob("*") if it.is_file())
    found = [it.name for it in files if text.encode() in it.read_bytes()]
    return found + [it for it, row in iter_rows(place.database_url) if text in row]


def test_nothing_is_left_of_a_thing_and_everything_of_the_others(
    writer: LakeWriter, reader: LakeReader, eraser: LakeEraser, place: LakePlace
) -> None:
    _write(writer)
    others = _rows(reader, "b", "c")
    take_notes(place.database_url)
    assert ("pg_stats" in _places_with(place, MARK)) == place.is_on_a_server
    assert _places_with(place, MARK)

    erased = _erase(eraser)

    assert erased.rows == 6
    assert _rows(reader, GONE) == []
    assert _rows(reader, "b", "c") == others
    assert _places_with(place, MARK) == []
    assert _places_with(place, GONE) == []
    found = eraser.inspect([GONE], erased.end_seq)
    assert (found.rows, found.rows_since, found.mentions) == (0, 0, 0)
    assert not found.unreadable
    assert found.files >= 2


def test_no_other_process_writes_back_what_it_remembers(
    writer: LakeWriter, reader: LakeReader, eraser: LakeEraser, place: LakePlace
) -> None:
    _write(writer)
    eraser.delete_things([GONE])
    while (snapshot := eraser.find_rewritten()) is None:
        eraser.rewrite()
    while eraser.expire_before(snapshot):
        pass
    lane = a_lane(place)
    other = GroupCommitWriter(lane)
    # A look at the table, and it knows the bounds of its columns as they were.
    lane.commit(lambda it: it.remove_rows(f"d_{PUMP}", "thing = ?", ["nobody"]))
    eraser.scrub_catalogue()
    assert _places_with(place, MARK) == []

    other.write([a_batch(a_reading("b", 101, long=1, string="z"))])
    other.close()

    assert _places_with(place, MARK) == []
    assert _places_with(place, GONE) == []
    assert len(read(reader, a_layout(), ["b"])) == 4


def test_rows_leave_the_present_state_at_one_instant_and_views_before_keep_them(
    writer: LakeWriter, reader: LakeReader, eraser: LakeEraser
) -> None:
    _write(writer)
    before = _rows(reader, GONE)
    bygone = reader.current_snapshot()

    erased = eraser.delete_things([GONE])

    assert erased.snapshot == reader.current_snapshot()
    assert _rows(reader, GONE) == []
    assert _rows(reader, GONE, snapshot=bygone) == before
    again = eraser.delete_things([GONE])
    assert (again.rows, again.snapshot) == (0, erased.snapshot)
    assert again.end_seq > erased.end_seq


def test_what_is_written_later_stays_and_is_counted_apart(
    writer: LakeWriter, reader: LakeReader, eraser: LakeEraser
) -> None:
    _write(writer)
    erased = eraser.delete_things([GONE])
    _write(writer, first=7, count=1)
    later = _rows(reader, GONE)
    while (snapshot := eraser.find_rewritten()) is None:
        eraser.rewrite()
    while eraser.expire_before(snapshot):
        pass
    eraser.scrub_catalogue()

    assert _rows(reader, GONE) == later
    found = eraser.inspect([GONE], erased.end_seq)
    assert (found.rows, found.rows_since, found.mentions) == (0, 2, 0)


def test_views_from_the_given_one_on_stay(
    writer: LakeWriter, reader: LakeReader, eraser: LakeEraser
) -> None:
    _write(writer)
    eraser.delete_things([GONE])
    while (snapshot := eraser.find_rewritten()) is None:
        eraser.rewrite()
    before = _rows(reader, "b", snapshot=snapshot)
    _write(writer, first=5)

    while eraser.expire_before(snapshot):
        pass

    assert _rows(reader, "b", snapshot=snapshot) == before
    with pytest.raises(ThingportError):
        _rows(reader, "b", snapshot=snapshot - 1)


def test_erasing_everything_leaves_a_lake_that_can_be_written_and_read(
    writer: LakeWriter, reader: LakeReader, eraser: LakeEraser, place: LakePlace
) -> None:
    _write(writer)

    _erase(eraser, GONE, ThingId("b"), ThingId("c"), ThingId("never there"))

    assert _rows(reader, GONE, "b", "c") == []
    assert not list((place.directory / "lakes").rglob("*.parquet"))
    _write(writer)
    assert len(_rows(reader, GONE, "b", "c")) == 3 * 5


def test_files_that_no_view_knows_of_are_found_and_deleted(
    writer: LakeWriter, eraser: LakeEraser, place: LakePlace
) -> None:
    _write(writer)
    lake = place.lake
    copied = next((lake / "data").rglob("*.parquet")).read_bytes()
    erased = _erase(eraser)
    (lake / "compacting").mkdir(exist_ok=True)
    (lake / "compacting" / "a.parquet").write_bytes(copied)
    (lake / "data" / "main" / "b.parquet").write_bytes(copied)

    assert eraser.inspect([GONE], erased.end_seq).rows == 2
    assert eraser.delete_leftovers() == 2

    found = eraser.inspect([GONE], erased.end_seq)
    assert (found.rows, found.mentions) == (0, 0)


def test_a_file_that_cannot_be_looked_through_is_told(
    writer: LakeWriter, eraser: LakeEraser, place: LakePlace
) -> None:
    _write(writer)
    erased = _erase(eraser)
    torn = place.lake / "data" / "torn.parquet"
    torn.write_bytes(b"PAR1 and no more")

    assert eraser.inspect([GONE], erased.end_seq).unreadable == [str(torn)]


def test_a_catalogue_that_still_names_a_thing_is_told(
    writer: LakeWriter, eraser: LakeEraser
) -> None:
    _write(writer)
    erased = eraser.delete_things([GONE, ThingId("x" * 40)])
    while (snapshot := eraser.find_rewritten()) is None:
        eraser.rewrite()
    while eraser.expire_before(snapshot):
        pass

    found = eraser.inspect([GONE, ThingId("x" * 40)], erased.end_seq)

    assert (found.rows, found.mentions) == (0, 1)


def test_a_merge_that_began_before_stores_nothing_of_what_is_erased(
    writer: LakeWriter, reader: LakeReader, eraser: LakeEraser, place: LakePlace
) -> None:
    _write(writer)
    keeper = a_keeper(place)
    erased = eraser.delete_things([GONE])
    assert keeper.compact(is_thorough=True)
    keeper.close()

    _erase(eraser)

    assert _rows(reader, GONE) == []
    assert eraser.inspect([GONE], erased.end_seq).rows == 0


def test_a_lake_that_was_never_written_has_nothing_in_it(
    eraser: LakeEraser, place: LakePlace
) -> None:
    assert eraser.delete_things([GONE]) == ErasedRows(0, None, 0)
    assert eraser.delete_leftovers() == 0
    eraser.scrub_catalogue()
    assert eraser.find_rewritten() is None
    assert eraser.rewrite() == 0
    assert eraser.expire_before(3) == 0
    assert eraser.inspect([GONE], 0) == LakeFinding(0, 0, 0, [], 0)
    assert not (place.directory / "lakes").exists()
