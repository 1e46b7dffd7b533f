"""The CSV text of a file that may be a ZIP, however hostile the ZIP is."""

import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import IO

from thingport.adapters.imports.zip_directory import directory_bytes
from thingport.domain.data_import import ImportFault, ImportRefused
from thingport.domain.errors import StoreUnavailable

BLOCK_BYTES = 256 * 1024
"""Read at once; what reading holds in memory is some twenty times as much."""

MAX_DIRECTORY_BYTES = 1024 * 1024
"""Largest list of members of a ZIP. A reader keeps all of it in memory."""

_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_ENCRYPTED = 0x1

_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError)
"""What reading a ZIP raises that is no ZIP, or a strange one."""


class FileContent:
    """Bytes of CSV text, counted as they are read.

    Args:
        file: Where they come from.
        expected_bytes: How many there should be.
        max_bytes: Beyond how many it is refused.
    """

    def __init__(self, file: IO[bytes], expected_bytes: int, max_bytes: int) -> None:
        self._file = file
        self._expected_bytes = expected_bytes
        self._max_bytes = max_bytes
        self._read_bytes = 0

    @property
    def percent_read(self) -> int:
        """How much was yielded of what is expected."""
        return min(100, 100 * self._read_bytes // max(1, self._expected_bytes))

    def iter_blocks(self) -> Iterator[bytes]:
        """Yield its bytes."""
        while block := self._read():
            self._read_bytes += len(block)
            if self._read_bytes > self._max_bytes:
                raise _too_large(self._max_bytes)
            yield block

    def _read(self) -> bytes:
        try:
            return self._file.read(BLOCK_BYTES)
        except _DAMAGED as error:
            raise _damaged() from error
        except OSError as error:
            raise StoreUnavailable("the folder of imports", str(error)) from error


@contextmanager
def open_content(file: IO[bytes], max_bytes: int) -> Generator[FileContent]:
    """Open a file as CSV text; a ZIP must have exactly one CSV file in it.

    What a ZIP says of the size of its members is not relied on.

    Raises:
        ImportRefused: It is too large, or a ZIP that cannot be read.
    """
    start = file.read(4)
    file.seek(0, 2)
    size = file.tell()
    if start not in _ZIP_STARTS:
        if size > max_bytes:
            raise _too_large(max_bytes)
        file.seek(0)
        yield FileContent(file, size, max_bytes)
        return
    if directory_bytes(file) > MAX_DIRECTORY_BYTES:
        raise _refused("the ZIP has too many files in it; one CSV file is due")
    try:
        archive = zipfile.ZipFile(file)
    except _DAMAGED as error:
        raise _damaged() from error
    with archive:
        info = _only_csv(archive)
        if info.file_size > max_bytes:
            raise _too_large(max_bytes)
        try:
            member = archive.open(info)
        except (*_DAMAGED, RuntimeError) as error:
            raise _damaged() from error
        with member:
            yield FileContent(member, info.file_size, max_bytes)


def _only_csv(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    found = [
        it
        for it in archive.infolist()
        if it.filename.lower().endswith(".csv")
        # What one operating system puts beside each file.
        and not it.filename.startswith("__MACOSX/")
    ]
    if len(found) != 1:
        raise _refused(
            f"the ZIP has {len(found)} CSV files in it, but an import is of one thing: "
            "exactly one file that ends in .csv is due"
        )
    (info,) = found
    if info.flag_bits & _ENCRYPTED:
        raise _refused("the CSV file in the ZIP is encrypted")
    if info.compress_type not in _METHODS:
        raise _refused(
            "the CSV file in the ZIP is compressed in a way that is not taken; store "
            "or deflate it"
        )
    return info


def _refused(fault: str) -> ImportRefused:
    return ImportRefused(ImportFault.FILE_NOT_READABLE, fault)


def _damaged() -> ImportRefused:
    return _refused("the ZIP is damaged, or no ZIP at all")


def _too_large(max_bytes: int) -> ImportRefused:
    return ImportRefused(
        ImportFault.FILE_TOO_LARGE,
        f"the CSV file has more than {max_bytes} bytes, which is the most that is "
        "taken at a time; cut it into several",
    )
