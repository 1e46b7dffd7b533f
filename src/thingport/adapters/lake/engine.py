"""Query engines: DuckDB with the extensions that a lake needs, and no others."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import duckdb

from thingport.adapters.lake.lake_names import LAKE, quote_text
from thingport.adapters.lake.temporary_folders import new_folder

_ROOM_PER_COLUMN_KB = 200
"""What sorting rows takes for each column, however few rows there are: six vectors of
2 048 texts. Without it, rows of 4 096 columns could be neither read nor merged."""


def open_engine(
    *, memory_mb: int, threads: int, temp_dir: Path
) -> duckdb.DuckDBPyConnection:
    """Start an engine that can attach a lake; see :func:`open_bare_engine`.

    Its extensions are loaded from their wheels. Nothing is downloaded or installed,
    and the engine refuses an extension whose signature is wrong.
    """
    engine = open_bare_engine(memory_mb=memory_mb, threads=threads, temp_dir=temp_dir)
    load_extension(engine, "ducklake")
    return engine


def open_bare_engine(
    *, memory_mb: int, threads: int, temp_dir: Path
) -> duckdb.DuckDBPyConnection:
    """Start an engine with nothing attached and no extensions, much faster.

    Args:
        memory_mb: Most memory for data, in 10^6 bytes; what needs more is written
            to temporary files.
        threads: How many threads one query may use.
        temp_dir: Folder for temporary files; made if missing; an engine that
            needs it has a folder of its own in it, which goes with it.
    """
    temp_dir.mkdir(parents=True, exist_ok=True)
    return duckdb.connect(
        ":memory:",
        config={
            "allow_community_extensions": "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "memory_limit": f"{memory_mb}MB",
            "temp_directory": str(new_folder(temp_dir)),
            "threads": str(threads),
        },
    )


def room_mb(columns: int) -> int:
    """Say how much more memory than usual rows of so many columns need."""
    return columns * _ROOM_PER_COLUMN_KB // 1_000


def load_extension(engine: duckdb.DuckDBPyConnection, name: str) -> None:
    """Load an extension, unless the engine has it."""
    engine.execute(f"LOAD {quote_text(_extension_path(name))}")


def attach(
    engine: duckdb.DuckDBPyConnection,
    catalogue: str,
    data_directory: Path,
    *,
    read_only: bool,
    options: Sequence[str] = (),
) -> None:
    """Attach a lake.

    The catalogue remembers where its data lay when it was made; the folder may
    have been moved since, so the place is given anew each time. Rows are never
    kept in the catalogue itself: views of the past came out wrong with them.

    Args:
        engine: Has the extension that reads the catalogue.
        catalogue: Where it is, as the engine names it.
        data_directory: Where the lake's files lie.
        read_only: Whether nothing will be written.
        options: More of them, as SQL.
    """
    settled = [
        f"DATA_PATH {quote_text(f'{data_directory}/')}",
        "OVERRIDE_DATA_PATH true",
        "DATA_INLINING_ROW_LIMIT 0",
        *options,
    ]
    if read_only:
        settled.append("READ_ONLY")
    address = quote_text(f"ducklake:{catalogue}")
    engine.execute(f"ATTACH {address} AS {LAKE} ({', '.join(settled)})")


def _extension_path(name: str) -> str:
    package = files(f"duckdb_extension_{name}")
    version = f"v{duckdb.__version__}"
    return str(package / "extensions" / version / f"{name}.duckdb_extension")
