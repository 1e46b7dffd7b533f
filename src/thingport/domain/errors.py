"""What can go wrong: the type says whose fault it is, and whether to try again."""

from collections.abc import Sequence
from datetime import timedelta

from thingport.domain.ids import DataExportId, DataImportId


class ThingportError(Exception):
    """Something went wrong in Thingport."""

    def __reduce__(self) -> tuple[object, ...]:
        """Let it cross to another process, though its facts are not its message."""
        return _restore, (type(self), self.args, vars(self))


def _restore(
    kind: type[ThingportError], args: tuple[object, ...], facts: dict[str, object]
) -> ThingportError:
    error = kind.__new__(kind)
    error.args = args
    vars(error).update(facts)
    return error


class CallerError(ThingportError):
    """The caller can fix it; trying the same again never helps."""


class InvalidRequest(CallerError):
    """The request can never succeed as it stands.

    Attributes:
        faults: One sentence for each thing that is wrong, in the order of the
            request; each names its field and says what to change.
    """

    def __init__(self, *faults: str) -> None:
        super().__init__("; ".join(faults))
        self.faults: Sequence[str] = faults


class Unauthenticated(CallerError):
    """Who is asking is not proved."""

    def __init__(self, message: str = "User not authenticated") -> None:
        super().__init__(message)


class PermissionDenied(CallerError):
    """The actor lacks a permission."""

    def __init__(self) -> None:
        super().__init__("User not authorized")


class NotFound(CallerError):
    """This actor can see none such."""

    def __init__(self) -> None:
        super().__init__("Resource not found")


class Conflict(CallerError):
    """One is already running.

    Attributes:
        retry_after: When a new try is worth it.
    """

    def __init__(self, message: str, *, retry_after: timedelta) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ExportAlreadyActive(Conflict):
    """Another export of the tenant is still PENDING; nothing was stored.

    Attributes:
        active_id: That export; ``None`` for who cannot see it.
    """

    def __init__(
        self, active_id: DataExportId | None, *, retry_after: timedelta
    ) -> None:
        which = f" ({active_id})" if active_id else ""
        super().__init__(
            f"Only one data export can be scheduled at a time: another{which} is "
            "still PENDING; try again when it is COMPLETED or ERROR",
            retry_after=retry_after,
        )
        self.active_id = active_id


class ImportAlreadyActive(Conflict):
    """Another import for the thing is still PENDING; nothing was stored.

    Attributes:
        active_id: That import.
    """

    def __init__(self, active_id: DataImportId, *, retry_after: timedelta) -> None:
        super().__init__(
            "Only one data import for a thing can be scheduled at a time: another "
            f"({active_id}) is still PENDING; try again when it is COMPLETED or ERROR",
            retry_after=retry_after,
        )
        self.active_id = active_id


class TransientError(ThingportError):
    """Nobody's fault; worth another try after a pause."""


class StoreUnavailable(TransientError):
    """A store does not answer for now; nothing was written."""

    def __init__(self, store: str, reason: str) -> None:
        super().__init__(f"{store} is not available: {reason}")
        self.store = store
        self.reason = reason


class SchedulingTooSlow(TransientError):
    """The state of the data that an export was to show is no longer safe to read.

    Nothing was stored.
    """

    def __init__(self, took: timedelta) -> None:
        super().__init__(f"scheduling took {took.total_seconds():.0f} seconds")
        self.took = took


class ViewErased(TransientError):
    """Readings were erased since the state of the data was looked up.

    Nothing was stored; a new try looks it up anew.
    """

    def __init__(self, snapshot: int) -> None:
        super().__init__("readings were erased while the export was scheduled")
        self.snapshot = snapshot


class WorkerDied(TransientError):
    """A worker process ended in the middle of its chunk."""

    def __init__(self, chunk_number: int) -> None:
        super().__init__(
            f"the worker rendering chunk {chunk_number} ended unexpectedly"
        )
        self.chunk_number = chunk_number


class RunnerStopping(TransientError):
    """The runner was told to end; what it has rendered is kept for the next one."""

    def __init__(self, data_export_id: DataExportId) -> None:
        super().__init__(f"the runner of data export {data_export_id} is stopping")
        self.data_export_id = data_export_id


class ImportInterrupted(TransientError):
    """The runner of an import was told to end; the next one begins it again."""

    def __init__(self, data_import_id: DataImportId) -> None:
        super().__init__(f"the runner of data import {data_import_id} is stopping")
        self.data_import_id = data_import_id


class RunnerDied(ThingportError):
    """Runners ended, again and again, while they worked on an export."""

    def __init__(self, data_export_id: DataExportId) -> None:
        super().__init__(f"runners of data export {data_export_id} end without a word")
        self.data_export_id = data_export_id


class ImportersDied(ThingportError):
    """Runners ended, again and again, while they worked on an import."""

    def __init__(self, data_import_id: DataImportId) -> None:
        super().__init__(f"runners of data import {data_import_id} end without a word")
        self.data_import_id = data_import_id


class ImportLeaseLost(ThingportError):
    """Another runner holds the import now; nothing that was tried took effect."""

    def __init__(self, data_import_id: DataImportId) -> None:
        super().__init__(f"the lease of data import {data_import_id} is lost")
        self.data_import_id = data_import_id


class LeaseLost(ThingportError):
    """Another runner holds the export now; nothing that was tried took effect."""

    def __init__(self, data_export_id: str) -> None:
        super().__init__(f"the lease of data export {data_export_id} is lost")
        self.data_export_id = data_export_id


class CorruptData(ThingportError):
    """A store broke its promise; the export that met it fails."""


class CorruptSegment(CorruptData):
    """A staged segment is not what its index says; it must be rendered again."""

    def __init__(self, chunk_number: int) -> None:
        super().__init__(f"the segment of chunk {chunk_number} is damaged")
        self.chunk_number = chunk_number


class UnusableDatabase(ThingportError):
    """The database on a server cannot be used; nothing in it was changed.

    Attributes:
        database: Its address, without any secret.
    """

    def __init__(self, database: str, reason: str) -> None:
        super().__init__(f"database {database}: {reason}")
        self.database = database
        self.reason = reason


class UnusableDataDirectory(ThingportError):
    """The data directory cannot be used; nothing in it was changed."""

    def __init__(self, directory: str, reason: str) -> None:
        super().__init__(f"data directory {directory}: {reason}")
        self.directory = directory
        self.reason = reason
