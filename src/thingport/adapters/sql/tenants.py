"""All tenants, in a table."""

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from thingport.adapters.sql.catalogue_tables import tenants
from thingport.domain.catalogue import Tenant
from thingport.domain.errors import InvalidRequest, NotFound
from thingport.domain.ids import TenantId

_FIRST_WRITTEN_SEQ = 1


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
                        next_written_seq=_FIRST_WRITTEN_SEQ,
                    )
                )
        except IntegrityError as error:
            raise InvalidRequest(
                f"name: there is a tenant {tenant.name!r} already"
            ) from error

    def find_by_name(self, name: str) -> Tenant | None:
        """Give a tenant by its exact name, or ``None``."""
        row = self._connection.execute(
            select(tenants).where(tenants.c.name == name)
        ).one_or_none()
        return None if row is None else Tenant(id=row.id, name=row.name)

    def list_all(self) -> Sequence[Tenant]:
        """Give all tenants, by name."""
        rows = self._connection.execute(select(tenants).order_by(tenants.c.name))
        return [Tenant(id=row.id, name=row.name) for row in rows]


def allocate_written_seqs(
    connection: Connection, tenant_id: TenantId, count: int
) -> int:
    """Reserve successive numbers; give the first.

    They are reserved once the transaction is committed, not before.

    Raises:
        NotFound: There is no such tenant.
    """
    following: int | None = connection.execute(
        update(tenants)
        .where(tenants.c.id == tenant_id)
        .values(next_written_seq=tenants.c.next_written_seq + count)
        .returning(tenants.c.next_written_seq)
    ).scalar_one_or_none()
    if following is None:
        raise NotFound
    return following - count
