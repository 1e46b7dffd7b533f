"""Removing a lake as a whole."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from thingport.adapters.lake.durability import sync
from thingport.adapters.lake.failures import writing_failures
from thingport.adapters.lake.file_lock import locked_file
from thingport.adapters.lake.lake_names import (
    CATALOGUE_FILE,
    COMPACTION_LOCK_FILE,
    LOCK_FILE,
)

_PATIENCE_S = 60.0
"""How long to wait for who writes or merges."""


def remove_lake(directory: Path) -> None:
    """Remove the folder of a lake, and let that be on the disk.

    Its writers must get no more numbers by now: they find no catalogue when it is their
    turn, and make none.

    Raises:
        StoreUnavailable: Somebody writes or merges for too long, or a file cannot be
            removed; it may be done again.
    """
    with writing_failures():
        if directory.is_dir():
            with (
                locked_file(
                    directory / COMPACTION_LOCK_FILE,
                    patience_s=_PATIENCE_S,
                    holder="merging files",
                ),
                locked_file(
                    directory / LOCK_FILE, patience_s=_PATIENCE_S, holder="writing"
                ),
            ):
                _empty(directory)
                shutil.rmtree(directory)
        with suppress(FileNotFoundError):
            sync(directory.parent)


def _empty(directory: Path) -> None:
    """Leave nothing in what others may have open: it stays until they close it."""
    for name in (CATALOGUE_FILE, f"{CATALOGUE_FILE}-wal"):
        with suppress(FileNotFoundError):
            os.truncate(directory / name, 0)
