"""What a failing lake means for the caller."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager

import duckdb

from thingport.domain.errors import CorruptData, StoreUnavailable, ThingportError

STORE = "the lake"

_LOCKED = "database is locked"
_OVERTAKEN = "ducklake_max_retry_count"
_PASSING = (
    _LOCKED,
    _OVERTAKEN,
    "No space left",
    "Too many open files",
    "Out of Memory",
    "Permission denied",
    "Failed to create directory",
    "unable to open database",
    "disk I/O error",
    "database or disk is full",
    "readonly database",
    "Read-only file system",
    # What the library that talks to a database server says, and the server itself.
    "Unable to connect to Postgres",
    "server closed the connection",
    "terminating connection",
    "connection to server",
    "no connection to the server",
    "could not receive data from server",
    "could not send data to server",
    "the database system is",
    "canceling statement due to",
    # A connection that is lost within a commit leaves the engine without words.
    'Failed to execute query "ROLLBACK"',
)
_OF_CATALOGUE = "DuckLake: "
"""What the engine says of its own questions to a catalogue, which are not ours."""

_BUGS = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.ConstraintException,
    duckdb.NotImplementedException,
    duckdb.ParserException,
    duckdb.SyntaxException,
)


def gone() -> CorruptData:
    """Say that a lake that there was is no more there."""
    return CorruptData(f"{STORE} is gone: readings were written, its catalogue is lost")


def is_locked(error: duckdb.Error) -> bool:
    """Whether another process was in the way, so that trying again is worth it."""
    return any(it in str(error) for it in (_LOCKED, _OVERTAKEN))


def explain(error: Exception) -> ThingportError | None:
    """Say what an error of the engine means; ``None`` for one that is a bug."""
    text = str(error)
    passing = isinstance(error, duckdb.OutOfMemoryException) or any(
        it in text for it in _PASSING
    )
    if passing:
        return StoreUnavailable(STORE, text)
    if isinstance(error, _BUGS) and _OF_CATALOGUE not in text:
        return None
    return CorruptData(f"{STORE} is damaged: {text}")


@contextmanager
def reading_failures() -> Generator[None]:
    """Translate what goes wrong while the block reads."""
    try:
        yield
    except duckdb.Error as error:
        explained = explain(error)
        if explained is None:
            raise
        raise explained from error
    except OSError as error:
        raise StoreUnavailable(STORE, str(error)) from error


@contextmanager
def writing_failures() -> Generator[None]:
    """Translate what goes wrong while the block writes."""
    try:
        with reading_failures():
            yield
    except sqlite3.Error as error:
        raise StoreUnavailable(STORE, str(error)) from error
