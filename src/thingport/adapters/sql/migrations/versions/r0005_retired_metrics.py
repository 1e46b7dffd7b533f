"""Which metrics take no more values."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column; code that does not know of it stores metrics in use."""
    retired = sa.Column(
        "is_retired", sa.Boolean, nullable=False, server_default=sa.false()
    )
    op.add_column("metrics", retired)
