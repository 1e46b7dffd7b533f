"""What a failed export says to the person who asked for it."""

from thingport.domain.data_export import ExportError
from thingport.domain.errors import (
    CorruptData,
    StoreUnavailable,
    ThingportError,
    WorkerDied,
)

WORKER_DIED = ExportError(
    "WORKER_DIED",
    "The archive could not be made: a process that rendered it was ended, each time "
    "that it was tried. Schedule the export again; if that does not help, tell the "
    "operator of the service.",
)
RUNNER_DIED = ExportError(
    "RUNNER_DIED",
    "The archive could not be made: the service ended, again and again, while it "
    "worked on it. Tell the operator of the service.",
)
STORE_UNAVAILABLE = ExportError(
    "STORE_UNAVAILABLE",
    "The archive could not be made: a store of the service did not answer, each time "
    "that it was tried. Schedule the export again a little later.",
)
CORRUPT_DATA = ExportError(
    "CORRUPT_DATA",
    "The archive could not be made: some of what is stored for it is damaged or gone. "
    "Tell the operator of the service, who can restore it.",
)
INTERNAL_ERROR = ExportError(
    "INTERNAL_ERROR",
    "The archive could not be made, for a reason that is in the log of the service. "
    "Tell its operator.",
)

DATA_ERASED = ExportError(
    "DATA_ERASED",
    "The archive was not made: readings that would have been in it were erased. "
    "Schedule the export again for what is there now.",
)
CUT_SHORT = ExportError(
    "CUT_SHORT_BY_ERASURE",
    "The archive could not be made in time: readings of other things, in the same "
    "files, had to be erased. Nothing of this export's own was: schedule it again.",
)


def explain(error: ThingportError) -> ExportError:
    """Say what stopped an export, by the type of the error.

    Nothing of the error itself is told: it names files and tables of the service,
    which are the operator's business. The log has it.
    """
    match error:
        case WorkerDied():
            return WORKER_DIED
        case StoreUnavailable():
            return STORE_UNAVAILABLE
        case CorruptData():
            return CORRUPT_DATA
        case _:
            return INTERNAL_ERROR
