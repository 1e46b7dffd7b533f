"""The catalogue of a lake in a SQLite file beside its data."""

import os
import sqlite3
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import duckdb

from thingport.adapters.lake.durability import make_directory, sync
from thingport.adapters.lake.engine import attach, load_extension
from thingport.adapters.lake.failures import STORE, writing_failures
from thingport.adapters.lake.file_lock import locked_file
from thingport.adapters.lake.lake_names import (
    CATALOGUE_FILE,
    DATA_FOLDER,
    LOCK_FILES,
    Turn,
    metadata_name,
)
from thingport.domain.errors import StoreUnavailable

_PATIENCE_S = 60.0
"""How long to wait for who reads: longer than an export reads one chunk."""

_PAUSE_S = 0.1


class SqliteCatalogue:
    """A catalogue for the processes of one machine.

    It takes one writer at a time and two that meet fail, so they take turns by locks
    on files; a lock ends with its process.

    Args:
        directory: The folder of the lake.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file = directory / CATALOGUE_FILE

    @property
    def data_directory(self) -> Path:
        """Where the lake's files lie."""
        return self._directory / DATA_FOLDER

    @property
    def metadata(self) -> str:
        """Where its own tables are in an engine that has attached it, for SQL."""
        return metadata_name("main")

    def exists(self) -> bool:
        """Whether somebody has made it."""
        return self._file.exists()

    def make(self, engine: duckdb.DuckDBPyConnection) -> None:
        """Make an empty one; it appears whole, or not at all.

        In SQLite's default journal mode readers and the writer starve each other,
        so the file is switched to a write-ahead log before the engine sees it: for
        good, and while nobody else has it open.
        """
        unfinished = self._file.with_suffix(".new")
        for leftover in self._directory.glob(f"{unfinished.name}*"):
            leftover.unlink()
        connection = sqlite3.connect(unfinished)
        try:
            connection.execute("PRAGMA journal_mode = wal")
        finally:
            connection.close()
        make_directory(self.data_directory)
        self._attach(engine, unfinished, read_only=False)
        engine.execute("DETACH lake")
        sync(unfinished)
        unfinished.rename(self._file)
        sync(self._directory)

    def attach(self, engine: duckdb.DuckDBPyConnection, *, read_only: bool) -> None:
        """Attach the lake to an engine."""
        self._attach(engine, self._file, read_only=read_only)

    def begin(self, engine: duckdb.DuckDBPyConnection) -> None:
        """Begin a transaction; the lock keeps its view the newest one."""
        engine.execute("BEGIN")

    @contextmanager
    def turn(self, work: Turn, patience: timedelta) -> Generator[None]:
        """Keep all others from some work for as long as the block lasts.

        Raises:
            StoreUnavailable: It was not our turn for too long.
        """
        make_directory(self._directory)
        lock = self._directory / LOCK_FILES[work]
        with locked_file(lock, patience_s=patience.total_seconds(), holder=work):
            yield

    def withdraw(self) -> None:
        """Leave nothing of having had the turn to write, where there is no lake."""
        (self._directory / LOCK_FILES[Turn.WRITING]).unlink(missing_ok=True)
        with suppress(OSError):
            self._directory.rmdir()

    def forget_deleted_bytes(self) -> None:
        """Write the file anew without what was deleted in it, and empty its log.

        Raises:
            StoreUnavailable: Somebody has read for too long; it may be done again.
        """
        with (
            writing_failures(),
            closing(sqlite3.connect(self._file, isolation_level=None)) as connection,
        ):
            connection.execute(f"PRAGMA busy_timeout = {int(_PATIENCE_S * 1000)}")
            connection.execute("VACUUM")
            give_up_at_s = time.monotonic() + _PATIENCE_S
            while _is_log_in_use(connection):
                if time.monotonic() >= give_up_at_s:
                    raise StoreUnavailable(
                        STORE, "its catalogue is being read for long"
                    )
                time.sleep(_PAUSE_S)

    def iter_content(self) -> Iterator[bytes]:
        """Yield nothing: its files lie in the folder of the lake."""
        return iter(())

    def remove(self) -> None:
        """Leave nothing in files that others may have open, then remove them.

        Else it would stay on the disk until they close it.
        """
        for suffix in ("", "-wal"):
            with suppress(FileNotFoundError):
                os.truncate(f"{self._file}{suffix}", 0)
        for suffix in ("-wal", "-shm", ""):
            Path(f"{self._file}{suffix}").unlink(missing_ok=True)

    def close(self) -> None:
        """Do nothing: nothing is held between two turns."""

    def _attach(
        self, engine: duckdb.DuckDBPyConnection, file: Path, *, read_only: bool
    ) -> None:
        load_extension(engine, "sqlite_scanner")
        attach(engine, f"sqlite:{file}", self.data_directory, read_only=read_only)


def _is_log_in_use(connection: sqlite3.Connection) -> bool:
    is_busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return bool(is_busy)
