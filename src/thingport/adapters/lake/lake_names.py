"""Where a lake lies, and what its tables and columns are called."""

from pathlib import Path

from thingport.domain.ids import MetricId, TenantId, ThingDefinitionId
from thingport.domain.metric import ValueType

LAKE = "lake"
"""The name under which every engine attaches its lake."""

CATALOGUE_FILE = "catalogue.sqlite"
"""Which Parquet files belong to which table at which snapshot."""

LOCK_FILE = "writer.lock"
"""Locked by whoever writes."""

COMPACTION_LOCK_FILE = "compaction.lock"
"""Locked by whoever merges files."""

DATA_FOLDER = "data"
"""Beside the catalogue: a folder of Parquet files for each table."""

STAGING_FOLDER = "compacting"
"""Beside the catalogue: merged files until the moment in which they count."""

METADATA = f"__ducklake_metadata_{LAKE}.main"
"""The tables of the catalogue itself, as the DuckLake specification has them."""

KEY_COLUMNS = {"thing": "VARCHAR", "ts": "BIGINT", "written_seq": "BIGINT"}
"""What every table has: which thing, UTC milliseconds, and the order of writing."""

COLUMN_TYPES = {
    ValueType.STRING: "VARCHAR",
    ValueType.BOOLEAN: "BOOLEAN",
    ValueType.INTEGER: "BIGINT",
    ValueType.LONG: "BIGINT",
    ValueType.FLOAT: "FLOAT",
    ValueType.DOUBLE: "DOUBLE",
}
"""The column type for each type of values, as the engine names it."""

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")


def lake_directory(lakes_dir: Path, tenant_id: TenantId) -> Path:
    """Give the folder of a tenant's lake."""
    return lakes_dir / _escape(tenant_id)


def table_name(thing_definition_id: ThingDefinitionId) -> str:
    """Name the table of a thing definition."""
    return f"d_{_escape(thing_definition_id)}"


def column_name(metric_id: MetricId) -> str:
    """Name the column of a metric."""
    return f"m_{_escape(metric_id)}"


def quote(identifier: str) -> str:
    """Write a name so that SQL reads it as this name, whatever is in it."""
    doubled = identifier.replace('"', '""')
    return f'"{doubled}"'


def quote_text(text: str) -> str:
    """Write a text so that SQL reads it as this text, whatever is in it."""
    doubled = text.replace("'", "''")
    return f"'{doubled}'"


def qualified(table: str) -> str:
    """Name a table of the lake, ready for SQL."""
    return f"{LAKE}.main.{quote(table)}"


def _escape(opaque_id: str) -> str:
    """Write an id in lower-case letters, digits and ``_`` alone.

    The service's own ids come out as they are. Engines compare names without
    case and tables become folders, so everything else is written as its bytes.
    """
    return "".join(
        it if it in _PLAIN else "".join(f"_{byte:02x}" for byte in it.encode())
        for it in opaque_id
    )
