"""Where a lake lies, and what its tables and columns are called."""

from collections.abc import Sequence
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

from thingport.domain.ids import MetricId, TenantId, ThingDefinitionId
from thingport.domain.metric import ValueType


class Turn(StrEnum):
    """What only one process does to a lake at a time, in words for an error."""

    WRITING = "writing"
    MERGING = "merging files"


LAKE = "lake"
"""The name under which every engine attaches its lake."""

CATALOGUE_FILE = "catalogue.sqlite"
"""Which Parquet files belong to which table at which snapshot, where a file says it."""

LOCK_FILES = {Turn.WRITING: "writer.lock", Turn.MERGING: "compaction.lock"}
"""Locked by whoever has a turn, where the catalogue is a file."""

DATA_FOLDER = "data"
"""In the folder of a lake: a folder of Parquet files for each table."""

STAGING_FOLDER = "compacting"
"""In the folder of a lake: merged files until the moment in which they count."""

_MAX_SCHEMA_BYTES = 63
"""PostgreSQL cuts longer names short, so that two could become one."""

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


def metadata_name(schema: str) -> str:
    """Name the place of a catalogue's own tables, ready for SQL.

    What is in them: DuckLake specification, *Tables*.
    """
    return f"__ducklake_metadata_{LAKE}.{quote(schema)}"


def schema_name(tenant_id: TenantId) -> str:
    """Name the schema of a database that has the catalogue of a tenant's lake."""
    plain = f"lake_{_escape(tenant_id)}"
    if len(plain) <= _MAX_SCHEMA_BYTES:
        return plain
    return f"lake__{sha256(tenant_id.encode()).hexdigest()[:40]}"


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


def added(terms: Sequence[str]) -> str:
    """Add numbers up in SQL, half and half: the engine nests no deeper than 1 000."""
    if len(terms) <= 1:
        return "".join(terms) or "0"
    half = len(terms) // 2
    return f"({added(terms[:half])} + {added(terms[half:])})"


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
