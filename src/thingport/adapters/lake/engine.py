"""Query engines: DuckDB with the extensions that a lake needs, and no others."""

from importlib.resources import files
from pathlib import Path

import duckdb

from thingport.adapters.lake.lake_names import DATA_FOLDER, LAKE, quote_text
from thingport.adapters.lake.temporary_folders import new_folder

_EXTENSIONS = ("sqlite_scanner", "ducklake")


def open_engine(
    *, memory_mb: int, threads: int, temp_dir: Path
) -> duckdb.DuckDBPyConnection:
    """Start an engine with nothing attached.

    Its extensions are loaded from their wheels. Nothing is downloaded or installed,
    and the engine refuses an extension whose signature is wrong.

    Args:
        memory_mb: Most memory for data, in 10^6 bytes; what needs more is written
            to temporary files.
        threads: How many threads one query may use.
        temp_dir: Folder for temporary files; made if missing; an engine that
            needs it has a folder of its own in it, which goes with it.
    """
    temp_dir.mkdir(parents=True, exist_ok=True)
    engine = duckdb.connect(
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
    for name in _EXTENSIONS:
        engine.execute(f"LOAD {quote_text(_extension_path(name))}")
    return engine


def attach(
    engine: duckdb.DuckDBPyConnection, catalogue: Path, *, read_only: bool
) -> None:
    """Attach a lake, whose data lies beside its catalogue.

    The catalogue remembers where its data lay when it was made; the folder may
    have been moved since, so the place is given anew each time. Rows are never
    kept in the catalogue itself: views of the past came out wrong with them.
    """
    options = [
        f"DATA_PATH {quote_text(f'{catalogue.parent}/{DATA_FOLDER}/')}",
        "OVERRIDE_DATA_PATH true",
        "DATA_INLINING_ROW_LIMIT 0",
    ]
    if read_only:
        options.append("READ_ONLY")
    address = quote_text(f"ducklake:sqlite:{catalogue}")
    engine.execute(f"ATTACH {address} AS {LAKE} ({', '.join(options)})")


def _extension_path(name: str) -> str:
    package = files(f"duckdb_extension_{name}")
    version = f"v{duckdb.__version__}"
    return str(package / "extensions" / version / f"{name}.duckdb_extension")
