"""PENDING data exports of all tenants, and who works on them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    delete,
    insert,
    select,
    update,
)

from thingport.adapters.sql import json_codec
from thingport.adapters.sql.data_exports import to_data_export, to_outcome_values
from thingport.adapters.sql.export_tables import data_exports, export_segments
from thingport.adapters.sql.leases import NO_LEASE, take_longest_waiting
from thingport.application.ports import Claim
from thingport.domain.data_export import DataExport, DataExportState, Progress
from thingport.domain.errors import LeaseLost
from thingport.domain.ids import DataExportId
from thingport.domain.segment import StoredSegment


class SqlExportQueue:
    """PENDING exports of all tenants, for runners.

    What is done under a claim also changes or locks the row of the export, so
    that it and a new claim happen one after the other.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def claim(self, runner: str, *, now: datetime, lease: timedelta) -> Claim | None:
        """Take the longest waiting export that nobody holds, or ``None``."""
        row = take_longest_waiting(
            self._connection, data_exports, runner, now=now, lease=lease
        )
        if row is None:
            return None
        return Claim(
            data_export=to_data_export(row),
            fencing_token=row.fencing_token,
            attempt=row.attempt,
        )

    def heartbeat(self, claim: Claim, *, until: datetime) -> None:
        """Prolong the lease."""
        self._update(claim, lease_until=until)

    def release(
        self, claim: Claim, *, retry_at: datetime, is_attempt: bool = True
    ) -> None:
        """Give the export back, to be claimed again at ``retry_at`` or later."""
        attempt = claim.attempt if is_attempt else claim.attempt - 1
        self._update(claim, retry_at=retry_at, attempt=attempt, **NO_LEASE)

    def save_progress(self, claim: Claim, progress: Progress) -> None:
        """Store how far the export has got."""
        self._update(claim, progress=json_codec.encode_progress(progress))

    def commit_segment(self, claim: Claim, segment: StoredSegment) -> bool:
        """Store what came out of a chunk; ``False`` if the chunk had one already."""
        self._lock(claim)
        number = segment.index.chunk_number
        is_there = self._connection.execute(
            select(export_segments.c.chunk_number).where(
                _is_segment(claim.data_export.id, number)
            )
        ).one_or_none()
        if is_there is not None:
            return False
        self._connection.execute(
            insert(export_segments).values(
                data_export_id=claim.data_export.id,
                chunk_number=number,
                key=segment.key,
                index=json_codec.encode_segment_index(segment.index),
            )
        )
        return True

    def forget_segment(self, claim: Claim, chunk_number: int) -> None:
        """Forget a segment that turned out to be damaged."""
        self._lock(claim)
        self._connection.execute(
            delete(export_segments).where(
                _is_segment(claim.data_export.id, chunk_number)
            )
        )

    def list_segments(self, data_export_id: DataExportId) -> Sequence[StoredSegment]:
        """Give the committed segments of an export, by chunk number."""
        rows = self._connection.execute(
            select(export_segments)
            .where(export_segments.c.data_export_id == data_export_id)
            .order_by(export_segments.c.chunk_number)
        )
        # "index" is a method of rows as well, so columns are taken by position.
        return [
            StoredSegment(json_codec.decode_segment_index(number, index), key)
            for _, number, key, index in rows
        ]

    def finish(self, claim: Claim, data_export: DataExport) -> None:
        """Store an export that is COMPLETED or ERROR now; frees its slot."""
        self._update(claim, **to_outcome_values(data_export), **NO_LEASE)

    def let_go(self, claim: Claim) -> None:
        """Say that nothing more is done under a claim that was lost."""
        self._connection.execute(
            update(data_exports)
            .where(
                data_exports.c.id == claim.data_export.id,
                data_exports.c.fencing_token == claim.fencing_token,
                data_exports.c.state != DataExportState.PENDING,
            )
            .values(**NO_LEASE)
        )

    def _update(self, claim: Claim, **values: Any) -> None:  # noqa: ANN401 - columns differ in type
        changed = self._connection.execute(
            update(data_exports).where(_is_held(claim)).values(values)
        )
        if not changed.rowcount:
            raise LeaseLost(claim.data_export.id)

    def _lock(self, claim: Claim) -> None:
        held = self._connection.execute(
            select(data_exports.c.id).where(_is_held(claim)).with_for_update()
        ).one_or_none()
        if held is None:
            raise LeaseLost(claim.data_export.id)


def _is_held(claim: Claim) -> ColumnElement[bool]:
    return and_(
        data_exports.c.id == claim.data_export.id,
        data_exports.c.fencing_token == claim.fencing_token,
        data_exports.c.state == DataExportState.PENDING,
    )


def _is_segment(data_export_id: DataExportId, chunk_number: int) -> ColumnElement[bool]:
    return and_(
        export_segments.c.data_export_id == data_export_id,
        export_segments.c.chunk_number == chunk_number,
    )
