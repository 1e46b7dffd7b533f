"""The catalogue of a lake: which files belong to which table at which snapshot."""

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import duckdb

from thingport.adapters.lake.lake_names import Turn, lake_directory, schema_name
from thingport.adapters.lake.sqlite_catalogue import SqliteCatalogue
from thingport.domain.ids import TenantId


class LakeCatalogue(Protocol):
    """The catalogue of one tenant's lake, wherever it is kept."""

    @property
    def data_directory(self) -> Path:
        """Where the lake's files lie."""
        ...

    @property
    def metadata(self) -> str:
        """Where its own tables are in an engine that has attached it, for SQL."""
        ...

    def exists(self) -> bool:
        """Whether somebody has made it; looking makes nothing.

        Raises:
            StoreUnavailable: Where it is kept does not answer.
        """
        ...

    def make(self, engine: duckdb.DuckDBPyConnection) -> None:
        """Make an empty one, whole or not at all; needs the turn to write."""
        ...

    def attach(self, engine: duckdb.DuckDBPyConnection, *, read_only: bool) -> None:
        """Attach the lake to an engine."""
        ...

    def begin(self, engine: duckdb.DuckDBPyConnection) -> None:
        """Begin a transaction, in an engine that may write."""
        ...

    def turn(self, work: Turn, patience: timedelta) -> AbstractContextManager[None]:
        """Keep all others from some work for as long as the block lasts.

        One at a time; whoever needs two turns at once opens two catalogues.

        Raises:
            StoreUnavailable: It was not our turn for too long.
        """
        ...

    def withdraw(self) -> None:
        """Leave nothing of having had the turn to write, where there is no lake."""
        ...

    def forget_deleted_bytes(self) -> None:
        """Take what was deleted in it out of where it is kept, as far as that goes.

        Needs the turn to write. Who reads meanwhile goes on.

        Raises:
            StoreUnavailable: Somebody has read for too long; it may be done again.
        """
        ...

    def iter_content(self) -> Iterator[bytes]:
        """Yield all that it keeps outside of the folder of the lake, a part at a time.

        No value of it is cut in two.

        Raises:
            StoreUnavailable: Where it is kept does not answer.
        """
        ...

    def remove(self) -> None:
        """Remove it, if it is there, and nothing else of the lake; needs both turns.

        Raises:
            StoreUnavailable: Somebody has read for too long; it may be done again.
        """
        ...

    def close(self) -> None:
        """Let go of what is held between two turns."""
        ...


def open_catalogue(
    lakes_dir: Path, tenant_id: TenantId, database_url: str | None
) -> LakeCatalogue:
    """Open the catalogue of a tenant's lake; connects to nothing yet.

    Args:
        lakes_dir: Folder of all lakes; their files lie in it in either case.
        tenant_id: Whose lake it is.
        database_url: The PostgreSQL database that has it, ``postgresql://…``;
            ``None`` for a file beside the data.
    """
    directory = lake_directory(lakes_dir, tenant_id)
    if database_url is None:
        return SqliteCatalogue(directory)
    # What it needs is installed only where it is used.
    from thingport.adapters.lake.postgres_catalogue import (  # noqa: PLC0415
        PostgresCatalogue,
    )

    return PostgresCatalogue(directory, tenant_id, database_url)


def find_missing(
    lakes_dir: Path, tenant_ids: Collection[TenantId], database_url: str | None
) -> Collection[TenantId]:
    """Give the tenants whose lakes have no catalogue, by one question for all.

    Raises:
        StoreUnavailable: Where they are kept does not answer.
    """
    if database_url is None or not tenant_ids:
        return [
            it
            for it in tenant_ids
            if not SqliteCatalogue(lake_directory(lakes_dir, it)).exists()
        ]
    # What it needs is installed only where it is used.
    from thingport.adapters.lake.postgres_catalogue import (  # noqa: PLC0415
        list_schemas,
    )

    present = list_schemas(database_url)
    return [it for it in tenant_ids if schema_name(it) not in present]
