"""All tenants, in a table."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    delete,
    false,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from thingport.adapters.sql.catalogue_tables import tenants
from thingport.adapters.sql.schema import metadata
from thingport.adapters.sql.turns import take_turn
from thingport.domain.catalogue import Tenant
from thingport.domain.errors import InvalidRequest, NotFound
from thingport.domain.ids import TenantId
from thingport.domain.reading import FIRST_WRITTEN_SEQ

_IS_THERE = tenants.c.removal_began_at.is_(None)


class SqlTenantRepository:
    """All tenants."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, tenant: Tenant) -> None:
        """Store a tenant.

        Raises:
            InvalidRequest: The name is taken; nothing was stored.
        """
        try:
            with self._connection.begin_nested():
                self._connection.execute(
                    insert(tenants).values(
                        id=tenant.id,
                        name=tenant.name,
                        next_written_seq=FIRST_WRITTEN_SEQ,
                    )
                )
        except IntegrityError as error:
            raise InvalidRequest(
                f"name: there is a tenant {tenant.name!r} already"
            ) from error

    def find_by_name(self, name: str) -> Tenant | None:
        """Give a tenant by its exact name, or ``None``."""
        row = self._connection.execute(
            select(tenants).where(tenants.c.name == name, _IS_THERE)
        ).one_or_none()
        return None if row is None else Tenant(id=row.id, name=row.name)

    def list_all(self) -> Sequence[Tenant]:
        """Give all tenants, by name."""
        rows = self._connection.execute(
            select(tenants).where(_IS_THERE).order_by(tenants.c.name)
        )
        return [Tenant(id=row.id, name=row.name) for row in rows]

    def begin_removal(self, name: str, *, at: datetime) -> Tenant | None:
        """Let nobody find a tenant any more; gives one whose removal began as well."""
        self._connection.execute(
            update(tenants)
            .where(tenants.c.name == name, _IS_THERE)
            .values(removal_began_at=at)
        )
        row = self._connection.execute(
            select(tenants).where(tenants.c.name == name)
        ).one_or_none()
        return None if row is None else Tenant(id=row.id, name=row.name)

    def remove_rows(self, tenant_id: TenantId) -> None:
        """Remove all that is kept of a tenant in whatever table, but its name.

        What others write to it at the same time they have written before, or refuse.
        """
        take_turn(self._connection, tenant_id)
        for table in reversed(metadata.sorted_tables):
            if table is not tenants:
                self._connection.execute(
                    delete(table).where(_belongs_to(table, tenant_id))
                )

    def remove(self, tenant_id: TenantId) -> None:
        """Remove a tenant of which nothing is kept but its name."""
        self._connection.execute(delete(tenants).where(tenants.c.id == tenant_id))


def _belongs_to(table: FromClause, tenant_id: TenantId) -> ColumnElement[bool]:
    """Say which rows are a tenant's: by a column, or by the row that they hang on."""
    if "tenant_id" in table.c:
        return table.c.tenant_id == tenant_id
    conditions = [
        column.in_(select(key.column).where(_belongs_to(key.column.table, tenant_id)))
        for column in table.c
        for key in column.foreign_keys
    ]
    return or_(false(), *conditions)


def allocate_written_seqs(
    connection: Connection, tenant_id: TenantId, count: int
) -> int:
    """Reserve successive numbers; give the first.

    They are reserved once the transaction is committed, not before.

    Raises:
        NotFound: There is no such tenant, or it is being removed.
    """
    following: int | None = connection.execute(
        update(tenants)
        .where(tenants.c.id == tenant_id, _IS_THERE)
        .values(next_written_seq=tenants.c.next_written_seq + count)
        .returning(tenants.c.next_written_seq)
    ).scalar_one_or_none()
    if following is None:
        raise NotFound
    return following - count
