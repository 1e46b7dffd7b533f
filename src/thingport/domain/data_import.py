"""A data import: a file of one thing's readings, and what has become of it."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Self

from thingport.domain.errors import InvalidRequest, ThingportError
from thingport.domain.ids import DataImportId, TenantId, ThingId, UserId

MAX_TOLD_REJECTIONS = 100
"""Most rejected rows that are told one by one; of the others there is the number."""


class DataImportState(StrEnum):
    """How far a data import has got, by the platform's names."""

    PENDING = "PENDING"
    COMPLETED = "COMPLETED"
    ERROR = "ERROR"


class TextGuard(StrEnum):
    """What was put before texts so that no spreadsheet runs them.

    Attributes:
        NONE: Nothing; texts are taken as they are.
        FORMULA: One ``'``, as exports put it; it is taken away again.
    """

    NONE = "NONE"
    FORMULA = "FORMULA"


class ImportPhase(StrEnum):
    """What is being done for a PENDING import."""

    QUEUED = "QUEUED"
    READING = "READING"
    STORING = "STORING"
    DONE = "DONE"


class ImportFault(StrEnum):
    """What is wrong with a file as a whole: codes of imports that ended in ERROR."""

    FILE_NOT_READABLE = "FILE_NOT_READABLE"
    FILE_TOO_LARGE = "FILE_TOO_LARGE"
    HEADER_NOT_VALID = "HEADER_NOT_VALID"


class ImportRefused(InvalidRequest):
    """A file cannot be imported as it is; nothing of it is stored.

    Attributes:
        code: What kind of fault it is.
    """

    def __init__(self, code: ImportFault, *faults: str) -> None:
        super().__init__(*faults)
        self.code = code


@dataclass(frozen=True, slots=True)
class ImportFailure:
    """Why nothing was stored, in words for the person who asked."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that is not stored.

    Attributes:
        line: Where it begins in the file, from 1. A row of quoted cells may have
            several lines.
    """

    line: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What was found in a file.

    Attributes:
        rows_accepted: Rows without fault; one without any value is among them,
            though there is nothing to store of it.
        rejected_rows: The first of those that were rejected.
    """

    rows_accepted: int = 0
    rows_rejected: int = 0
    rejected_rows: tuple[RejectedRow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportProgress:
    """How much of a data import is done.

    Attributes:
        rows_read: Rows of the file that were looked at.
        percent: Of the whole work; 100 only when nothing is left to do.
    """

    phase: ImportPhase = ImportPhase.QUEUED
    rows_read: int = 0
    percent: int = 0


class ImportHasEnded(ThingportError):
    """A finished data import was to change its state; nothing was changed."""

    def __init__(self, data_import_id: DataImportId, state: DataImportState) -> None:
        super().__init__(f"data import {data_import_id} is {state} already")
        self.data_import_id = data_import_id
        self.state = state


@dataclass(frozen=True, slots=True, kw_only=True)
class DataImport:
    """One file of readings of one thing, to be stored as a whole or not at all.

    Immutable: a change of state makes a new value.

    Attributes:
        id: Unique among all tenants.
        thing_id: Whose readings they are. Never changes.
        scheduled_by: Who asked.
        scheduled_at: When, in UTC, to the millisecond.
        header_line: Where the header is in the CSV file, from 1.
        finished_at: When it ended, in UTC; ``None`` while PENDING.
        report: What was found; there exactly when COMPLETED.
        error: The reason; there exactly when ERROR.
    """

    id: DataImportId
    tenant_id: TenantId
    thing_id: ThingId
    scheduled_by: UserId
    scheduled_at: datetime
    header_line: int = 1
    text_guard: TextGuard = TextGuard.NONE
    state: DataImportState = DataImportState.PENDING
    progress: ImportProgress = ImportProgress()
    finished_at: datetime | None = None
    report: ImportReport | None = None
    error: ImportFailure | None = None

    @property
    def is_active(self) -> bool:
        """Whether a runner has, or will have, something to do."""
        return self.state is DataImportState.PENDING

    def complete(self, report: ImportReport, *, at: datetime) -> Self:
        """Mark that every accepted row is stored."""
        self._require_active()
        rows = report.rows_accepted + report.rows_rejected
        return replace(
            self,
            state=DataImportState.COMPLETED,
            progress=ImportProgress(
                phase=ImportPhase.DONE, rows_read=rows, percent=100
            ),
            finished_at=at,
            report=report,
        )

    def fail(self, error: ImportFailure, *, at: datetime) -> Self:
        """Mark that nothing of the file is stored, and why."""
        self._require_active()
        return replace(self, state=DataImportState.ERROR, finished_at=at, error=error)

    def _require_active(self) -> None:
        if not self.is_active:
            raise ImportHasEnded(self.id, self.state)
