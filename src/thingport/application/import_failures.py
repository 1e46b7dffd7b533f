"""What a failed import says to the person who asked for it."""

from thingport.domain.data_import import ImportFailure, ImportRefused
from thingport.domain.errors import CorruptData, ImportersDied, StoreUnavailable

_RUNNER_DIED = ImportFailure(
    "RUNNER_DIED",
    "Nothing was imported: the service ended, again and again, while it worked on it. "
    "Tell the operator of the service.",
)
_STORE_UNAVAILABLE = ImportFailure(
    "STORE_UNAVAILABLE",
    "Nothing was imported: a store of the service did not answer, each time that it "
    "was tried. Import the file again a little later.",
)
_CORRUPT_DATA = ImportFailure(
    "CORRUPT_DATA",
    "Nothing was imported: some of what the service stores is damaged or gone. Tell "
    "the operator of the service, who can restore it.",
)
_INTERNAL_ERROR = ImportFailure(
    "INTERNAL_ERROR",
    "Nothing was imported, for a reason that is in the log of the service. Tell its "
    "operator.",
)

DATA_ERASED = ImportFailure(
    "DATA_ERASED",
    "Nothing was imported: the readings of the thing were erased before it came to it.",
)


def explain_import(error: BaseException) -> ImportFailure:
    """Say what stopped an import.

    What is wrong with the file is told; of other errors nothing is, as they name
    files and tables of the service. The log has them.
    """
    match error:
        case ImportRefused():
            return ImportFailure(error.code, f"Nothing was imported: {error}")
        case ImportersDied():
            return _RUNNER_DIED
        case StoreUnavailable():
            return _STORE_UNAVAILABLE
        case CorruptData():
            return _CORRUPT_DATA
        case _:
            return _INTERNAL_ERROR


EXPLAINED = (
    _RUNNER_DIED,
    _STORE_UNAVAILABLE,
    _CORRUPT_DATA,
    _INTERNAL_ERROR,
    DATA_ERASED,
)
"""All that is not the file's fault."""
