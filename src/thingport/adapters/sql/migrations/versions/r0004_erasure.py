"""What a tenant keeps for how long, and what of it is being taken away."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns; tenants that are there keep everything for ever."""
    op.add_column("tenants", sa.Column("retention_months", sa.Integer))
    op.add_column("tenants", sa.Column("oldest_snapshot", sa.BigInteger))
    op.add_column("tenants", sa.Column("removal_began_at", sa.BigInteger))
