"""The lakes of all tenants, each opened when it is first asked for."""

import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path

from thingport.adapters.lake.arrow_stream import ArrowReadings, arrow_readings
from thingport.adapters.lake.catalogue import find_missing, open_catalogue
from thingport.adapters.lake.eraser import DuckLakeEraser
from thingport.adapters.lake.failures import gone
from thingport.adapters.lake.group_commit import DEFAULT_PAUSE, GroupCommitWriter
from thingport.adapters.lake.imports import DuckLakeImports
from thingport.adapters.lake.keeper import DEFAULT_MAX_FILE_BYTES, DuckLakeKeeper
from thingport.adapters.lake.lake_removal import remove_lake
from thingport.adapters.lake.reader import DuckLakeReader
from thingport.adapters.lake.temporary_folders import remove_abandoned
from thingport.adapters.lake.writer_lane import WriterLane
from thingport.domain.errors import NotFound, StoreUnavailable
from thingport.domain.ids import TenantId
from thingport.domain.reading import FIRST_WRITTEN_SEQ

AllocateWrittenSeqs = Callable[[TenantId, int], int]
"""Reserves successive numbers for a tenant's readings, and gives the first."""

_LOOK_PAUSE_S = 1.0
"""How often is looked at most whether lakes that are open were removed."""


class Lakes:
    """Readers and writers by tenant. Threads may share it; processes make their own.

    Args:
        lakes_dir: Folder of all lakes.
        temp_dir: Folder for temporary files.
        allocate_written_seqs: Orders what is written.
        memory_mb: Memory of each engine, in 10^6 bytes.
        group_commit_pause: How long a write waits for others.
        max_file_bytes: Largest file that merging makes.
        database_url: The PostgreSQL database that has the lakes' catalogues, if
            one has.
    """

    def __init__(  # noqa: PLR0913  # limits with defaults
        self,
        lakes_dir: Path,
        *,
        temp_dir: Path,
        allocate_written_seqs: AllocateWrittenSeqs,
        memory_mb: int = 512,
        group_commit_pause: timedelta = DEFAULT_PAUSE,
        max_file_bytes: int = DEFAULT_MAX_FILE_BYTES,
        database_url: str | None = None,
    ) -> None:
        self._lakes_dir = lakes_dir
        self._temp_dir = temp_dir
        self._allocate_written_seqs = allocate_written_seqs
        self._memory_mb = memory_mb
        self._group_commit_pause = group_commit_pause
        self._max_file_bytes = max_file_bytes
        self._database_url = database_url
        self._look_again_at_s = 0.0
        self._gate = threading.Lock()
        self._readers: dict[TenantId, DuckLakeReader] = {}
        self._writers: dict[TenantId, GroupCommitWriter] = {}

    @contextmanager
    def open_reader(self, tenant_id: TenantId) -> Generator[DuckLakeReader]:
        """Lend the reader of a tenant's lake.

        Raises:
            CorruptData: There was a lake, and it is gone.
        """
        self._let_go_of_removed()
        with self._gate:
            reader = self._readers.get(tenant_id)
            if reader is None:
                reader = self._readers[tenant_id] = DuckLakeReader(
                    self._lakes_dir,
                    tenant_id,
                    temp_dir=self._temp_dir,
                    memory_mb=self._memory_mb,
                    database_url=self._database_url,
                )
        if not reader.is_open:
            self._refuse_if_gone(tenant_id)
        yield reader

    def writer(self, tenant_id: TenantId) -> GroupCommitWriter:
        """Give the writer of a tenant's lake."""
        with self._gate:
            writer = self._writers.get(tenant_id)
            if writer is None:
                writer = self._writers[tenant_id] = GroupCommitWriter(
                    self.new_lane(tenant_id), pause=self._group_commit_pause
                )
        return writer

    @contextmanager
    def open_keeper(self, tenant_id: TenantId) -> Generator[DuckLakeKeeper]:
        """Open a keeper of a tenant's lake for as long as the block lasts.

        Raises:
            CorruptData: There was a lake, and it is gone.
        """
        self._refuse_if_gone(tenant_id)
        remove_abandoned(self._temp_dir)
        keeper = DuckLakeKeeper(
            self._lakes_dir,
            tenant_id,
            self.new_lane(tenant_id),
            temp_dir=self._temp_dir,
            memory_mb=self._memory_mb,
            max_file_bytes=self._max_file_bytes,
            database_url=self._database_url,
        )
        with closing(keeper):
            yield keeper

    @contextmanager
    def open_table(self, content: bytes) -> Generator[ArrowReadings]:
        """Read an Arrow IPC stream of readings; the table lasts as long as the block.

        Raises:
            InvalidRequest: It is no stream of readings.
        """
        with arrow_readings(
            content, memory_mb=self._memory_mb, temp_dir=self._temp_dir
        ) as table:
            yield table

    @contextmanager
    def open_imports(self, tenant_id: TenantId) -> Generator[DuckLakeImports]:
        """Open the way in for imports to a tenant's lake, for one block."""
        with closing(self.new_lane(tenant_id)) as lane:
            yield DuckLakeImports(lane, self._temp_dir)

    @contextmanager
    def open_eraser(self, tenant_id: TenantId) -> Generator[DuckLakeEraser]:
        """Open an eraser of a tenant's lake for as long as the block lasts."""
        with self.open_keeper(tenant_id) as keeper:
            eraser = DuckLakeEraser(
                self._lakes_dir,
                tenant_id,
                self.new_lane(tenant_id),
                keeper,
                temp_dir=self._temp_dir,
                database_url=self._database_url,
            )
            with closing(eraser):
                yield eraser

    def remove(self, tenant_id: TenantId) -> None:
        """Remove a tenant's lake as a whole, if there is one.

        Other processes that have it open let go of it when they look next.

        Raises:
            StoreUnavailable: Somebody writes or merges for too long, or a file cannot
                be removed; it may be done again.
        """
        self._let_go(tenant_id)
        remove_lake(self._lakes_dir, tenant_id, self._database_url)
        remove_abandoned(self._temp_dir)

    def new_lane(self, tenant_id: TenantId) -> WriterLane:
        """Open the writer lane of a tenant's lake once more; the caller closes it."""
        return WriterLane(
            self._lakes_dir,
            tenant_id,
            partial(self._allocate_written_seqs, tenant_id),
            temp_dir=self._temp_dir,
            memory_mb=self._memory_mb,
            database_url=self._database_url,
        )

    def _refuse_if_gone(self, tenant_id: TenantId) -> None:
        """Take no lake that was lost for one that was never written."""
        # Nothing is left of a tenant that was removed, as should be.
        with suppress(NotFound):
            # Numbers first: whoever gets them has made the lake before.
            following = self._allocate_written_seqs(tenant_id, 0)
            if following > FIRST_WRITTEN_SEQ:
                catalogue = open_catalogue(
                    self._lakes_dir, tenant_id, self._database_url
                )
                with closing(catalogue):
                    if not catalogue.exists():
                        raise gone()

    def _let_go_of_removed(self) -> None:
        """Close what is open of lakes that another process has removed."""
        with self._gate:
            now_s = time.monotonic()
            if now_s < self._look_again_at_s:
                return
            self._look_again_at_s = now_s + _LOOK_PAUSE_S
            opened = [it for it, reader in self._readers.items() if reader.is_open]
        # Who is away is not known to have removed anything.
        with suppress(StoreUnavailable):
            for tenant_id in find_missing(self._lakes_dir, opened, self._database_url):
                self._let_go(tenant_id)

    def _let_go(self, tenant_id: TenantId) -> None:
        with self._gate:
            reader = self._readers.pop(tenant_id, None)
            writer = self._writers.pop(tenant_id, None)
        if reader is not None:
            reader.close()
        if writer is not None:
            writer.close()

    def close(self) -> None:
        """Wait for writes under way, then let go of all lakes."""
        with self._gate:
            for writer in self._writers.values():
                writer.close()
            for reader in self._readers.values():
                reader.close()
            self._writers.clear()
            self._readers.clear()
