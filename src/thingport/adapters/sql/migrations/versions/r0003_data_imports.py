"""Data imports."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_IS_PENDING = sa.text("state = 'PENDING'")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "data_imports",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("tenant_id", sa.String, nullable=False),
        sa.Column("thing_id", sa.String, nullable=False),
        sa.Column("scheduled_by", sa.String, nullable=False),
        sa.Column("scheduled_at", sa.BigInteger, nullable=False),
        sa.Column("header_line", sa.Integer, nullable=False),
        sa.Column("text_guard", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("progress", sa.JSON, nullable=False),
        sa.Column("finished_at", sa.BigInteger),
        sa.Column("report", sa.JSON),
        sa.Column("error", sa.JSON),
        sa.Column("draft", sa.JSON),
        sa.Column("snapshot", sa.BigInteger),
        sa.Column("lease_runner", sa.String),
        sa.Column("lease_until", sa.BigInteger),
        sa.Column("retry_at", sa.BigInteger),
        sa.Column("fencing_token", sa.BigInteger, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"]),
        _reference("thing_id", "things"),
        _reference("scheduled_by", "users"),
    )
    _create_index("uq_data_imports_active_thing", "tenant_id", "thing_id", unique=True)
    _create_index("ix_data_imports_waiting", "scheduled_at", "id")


def _create_index(name: str, *columns: str, unique: bool = False) -> None:
    op.create_index(
        name,
        "data_imports",
        list(columns),
        unique=unique,
        sqlite_where=_IS_PENDING,
        postgresql_where=_IS_PENDING,
    )


def _reference(column: str, table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["tenant_id", column], [f"{table}.tenant_id", f"{table}.id"]
    )
