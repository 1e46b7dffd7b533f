"""The one lane through which everything enters a lake."""

import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import duckdb

from thingport.adapters.lake.catalogue import open_catalogue
from thingport.adapters.lake.engine import open_engine
from thingport.adapters.lake.failures import gone, is_locked, writing_failures
from thingport.adapters.lake.lake_names import Turn
from thingport.adapters.lake.lake_transaction import (
    MAX_NEW_COLUMNS,
    LakeTransaction,
    TableColumns,
    TooManyNewColumns,
)
from thingport.domain.errors import NotFound
from thingport.domain.ids import TenantId
from thingport.domain.reading import FIRST_WRITTEN_SEQ

MAX_COMMIT_TRIES = 6
"""How often a commit is tried while another process is in its way."""

_FIRST_PAUSE_S = 0.02
"""Pause before the second try; doubled for each one after it."""


class WriterLane:
    """Commits to one lake, one after the other, over all threads and processes.

    Whoever writes takes turns with all others, as the lake's catalogue has it. The
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
        database_url: The PostgreSQL database that has the lake's catalogue, if
            one has.
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
        database_url: str | None = None,
    ) -> None:
        self._catalogue = open_catalogue(lakes_dir, tenant_id, database_url)
        self._allocate_written_seqs = allocate_written_seqs
        self._temp_dir = temp_dir
        self._memory_mb = memory_mb
        self._threads = threads
        self._patience = patience
        self._turn = threading.Lock()
        self._engine: duckdb.DuckDBPyConnection | None = None
        self._tables: dict[str, TableColumns] = {}

    def commit(self, store: Callable[[LakeTransaction], object]) -> None:
        """Run ``store`` in one transaction; returns when all of it is durable.

        ``store`` is run again from the start if another process was in the way, or
        if a table lacked many columns: those are added first, in commits of their
        own, since columns without any value mean nothing to anybody.

        Raises:
            StoreUnavailable: The lake is away, or it was not our turn for too
                long; nothing was stored. Where a server was lost in the middle of
                the commit, all of it may be.
            CorruptData: The lake is damaged; nothing was stored.
            NotFound: The tenant was removed; nothing was stored.
        """
        with self._turn, writing_failures():
            for tries in range(1, MAX_COMMIT_TRIES + 1):
                try:
                    with self._turn_taken():
                        self._commit_all(store)
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
        with self._turn, self._turn_taken():
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
            self._catalogue.close()

    @contextmanager
    def _turn_taken(self) -> Generator[None]:
        with self._catalogue.turn(Turn.WRITING, self._patience):
            if not self._catalogue.exists():
                self._refuse_if_gone()
            yield

    def _refuse_if_gone(self) -> None:
        """Make no lake in the place of one that there was.

        Raises:
            NotFound: The tenant was removed, and gets no numbers any more; nothing is
                left of the lake.
            CorruptData: Numbers were given out, so the lake was there.
        """
        self._forget()
        try:
            following = self._allocate_written_seqs(0)
        except NotFound:
            self._catalogue.withdraw()
            raise
        if following > FIRST_WRITTEN_SEQ:
            raise gone()

    def _commit_all(self, store: Callable[[LakeTransaction], object]) -> None:
        while True:
            try:
                return self._commit_once(store)
            except TooManyNewColumns as lack:
                self._add_columns(lack.table, lack.columns)

    def _add_columns(self, table: str, columns: TableColumns) -> None:
        names = list(columns)
        for first in range(0, len(names), MAX_NEW_COLUMNS):
            some = {it: columns[it] for it in names[first : first + MAX_NEW_COLUMNS]}
            self._commit_once(
                partial(LakeTransaction.add_columns, table=table, columns=some)
            )

    def _commit_once(self, store: Callable[[LakeTransaction], object]) -> None:
        engine = self._attached()
        transaction = LakeTransaction(
            engine,
            self._catalogue.data_directory,
            dict(self._tables),
            self._allocate_written_seqs,
            self._memory_mb,
        )
        self._catalogue.begin(engine)
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
            with ExitStack() as undo:
                engine = self.open_engine()
                undo.callback(engine.close)
                if not self._catalogue.exists():
                    self._catalogue.make(engine)
                self._catalogue.attach(engine, read_only=False)
                undo.pop_all()
            self._engine = engine
        return self._engine

    def _forget(self) -> None:
        if self._engine is not None:
            self._engine.close()
        self._engine = None
        self._tables = {}
