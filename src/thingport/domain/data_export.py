"""A data export: what was asked for, and how far it has got."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Self

from thingport.domain.errors import ThingportError
from thingport.domain.ids import (
    CustomerId,
    DataExportId,
    LocationId,
    TenantId,
    ThingId,
    UserId,
)
from thingport.domain.metric import QualifiedMetric
from thingport.domain.period import ALL_TIME, Period

DEFAULT_MASK = "${thing.serialNumber}_${thingDefinition.name}"
"""File-name mask of a request that brings none."""


class DataExportState(StrEnum):
    """How far a data export has got, by the platform's names."""

    PENDING = "PENDING"
    COMPLETED = "COMPLETED"
    ERROR = "ERROR"


class TimestampFormat(StrEnum):
    """How a timestamp is written in a CSV file, by the platform's names."""

    ISO_8601 = "ISO_8601"
    EPOCH_MILLIS = "EPOCH_MILLIS"


class Phase(StrEnum):
    """What is being done for a PENDING export."""

    QUEUED = "QUEUED"
    CUTTING = "CUTTING"
    RENDERING = "RENDERING"
    SEALING = "SEALING"
    DONE = "DONE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which things, metrics and period a data export is about.

    Attributes:
        customer_id: Only this customer's things. The three ids narrow together.
        location_id: Only what stands at this location.
        thing_id: Only this thing and its sub-things.
        qualified_metrics: In column order; empty means every exportable one.
        period: Which timestamps.
    """

    customer_id: CustomerId | None = None
    location_id: LocationId | None = None
    thing_id: ThingId | None = None
    qualified_metrics: tuple[QualifiedMetric, ...] = ()
    period: Period = ALL_TIME


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendition:
    """How the files of a data export look.

    Attributes:
        thing_file_name: Mask of the files' names, without extension.
        hash_thing_file_name: Whether names are replaced by their MD5.
        include_unit: Whether headers are followed by ``[unit]``.
        timestamp_format: How timestamps are written.
    """

    thing_file_name: str = DEFAULT_MASK
    hash_thing_file_name: bool = False
    include_unit: bool = False
    timestamp_format: TimestampFormat = TimestampFormat.ISO_8601


@dataclass(frozen=True, slots=True, kw_only=True)
class DataExportRequest:
    """What a caller asks for, well-formed, but not yet looked up anywhere.

    Attributes:
        name: What the caller calls it; ``None`` leaves the naming to us.
    """

    name: str | None = None
    selection: Selection = Selection()
    rendition: Rendition = Rendition()


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How much of a data export is done.

    Attributes:
        rows_total: Stored rows in the period, known once the work is cut; what
            comes out may be fewer, where rows merge.
        bytes_written: Finished bytes of the archive, compressed.
        remaining_seconds: How long rendering may still take; ``None`` while
            nothing says so.
    """

    phase: Phase = Phase.QUEUED
    things_done: int = 0
    things_total: int = 0
    rows_done: int = 0
    rows_total: int = 0
    bytes_written: int = 0
    remaining_seconds: int | None = None

    @property
    def percent(self) -> int:
        """Whole percents done; 100 only when nothing is left to do."""
        if self.phase is Phase.DONE:
            return 100
        done, total = self.rows_done, self.rows_total
        if not total:
            done, total = self.things_done, self.things_total
        return min(99, 100 * done // total) if total else 0


@dataclass(frozen=True, slots=True)
class ExportError:
    """Why there is no archive, in words for the person who asked."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """A finished ZIP.

    Attributes:
        sha256: Of all its bytes, lower-case hex.
        rows: Rows in all its files, headers not counted.
    """

    size_bytes: int
    sha256: str
    things: int
    rows: int


class InvalidTransition(ThingportError):
    """A finished data export was to change its state; nothing was changed."""

    def __init__(self, data_export_id: DataExportId, state: DataExportState) -> None:
        super().__init__(f"data export {data_export_id} is {state} already")
        self.data_export_id = data_export_id
        self.state = state


@dataclass(frozen=True, slots=True, kw_only=True)
class DataExport:
    """One request for an archive of a tenant's readings.

    Immutable: a change of state makes a new value, which a repository then
    stores in place of the old one.

    Attributes:
        id: Unique among all tenants.
        tenant_id: Whose data it is. Never changes.
        scheduled_by: Who asked.
        scheduled_at: When, in UTC, to the millisecond; fixes the view of data.
        name: What the caller calls it. Not unique.
        snapshot: The lake's snapshot that it reads at, which stays for as long as
            it is PENDING; ``None`` if the tenant had no readings at all.
        finished_at: When it ended, in UTC; ``None`` while PENDING.
        archive: The result; there exactly when COMPLETED.
        error: The reason; there exactly when ERROR.
    """

    id: DataExportId
    tenant_id: TenantId
    scheduled_by: UserId
    scheduled_at: datetime
    name: str
    selection: Selection
    rendition: Rendition
    snapshot: int | None = None
    state: DataExportState = DataExportState.PENDING
    progress: Progress = Progress()
    finished_at: datetime | None = None
    archive: Archive | None = None
    error: ExportError | None = None

    @property
    def is_active(self) -> bool:
        """Whether a runner has, or will have, something to do."""
        return self.state is DataExportState.PENDING

    def advance(self, progress: Progress) -> Self:
        """Note how far it has got."""
        self._require_active()
        return replace(self, progress=progress)

    def complete(self, archive: Archive, *, at: datetime) -> Self:
        """Mark that its archive is whole and can be downloaded."""
        self._require_active()
        return replace(
            self,
            state=DataExportState.COMPLETED,
            progress=replace(
                self.progress,
                phase=Phase.DONE,
                things_done=self.progress.things_total,
                rows_done=self.progress.rows_total,
                bytes_written=archive.size_bytes,
                remaining_seconds=None,
            ),
            finished_at=at,
            archive=archive,
        )

    def fail(self, error: ExportError, *, at: datetime) -> Self:
        """Mark that no archive will come of it, and why."""
        self._require_active()
        return replace(self, state=DataExportState.ERROR, finished_at=at, error=error)

    def _require_active(self) -> None:
        if not self.is_active:
            raise InvalidTransition(self.id, self.state)
