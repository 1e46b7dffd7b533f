"""ZIP records at the limits of their fields."""

import struct
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import BinaryIO, NamedTuple
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingport.adapters.render.zip_records import (
    ZipMember,
    central_record,
    dos_time,
    end_of_archive,
    local_header,
)

LIMIT_32 = 0xFFFF_FFFF
LIMIT_16 = 0xFFFF
AROUND_32 = [LIMIT_32 - 1, LIMIT_32, LIMIT_32 + 1]
AROUND_16 = [LIMIT_16 - 1, LIMIT_16, LIMIT_16 + 1]

UTF_8_AND_NO_DATA_DESCRIPTOR = 0x0800

sizes = st.sampled_from([0, 1, *AROUND_32]) | st.integers(0, 2**34)


def a_member(
    text_bytes: int = 30,
    compressed_bytes: int = 10,
    *,
    name: str = "a.csv",
    modified_at: datetime = datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC),
) -> ZipMember:
    return ZipMember(
        name=name,
        modified_at=modified_at,
        crc32=0x1234_5678,
        compressed_bytes=compressed_bytes,
        text_bytes=text_bytes,
    )


class Local(NamedTuple):
    """A local header (APPNOTE 4.3.7)."""

    signature: bytes
    version: int
    flags: int
    method: int
    time: int
    date: int
    crc32: int
    compressed: int
    text: int
    name_bytes: int
    extra_bytes: int


class Central(NamedTuple):
    """A record of the central directory (APPNOTE 4.3.12)."""

    signature: bytes
    made_by: int
    version: int
    flags: int
    method: int
    time: int
    date: int
    crc32: int
    compressed: int
    text: int
    name_bytes: int
    extra_bytes: int
    comment_bytes: int
    disk: int
    internal: int
    external: int
    offset: int


def read_local(record: bytes) -> tuple[Local, bytes, bytes]:
    """Give the fields, the name and the extra fields, which are all of the bytes."""
    head = Local(*struct.unpack("<4s5H3L2H", record[:30]))
    extra_start = 30 + head.name_bytes
    assert len(record) == extra_start + head.extra_bytes
    return head, record[30:extra_start], record[extra_start:]


def read_central(record: bytes) -> tuple[Central, bytes, bytes]:
    """The same of a record of the central directory."""
    head = Central(*struct.unpack("<4s6H3L5H2L", record[:46]))
    extra_start = 46 + head.name_bytes
    assert len(record) == extra_start + head.extra_bytes
    assert head.comment_bytes == head.disk == 0
    return head, record[46:extra_start], record[extra_start:]


def extra_64(*values: int) -> bytes:
    """Give the ZIP64 extra field with these values (APPNOTE 4.5.3)."""
    return struct.pack(f"<2H{len(values)}Q", 1, 8 * len(values), *values)


@pytest.mark.parametrize(
    ("text_bytes", "compressed_bytes"), [*product([30, *AROUND_32], repeat=2)]
)
def test_a_local_header_has_both_sizes_in_64_bits_exactly_when_one_needs_it(
    text_bytes: int, compressed_bytes: int
) -> None:
    head, _, extra = read_local(local_header(a_member(text_bytes, compressed_bytes)))

    if max(text_bytes, compressed_bytes) < LIMIT_32:
        assert (head.text, head.compressed) == (text_bytes, compressed_bytes)
        assert (head.version, extra) == (20, b"")
    else:
        assert (head.text, head.compressed) == (LIMIT_32, LIMIT_32)
        assert (head.version, extra) == (45, extra_64(text_bytes, compressed_bytes))


@pytest.mark.parametrize(
    ("text_bytes", "compressed_bytes", "offset"), [*product([30, *AROUND_32], repeat=3)]
)
def test_a_central_record_has_in_64_bits_exactly_what_needs_it(
    text_bytes: int, compressed_bytes: int, offset: int
) -> None:
    member = a_member(text_bytes, compressed_bytes)

    head, _, extra = read_central(central_record(member, offset))

    sizes_and_offset = [text_bytes, compressed_bytes, offset]
    large = [it for it in sizes_and_offset if it >= LIMIT_32]
    assert [head.text, head.compressed, head.offset] == [
        min(it, LIMIT_32) for it in sizes_and_offset
    ]
    assert extra == (extra_64(*large) if large else b"")
    assert head.version == (45 if large else 20)


@pytest.mark.parametrize(
    ("members", "offset", "size_bytes"),
    [*product([1, *AROUND_16], [2, *AROUND_32], [3, *AROUND_32])],
)
def test_an_archive_ends_in_64_bits_exactly_when_its_end_needs_it(
    members: int, offset: int, size_bytes: int
) -> None:
    record = end_of_archive(members, offset, size_bytes)

    count = min(members, LIMIT_16)
    sizes = min(size_bytes, LIMIT_32), min(offset, LIMIT_32)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, *sizes, 0)
    if members < LIMIT_16 and max(offset, size_bytes) < LIMIT_32:
        assert record == end
    else:
        assert record == b"".join(
            [
                struct.pack("<4sQ2H2L", b"PK\x06\x06", 44, 3 << 8 | 45, 45, 0, 0),
                struct.pack("<4Q", members, members, size_bytes, offset),
                struct.pack("<4sLQL", b"PK\x06\x07", 0, offset + size_bytes, 1),
                end,
            ]
        )


@given(text_bytes=sizes, compressed_bytes=sizes, offset=sizes, name=st.text())
def test_both_records_of_a_member_say_the_same_and_promise_no_data_descriptor(
    text_bytes: int, compressed_bytes: int, offset: int, name: str
) -> None:
    member = a_member(text_bytes, compressed_bytes, name=name)

    local, local_name, _ = read_local(local_header(member))
    central, central_name, _ = read_central(central_record(member, offset))

    assert local.signature == b"PK\x03\x04"
    assert central.signature == b"PK\x01\x02"
    assert local.flags == central.flags == UTF_8_AND_NO_DATA_DESCRIPTOR
    assert local.method == central.method == ZIP_DEFLATED
    assert local_name == central_name == name.encode()
    assert local.crc32 == central.crc32 == member.crc32
    assert (local.time, local.date) == dos_time(member.modified_at)
    assert (central.time, central.date) == dos_time(member.modified_at)


# --- other people's reading ----------------------------------------------------


@contextmanager
def assembled(members: Sequence[ZipMember]) -> Iterator[BinaryIO]:
    """Write an archive whose compressed bytes are holes that take no room."""
    with tempfile.TemporaryFile() as file:
        directory: list[bytes] = []
        for member in members:
            directory.append(central_record(member, file.tell()))
            file.write(local_header(member))
            file.seek(member.compressed_bytes, 1)
        offset = file.tell()
        size_bytes = file.write(b"".join(directory))
        file.write(end_of_archive(len(members), offset, size_bytes))
        yield file


def listed(members: Sequence[ZipMember]) -> list[ZipInfo]:
    with assembled(members) as file, ZipFile(file) as archive:
        for info in archive.infolist():
            # Looks for the local header, and compares the names.
            archive.open(info).close()
        return archive.infolist()


@given(
    members=st.lists(
        st.builds(
            a_member,
            text_bytes=sizes,
            compressed_bytes=sizes,
            name=st.text(
                st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
                min_size=1,
            ),
        ),
        max_size=4,
        unique_by=lambda it: it.name,
    )
)
def test_python_lists_an_archive_of_any_sizes(members: list[ZipMember]) -> None:
    found = listed(members)

    assert [(it.filename, it.file_size, it.compress_size, it.CRC) for it in found] == [
        (it.name, it.text_bytes, it.compressed_bytes, it.crc32) for it in members
    ]
    assert all(it.date_time == (2026, 1, 2, 3, 4, 6) for it in found)
    assert all(it.external_attr >> 16 == 0o100644 for it in found)


@pytest.mark.parametrize("offset", AROUND_32)
def test_python_finds_a_directory_and_a_member_at_the_limit(offset: int) -> None:
    header_bytes = len(local_header(a_member()))
    members = [a_member(30, offset - header_bytes), a_member(name="b.csv")]

    found = listed(members)

    assert [it.header_offset for it in found] == [0, offset]


@pytest.mark.parametrize("count", AROUND_16)
def test_python_lists_as_many_members_as_there_are(count: int) -> None:
    names = [f"{it}.csv" for it in range(count)]

    assert [it.filename for it in listed([a_member(name=it) for it in names])] == names


# --- time ----------------------------------------------------------------------


@given(at=st.datetimes(datetime(1980, 1, 1), datetime(2107, 12, 31, 23, 59, 59)))  # noqa: DTZ001  # as hypothesis wants them
def test_a_time_is_cut_to_even_seconds(at: datetime) -> None:
    even = at.replace(second=at.second // 2 * 2, microsecond=0)

    [found] = listed([a_member(modified_at=at.replace(tzinfo=UTC))])

    assert datetime(*found.date_time) == even  # noqa: DTZ001  # ZIP has no time zones


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (datetime(1, 1, 1, tzinfo=UTC), datetime(1980, 1, 1, tzinfo=UTC)),
        (
            datetime(1979, 12, 31, 23, 59, 59, tzinfo=UTC),
            datetime(1980, 1, 1, tzinfo=UTC),
        ),
        (
            datetime(2108, 1, 1, tzinfo=UTC),
            datetime(2107, 12, 31, 23, 59, 58, tzinfo=UTC),
        ),
        (datetime.max.replace(tzinfo=UTC), datetime(2107, 12, 31, 23, 59, 58)),  # noqa: DTZ001
    ],
)
def test_a_time_that_zip_cannot_say_is_the_nearest_that_it_can(
    at: datetime, expected: datetime
) -> None:
    [found] = listed([a_member(modified_at=at)])

    assert found.date_time == expected.timetuple()[:6]


def test_the_first_and_the_last_time_that_zip_can_say() -> None:
    first = datetime(1980, 1, 1, tzinfo=UTC)
    last = datetime(2107, 12, 31, 23, 59, 58, tzinfo=UTC)

    assert dos_time(first) == (0, 1 << 5 | 1)
    assert dos_time(last) == (23 << 11 | 59 << 5 | 29, 127 << 9 | 12 << 5 | 31)
    assert dos_time(last + timedelta(seconds=1)) == dos_time(last)
