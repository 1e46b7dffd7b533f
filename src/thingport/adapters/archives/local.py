"""Archives on a local disk, each tenant in a folder of its own.

::

    <directory>/<tenant>/archives/<export>.zip
    <directory>/<tenant>/plans/<export>.json.gz
    <directory>/<tenant>/staging/<export>/chunks.json.gz
                                          <chunk>-<random>.segment

A file appears under its final name only when it is whole and on the disk: it is
written beside it, synced, renamed, and its folder is synced too.
"""

import hashlib
import os
import secrets
import shutil
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from thingport.adapters.archives.codec import (
    decode_chunks,
    decode_plan,
    encode_chunks,
    encode_plan,
)
from thingport.application.erasure_ports import StoredExport
from thingport.application.ports import SealedArchive
from thingport.domain.errors import CorruptData, CorruptSegment, StoreUnavailable
from thingport.domain.export_plan import Chunk, ExportPlan
from thingport.domain.ids import DataExportId, TenantId
from thingport.domain.segment import ArchivePiece, Segment, StoredSegment

_STORE = "the archive store"

_BLOCK_BYTES = 1024 * 1024
"""Read at once while sealing; the only memory that sealing takes."""


class LocalArchiveStore:
    """An ``ArchiveStore`` in a folder. Makes the folders that it needs."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def save_plan(self, data_export_id: DataExportId, plan: ExportPlan) -> None:
        """Keep a plan; replaces an older one whole."""
        with _whole_file(self._plan(plan.tenant_id, data_export_id)) as file:
            file.write(encode_plan(plan))

    def load_plan(
        self, tenant_id: TenantId, data_export_id: DataExportId
    ) -> ExportPlan:
        """Give a plan back; raises CorruptData if there is none."""
        content = _read(self._plan(tenant_id, data_export_id))
        if content is None:
            raise CorruptData("the stored plan is gone")
        return decode_plan(content)

    def discard_plan(self, tenant_id: TenantId, data_export_id: DataExportId) -> None:
        """Remove the plan of an export that was never stored."""
        self._plan(tenant_id, data_export_id).unlink(missing_ok=True)

    def save_chunks(
        self, tenant_id: TenantId, data_export_id: DataExportId, chunks: Sequence[Chunk]
    ) -> Sequence[Chunk]:
        """Keep how an export was cut, unless it is kept already; give what is kept."""
        path = self._staging(tenant_id, data_export_id) / "chunks.json.gz"
        with _whole_file(path, replaces=False) as file:
            file.write(encode_chunks(tuple(chunks)))
        return decode_chunks(path.read_bytes())

    def find_chunks(
        self, tenant_id: TenantId, data_export_id: DataExportId
    ) -> Sequence[Chunk] | None:
        """Give back how an export was cut; ``None`` if it was not yet."""
        content = _read(self._staging(tenant_id, data_export_id) / "chunks.json.gz")
        return None if content is None else decode_chunks(content)

    def put_segment(
        self, tenant_id: TenantId, data_export_id: DataExportId, segment: Segment
    ) -> StoredSegment:
        """Stage a segment under a key of its own; returns when it is durable."""
        key = f"{segment.index.chunk_number:08d}-{secrets.token_hex(8)}.segment"
        with _whole_file(self._staging(tenant_id, data_export_id) / key) as file:
            file.write(segment.content)
        return StoredSegment(segment.index, key)

    def seal(
        self,
        tenant_id: TenantId,
        data_export_id: DataExportId,
        pieces: Iterable[ArchivePiece],
    ) -> SealedArchive:
        """Write an archive from its pieces, in constant memory."""
        staging = self._staging(tenant_id, data_export_id)
        digest = hashlib.sha256()
        size_bytes = 0
        # What a crash leaves of it goes with the rest of the staging.
        with _whole_file(self._archive(tenant_id, data_export_id), staging) as file:
            for block in _iter_blocks(staging, pieces):
                digest.update(block)
                size_bytes += len(block)
                file.write(block)
        return SealedArchive(size_bytes, digest.hexdigest())

    def discard_staging(
        self, tenant_id: TenantId, data_export_id: DataExportId
    ) -> None:
        """Remove the segments and chunks of an export; plan and archive stay."""
        staging = self._staging(tenant_id, data_export_id)
        shutil.rmtree(staging, ignore_errors=True)
        _sync_if_there(staging.parent)

    def discard_archive(
        self, tenant_id: TenantId, data_export_id: DataExportId
    ) -> None:
        """Remove the archive of an export, if there is one."""
        archive = self._archive(tenant_id, data_export_id)
        archive.unlink(missing_ok=True)
        _sync_if_there(archive.parent)

    def discard_tenant(self, tenant_id: TenantId) -> None:
        """Remove all that is kept of a tenant, if there is anything.

        Raises:
            StoreUnavailable: Something could not be removed.
        """
        folder = self._directory / tenant_id
        try:
            if folder.exists():
                shutil.rmtree(folder)
            _sync_if_there(self._directory)
        except OSError as error:
            raise StoreUnavailable(_STORE, str(error)) from error

    def list_stored(self, tenant_id: TenantId) -> Sequence[StoredExport]:
        """Give all exports of which segments, chunks or an archive are kept."""
        folder = self._directory / tenant_id
        staged = {it.name for it in (folder / "staging").glob("*")}
        archived = {it.stem for it in (folder / "archives").glob("*.zip")}
        return [
            StoredExport(DataExportId(it), it in staged, it in archived)
            for it in sorted(staged | archived)
        ]

    def find_archive(
        self, tenant_id: TenantId, data_export_id: DataExportId
    ) -> Path | None:
        """Give the file of a finished archive, or ``None``."""
        path = self._archive(tenant_id, data_export_id)
        return path if path.is_file() else None

    def _staging(self, tenant_id: TenantId, data_export_id: DataExportId) -> Path:
        return self._directory / tenant_id / "staging" / data_export_id

    def _plan(self, tenant_id: TenantId, data_export_id: DataExportId) -> Path:
        return self._directory / tenant_id / "plans" / f"{data_export_id}.json.gz"

    def _archive(self, tenant_id: TenantId, data_export_id: DataExportId) -> Path:
        return self._directory / tenant_id / "archives" / f"{data_export_id}.zip"


def _iter_blocks(staging: Path, pieces: Iterable[ArchivePiece]) -> Iterator[bytes]:
    for piece in pieces:
        if isinstance(piece, bytes):
            yield piece
        else:
            yield from _iter_segment(staging / piece.key, piece)


def _iter_segment(path: Path, segment: StoredSegment) -> Iterator[bytes]:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
                yield block
    except FileNotFoundError:
        raise CorruptSegment(segment.index.chunk_number) from None
    if digest.hexdigest() != segment.index.sha256:
        raise CorruptSegment(segment.index.chunk_number)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreUnavailable(_STORE, str(error)) from error


@contextmanager
def _whole_file(
    path: Path, directory: Path | None = None, *, replaces: bool = True
) -> Generator[BinaryIO]:
    """Write a file that appears under its name whole and durable, or not at all.

    Args:
        path: The name.
        directory: Where it is written; beside its name if not given.
        replaces: Whether it takes the place of a file of that name, or leaves it.

    Raises:
        StoreUnavailable: It could not be written.
    """
    directory = directory or path.parent
    temporary = directory / f".{path.name}.{secrets.token_hex(8)}"
    try:
        for it in {directory, path.parent}:
            _make_directory(it)
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if replaces:
            temporary.replace(path)
        else:
            with suppress(FileExistsError):
                os.link(temporary, path)
        _sync_directory(path.parent)
    except OSError as error:
        raise StoreUnavailable(_STORE, str(error)) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _make_directory(directory: Path) -> None:
    if not directory.is_dir():
        _make_directory(directory.parent)
        directory.mkdir(exist_ok=True)
        _sync_directory(directory.parent)


def _sync_if_there(directory: Path) -> None:
    """Let it be on the disk that something in a folder is gone."""
    with suppress(FileNotFoundError):
        _sync_directory(directory)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
