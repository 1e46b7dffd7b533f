"""Who may write when, so that what was read is still true when it is written.

SQLite has one writer at a time, which takes its turn as it begins. On PostgreSQL
the transactions of one tenant that may write take turns by an advisory lock, held
to their end: all that they read was committed by those before them, and nobody
changes it meanwhile. Other tenants do not wait for them, and readers wait for
nobody.

Transactions of the service itself reach many tenants and take no such turn. They
lock the rows of the exports that they change, and so does a tenant's transaction
that has looked at one.
"""

from sqlalchemy import Connection, func, select

from thingport.domain.ids import TenantId

_MIGRATION = "thingport migration"


def take_turn(connection: Connection, tenant_id: TenantId) -> None:
    """Wait until no other transaction may write to a tenant's rows.

    Tenants whose names fall together in 64 bits wait for each other, and that
    is all that comes of it.
    """
    _lock(connection, f"thingport tenant {tenant_id}")


def take_migration_turn(connection: Connection) -> None:
    """Wait until no other process migrates."""
    _lock(connection, _MIGRATION)


def _lock(connection: Connection, name: str) -> None:
    if connection.dialect.name != "sqlite":
        key = func.hashtextextended(name, 0)
        connection.execute(select(func.pg_advisory_xact_lock(key)))
