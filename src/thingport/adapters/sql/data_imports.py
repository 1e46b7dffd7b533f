"""The data imports of one tenant, in a table."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from thingport.adapters.sql import import_codec
from thingport.adapters.sql.import_tables import data_imports
from thingport.adapters.sql.leases import is_any_ended_held
from thingport.domain.data_import import DataImport, DataImportState
from thingport.domain.errors import ImportAlreadyActive
from thingport.domain.ids import DataImportId, TenantId, ThingId

_RETRY_AFTER = timedelta(seconds=5)
"""When a refused caller may ask again; many imports take no longer."""


class SqlDataImportRepository:
    """The data imports of one tenant; no statement of it reaches another's rows."""

    def __init__(self, connection: Connection, tenant_id: TenantId) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def add(self, data_import: DataImport) -> None:
        """Store a new PENDING one.

        Transactions of one tenant that write take turns, so nothing comes between
        looking and storing; the database itself holds to it as well.

        Raises:
            ImportAlreadyActive: Another one for the thing is PENDING; nothing was
                stored.
        """
        self.refuse_if_active(data_import.thing_id)
        self._connection.execute(
            insert(data_imports).values(
                id=data_import.id,
                tenant_id=self._tenant_id,
                thing_id=data_import.thing_id,
                scheduled_by=data_import.scheduled_by,
                scheduled_at=data_import.scheduled_at,
                header_line=data_import.header_line,
                text_guard=data_import.text_guard,
                fencing_token=0,
                attempt=0,
                **to_outcome_values(data_import),
            )
        )

    def refuse_if_active(self, thing_id: ThingId) -> None:
        """Do nothing, unless an import for a thing is PENDING.

        Raises:
            ImportAlreadyActive: One is.
        """
        active_id = self._connection.execute(
            select(data_imports.c.id).where(
                data_imports.c.tenant_id == self._tenant_id,
                data_imports.c.thing_id == thing_id,
                data_imports.c.state == DataImportState.PENDING,
            )
        ).scalar_one_or_none()
        if active_id is not None:
            raise ImportAlreadyActive(active_id, retry_after=_RETRY_AFTER)

    def find(self, data_import_id: DataImportId) -> DataImport | None:
        """Give a data import, or ``None``."""
        row = self._connection.execute(
            select(data_imports).where(
                data_imports.c.tenant_id == self._tenant_id,
                data_imports.c.id == data_import_id,
            )
        ).one_or_none()
        return None if row is None else to_data_import(row)

    def find_oldest_pin(self) -> int | None:
        """Give the oldest snapshot that a PENDING one must be looked for after."""
        oldest: int | None = self._connection.execute(
            select(func.min(data_imports.c.snapshot)).where(
                data_imports.c.tenant_id == self._tenant_id,
                data_imports.c.state == DataImportState.PENDING,
            )
        ).scalar_one()
        return oldest

    def list_of(self, thing_ids: Collection[ThingId]) -> Sequence[DataImport]:
        """Give those of some things, whatever their state, the oldest first."""
        rows = self._connection.execute(
            select(data_imports)
            .where(data_imports.c.tenant_id == self._tenant_id)
            .order_by(data_imports.c.scheduled_at, data_imports.c.id)
        )
        return [to_data_import(row) for row in rows if row.thing_id in thing_ids]

    def list_pending(self) -> Sequence[DataImport]:
        """Give those that are PENDING, the oldest first."""
        rows = self._connection.execute(
            select(data_imports)
            .where(
                data_imports.c.tenant_id == self._tenant_id,
                data_imports.c.state == DataImportState.PENDING,
            )
            .order_by(data_imports.c.scheduled_at, data_imports.c.id)
        )
        return [to_data_import(row) for row in rows]

    def end(self, data_import: DataImport) -> bool:
        """Store one that is ERROR now, whoever runs it; ``False`` if it had ended."""
        ended = self._connection.execute(
            update(data_imports)
            .where(
                data_imports.c.tenant_id == self._tenant_id,
                data_imports.c.id == data_import.id,
                data_imports.c.state == DataImportState.PENDING,
            )
            .values(**to_outcome_values(data_import), draft=None, snapshot=None)
        )
        return bool(ended.rowcount)

    def is_any_held(self, *, now: datetime, lease: timedelta) -> bool:
        """Whether a runner may still be at work on one that has ended."""
        return is_any_ended_held(
            self._connection, data_imports, self._tenant_id, now=now, lease=lease
        )

    def remove(self, data_import_id: DataImportId) -> None:
        """Remove one that has ended, with what was reported of its file."""
        self._connection.execute(
            delete(data_imports).where(
                data_imports.c.tenant_id == self._tenant_id,
                data_imports.c.id == data_import_id,
                data_imports.c.state != DataImportState.PENDING,
            )
        )

    def forget_ended(self, *, before: datetime) -> int:
        """Remove those that ended before an instant; give how many."""
        return self._connection.execute(
            delete(data_imports).where(
                data_imports.c.tenant_id == self._tenant_id,
                data_imports.c.state != DataImportState.PENDING,
                data_imports.c.finished_at < before,
            )
        ).rowcount


def to_outcome_values(data_import: DataImport) -> dict[str, Any]:
    """Give the columns that change when an import ends."""
    return {
        "state": data_import.state,
        "progress": import_codec.encode_progress(data_import.progress),
        "finished_at": data_import.finished_at,
        "report": import_codec.encode_report(data_import.report),
        "error": import_codec.encode_failure(data_import.error),
    }


def to_data_import(row: Row[Any]) -> DataImport:
    """Give a data import from its row.

    Raises:
        CorruptData: A JSON column holds what nobody here wrote.
    """
    return DataImport(
        id=row.id,
        tenant_id=row.tenant_id,
        thing_id=row.thing_id,
        scheduled_by=row.scheduled_by,
        scheduled_at=row.scheduled_at,
        header_line=row.header_line,
        text_guard=row.text_guard,
        state=row.state,
        progress=import_codec.decode_progress(row.progress),
        finished_at=row.finished_at,
        report=import_codec.decode_report(row.report),
        error=import_codec.decode_failure(row.error),
    )
