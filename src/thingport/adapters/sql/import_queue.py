"""PENDING data imports of all tenants, and who works on them."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, select, update

from thingport.adapters.sql import import_codec
from thingport.adapters.sql.data_imports import to_data_import, to_outcome_values
from thingport.adapters.sql.import_tables import data_imports
from thingport.adapters.sql.leases import NO_LEASE, take_longest_waiting
from thingport.application.import_ports import ImportClaim, ImportDraft
from thingport.domain.data_import import DataImport, DataImportState, ImportProgress
from thingport.domain.errors import ImportLeaseLost

_NO_DRAFT = {"draft": None, "snapshot": None}


class SqlImportQueue:
    """PENDING imports of all tenants, for runners; leases as exports have them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def claim(
        self, runner: str, *, now: datetime, lease: timedelta
    ) -> ImportClaim | None:
        """Take the longest waiting import that nobody holds, or ``None``."""
        row = take_longest_waiting(
            self._connection, data_imports, runner, now=now, lease=lease
        )
        if row is None:
            return None
        return ImportClaim(
            data_import=to_data_import(row),
            fencing_token=row.fencing_token,
            attempt=row.attempt,
        )

    def heartbeat(self, claim: ImportClaim, *, until: datetime) -> None:
        """Prolong the lease."""
        self._update(claim, lease_until=until)

    def release(
        self, claim: ImportClaim, *, retry_at: datetime, is_attempt: bool = True
    ) -> None:
        """Give the import back, to be claimed again at ``retry_at`` or later."""
        attempt = claim.attempt if is_attempt else claim.attempt - 1
        self._update(claim, retry_at=retry_at, attempt=attempt, **NO_LEASE)

    def save_progress(self, claim: ImportClaim, progress: ImportProgress) -> None:
        """Store how far the import has got."""
        self._update(claim, progress=import_codec.encode_progress(progress))

    def save_draft(self, claim: ImportClaim, draft: ImportDraft) -> None:
        """Store what will be the report, before anything else is stored.

        The snapshot of an earlier draft stays: that one may be stored already.
        """
        known = self.find_draft(claim)
        snapshot = draft.snapshot if known is None else known.snapshot
        self._update(
            claim, draft=import_codec.encode_report(draft.report), snapshot=snapshot
        )

    def find_draft(self, claim: ImportClaim) -> ImportDraft | None:
        """Give what this claim or an earlier one saved, or ``None``."""
        row = self._connection.execute(
            select(data_imports.c.draft, data_imports.c.snapshot).where(_is_held(claim))
        ).one_or_none()
        if row is None:
            raise ImportLeaseLost(claim.data_import.id)
        report = import_codec.decode_report(row.draft)
        return None if report is None else ImportDraft(report, row.snapshot)

    def finish(self, claim: ImportClaim, data_import: DataImport) -> None:
        """Store an import that is COMPLETED or ERROR now."""
        self._update(claim, **to_outcome_values(data_import), **NO_LEASE, **_NO_DRAFT)

    def _update(self, claim: ImportClaim, **values: Any) -> None:  # noqa: ANN401 - columns differ in type
        changed = self._connection.execute(
            update(data_imports).where(_is_held(claim)).values(values)
        )
        if not changed.rowcount:
            raise ImportLeaseLost(claim.data_import.id)


def _is_held(claim: ImportClaim) -> ColumnElement[bool]:
    return and_(
        data_imports.c.id == claim.data_import.id,
        data_imports.c.fencing_token == claim.fencing_token,
        data_imports.c.state == DataImportState.PENDING,
    )
