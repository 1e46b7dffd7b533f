"""The one lane through which everything enters a lake."""

import sqlite3
import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import duckdb

from thingport.adapters.lake.durability import make_directory, sync
from thingport.adapters.lake.engine import attach, open_engine
from thingport.adapters.lake.failures import is_locked, writing_failures
from thingport.adapters.lake.file_lock import locked_file
from thingport.adapters.lake.lake_names import (
    CATALOGUE_FILE,
    DATA_FOLDER,
    LOCK_FILE,
    lake_directory,
)
from thingport.adapters.lake.lake_transaction import LakeTransaction, TableColumns
from thingport.domain.errors import NotFound
from thingport.domain.ids import TenantId

MAX_COMMIT_TRIES = 6
"""How often a commit is tried while another process has the catalogue locked."""

_FIRST_PAUSE_S = 0.02
"""Pause before the second try; doubled for each one after it."""


class WriterLane:
    """Commits to one lake, one after the other, over all threads and processes.

    Embedded catalogues take one writer at a time and two that meet fail, so all
    writers take turns by a lock on a file; the lock ends with its process. The
    lake is made by the first commit.

    Args:
        lakes_dir: Folder of all lakes.
        tenant_id: Whose lake it is.
        allocate_written_seqs: Reserves successive numbers and gives the first;
            called inside the lane, so that numbers grow in the order of commits.
        temp_dir: Folder for temporary files.
        memory_mb: Memory of the engine, in 10^6 bytes.
        threads: Threads of the engine.
        patience: How long to wait for one's turn.
    """

    def __init__(  # noqa: PLR0913  # limits with defaults
        self,
        lakes_dir: Path,
        tenant_id: TenantId,
        allocate_written_seqs: Callable[[int], int],
        *,
        temp_dir: Path,
        memory_mb: int = 512,
        threads: int = 1,
        patience: timedelta = timedelta(seconds=60),
    ) -> None:
        self._directory = lake_directory(lakes_dir, tenant_id)
        self._allocate_written_seqs = allocate_written_seqs
        self._temp_dir = temp_dir
        self._memory_mb = memory_mb
        self._threads = threads
        self._patience_s = patience.total_seconds()
        self._turn = threading.Lock()
        self._engine: duckdb.DuckDBPyConnection | None = None
        self._tables: dict[str, TableColumns] = {}

    def commit(self, store: Callable[[LakeTransaction], object]) -> None:
        """Run ``store`` in one transaction; returns when all of it is durable.

        ``store`` is run again from the start if the catalogue is locked.

        Raises:
            StoreUnavailable: The lake is away, or it was not our turn for too
                long; nothing was stored.
            CorruptData: The lake is damaged; nothing was stored.
            NotFound: The tenant was removed; nothing was stored.
        """
        with self._turn, writing_failures(), self._locked():
            for tries in range(1, MAX_COMMIT_TRIES + 1):
                try:
                    self._commit_once(store)
                except duckdb.Error as error:
                    self._forget()
                    if tries == MAX_COMMIT_TRIES or not is_locked(error):
                        raise
                    time.sleep(_FIRST_PAUSE_S * 2 ** (tries - 1))
                else:
                    return

    @contextmanager
    def held(self) -> Generator[None]:
        """Keep all others from writing while the block runs, and write nothing here.

        Raises:
            StoreUnavailable: It was not our turn for too long; the block was not run.
        """
        with self._turn, self._locked():
            self._forget()
            yield

    def open_engine(self) -> duckdb.DuckDBPyConnection:
        """Start an engine within the lane's limits, apart from the lake."""
        return open_engine(
            memory_mb=self._memory_mb, threads=self._threads, temp_dir=self._temp_dir
        )

    def close(self) -> None:
        """Wait for a commit under way, then let go of the lake."""
        with self._turn:
            self._forget()

    @contextmanager
    def _locked(self) -> Generator[None]:
        make_directory(self._directory)
        lock = self._directory / LOCK_FILE
        with locked_file(lock, patience_s=self._patience_s, holder="writing"):
            if not (self._directory / CATALOGUE_FILE).exists():
                self._refuse_if_removed(lock)
            yield

    def _refuse_if_removed(self, lock: Path) -> None:
        """Make no lake for a tenant that was removed: it gets no numbers any more.

        Raises:
            NotFound: It was; nothing is left of the lake.
        """
        self._forget()
        try:
            self._allocate_written_seqs(0)
        except NotFound:
            lock.unlink(missing_ok=True)
            with suppress(OSError):
                self._directory.rmdir()
            raise

    def _commit_once(self, store: Callable[[LakeTransaction], object]) -> None:
        engine = self._attached()
        transaction = LakeTransaction(
            engine,
            self._directory / DATA_FOLDER,
            dict(self._tables),
            self._allocate_written_seqs,
        )
        engine.execute("BEGIN")
        committed = False
        try:
            store(transaction)
            engine.execute("COMMIT")
            committed = True
        finally:
            if not committed:
                self._roll_back(engine)
        self._tables = transaction.tables

    def _roll_back(self, engine: duckdb.DuckDBPyConnection) -> None:
        try:
            engine.execute("ROLLBACK")
        except duckdb.Error:
            # A failed COMMIT has rolled back already; an engine beyond repair
            # takes its transaction with it.
            self._forget()

    def _attached(self) -> duckdb.DuckDBPyConnection:
        if self._engine is None:
            catalogue = self._directory / CATALOGUE_FILE
            with ExitStack() as undo:
                engine = self.open_engine()
                undo.callback(engine.close)
                if not catalogue.exists():
                    _create_lake(engine, catalogue)
                attach(engine, catalogue, read_only=False)
                undo.pop_all()
            self._engine = engine
        return self._engine

    def _forget(self) -> None:
        if self._engine is not None:
            self._engine.close()
        self._engine = None
        self._tables = {}


def _create_lake(engine: duckdb.DuckDBPyConnection, catalogue: Path) -> None:
    """Make an empty lake; it appears whole, or not at all.

    In SQLite's default journal mode readers and the writer starve each other, so
    the catalogue is switched to a write-ahead log before the engine sees it: for
    good, and while nobody else has it open.
    """
    unfinished = catalogue.with_suffix(".new")
    for leftover in catalogue.parent.glob(f"{unfinished.name}*"):
        leftover.unlink()
    connection = sqlite3.connect(unfinished)
    try:
        connection.execute("PRAGMA journal_mode = wal")
    finally:
        connection.close()
    make_directory(catalogue.parent / DATA_FOLDER)
    attach(engine, unfinished, read_only=False)
    engine.execute("DETACH lake")
    sync(unfinished)
    unfinished.rename(catalogue)
    sync(catalogue.parent)
