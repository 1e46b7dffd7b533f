"""ZIP records: local headers, central directory and its end.

ZIP64 exactly where a size, an offset or a count needs it. No data descriptors: sizes
are known when a header is written.

Source: PKWARE, *APPNOTE.TXT* 6.3.10, sections 4.3 to 4.5.
"""

import struct
from dataclasses import dataclass
from datetime import datetime

MAX_32 = 0xFFFF_FFFF
"""In a 32-bit field: the value stands in the ZIP64 extra field. So a value that
large itself needs ZIP64 as well."""

MAX_16 = 0xFFFF
"""The same in a 16-bit field."""

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_END = struct.Struct("<4s4H2LH")
_EXTRA_HEAD = struct.Struct("<2H")

_END_64_HEAD_BYTES = 12
"""What the size in the ZIP64 end record does not count: its signature and itself."""

_EXTRA_64 = 1
_VERSION = 20
_VERSION_64 = 45
_MADE_ON_UNIX = 3 << 8 | _VERSION_64
_UTF_8 = 1 << 11
_DEFLATED = 8
_REGULAR_0644 = 0o100644 << 16
_FIRST_YEAR = 1980
_LAST_YEAR = 2107


@dataclass(frozen=True, slots=True, kw_only=True)
class ZipMember:
    """One deflated file of an archive.

    Attributes:
        name: At most 65 535 bytes in UTF-8.
        modified_at: As it is to stand there: ZIP has no time zones.
    """

    name: str
    modified_at: datetime
    crc32: int
    compressed_bytes: int
    text_bytes: int


def local_header(member: ZipMember) -> bytes:
    """Give what stands before a member's compressed bytes."""
    name = member.name.encode()
    extra = b""
    if max(member.compressed_bytes, member.text_bytes) >= MAX_32:
        # Here, unlike in the central directory, both sizes are due or none.
        extra = _extra_64(member.text_bytes, member.compressed_bytes)
    time, date = dos_time(member.modified_at)
    head = _LOCAL.pack(
        b"PK\x03\x04",
        _VERSION_64 if extra else _VERSION,
        _UTF_8,
        _DEFLATED,
        time,
        date,
        member.crc32,
        MAX_32 if extra else member.compressed_bytes,
        MAX_32 if extra else member.text_bytes,
        len(name),
        len(extra),
    )
    return head + name + extra


def central_record(member: ZipMember, offset: int) -> bytes:
    """Give a member's record in the central directory.

    Args:
        member: The member.
        offset: Where its local header begins in the archive.
    """
    name = member.name.encode()
    sizes = (member.text_bytes, member.compressed_bytes, offset)
    extra = _extra_64(*(it for it in sizes if it >= MAX_32))
    time, date = dos_time(member.modified_at)
    head = _CENTRAL.pack(
        b"PK\x01\x02",
        _MADE_ON_UNIX,
        _VERSION_64 if extra else _VERSION,
        _UTF_8,
        _DEFLATED,
        time,
        date,
        member.crc32,
        min(member.compressed_bytes, MAX_32),
        min(member.text_bytes, MAX_32),
        len(name),
        len(extra),
        *(0, 0, 0),  # no comment, first disk, no internal attributes
        _REGULAR_0644,
        min(offset, MAX_32),
    )
    return head + name + extra


def end_of_archive(members: int, offset: int, size_bytes: int) -> bytes:
    """Give what ends an archive.

    Args:
        members: How many there are.
        offset: Where the central directory begins.
        size_bytes: Of the central directory.
    """
    end_64 = b""
    if members >= MAX_16 or max(offset, size_bytes) >= MAX_32:
        end_64 = _end_64(members, offset, size_bytes)
    count = min(members, MAX_16)
    end = _END.pack(
        b"PK\x05\x06",
        *(0, 0),  # the only disk
        *(count, count),
        min(size_bytes, MAX_32),
        min(offset, MAX_32),
        0,
    )
    return end_64 + end


def dos_time(at: datetime) -> tuple[int, int]:
    """Give time and date in MS-DOS form: two seconds fine, from 1980 to 2107."""
    if at.year < _FIRST_YEAR:
        at = datetime(_FIRST_YEAR, 1, 1, tzinfo=at.tzinfo)
    elif at.year > _LAST_YEAR:
        at = datetime(_LAST_YEAR, 12, 31, 23, 59, 58, tzinfo=at.tzinfo)
    time = at.hour << 11 | at.minute << 5 | at.second // 2
    date = (at.year - _FIRST_YEAR) << 9 | at.month << 5 | at.day
    return time, date


def _extra_64(*values: int) -> bytes:
    if not values:
        return b""
    content = struct.pack(f"<{len(values)}Q", *values)
    return _EXTRA_HEAD.pack(_EXTRA_64, len(content)) + content


def _end_64(members: int, offset: int, size_bytes: int) -> bytes:
    record = _END_64.pack(
        b"PK\x06\x06",
        _END_64.size - _END_64_HEAD_BYTES,
        _MADE_ON_UNIX,
        _VERSION_64,
        *(0, 0),  # the only disk
        *(members, members),
        size_bytes,
        offset,
    )
    locator = _LOCATOR_64.pack(b"PK\x06\x07", 0, offset + size_bytes, 1)
    return record + locator
