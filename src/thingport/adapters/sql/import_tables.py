"""The table of data imports."""

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
from thingport.domain.data_import import DataImportState, TextGuard

_IS_PENDING = literal_column("state") == literal_column("'PENDING'")

data_imports = Table(
    "data_imports",
    metadata,
    Column("id", String, primary_key=True),
    Column("tenant_id", String, ForeignKey("tenants.id"), nullable=False),
    Column("thing_id", String, nullable=False),
    Column("scheduled_by", String, nullable=False),
    Column("scheduled_at", Instant, nullable=False),
    Column("header_line", Integer, nullable=False),
    Column("text_guard", Word(TextGuard), nullable=False),
    Column("state", Word(DataImportState), nullable=False),
    Column("progress", JSON, nullable=False),
    Column("finished_at", Instant),
    Column("report", JSON(none_as_null=True)),
    Column("error", JSON(none_as_null=True)),
    Column("draft", JSON(none_as_null=True)),
    Column("snapshot", BigInteger),
    Column("lease_runner", String),
    Column("lease_until", Instant),
    Column("retry_at", Instant),
    Column("fencing_token", BigInteger, nullable=False),
    Column("attempt", Integer, nullable=False),
    reference("thing_id", "things"),
    reference("scheduled_by", "users"),
    Index(
        "uq_data_imports_active_thing",
        "tenant_id",
        "thing_id",
        unique=True,
        sqlite_where=_IS_PENDING,
        postgresql_where=_IS_PENDING,
    ),
    Index(
        "ix_data_imports_waiting",
        "scheduled_at",
        "id",
        sqlite_where=_IS_PENDING,
        postgresql_where=_IS_PENDING,
    ),
)
"""Keyed by id alone, which is unique among all tenants: runners serve them all.

``draft`` and ``snapshot`` are there from before anything is stored in the lake until
the import ends.
"""
