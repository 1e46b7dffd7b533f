"""What all tables have in common: the tenant, and names of constraints."""

from sqlalchemy import (
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)
from sqlalchemy.schema import SchemaItem

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)
"""All tables of the control database."""


def tenant_table(name: str, *items: SchemaItem) -> Table:
    """Give a table whose rows belong to one tenant each, keyed by tenant and id."""
    return Table(
        name,
        metadata,
        Column("tenant_id", String, ForeignKey("tenants.id"), primary_key=True),
        Column("id", String, primary_key=True),
        *items,
    )


def reference(column: str, table: str) -> ForeignKeyConstraint:
    """Tie a column to the ids of a table; never to another tenant's rows."""
    return ForeignKeyConstraint(
        ["tenant_id", column], [f"{table}.tenant_id", f"{table}.id"]
    )


def unique_in_tenant(*columns: str) -> UniqueConstraint:
    """Make columns a natural key."""
    return UniqueConstraint("tenant_id", *columns)
