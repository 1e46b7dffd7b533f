"""What importing needs from the world outside; see ``ports`` for all the rest."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from thingport.domain.data_import import DataImport, ImportProgress, ImportReport
from thingport.domain.ids import (
    DataImportId,
    TenantId,
    ThingDefinitionId,
    ThingId,
)
from thingport.domain.import_rows import ImportedRows
from thingport.domain.metric import Metric


class DataImportRepository(Protocol):
    """The data imports of one tenant."""

    def add(self, data_import: DataImport) -> None:
        """Store a new PENDING one.

        Raises:
            ImportAlreadyActive: Another one for the thing is PENDING; nothing was
                stored. ``retry_after`` is a few seconds.
        """
        ...

    def refuse_if_active(self, thing_id: ThingId) -> None:
        """Do nothing, unless an import for a thing is PENDING.

        Raises:
            ImportAlreadyActive: As ``add`` does.
        """
        ...

    def find(self, data_import_id: DataImportId) -> DataImport | None:
        """Give a data import, or ``None``."""
        ...

    def find_oldest_pin(self) -> int | None:
        """Give the oldest snapshot that a PENDING one must be looked for after.

        ``None`` if none has begun to store anything.
        """
        ...

    def list_of(self, thing_ids: Collection[ThingId]) -> Sequence[DataImport]:
        """Give those of some things, whatever their state, the oldest first."""
        ...

    def list_pending(self) -> Sequence[DataImport]:
        """Give those that are PENDING, the oldest first."""
        ...

    def end(self, data_import: DataImport) -> bool:
        """Store one that is ERROR now, whoever runs it; ``False`` if it had ended."""
        ...

    def is_any_held(self, *, now: datetime, lease: timedelta) -> bool:
        """Whether a runner may still be at work on one that has ended."""
        ...

    def remove(self, data_import_id: DataImportId) -> None:
        """Remove one that has ended, with what was reported of its file."""
        ...

    def forget_ended(self, *, before: datetime) -> int:
        """Remove those that ended before an instant; give how many."""
        ...


@dataclass(frozen=True, slots=True)
class ImportDraft:
    """What will be the report, once everything is stored.

    Attributes:
        snapshot: The lake's snapshot before anything was stored; the one in which
            it is stored comes after it.
    """

    report: ImportReport
    snapshot: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportClaim:
    """A runner's right to run one import until a time.

    Attributes:
        fencing_token: Grows with every claim; what is done under an older one
            takes no effect.
        attempt: How often it was claimed, this time included; from 1.
    """

    data_import: DataImport
    fencing_token: int
    attempt: int


class ImportQueue(Protocol):
    """PENDING imports of all tenants, for runners.

    Every method that takes a claim raises ``ImportLeaseLost``, and changes nothing,
    when the import has ended or was claimed again since.
    """

    def claim(
        self, runner: str, *, now: datetime, lease: timedelta
    ) -> ImportClaim | None:
        """Take the longest waiting import that nobody holds, or ``None``.

        A lease that ends later than one begun now is over, as in ``ExportQueue``.
        """
        ...

    def heartbeat(self, claim: ImportClaim, *, until: datetime) -> None:
        """Prolong the lease."""
        ...

    def release(
        self, claim: ImportClaim, *, retry_at: datetime, is_attempt: bool = True
    ) -> None:
        """Give the import back, to be claimed again at ``retry_at`` or later."""
        ...

    def save_progress(self, claim: ImportClaim, progress: ImportProgress) -> None:
        """Store how far the import has got."""
        ...

    def save_draft(self, claim: ImportClaim, draft: ImportDraft) -> None:
        """Store what will be the report, before anything else is stored."""
        ...

    def find_draft(self, claim: ImportClaim) -> ImportDraft | None:
        """Give what this claim or an earlier one saved, or ``None``."""
        ...

    def finish(self, claim: ImportClaim, data_import: DataImport) -> None:
        """Store an import that is COMPLETED or ERROR now."""
        ...


class IncomingFile(Protocol):
    """A file that is being received."""

    def write(self, block: bytes) -> None:
        """Add to it.

        Raises:
            StoreUnavailable: It cannot be kept.
        """
        ...

    def keep(self) -> None:
        """Return when the file is on the disk, whole, under its import's name.

        Raises:
            StoreUnavailable: It cannot be kept.
        """
        ...

    def close(self) -> None:
        """Remove what was not kept."""
        ...


class CsvContent(Protocol):
    """The CSV text of a file that was received."""

    def iter_blocks(self) -> Iterator[bytes]:
        """Yield its bytes.

        Raises:
            ImportRefused: There are too many, or they are damaged.
        """
        ...

    @property
    def percent_read(self) -> int:
        """How much was yielded of what is expected."""
        ...


class ImportFiles(Protocol):
    """Files that were sent to be imported. Every key has the tenant in it."""

    def receive(
        self, tenant_id: TenantId, data_import_id: DataImportId
    ) -> IncomingFile:
        """Begin to receive a file.

        Raises:
            StoreUnavailable: It cannot be kept.
        """
        ...

    def open_csv(
        self, tenant_id: TenantId, data_import_id: DataImportId, *, max_bytes: int
    ) -> AbstractContextManager[CsvContent]:
        """Open a file, or the one CSV file in it if it is a ZIP.

        Args:
            tenant_id: Whose file it is.
            data_import_id: Which one.
            max_bytes: Most bytes of CSV text, whatever a ZIP says of itself.

        Raises:
            ImportRefused: It is a ZIP that is not just one readable CSV file.
            CorruptData: It is gone.
        """
        ...

    def discard(self, tenant_id: TenantId, data_import_id: DataImportId) -> None:
        """Remove a file, if it is there."""
        ...

    def discard_tenant(self, tenant_id: TenantId) -> None:
        """Remove all files of a tenant.

        Raises:
            StoreUnavailable: One cannot be removed.
        """
        ...

    def list_older(
        self, tenant_id: TenantId, *, before: datetime
    ) -> Sequence[DataImportId]:
        """Give the imports of which there is a file last written before an instant."""
        ...


class StagedReadings(Protocol):
    """Readings of one thing that wait, on the disk, to be stored together."""

    @property
    def has_values(self) -> bool:
        """Whether there is anything to store."""
        ...

    def add(self, rows: ImportedRows) -> None:
        """Add rows; a later one of the same timestamp wins, metric by metric."""
        ...

    def store(self, data_import_id: DataImportId, go_on: Callable[[], None]) -> None:
        """Store all of them in one commit, durably, unless they are stored already.

        Args:
            data_import_id: By what it is told whether they are.
            go_on: Called while it is still possible to store nothing; stores
                nothing if it raises.

        Raises:
            StoreUnavailable: Nothing was stored.
        """
        ...


class LakeImports(Protocol):
    """The way in for whole files of one tenant's readings."""

    def stage(
        self,
        thing_id: ThingId,
        thing_definition_id: ThingDefinitionId,
        metrics: Sequence[Metric],
    ) -> AbstractContextManager[StagedReadings]:
        """Gather readings for as long as the block lasts; bounded memory."""
        ...

    def is_stored(self, data_import_id: DataImportId) -> bool:
        """Whether an import was stored, as far back as snapshots are kept.

        Waits for whoever is storing something now.

        Raises:
            StoreUnavailable: The lake is away.
        """
        ...


OpenLakeImports = Callable[[TenantId], AbstractContextManager[LakeImports]]
"""Opens the way in of a tenant for as long as the block lasts."""
