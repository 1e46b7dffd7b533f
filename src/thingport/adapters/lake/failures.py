"""What a failing lake means for the caller."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager

import duckdb

from thingport.domain.errors import CorruptData, StoreUnavailable, ThingportError

STORE = "the lake"

_LOCKED = "database is locked"
_PASSING = (
    _LOCKED,
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
)
_BUGS = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.ConstraintException,
    duckdb.NotImplementedException,
    duckdb.ParserException,
    duckdb.SyntaxException,
)


def is_locked(error: duckdb.Error) -> bool:
    """Whether another process was in the way, so that trying again is worth it."""
    return _LOCKED in str(error)


def explain(error: Exception) -> ThingportError | None:
    """Say what an error of the engine means; ``None`` for one that is a bug."""
    text = str(error)
    passing = isinstance(error, duckdb.OutOfMemoryException) or any(
        it in text for it in _PASSING
    )
    if passing:
        return StoreUnavailable(STORE, text)
    if isinstance(error, _BUGS):
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
