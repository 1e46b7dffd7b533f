"""From rows to segments, and from segments to a ZIP."""

import hashlib
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import pairwise
from zipfile import ZipFile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DataObject, DrawFn

from renderings import (
    SCHEDULED_AT,
    StoredRow,
    a_batch,
    a_layout,
    a_plan,
    a_row,
    cut_anywhere,
    layouts,
    merged,
    rows_of,
    text_of,
    timestamp_formats,
)
from thingport.adapters.render.chunk_renderer import CsvZipRenderer
from thingport.domain.data_export import TimestampFormat
from thingport.domain.errors import CorruptData, CorruptSegment
from thingport.domain.export_plan import Chunk, ExportPlan, ThingSpan, WholeThings
from thingport.domain.metric import ValueType
from thingport.domain.period import Period
from thingport.domain.segment import ArchivePiece, Segment, SegmentMember, StoredSegment

RENDERER = CsvZipRenderer()

close_instants = st.integers(0, 5)


@dataclass(frozen=True, slots=True)
class Export:
    """A plan, and what the things of its files have."""

    plan: ExportPlan
    rows: Sequence[Sequence[StoredRow]]

    @property
    def files(self) -> dict[str, bytes]:
        """The text of each file, from the specification alone."""
        return {
            file.name: self.text(number, self.rows[number]).encode()
            for number, file in enumerate(self.plan.files)
        }

    def text(
        self, file: int, rows: Iterable[StoredRow], *, with_header: bool = True
    ) -> str:
        layout = self.plan.layouts[self.plan.files[file].layout]
        # They are such as need no quotes.
        header = ["TIMESTAMP", *(it.header for it in layout.columns)]
        text = text_of(layout, merged(rows), self.plan.timestamp_format)
        return ",".join(header) + "\r\n" + text if with_header else text

    def rows_in(self, chunk: Chunk) -> list[StoredRow]:
        match chunk:
            case WholeThings():
                files = self.rows[chunk.first_file : chunk.end_file]
                return [row for rows in files for row in rows]
            case ThingSpan():
                rows = self.rows[chunk.file]
                return [it for it in rows if chunk.period.contains(it.timestamp_ms)]


@st.composite
def exports(draw: DrawFn) -> Export:
    kinds = draw(st.lists(layouts, min_size=1, max_size=2))
    files = sorted(draw(st.lists(st.integers(0, len(kinds) - 1), max_size=5)))
    plan = a_plan(kinds, files, draw(timestamp_formats))
    rows = [
        draw(rows_of(kinds[it.layout], [it.thing_id], close_instants, max_size=12))
        for it in plan.files
    ]
    return Export(plan, rows)


@st.composite
def cuttings(draw: DrawFn, plan: ExportPlan) -> list[Chunk]:
    """Draw chunks that cover every file once, whole or in spans."""
    chunks: list[Chunk] = []
    edges = st.none() | st.lists(close_instants, max_size=3, unique=True)
    for file in range(len(plan.files)):
        inner = draw(edges)
        if inner is not None:
            chunks += spans_of(file, sorted(inner), len(chunks))
        elif draw(st.booleans()) and (longer := prolonged(plan, chunks, file)):
            chunks[-1] = longer
        else:
            chunks.append(WholeThings(len(chunks), file, file + 1, 0))
    return chunks


def spans_of(file: int, inner: Sequence[int], first_number: int) -> list[ThingSpan]:
    """Cut a file at instants; none makes one span that is the first and the last."""
    edges = [None, *inner, None]
    return [
        ThingSpan(
            number=first_number + n,
            file=file,
            period=Period(start, end),
            is_first=start is None,
            is_last=end is None,
            rows=0,
        )
        for n, (start, end) in enumerate(pairwise(edges))
    ]


def prolonged(
    plan: ExportPlan, chunks: Sequence[Chunk], file: int
) -> WholeThings | None:
    """Give the last chunk with a file more, if it can have that."""
    match chunks:
        case [*_, WholeThings(first_file=first) as last]:
            if plan.files[first].layout == plan.files[file].layout:
                return replace(last, end_file=file + 1)
    return None


def render(export: Export, chunk: Chunk, *batches: Sequence[StoredRow]) -> Segment:
    file = chunk.first_file if isinstance(chunk, WholeThings) else chunk.file
    layout = export.plan.layouts[export.plan.files[file].layout]
    return RENDERER.render(export.plan, chunk, [a_batch(layout, it) for it in batches])


def render_all(
    export: Export, chunks: Sequence[Chunk], data: DataObject | None = None
) -> list[Segment]:
    """Render all chunks; the rows come in one batch, or in batches as drawn."""
    segments: list[Segment] = []
    for chunk in chunks:
        rows = export.rows_in(chunk)
        batches = data.draw(cut_anywhere(rows)) if data else [rows]
        segments.append(render(export, chunk, *batches))
    return segments


def pieces_of(
    plan: ExportPlan, chunks: Sequence[Chunk], segments: Sequence[Segment]
) -> list[ArchivePiece]:
    stored = [StoredSegment(it.index, f"{n}") for n, it in enumerate(segments)]
    return list(RENDERER.iter_archive(plan, chunks, stored))


def seal(
    plan: ExportPlan, chunks: Sequence[Chunk], segments: Sequence[Segment]
) -> bytes:
    return b"".join(
        it if isinstance(it, bytes) else segments[int(it.key)].content
        for it in pieces_of(plan, chunks, segments)
    )


def an_export(*rows: Sequence[StoredRow]) -> Export:
    """Give an export of things with one column of whole numbers."""
    plan = a_plan(
        [a_layout(ValueType.LONG)], [0] * len(rows), TimestampFormat.EPOCH_MILLIS
    )
    return Export(plan, rows)


# --- the archive ---------------------------------------------------------------


@given(export=exports(), data=st.data())
def test_an_archive_is_the_specified_text_however_it_was_cut(
    export: Export, data: DataObject
) -> None:
    chunks = data.draw(cuttings(export.plan))
    segments = render_all(export, chunks, data)

    content = seal(export.plan, chunks, segments)

    with ZipFile(BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [it.name for it in export.plan.files]
        assert {it: archive.read(it) for it in archive.namelist()} == export.files
        assert {it.date_time for it in archive.infolist()} <= {
            SCHEDULED_AT.timetuple()[:6]
        }


@given(export=exports(), data=st.data())
def test_equal_rows_give_equal_bytes_whatever_their_batches(
    export: Export, data: DataObject
) -> None:
    chunks = data.draw(cuttings(export.plan))

    first = render_all(export, chunks, data)
    second = render_all(export, chunks, data)

    assert first == second
    assert seal(export.plan, chunks, first) == seal(export.plan, chunks, second)


def test_an_archive_of_no_files_is_empty_and_valid() -> None:
    export = an_export()

    with ZipFile(BytesIO(seal(export.plan, [], []))) as archive:
        assert archive.namelist() == []


def test_things_without_values_have_a_header_alone() -> None:
    export = an_export([], [a_row("thing 1", 0, None)], [a_row("thing 2", 5, 7)], [])
    chunks: list[Chunk] = [WholeThings(0, 0, 3, 0), *spans_of(3, [2], 1)]

    content = seal(export.plan, chunks, render_all(export, chunks))

    with ZipFile(BytesIO(content)) as archive:
        assert [archive.read(it) for it in archive.namelist()] == [
            b"TIMESTAMP,header 0\r\n",
            b"TIMESTAMP,header 0\r\n",
            b"TIMESTAMP,header 0\r\n5,7\r\n",
            b"TIMESTAMP,header 0\r\n",
        ]


def test_a_long_directory_comes_in_pieces_of_bounded_size() -> None:
    export = an_export(*[[]] * 5_000)
    chunks = [
        WholeThings(number, first, first + 1_000, 0)
        for number, first in enumerate(range(0, 5_000, 1_000))
    ]
    segments = render_all(export, chunks)

    pieces = pieces_of(export.plan, chunks, segments)

    sizes = [len(it) for it in pieces if isinstance(it, bytes)]
    assert len(sizes) > 1
    assert max(sizes) < 300 * 1024
    with ZipFile(BytesIO(seal(export.plan, chunks, segments))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [it.name for it in export.plan.files]


# --- segments ------------------------------------------------------------------


@given(export=exports(), data=st.data())
def test_an_index_says_what_is_in_its_segment(export: Export, data: DataObject) -> None:
    chunks = data.draw(cuttings(export.plan))

    for chunk, segment in zip(chunks, render_all(export, chunks), strict=True):
        index = segment.index
        assert index.chunk_number == chunk.number
        assert index.size_bytes == len(segment.content)
        assert index.sha256 == hashlib.sha256(segment.content).hexdigest()
        ends = [it.offset for it in index.members[1:]] + [index.size_bytes]
        for member, end in zip(index.members, ends, strict=True):
            check_member(export, chunk, member, segment.content[member.offset : end])


def check_member(
    export: Export, chunk: Chunk, member: SegmentMember, content: bytes
) -> None:
    """Compare what is said of a file with the bytes that are there for it."""
    if isinstance(chunk, WholeThings):
        content = content[header_bytes(content) :]
    thing_id = export.plan.files[member.file].thing_id
    rows = merged(it for it in export.rows_in(chunk) if it.thing_id == thing_id)
    begins = isinstance(chunk, WholeThings) or chunk.is_first
    text = export.text(member.file, rows, with_header=begins).encode()

    assert member.compressed_bytes == len(content)
    assert inflate(content) == text
    assert (member.text_bytes, member.crc32) == (len(text), zlib.crc32(text))
    assert member.rows == len(rows)
    assert member.first_ms == (rows[0].timestamp_ms if rows else None)
    assert member.last_ms == (rows[-1].timestamp_ms if rows else None)


def header_bytes(content: bytes) -> int:
    """Measure the local header that some bytes begin with."""
    signature, name_bytes, extra_bytes = struct.unpack("<4s22x2H", content[:30])
    assert signature == b"PK\x03\x04"
    return 30 + int(name_bytes) + int(extra_bytes)


def inflate(content: bytes) -> bytes:
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(content)


@pytest.mark.parametrize(
    ("things", "message"),
    [
        (["thing 0"], "thing 0 are not of this chunk"),
        (["thing 1", "thing 3"], "thing 3 are not of this chunk"),
        (["unknown"], "thing unknown are not of this chunk"),
        (["thing 2", "thing 1"], "thing 1 are out of order"),
        (["thing 1", "thing 2", "thing 1"], "thing 1 are out of order"),
    ],
)
@pytest.mark.parametrize("one_by_one", [False, True])
def test_rows_of_things_that_are_not_due_are_corrupt_data(
    things: Sequence[str], message: str, *, one_by_one: bool
) -> None:
    export = an_export([], [], [], [])
    rows = [a_row(it, n, n) for n, it in enumerate(things)]
    batches = [[it] for it in rows] if one_by_one else [rows]

    with pytest.raises(CorruptData, match=message):
        render(export, WholeThings(0, 1, 3, 0), *batches)


def test_a_row_of_another_thing_in_a_span_is_corrupt_data() -> None:
    [span] = spans_of(1, [], 0)

    with pytest.raises(CorruptData, match="thing 0 are not of this chunk"):
        render(an_export([], []), span, [a_row("thing 0", 0, 1)])


@pytest.mark.parametrize("chunk", [WholeThings(0, 0, 1, 0), *spans_of(0, [], 0)])
def test_timestamps_that_step_back_are_corrupt_data(chunk: Chunk) -> None:
    rows = [a_row("thing 0", 1, 1), a_row("thing 0", 0, 1)]

    with pytest.raises(CorruptData, match="thing 0 are out of order"):
        render(an_export([]), chunk, rows)


# --- segments that do not belong here ------------------------------------------


FOUR_THINGS = an_export([], [], [], [])

FOUR_CHUNKS: Sequence[Chunk] = [
    WholeThings(0, 0, 2, 0),
    *spans_of(2, [5], 1),
    WholeThings(3, 3, 4, 0),
]


@pytest.mark.parametrize(
    ("number", "other"),
    [
        (0, WholeThings(7, 0, 2, 0)),
        (0, WholeThings(0, 0, 1, 0)),
        (0, WholeThings(0, 0, 3, 0)),
        (0, WholeThings(0, 1, 3, 0)),
        (1, replace(spans_of(2, [], 1)[0], number=2)),
        (2, spans_of(3, [], 2)[0]),
        (3, WholeThings(3, 2, 3, 0)),
    ],
)
def test_a_segment_of_another_chunk_is_named_and_no_archive_comes_of_it(
    number: int, other: Chunk
) -> None:
    segments = render_all(FOUR_THINGS, FOUR_CHUNKS)
    segments[number] = render(FOUR_THINGS, other)

    with pytest.raises(CorruptSegment) as caught:
        seal(FOUR_THINGS.plan, FOUR_CHUNKS, segments)

    assert caught.value.chunk_number == number


@pytest.mark.parametrize("count", [0, 3, 5])
def test_more_or_fewer_segments_than_chunks_make_no_archive(count: int) -> None:
    segments = render_all(FOUR_THINGS, FOUR_CHUNKS)
    wrong = [*segments, segments[-1]][:count]

    with pytest.raises(ValueError, match="zip"):
        seal(FOUR_THINGS.plan, FOUR_CHUNKS, wrong)


def test_the_archive_of_a_thing_in_one_span_is_that_of_the_whole_thing() -> None:
    export = an_export([a_row("thing 0", 0, 1), a_row("thing 0", 1, 2)])
    span = spans_of(0, [], 0)
    whole = [WholeThings(0, 0, 1, 0)]

    in_one_span = seal(export.plan, span, render_all(export, span))

    assert in_one_span == seal(export.plan, whole, render_all(export, whole))
