"""Taking out of a lake's catalogue what it has noted of rows that are gone.

For each column of a table the catalogue keeps the least and the greatest value that
was ever in it: ids of things, and texts. They grow with what is written and never
shrink by what is deleted. And a database keeps the bytes of a deleted row in its files
until it needs the room.
"""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from thingport.adapters.lake.failures import STORE
from thingport.adapters.lake.lake_names import METADATA
from thingport.adapters.lake.lake_transaction import LakeTransaction
from thingport.domain.errors import StoreUnavailable

_PATIENCE_S = 60.0
"""How long to wait for who reads: longer than an export reads one chunk."""

_PAUSE_S = 0.1

_PRESENT_COLUMNS = (
    "SELECT table_id, column_id, column_type"  # noqa: S608  # a constant
    f" FROM {METADATA}.ducklake_column WHERE end_snapshot IS NULL"
)

_ENGINE_TYPES = {
    "varchar": "VARCHAR",
    "boolean": "BOOLEAN",
    "int64": "BIGINT",
    "float32": "FLOAT",
    "float64": "DOUBLE",
}
"""What the engine calls the types that the catalogue has."""


def bounds_worked_out_anew(transaction: LakeTransaction) -> None:
    """Let the bounds of each column be those of the files that are there.

    Files of the past count too: what they have is still there, and a view of it must
    not be held to narrower bounds.
    """
    for table_id, column_id, column_type in transaction.query(_PRESENT_COLUMNS):
        known = _ENGINE_TYPES.get(str(column_type))
        if known is not None:
            transaction.query(_set_bounds(int(table_id), int(column_id), known))
    # Engines of other processes remember bounds by this number. It only ever has to
    # grow, so that they ask again and do not write the old ones back.
    transaction.query(
        f"UPDATE {METADATA}.ducklake_snapshot SET next_file_id = next_file_id + 1"  # noqa: S608  # constants
        " WHERE snapshot_id ="
        f" (SELECT max(snapshot_id) FROM {METADATA}.ducklake_snapshot)"
    )


def forget_deleted_bytes(catalogue: Path) -> None:
    """Write a catalogue anew without what was deleted in it, and empty its log.

    Needs the writer lane. Who reads meanwhile goes on.

    Raises:
        StoreUnavailable: Somebody has read for too long; it may be done again.
    """
    with closing(sqlite3.connect(catalogue, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA busy_timeout = {int(_PATIENCE_S * 1000)}")
        connection.execute("VACUUM")
        give_up_at_s = time.monotonic() + _PATIENCE_S
        while _is_log_in_use(connection):
            if time.monotonic() >= give_up_at_s:
                raise StoreUnavailable(STORE, "its catalogue is being read for long")
            time.sleep(_PAUSE_S)


def _is_log_in_use(connection: sqlite3.Connection) -> bool:
    is_busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return bool(is_busy)


def _set_bounds(table_id: int, column_id: int, engine_type: str) -> str:
    """Write bounds that are unknown if any file does not say its own."""
    of_column = f"table_id = {table_id} AND column_id = {column_id}"
    files = f"FROM {METADATA}.ducklake_file_column_stats WHERE {of_column}"
    # A file without any value in the column has no bounds, and needs none.
    unknown = (
        f"(SELECT count(*) {files} AND (min_value IS NULL OR max_value IS NULL)"
        " AND coalesce(null_count < value_count, true))"
    )
    least, greatest = (
        f"(SELECT {pick}(it, CAST(it AS {engine_type})) FROM"  # noqa: S608  # numbers
        f" (SELECT {bound} AS it {files}))"
        for pick, bound in (("arg_min", "min_value"), ("arg_max", "max_value"))
    )
    return (
        f"UPDATE {METADATA}.ducklake_table_column_stats"  # noqa: S608  # numbers
        f" SET min_value = CASE WHEN {unknown} = 0 THEN {least} END,"
        f" max_value = CASE WHEN {unknown} = 0 THEN {greatest} END"
        f" WHERE {of_column}"
    )
