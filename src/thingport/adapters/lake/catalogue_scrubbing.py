"""Taking out of a lake's catalogue what it has noted of rows that are gone.

For each column of a table the catalogue keeps the least and the greatest value that
was ever in it: ids of things, and texts. They grow with what is written and never
shrink by what is deleted. And a database keeps the bytes of a deleted row in its files
until it needs the room.
"""

from thingport.adapters.lake.lake_transaction import LakeTransaction

_ENGINE_TYPES = {
    "varchar": "VARCHAR",
    "boolean": "BOOLEAN",
    "int64": "BIGINT",
    "float32": "FLOAT",
    "float64": "DOUBLE",
}
"""What the engine calls the types that the catalogue has."""


def work_bounds_out_anew(transaction: LakeTransaction, metadata: str) -> None:
    """Let the bounds of each column be those of the files that are there.

    Files of the past count too: what they have is still there, and a view of it must
    not be held to narrower bounds.

    Args:
        transaction: Of the lake; it does nothing else.
        metadata: Where the catalogue's own tables are, for SQL.
    """
    columns = transaction.query(
        "SELECT table_id, column_id, column_type"  # noqa: S608  # a quoted name
        f" FROM {metadata}.ducklake_column WHERE end_snapshot IS NULL"
    )
    for table_id, column_id, column_type in columns:
        known = _ENGINE_TYPES.get(str(column_type))
        if known is not None:
            transaction.query(
                _set_bounds(metadata, int(table_id), int(column_id), known)
            )
    # Engines of other processes remember bounds by this number. It only ever has to
    # grow, so that they ask again and do not write the old ones back.
    transaction.query(
        f"UPDATE {metadata}.ducklake_snapshot SET next_file_id = next_file_id + 1"  # noqa: S608  # a quoted name
        " WHERE snapshot_id ="
        f" (SELECT max(snapshot_id) FROM {metadata}.ducklake_snapshot)"
    )


def _set_bounds(metadata: str, table_id: int, column_id: int, engine_type: str) -> str:
    """Write bounds that are unknown if any file does not say its own."""
    of_column = f"table_id = {table_id} AND column_id = {column_id}"
    files = f"FROM {metadata}.ducklake_file_column_stats WHERE {of_column}"
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
        f"UPDATE {metadata}.ducklake_table_column_stats"  # noqa: S608  # numbers
        f" SET min_value = CASE WHEN {unknown} = 0 THEN {least} END,"
        f" max_value = CASE WHEN {unknown} = 0 THEN {greatest} END"
        f" WHERE {of_column}"
    )
