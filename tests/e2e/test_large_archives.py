"""Archives beyond the limits of plain ZIP, read by other people's programs."""

import os
import random
import shutil
import subprocess
from base64 import b85encode
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile, ZipInfo

import pytest

from renderings import StoredRow, a_batch, a_layout, a_plan, a_row
from thingport.adapters.archives.local import LocalArchiveStore
from thingport.adapters.render.chunk_renderer import CsvZipRenderer
from thingport.domain.export_plan import Chunk, ExportPlan, ThingSpan, WholeThings
from thingport.domain.ids import DataExportId
from thingport.domain.metric import MAX_TEXT_BYTES, ValueType
from thingport.domain.period import ALL_TIME
from thingport.domain.segment import StoredSegment

GIB_4 = 2**32

EXPORT = DataExportId("e1")

LAYOUT = a_layout(ValueType.STRING)

RENDERER = CsvZipRenderer()

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """Give a folder that is gone after the test, since pytest keeps its own."""
    directory = tmp_path / "archives"
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


class Sealing:
    """An archive that is rendered chunk by chunk, for a plan that is known."""

    def __init__(self, directory: Path, plan: ExportPlan) -> None:
        self._store = LocalArchiveStore(directory)
        self._plan = plan
        self._chunks: list[Chunk] = []
        self._segments: list[StoredSegment] = []

    def add_things(self, first_file: int, end_file: int, *rows: StoredRow) -> None:
        """Add whole things."""
        number = len(self._chunks)
        self._add(WholeThings(number, first_file, end_file, len(rows)), rows)

    def add_large_thing(
        self,
        file: int,
        rows: Sequence[StoredRow],
        *,
        compressed_bytes: int,
        bytes_: int,
    ) -> None:
        """Add a thing in as many spans as it takes to be larger than both sizes.

        Only three of them are rendered: all but the first and the last are alike.
        """
        span = ThingSpan(
            len(self._chunks), file, ALL_TIME, is_first=True, is_last=False, rows=0
        )
        self._add(span, rows)
        inner = self._add(replace(span, number=len(self._chunks), is_first=False), rows)
        [member] = inner.index.members
        times = max(
            compressed_bytes // member.compressed_bytes, bytes_ // member.text_bytes
        )
        for _ in range(times):
            number = len(self._chunks)
            self._chunks.append(replace(span, number=number, is_first=False))
            index = replace(inner.index, chunk_number=number)
            self._segments.append(replace(inner, index=index))
        number = len(self._chunks)
        self._add(replace(span, number=number, is_first=False, is_last=True), rows)

    def seal(self) -> Path:
        """Write the archive."""
        tenant_id = self._plan.tenant_id
        pieces = RENDERER.iter_archive(self._plan, self._chunks, self._segments)
        sealed = self._store.seal(tenant_id, EXPORT, pieces)
        path = self._store.find_archive(tenant_id, EXPORT)
        assert path is not None
        assert path.stat().st_size == sealed.size_bytes
        return path

    def _add(self, chunk: Chunk, rows: Sequence[StoredRow]) -> StoredSegment:
        segment = RENDERER.render(self._plan, chunk, [a_batch(LAYOUT, rows)])
        stored = self._store.put_segment(self._plan.tenant_id, EXPORT, segment)
        self._chunks.append(chunk)
        self._segments.append(stored)
        return stored


def run(*command: str | Path) -> str:
    """Run somebody's program, which must find no fault; give what it printed."""
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-2_000:]
    return done.stdout


def check_with_foreign_readers(path: Path, plan: ExportPlan) -> list[ZipInfo]:
    """Let others read every byte; give what Python says is in the archive."""
    names = [it.name for it in plan.files]
    assert run("unzip", "-Z1", path).splitlines() == names
    run("unzip", "-tqq", path)
    tested = run("7z", "t", "-bd", path)
    assert "Everything is Ok" in tested
    assert f"Files: {len(names)}\n" in tested
    with ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == names
        return archive.infolist()


def test_an_archive_and_members_of_more_than_4_gib(directory: Path) -> None:
    plan = a_plan([LAYOUT], [0] * 4)
    sealing = Sealing(directory, plan)
    sealing.add_things(0, 1, a_row("thing 0", 0, "first"))
    sealing.add_large_thing(
        1, unlike_rows("thing 1"), compressed_bytes=GIB_4, bytes_=GIB_4
    )
    sealing.add_large_thing(2, alike_rows("thing 2"), compressed_bytes=0, bytes_=GIB_4)
    sealing.add_things(3, 4, a_row("thing 3", 0, "last"))

    path = sealing.seal()

    first, unlike, alike, last = check_with_foreign_readers(path, plan)
    assert first.file_size < 100
    assert unlike.compress_size > GIB_4
    assert unlike.file_size > GIB_4
    assert alike.compress_size < GIB_4 < alike.file_size
    assert last.header_offset > GIB_4
    with ZipFile(path) as archive:
        assert archive.read(last).endswith(b"Z,last\r\n")


def unlike_rows(thing: str) -> list[StoredRow]:
    """Give some MiB of rows that hardly compress."""
    source = random.Random(1)
    return [
        a_row(thing, n, b85encode(source.randbytes(MAX_TEXT_BYTES // 5 * 4)).decode())
        for n in range(64)
    ]


def alike_rows(thing: str) -> list[StoredRow]:
    """Give some MiB of rows that compress to next to nothing."""
    return [a_row(thing, n, "x" * MAX_TEXT_BYTES) for n in range(64)]


def test_an_archive_of_more_than_65_535_members(directory: Path) -> None:
    files, files_in_chunk = 70_000, 1_000
    plan = a_plan([LAYOUT], [0] * files)
    sealing = Sealing(directory, plan)
    for first in range(0, files, files_in_chunk):
        last = f"thing {first + files_in_chunk - 1}"
        sealing.add_things(first, first + files_in_chunk, a_row(last, 0, last))

    path = sealing.seal()

    found = check_with_foreign_readers(path, plan)
    assert len(found) == files
    with ZipFile(path) as archive:
        assert archive.read(found[-1]).endswith(b"Z,thing 69999\r\n")
