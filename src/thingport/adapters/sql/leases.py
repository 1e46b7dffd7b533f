"""Leases on what waits for a runner: rows of any table that has the columns for it.

These are ``tenant_id``, ``scheduled_at``, ``state``, ``lease_runner``, ``lease_until``,
``retry_at``, ``fencing_token`` and ``attempt``. A lease that ends later than one begun
now was taken by a clock that was set back since, and is over.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Table,
    and_,
    literal_column,
    or_,
    select,
    update,
)

from thingport.domain.ids import TenantId

_PENDING: ColumnElement[str] = literal_column("'PENDING'")
"""The state of what waits, or is worked on, in every such table."""

NO_LEASE = {"lease_runner": None, "lease_until": None}


def take_longest_waiting(
    connection: Connection,
    table: Table,
    runner: str,
    *,
    now: datetime,
    lease: timedelta,
) -> Row[Any] | None:
    """Lease the longest waiting row that nobody holds, and give it as it is then."""
    row = connection.execute(
        select(table)
        .where(_is_free(table, now, lease))
        .order_by(table.c.scheduled_at, table.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).one_or_none()
    if row is None:
        return None
    return connection.execute(
        update(table)
        .where(table.c.id == row.id)
        .values(
            lease_runner=runner,
            lease_until=now + lease,
            retry_at=None,
            fencing_token=row.fencing_token + 1,
            attempt=row.attempt + 1,
        )
        .returning(*table.c)
    ).one()


def is_any_ended_held(
    connection: Connection,
    table: Table,
    tenant_id: TenantId,
    *,
    now: datetime,
    lease: timedelta,
) -> bool:
    """Whether a runner may still be at work on a tenant's row that has ended."""
    held = connection.execute(
        select(table.c.id)
        .where(
            table.c.tenant_id == tenant_id,
            table.c.state != _PENDING,
            table.c.lease_until > now,
            table.c.lease_until <= now + lease,
        )
        .limit(1)
    ).one_or_none()
    return held is not None


def _is_free(table: Table, now: datetime, lease: timedelta) -> ColumnElement[bool]:
    return and_(
        table.c.state == _PENDING,
        *(
            or_(instant.is_(None), instant <= now, instant > now + lease)
            for instant in (table.c.lease_until, table.c.retry_at)
        ),
    )
