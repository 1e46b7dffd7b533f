"""Rendering chunks into segments, and joining segments into an archive."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence

from thingport.adapters.render.archive_layout import iter_pieces, zip_member
from thingport.adapters.render.deflate import deflate
from thingport.adapters.render.thing_texts import ThingText, iter_thing_texts
from thingport.adapters.render.zip_records import local_header
from thingport.application.ports import RowBatch
from thingport.domain.export_plan import Chunk, ExportPlan, ThingSpan, WholeThings
from thingport.domain.segment import (
    ArchivePiece,
    Segment,
    SegmentIndex,
    SegmentMember,
    StoredSegment,
)


class CsvZipRenderer:
    """A ``ChunkRenderer`` that makes CSV files in a ZIP; has no state."""

    def render(
        self, plan: ExportPlan, chunk: Chunk, batches: Iterable[RowBatch]
    ) -> Segment:
        """Render a chunk from its rows."""
        match chunk:
            case WholeThings():
                return _render_things(plan, chunk, batches)
            case ThingSpan():
                return _render_span(plan, chunk, batches)

    def iter_archive(
        self,
        plan: ExportPlan,
        chunks: Sequence[Chunk],
        segments: Sequence[StoredSegment],
    ) -> Iterator[ArchivePiece]:
        """Yield the archive in order, the central directory last."""
        return iter_pieces(plan, chunks, segments)


def _render_things(
    plan: ExportPlan, chunk: WholeThings, batches: Iterable[RowBatch]
) -> Segment:
    """Render complete ZIP records, one after the other."""
    content = bytearray()
    members: list[SegmentMember] = []
    files = range(chunk.first_file, chunk.end_file)
    for text in iter_thing_texts(plan, files, batches, with_header=True):
        member, compressed = _compress(text, len(content), ends_stream=True)
        content += local_header(zip_member(plan, member))
        content += compressed
        members.append(member)
    return _segment(chunk, bytes(content), members)


def _render_span(
    plan: ExportPlan, chunk: ThingSpan, batches: Iterable[RowBatch]
) -> Segment:
    """Render a piece of one deflate stream."""
    files = range(chunk.file, chunk.file + 1)
    [text] = iter_thing_texts(plan, files, batches, with_header=chunk.is_first)
    member, compressed = _compress(text, 0, ends_stream=chunk.is_last)
    return _segment(chunk, compressed, [member])


def _compress(
    text: ThingText, offset: int, *, ends_stream: bool
) -> tuple[SegmentMember, bytes]:
    content = b"".join(text.pieces)
    deflated = deflate(content, ends_stream=ends_stream)
    member = SegmentMember(
        file=text.file,
        offset=offset,
        crc32=deflated.crc32,
        compressed_bytes=len(deflated.content),
        text_bytes=len(content),
        rows=text.rows,
        first_ms=text.first_ms,
        last_ms=text.last_ms,
    )
    return member, deflated.content


def _segment(chunk: Chunk, content: bytes, members: Sequence[SegmentMember]) -> Segment:
    index = SegmentIndex(
        chunk_number=chunk.number,
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        members=tuple(members),
    )
    return Segment(index, content)
