"""Removing a lake as a whole."""

import shutil
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path

from thingport.adapters.lake.catalogue import open_catalogue
from thingport.adapters.lake.durability import sync
from thingport.adapters.lake.failures import writing_failures
from thingport.adapters.lake.lake_names import Turn, lake_directory
from thingport.domain.ids import TenantId

_PATIENCE = timedelta(seconds=60)
"""How long to wait for who writes or merges."""


def remove_lake(lakes_dir: Path, tenant_id: TenantId, database_url: str | None) -> None:
    """Remove the catalogue and the folder of a lake, and let that be on the disk.

    Its writers must get no more numbers by now: they find no catalogue when it is their
    turn, and make none.

    Raises:
        StoreUnavailable: Somebody writes or merges for too long, or a file cannot be
            removed; it may be done again.
    """
    directory = lake_directory(lakes_dir, tenant_id)
    with (
        writing_failures(),
        closing(open_catalogue(lakes_dir, tenant_id, database_url)) as merging,
        closing(open_catalogue(lakes_dir, tenant_id, database_url)) as writing,
        merging.turn(Turn.MERGING, _PATIENCE),
        writing.turn(Turn.WRITING, _PATIENCE),
    ):
        writing.remove()
        if directory.is_dir():
            shutil.rmtree(directory)
        with suppress(FileNotFoundError):
            sync(directory.parent)
