"""How segments and the records around them make an archive."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from thingport.adapters.render.deflate import joined_crc32
from thingport.adapters.render.zip_records import (
    ZipMember,
    central_record,
    end_of_archive,
    local_header,
)
from thingport.domain.errors import CorruptSegment
from thingport.domain.export_plan import Chunk, ExportPlan, ThingSpan, WholeThings
from thingport.domain.segment import ArchivePiece, SegmentMember, StoredSegment

_DIRECTORY_PIECE_BYTES = 256 * 1024
"""Size from which a piece of the central directory is handed over."""


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Segments that stand together: one of whole things, or all spans of a thing.

    Attributes:
        header: What stands before the segments; that of whole things have theirs.
        members: Where each begins, from the start of the stretch.
    """

    header: bytes
    segments: Sequence[StoredSegment]
    members: Sequence[tuple[int, ZipMember]]

    @property
    def size_bytes(self) -> int:
        """Size of it all."""
        return len(self.header) + sum(it.index.size_bytes for it in self.segments)


def iter_pieces(
    plan: ExportPlan, chunks: Sequence[Chunk], segments: Sequence[StoredSegment]
) -> Iterator[ArchivePiece]:
    """Yield the archive in order, the central directory last, in small pieces.

    Raises:
        CorruptSegment: A segment is of another chunk, or has other files in it.
    """
    for stretch in _iter_stretches(plan, chunks, segments):
        if stretch.header:
            yield stretch.header
        yield from stretch.segments
    yield from _iter_directory(plan, chunks, segments)


def zip_member(plan: ExportPlan, member: SegmentMember) -> ZipMember:
    """Give what a ZIP says of a file."""
    return ZipMember(
        name=plan.files[member.file].name,
        modified_at=plan.scheduled_at,
        crc32=member.crc32,
        compressed_bytes=member.compressed_bytes,
        text_bytes=member.text_bytes,
    )


def _iter_directory(
    plan: ExportPlan, chunks: Sequence[Chunk], segments: Sequence[StoredSegment]
) -> Iterator[bytes]:
    # Goes through the segments a second time, rather than to hold all records.
    piece = bytearray()
    offset = count = size_bytes = 0
    for stretch in _iter_stretches(plan, chunks, segments):
        for place, member in stretch.members:
            record = central_record(member, offset + place)
            piece += record
            size_bytes += len(record)
            count += 1
            if len(piece) >= _DIRECTORY_PIECE_BYTES:
                yield bytes(piece)
                piece.clear()
        offset += stretch.size_bytes
    yield bytes(piece) + end_of_archive(count, offset, size_bytes)


def _iter_stretches(
    plan: ExportPlan, chunks: Sequence[Chunk], segments: Sequence[StoredSegment]
) -> Iterator[_Stretch]:
    spans: list[StoredSegment] = []
    for chunk, segment in zip(chunks, segments, strict=True):
        _check(chunk, segment)
        match chunk:
            case WholeThings():
                yield _whole_things(plan, segment)
            case ThingSpan():
                spans.append(segment)
                if chunk.is_last:
                    yield _spanned_thing(plan, spans)
                    spans = []


def _check(chunk: Chunk, segment: StoredSegment) -> None:
    match chunk:
        case WholeThings():
            files = range(chunk.first_file, chunk.end_file)
        case ThingSpan():
            files = range(chunk.file, chunk.file + 1)
    index = segment.index
    if index.chunk_number != chunk.number or [it.file for it in index.members] != list(
        files
    ):
        raise CorruptSegment(chunk.number)


def _whole_things(plan: ExportPlan, segment: StoredSegment) -> _Stretch:
    members = [(it.offset, zip_member(plan, it)) for it in segment.index.members]
    return _Stretch(b"", (segment,), members)


def _spanned_thing(plan: ExportPlan, spans: Sequence[StoredSegment]) -> _Stretch:
    parts = [it.index.members[0] for it in spans]
    crc32 = 0
    for part in parts:
        crc32 = joined_crc32(crc32, part.crc32, part.text_bytes)
    member = ZipMember(
        name=plan.files[parts[0].file].name,
        modified_at=plan.scheduled_at,
        crc32=crc32,
        compressed_bytes=sum(it.compressed_bytes for it in parts),
        text_bytes=sum(it.text_bytes for it in parts),
    )
    return _Stretch(local_header(member), spans, [(0, member)])
