"""What every keeper of a lake keeps of its promise."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from lake_rows import (
    PUMP,
    TYPES,
    LakePlace,
    Row,
    a_batch,
    a_deletion,
    a_keeper,
    a_lane,
    a_layout,
    a_reader,
    a_reading,
    read,
)
from thingport.adapters.lake.group_commit import GroupCommitWriter
from thingport.application.ports import LakeReader, LakeWriter
from thingport.application.upkeep_ports import LakeKeeper, LakeSize
from thingport.domain.errors import ThingportError
from thingport.domain.ids import ThingDefinitionId, ThingId
from thingport.domain.metric import Value
from thingport.domain.period import Period
from thingport.domain.reading import Reading

FAN = ThingDefinitionId("fan")


@pytest.fixture
def writer(place: LakePlace) -> Iterator[LakeWriter]:
    writer = GroupCommitWriter(a_lane(place))
    yield writer
    writer.close()


@pytest.fixture
def reader(place: LakePlace) -> Iterator[LakeReader]:
    reader = a_reader(place)
    yield reader
    reader.close()


@pytest.fixture
def keeper(place: LakePlace) -> Iterator[LakeKeeper]:
    keeper = a_keeper(place)
    yield keeper
    keeper.close()


def _now() -> datetime:
    return datetime.now(UTC)


def _write(writer: LakeWriter, count: int, *, first: int = 0) -> None:
    """Write some times, each time all things at a new timestamp and at timestamp 0."""
    for number in range(first, first + count):
        writer.write(
            [
                a_batch(
                    a_reading("b", number, long=number),
                    a_reading("a", number, long=number, string=f"é{number}"),
                    a_reading("a", 0, double=number + 0.5),
                )
            ]
        )


def _rows(reader: LakeReader, snapshot: int | None = None) -> list[Row]:
    return read(reader, a_layout(), ["a", "b"], snapshot=snapshot)


def _snapshot(reader: LakeReader) -> int:
    found = reader.current_snapshot()
    assert found is not None
    return found


def test_a_lake_that_was_never_written_needs_no_care(
    keeper: LakeKeeper, place: LakePlace
) -> None:
    assert keeper.measure() == LakeSize(0, 0, 0)
    assert keeper.compact(is_thorough=True) == 0
    assert keeper.expire(before=_now(), oldest_pin=None) == 0
    assert keeper.delete_leftovers(before=_now()) == 0
    assert keeper.drop_before(0) == 0
    assert list(place.directory.iterdir()) == []


def test_merging_changes_no_view_and_leaves_one_file(
    writer: LakeWriter, reader: LakeReader, keeper: LakeKeeper
) -> None:
    _write(writer, 5)
    before = {it: _rows(reader, it) for it in range(1, _snapshot(reader) + 1)}
    assert keeper.measure().files == 5

    assert keeper.compact(is_thorough=True) == 5

    assert keeper.measure().files == 1
    assert _snapshot(reader) == len(before) + 1
    before[_snapshot(reader)] = before[len(before)]
    assert {it: _rows(reader, it) for it in before} == before
    assert keeper.compact(is_thorough=True) == 0


def test_values_deleted_before_and_after_a_merge_are_gone_from_then_on_only(
    keeper: LakeKeeper, writer: LakeWriter, reader: LakeReader
) -> None:
    _write(writer, 4)
    whole, whole_at = _rows(reader), _snapshot(reader)

    writer.delete(a_deletion("a", "long", Period(1, 3)))
    less, less_at = _rows(reader), _snapshot(reader)
    assert keeper.compact(is_thorough=True) == 5
    assert _rows(reader) == less
    merged_at = _snapshot(reader)

    writer.delete(a_deletion("a", "string"))
    writer.delete(a_deletion("a", "double"))
    left = _rows(reader)
    assert keeper.compact(is_thorough=True) > 0
    assert _rows(reader) == left

    assert read(reader, a_layout("long"), ["a", "b"]) == [
        ("a", 0, 0),
        ("a", 3, 3),
        *(("b", number, number) for number in range(4)),
    ]
    assert len(left) == 6
    assert _rows(reader, less_at) == _rows(reader, merged_at) == less
    assert _rows(reader, whole_at) == whole


def test_unasked_it_waits_until_there_are_some_files(
    writer: LakeWriter, reader: LakeReader, keeper: LakeKeeper
) -> None:
    _write(writer, 7)
    assert keeper.compact() == 0
    _write(writer, 1, first=7)
    before = _rows(reader)

    assert keeper.compact() == 8
    assert keeper.compact() == 0
    assert _rows(reader) == before


def test_files_of_different_columns_become_one(
    writer: LakeWriter, reader: LakeReader, keeper: LakeKeeper
) -> None:
    texts: dict[str, Value] = {"string": "x", "boolean": True}
    for number, name in enumerate(TYPES):
        value = texts.get(name, number)
        reading = Reading(ThingId("a"), number, {name: value})
        writer.write([a_batch(reading)])
    before = _rows(reader)

    assert keeper.compact(is_thorough=True) == len(TYPES)

    assert _rows(reader) == before
    writer.write([a_batch(a_reading("a", 9, long=9))])
    assert _rows(reader) == [*before, ("a", 9, None, None, None, 9, None, None)]


def test_each_table_is_merged_by_itself(
    writer: LakeWriter, reader: LakeReader, keeper: LakeKeeper
) -> None:
    for number in range(3):
        writer.write(
            [
                a_batch(a_reading("a", number, long=number)),
                a_batch(a_reading("f", number, long=number), definition=FAN),
            ]
        )
    fans = a_layout("long", definition=FAN)
    before = _rows(reader), read(reader, fans, ["f"])

    assert [keeper.compact(is_thorough=True) for _ in range(3)] == [3, 3, 0]

    assert keeper.measure().files == 2
    assert (_rows(reader), read(reader, fans, ["f"])) == before


def test_a_merged_file_can_be_merged_again(
    writer: LakeWriter, reader: LakeReader, keeper: LakeKeeper
) -> None:
    for first in (0, 3, 6):
        _write(writer, 3, first=first)
        assert keeper.compact(is_thorough=True)
    assert keeper.measure().files == 1
    assert len(_rows(reader)) == 9 * 3


def test_expiry_gives_up_what_is_older_than_the_oldest_pin(
    writer: LakeWriter, reader: LakeReader, keeper: LakeKeeper
) -> None:
    _write(writer, 6)
    before = {it: _rows(reader, it) for it in range(3, 7)}

    assert keeper.expire(before=_now(), oldest_pin=3) == 3
    assert keeper.expire(before=_now(), oldest_pin=3) == 0

    assert {it: _rows(reader, it) for it in before} == before
    with pytest.raises(ThingportError):
        _rows(reader, 2)


def test_without_a_pin_the_present_state_alone_stays(
    writer: LakeWriter, reader: LakeReader, keeper: LakeKeeper
) -> None:
    _write(writer, 4)
    before = _rows(reader)
    keeper.compact(is_thorough=True)
    assert keeper.measure().kept_bytes > keeper.measure().size_bytes

    assert keeper.expire(before=_now(), oldest_pin=None) == 5

    assert _rows(reader) == before
    size = keeper.measure()
    assert size.kept_bytes == size.size_bytes
    assert size.files == 1


def test_what_was_the_present_state_since_an_instant_stays(
    writer: LakeWriter, reader: LakeReader, keeper: LakeKeeper
) -> None:
    _write(writer, 3)
    time.sleep(0.01)
    instant = _now()
    time.sleep(0.01)
    before = _rows(reader, 3)
    _write(writer, 1, first=3)

    assert keeper.expire(before=instant, oldest_pin=None) == 3

    # It is older than the instant, but it was the present state then.
    assert _rows(reader, 3) == before
    with pytest.raises(ThingportError):
        _rows(reader, 2)


def test_nothing_expires_that_was_present_after_all(
    writer: LakeWriter, reader: LakeReader, keeper: LakeKeeper
) -> None:
    instant = _now() - timedelta(hours=1)
    _write(writer, 3)

    assert keeper.expire(before=instant, oldest_pin=None) == 0
    assert len(_rows(reader, 1)) == 3


def test_a_merged_file_outlives_the_snapshots_that_it_came_from(
    writer: LakeWriter, reader: LakeReader, keeper: LakeKeeper
) -> None:
    _write(writer, 3)
    keeper.compact(is_thorough=True)
    pinned = _snapshot(reader)
    before = _rows(reader, pinned)
    _write(writer, 3, first=3)
    keeper.compact(is_thorough=True)

    keeper.expire(before=_now(), oldest_pin=pinned)
    assert _rows(reader, pinned) == before
    keeper.expire(before=_now(), oldest_pin=None)

    assert len(_rows(reader)) == 6 * 3
    assert keeper.measure().kept_bytes == keeper.measure().size_bytes


def test_what_is_stamped_before_an_instant_is_dropped_and_nothing_else_is(
    writer: LakeWriter, reader: LakeReader, keeper: LakeKeeper
) -> None:
    _write(writer, 5)
    fan = a_batch(a_reading("f", 1, long=1), definition=FAN)
    writer.write([fan])
    before, pinned = _rows(reader), _snapshot(reader)

    assert {keeper.drop_before(3), keeper.drop_before(3)} == {1, 5}
    assert keeper.drop_before(3) == 0

    assert _rows(reader) == [
        it for it in before if isinstance(it[1], int) and it[1] >= 3
    ]
    assert read(reader, a_layout("long", definition=FAN), ["f"]) == []
    assert _rows(reader, pinned) == before
    while keeper.expire(before=_now(), oldest_pin=None):
        pass
    size = keeper.measure()
    assert size.kept_bytes == size.size_bytes
    writer.write([fan])
    assert len(read(reader, a_layout("long", definition=FAN), ["f"])) == 1


def test_a_file_without_anything_old_is_left_alone(
    writer: LakeWriter, keeper: LakeKeeper
) -> None:
    writer.write([a_batch(a_reading("a", 5, long=1))])
    writer.write([a_batch(a_reading("a", 9, long=1))])

    assert keeper.drop_before(5) == 0
    assert keeper.drop_before(6) == 1
    assert keeper.measure().files == 1


def test_leftovers_are_deleted_when_they_are_old_and_nothing_else_is(
    writer: LakeWriter, reader: LakeReader, keeper: LakeKeeper, place: LakePlace
) -> None:
    _write(writer, 3)
    keeper.compact(is_thorough=True)
    before = {it: _rows(reader, it) for it in range(1, 5)}
    table = place.directory / "lakes" / "acme" / "data" / "main" / f"d_{PUMP}"
    (table / "leftover.parquet").write_bytes(b"half")
    (table / "notes.txt").write_text("of an operator")

    assert keeper.delete_leftovers(before=_now() - timedelta(hours=1)) == 0
    assert keeper.delete_leftovers(before=_now() + timedelta(hours=1)) == 1

    assert not (table / "leftover.parquet").exists()
    assert (table / "notes.txt").exists()
    assert {it: _rows(reader, it) for it in before} == before
