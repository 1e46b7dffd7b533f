"""The files that lie in a lake's folder, whether the lake knows of them or not."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file, as the file system has it; ``written_at`` in UTC."""

    path: Path
    size_bytes: int
    written_at: datetime


def iter_stored_files(directory: Path) -> Iterator[StoredFile]:
    """Yield the Parquet files of a folder and those below it, in no order."""
    for path in directory.rglob("*.parquet"):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        written_at = datetime.fromtimestamp(status.st_mtime, UTC)
        yield StoredFile(path, status.st_size, written_at)


def known_files(metadata: str) -> str:
    """Ask a catalogue's tables for every file of the lake, at whatever snapshot."""
    return (
        f"SELECT path FROM {metadata}.ducklake_data_file"  # noqa: S608  # a quoted name
        f" UNION ALL SELECT path FROM {metadata}.ducklake_delete_file"
        f" UNION ALL SELECT path FROM {metadata}.ducklake_files_scheduled_for_deletion"
    )


def list_leftovers(
    paths: Sequence[Path], known: Sequence[tuple[Any, ...]]
) -> Sequence[Path]:
    """Give the files that are not among those of :func:`known_files`.

    By name, which is unique in a lake: the engine's own function compares whole
    paths as texts, so a lake reached through another path, ``a//b`` say, is all
    leftovers to it.
    """
    names = {Path(str(path)).name for (path,) in known}
    return [it for it in paths if it.name not in names]
