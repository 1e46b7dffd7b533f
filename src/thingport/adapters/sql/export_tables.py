"""Tables of data exports and of the segments committed for them."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    literal_column,
)

from thingport.adapters.sql.column_types import Instant, Word
from thingport.adapters.sql.schema import metadata, reference
from thingport.domain.data_export import DataExportState

_IS_PENDING = literal_column("state") == literal_column("'PENDING'")

data_exports = Table(
    "data_exports",
    metadata,
    Column("id", String, primary_key=True),
    Column("tenant_id", String, ForeignKey("tenants.id"), nullable=False),
    Column("scheduled_by", String, nullable=False),
    Column("scheduled_at", Instant, nullable=False),
    Column("name", String, nullable=False),
    Column("selection", JSON, nullable=False),
    Column("rendition", JSON, nullable=False),
    Column("snapshot", BigInteger),
    Column("slot", String, nullable=False),
    Column("state", Word(DataExportState), nullable=False),
    Column("progress", JSON, nullable=False),
    Column("finished_at", Instant),
    Column("archive", JSON(none_as_null=True)),
    Column("error", JSON(none_as_null=True)),
    Column("lease_runner", String),
    Column("lease_until", Instant),
    Column("retry_at", Instant),
    Column("fencing_token", BigInteger, nullable=False),
    Column("attempt", Integer, nullable=False),
    reference("scheduled_by", "users"),
    Index(
        "uq_data_exports_active_slot",
        "tenant_id",
        "slot",
        unique=True,
        sqlite_where=_IS_PENDING,
        postgresql_where=_IS_PENDING,
    ),
    Index(
        "ix_data_exports_waiting",
        "scheduled_at",
        "id",
        sqlite_where=_IS_PENDING,
        postgresql_where=_IS_PENDING,
    ),
)
"""Keyed by id alone, which is unique among all tenants: runners serve them all."""

export_segments = Table(
    "export_segments",
    metadata,
    Column("data_export_id", String, ForeignKey("data_exports.id"), primary_key=True),
    Column("chunk_number", Integer, primary_key=True, autoincrement=False),
    Column("key", String, nullable=False),
    Column("index", JSON, nullable=False),
)
