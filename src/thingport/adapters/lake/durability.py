"""Making new files outlive a power cut; the engine does not do it for its own."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


def make_directory(directory: Path) -> None:
    """Make a folder and those above it, as far as missing, durably."""
    if directory.is_dir():
        return
    make_directory(directory.parent)
    directory.mkdir(exist_ok=True)
    sync(directory.parent)


def sync(path: Path) -> None:
    """Return when a file's content, or a folder's entries, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def new_files_made_durable(directory: Path) -> Generator[None]:
    """Sync every file that appears in a folder while the block runs.

    The folder is there already; files in folders below it do not count. What
    appeared before the block failed goes again: on a full disk it would stay
    in the way.
    """
    before = set(directory.iterdir())
    durable = False
    try:
        yield
        appeared = set(directory.iterdir()) - before
        for path in appeared:
            sync(path)
        if appeared:
            sync(directory)
        durable = True
    finally:
        if not durable:
            for path in set(directory.iterdir()) - before:
                path.unlink()
