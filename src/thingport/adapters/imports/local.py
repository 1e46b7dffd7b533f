"""Files to be imported, on a local disk, each tenant's in a folder of its own.

::

    <directory>/<tenant>/<import>.upload
                         <import>.part

A file appears under its final name only when it is whole and on the disk.
"""

import os
import shutil
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from thingport.adapters.imports.csv_content import open_content
from thingport.application.import_ports import CsvContent
from thingport.domain.errors import CorruptData, StoreUnavailable
from thingport.domain.ids import DataImportId, TenantId

_STORE = "the folder of imports"

_WHOLE = ".upload"
_UNFINISHED = ".part"


class LocalImportFiles:
    """``ImportFiles`` in a folder. Makes the folders that it needs."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def receive(
        self, tenant_id: TenantId, data_import_id: DataImportId
    ) -> "LocalIncomingFile":
        """Begin to receive a file; raises StoreUnavailable if it cannot be kept."""
        return LocalIncomingFile(self._path(tenant_id, data_import_id))

    @contextmanager
    def open_csv(
        self, tenant_id: TenantId, data_import_id: DataImportId, *, max_bytes: int
    ) -> Generator[CsvContent]:
        """Open a file, or the one CSV file in it if it is a ZIP."""
        path = self._path(tenant_id, data_import_id)
        try:
            file = path.open("rb")
        except FileNotFoundError as error:
            raise CorruptData("the file to be imported is gone") from error
        except OSError as error:
            raise StoreUnavailable(_STORE, str(error)) from error
        with file, open_content(file, max_bytes) as content:
            yield content

    def discard(self, tenant_id: TenantId, data_import_id: DataImportId) -> None:
        """Remove a file, if it is there."""
        path = self._path(tenant_id, data_import_id)
        for it in (path, path.with_suffix(_UNFINISHED)):
            it.unlink(missing_ok=True)

    def discard_tenant(self, tenant_id: TenantId) -> None:
        """Remove all files of a tenant, and its folder."""
        try:
            shutil.rmtree(self._directory / tenant_id)
        except FileNotFoundError:
            return
        except OSError as error:
            raise StoreUnavailable(_STORE, str(error)) from error

    def list_older(
        self, tenant_id: TenantId, *, before: datetime
    ) -> Sequence[DataImportId]:
        """Give the imports of which there is a file last written before an instant."""
        found: set[str] = set()
        for path in (self._directory / tenant_id).glob("*"):
            try:
                written_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            except FileNotFoundError:
                continue
            if written_at < before:
                found.add(path.stem)
        return [DataImportId(it) for it in sorted(found)]

    def _path(self, tenant_id: TenantId, data_import_id: DataImportId) -> Path:
        return self._directory / tenant_id / f"{data_import_id}{_WHOLE}"


class LocalIncomingFile:
    """A file that is being received; it is gone unless it is kept."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unfinished = path.with_suffix(_UNFINISHED)
        try:
            _make_directory(path.parent)
            self._file = self._unfinished.open("xb")
        except OSError as error:
            raise StoreUnavailable(_STORE, str(error)) from error

    def write(self, block: bytes) -> None:
        """Add to it."""
        try:
            self._file.write(block)
        except OSError as error:
            raise StoreUnavailable(_STORE, str(error)) from error

    def keep(self) -> None:
        """Return when the file is on the disk, whole, under its import's name."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._unfinished.rename(self._path)
            _sync(self._path.parent)
        except OSError as error:
            raise StoreUnavailable(_STORE, str(error)) from error

    def close(self) -> None:
        """Remove what was not kept."""
        try:
            self._file.close()
        except OSError as error:
            raise StoreUnavailable(_STORE, str(error)) from error
        finally:
            self._unfinished.unlink(missing_ok=True)


def _make_directory(directory: Path) -> None:
    if directory.is_dir():
        return
    _make_directory(directory.parent)
    directory.mkdir(exist_ok=True)
    _sync(directory.parent)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
