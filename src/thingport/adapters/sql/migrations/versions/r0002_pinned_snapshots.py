"""The snapshot that each data export reads at."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column; exports that are there already name no snapshot."""
    op.add_column("data_exports", sa.Column("snapshot", sa.BigInteger))
