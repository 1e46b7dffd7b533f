"""Segments: the finished bytes of chunks, and what is known about them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentMember:
    """One CSV file, or one span of one, inside a segment.

    Attributes:
        file: Index of its file in the plan.
        offset: Where it begins in the segment: its local header, or, for a
            span, its compressed bytes.
        crc32: Of its CSV text.
        compressed_bytes: Size of its raw deflate stream.
        text_bytes: Size of its CSV text.
        rows: Rows of CSV, header not counted.
        first_ms: Timestamp of the first row; ``None`` if there is none.
        last_ms: Timestamp of the last row; ``None`` if there is none.
    """

    file: int
    offset: int
    crc32: int
    compressed_bytes: int
    text_bytes: int
    rows: int
    first_ms: int | None
    last_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentIndex:
    """What a segment holds.

    Attributes:
        chunk_number: The chunk that it is the outcome of.
        size_bytes: Of the whole segment.
        sha256: Of the whole segment, lower-case hex.
        members: In the order of the plan.
    """

    chunk_number: int
    size_bytes: int
    sha256: str
    members: tuple[SegmentMember, ...]


@dataclass(frozen=True, slots=True)
class Segment:
    """A rendered chunk.

    A chunk of whole things gives complete ZIP records: local header and raw
    deflate stream, one after the other. A span of a thing gives a piece of one
    raw deflate stream, which ends on a full flush unless it is the last.
    """

    index: SegmentIndex
    content: bytes


@dataclass(frozen=True, slots=True)
class StoredSegment:
    """A segment that was committed for its chunk: the first one, which won."""

    index: SegmentIndex
    key: str


ArchivePiece = bytes | StoredSegment
"""A part of an archive, in order: literal bytes, or all of a segment."""
