"""A Parquet file of readings, as rows that an engine can read."""

from collections.abc import Sequence
from pathlib import Path

import duckdb

from thingport.adapters.lake.arrow import ArrowError, parquet_column_names
from thingport.adapters.lake.lake_names import quote_text
from thingport.adapters.lake.reading_source import (
    THING,
    ReadingSource,
    Scan,
    source_of,
)
from thingport.domain.errors import InvalidRequest

_ROW_NUMBER = "file_row_number"


def open_source(engine: duckdb.DuckDBPyConnection, path: Path) -> ReadingSource:
    """Look at a file's columns; reads no rows.

    Raises:
        InvalidRequest: It is not a Parquet file of readings.
    """
    options = f"{_ROW_NUMBER} = true, hive_partitioning = false"
    scan = Scan(
        origin=f"{path}: ",
        thing_columns=(THING,),
        relation=f"read_parquet({quote_text(_literal(path))}, {options})",
        # The engine renames columns that differ in case only; the order is the file's.
        names=_read_names(path),
        row_number=_ROW_NUMBER,
    )
    try:
        return source_of(engine, scan)
    except (duckdb.InvalidInputException, duckdb.IOException) as error:
        raise InvalidRequest(f"{path}: it cannot be read: {error}") from error


def _read_names(path: Path) -> Sequence[str]:
    try:
        return parquet_column_names(path)
    except (ArrowError, OSError) as error:
        raise InvalidRequest(
            f"{path}: it is no readable Parquet file: {error}"
        ) from error


def _literal(path: Path) -> str:
    """Write a path so that the engine takes it for this file, not for a pattern."""
    special = {"*": "[*]", "?": "[?]", "[": "[[]"}
    return "".join(special.get(it, it) for it in str(path.absolute()))
