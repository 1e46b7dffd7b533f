"""How long one tenant's readings are kept, in the tenant's row."""

from typing import Any

from sqlalchemy import Connection, case, or_, select, update

from thingport.adapters.sql.catalogue_tables import tenants
from thingport.domain.errors import NotFound
from thingport.domain.ids import TenantId


class SqlUpkeepRepository:
    """How long one tenant's readings are kept; reaches no other tenant's row."""

    def __init__(self, connection: Connection, tenant_id: TenantId) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def get_retention_months(self) -> int | None:
        """Give for how many months readings are kept; ``None`` for ever."""
        return self._get(tenants.c.retention_months)

    def set_retention_months(self, months: int | None) -> None:
        """Keep readings for some months, or for ever."""
        self._set(retention_months=months)

    def get_oldest_snapshot(self) -> int | None:
        """Give the oldest view that an export may be stored with, if any is too old.

        Nobody changes it before the transaction ends.

        Raises:
            NotFound: The tenant is being removed.
        """
        return self._get(tenants.c.oldest_snapshot, is_locked=True)

    def raise_oldest_snapshot(self, snapshot: int) -> None:
        """Let no export be stored any more that would read at an older view."""
        known = tenants.c.oldest_snapshot
        is_lower = or_(known.is_(None), known < snapshot)
        self._set(oldest_snapshot=case((is_lower, snapshot), else_=known))

    def _get(self, column: Any, *, is_locked: bool = False) -> int | None:  # noqa: ANN401  # of whatever type
        query = select(column).where(
            tenants.c.id == self._tenant_id, tenants.c.removal_began_at.is_(None)
        )
        if is_locked:
            query = query.with_for_update(read=True)
        row = self._connection.execute(query).one_or_none()
        if row is None:
            raise NotFound
        return None if row[0] is None else int(row[0])

    def _set(self, **values: Any) -> None:  # noqa: ANN401  # columns differ in type
        self._connection.execute(
            update(tenants).where(tenants.c.id == self._tenant_id).values(**values)
        )
