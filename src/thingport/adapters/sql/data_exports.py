"""The data exports of one tenant, in a table."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVarTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    delete,
    func,
    insert,
    select,
    update,
)

from thingport.adapters.sql import json_codec
from thingport.adapters.sql.export_tables import data_exports, export_segments
from thingport.adapters.sql.leases import is_any_ended_held
from thingport.domain.data_export import DataExport, DataExportState
from thingport.domain.errors import ExportAlreadyActive
from thingport.domain.ids import DataExportId, TenantId

_Columns = TypeVarTuple("_Columns")

_RETRY_AFTER = timedelta(seconds=5)
"""When a refused caller may ask again; many exports take no longer."""


class SqlDataExportRepository:
    """The data exports of one tenant; no statement of it reaches another's rows."""

    def __init__(
        self, connection: Connection, tenant_id: TenantId, *, read_only: bool
    ) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._read_only = read_only

    def add(self, data_export: DataExport, *, slot: str) -> None:
        """Store a new PENDING one.

        Transactions of one tenant take turns, so the slot is not taken between
        looking and storing; the database itself holds to it as well.

        Raises:
            ExportAlreadyActive: Another one holds the slot; nothing was stored.
        """
        active_id = self._find_active(slot)
        if active_id is not None:
            raise ExportAlreadyActive(active_id, retry_after=_RETRY_AFTER)
        values = _to_values(data_export)
        values.update(tenant_id=self._tenant_id, slot=slot)
        self._connection.execute(insert(data_exports).values(values))

    def find(self, data_export_id: DataExportId) -> DataExport | None:
        """Give a data export, or ``None``."""
        row = self._connection.execute(
            self._still_true(
                select(data_exports).where(
                    data_exports.c.tenant_id == self._tenant_id,
                    data_exports.c.id == data_export_id,
                )
            )
        ).one_or_none()
        return None if row is None else to_data_export(row)

    def find_oldest_pin(self) -> int | None:
        """Give the oldest snapshot that a PENDING one reads at; ``None`` if none is.

        One that names none was scheduled when nothing had been written, or before
        this column was there, so whatever it may read at is older than all others.
        """
        oldest: int | None = self._connection.execute(
            select(func.min(func.coalesce(data_exports.c.snapshot, 0))).where(
                data_exports.c.tenant_id == self._tenant_id,
                data_exports.c.state == DataExportState.PENDING,
            )
        ).scalar_one()
        return oldest

    def list_pending(self) -> Sequence[DataExport]:
        """Give those that are PENDING, the oldest first."""
        rows = self._connection.execute(
            select(data_exports)
            .where(self._is_pending())
            .order_by(data_exports.c.scheduled_at, data_exports.c.id)
        )
        return [to_data_export(row) for row in rows]

    def end(self, data_export: DataExport) -> bool:
        """Store one that is ERROR now, whoever runs it; ``False`` if it had ended."""
        ended = self._connection.execute(
            update(data_exports)
            .where(self._is_pending(), data_exports.c.id == data_export.id)
            .values(to_outcome_values(data_export))
        )
        return bool(ended.rowcount)

    def is_any_held(self, *, now: datetime, lease: timedelta) -> bool:
        """Whether a runner may still be at work on one that has ended."""
        return is_any_ended_held(
            self._connection, data_exports, self._tenant_id, now=now, lease=lease
        )

    def forget_segments(self, data_export_id: DataExportId) -> None:
        """Forget what came out of the chunks of one that has ended."""
        of_tenant = select(data_exports.c.id).where(
            data_exports.c.tenant_id == self._tenant_id,
            data_exports.c.id == data_export_id,
        )
        self._connection.execute(
            delete(export_segments).where(
                export_segments.c.data_export_id.in_(of_tenant)
            )
        )

    def _is_pending(self) -> ColumnElement[bool]:
        return and_(
            data_exports.c.tenant_id == self._tenant_id,
            data_exports.c.state == DataExportState.PENDING,
        )

    def _find_active(self, slot: str) -> DataExportId | None:
        return self._connection.execute(
            self._still_true(
                select(data_exports.c.id).where(
                    data_exports.c.tenant_id == self._tenant_id,
                    data_exports.c.slot == slot,
                    data_exports.c.state == DataExportState.PENDING,
                )
            )
        ).scalar_one_or_none()

    def _still_true(self, query: Select[*_Columns]) -> Select[*_Columns]:
        """Keep runners from changing what is read before this transaction ends."""
        return query if self._read_only else query.with_for_update()


def _to_values(data_export: DataExport) -> dict[str, Any]:
    return {
        "id": data_export.id,
        "scheduled_by": data_export.scheduled_by,
        "scheduled_at": data_export.scheduled_at,
        "name": data_export.name,
        "selection": json_codec.encode_selection(data_export.selection),
        "rendition": json_codec.encode_rendition(data_export.rendition),
        "snapshot": data_export.snapshot,
        "fencing_token": 0,
        "attempt": 0,
        **to_outcome_values(data_export),
    }


def to_outcome_values(data_export: DataExport) -> dict[str, Any]:
    """Give the columns that change when an export ends."""
    return {
        "state": data_export.state,
        "progress": json_codec.encode_progress(data_export.progress),
        "finished_at": data_export.finished_at,
        "archive": json_codec.encode_archive(data_export.archive),
        "error": json_codec.encode_error(data_export.error),
    }


def to_data_export(row: Row[Any]) -> DataExport:
    """Give a data export from its row.

    Raises:
        CorruptData: A JSON column holds what nobody here wrote.
    """
    return DataExport(
        id=row.id,
        tenant_id=row.tenant_id,
        scheduled_by=row.scheduled_by,
        scheduled_at=row.scheduled_at,
        name=row.name,
        selection=json_codec.decode_selection(row.selection),
        rendition=json_codec.decode_rendition(row.rendition),
        snapshot=row.snapshot,
        state=row.state,
        progress=json_codec.decode_progress(row.progress),
        finished_at=row.finished_at,
        archive=json_codec.decode_archive(row.archive),
        error=json_codec.decode_error(row.error),
    )
