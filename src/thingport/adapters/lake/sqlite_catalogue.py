"""The catalogue of a lake in a SQLite file beside its data."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import duckdb

from thingport.adapters.lake.durability import make_directory, sync
from thingport.adapters.lake.engine import attach, load_extension
from thingport.adapters.lake.file_lock import locked_file
from thingport.adapters.lake.lake_names import (
    CATALOGUE_FILE,
    DATA_FOLDER,
    LOCK_FILES,
    Turn,
    metadata_name,
)


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

    def close(self) -> None:
        """Do nothing: nothing is held between two turns."""

    def _attach(
        self, engine: duckdb.DuckDBPyConnection, file: Path, *, read_only: bool
    ) -> None:
        load_extension(engine, "sqlite_scanner")
        attach(engine, f"sqlite:{file}", self.data_directory, read_only=read_only)
