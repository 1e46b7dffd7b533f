"""What Alembic runs: migrations on the connection that it is given."""

from typing import cast

from alembic import context
from sqlalchemy import Connection

from thingport.adapters.sql.schema import metadata

if hasattr(context, "config"):
    # Alembic runs this file; who merely imports it migrates nothing.
    context.configure(
        connection=cast("Connection", context.config.attributes["connection"]),
        # Taken for its naming convention: constraints get their names by it.
        target_metadata=metadata,
        # SQLite changes a table by making it anew.
        render_as_batch=True,
    )
    with context.begin_transaction():
        context.run_migrations()
