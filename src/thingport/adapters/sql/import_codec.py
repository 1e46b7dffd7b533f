"""Value objects of a data import as JSON, and back.

Decoding raises ``CorruptData`` for whatever encoding did not make.
"""

from dataclasses import asdict

from thingport.adapters.sql.json_codec import Json, decoder
from thingport.domain.data_import import (
    ImportFailure,
    ImportPhase,
    ImportProgress,
    ImportReport,
    RejectedRow,
)


def encode_progress(progress: ImportProgress) -> Json:
    """Give a progress as JSON."""
    return {**asdict(progress), "phase": progress.phase.value}


@decoder
def decode_progress(value: Json) -> ImportProgress:
    """Give a progress back."""
    return ImportProgress(
        phase=ImportPhase(value["phase"]),
        rows_read=value["rows_read"],
        percent=value["percent"],
    )


def encode_report(report: ImportReport | None) -> Json | None:
    """Give a report as JSON."""
    return None if report is None else asdict(report)


@decoder
def decode_report(value: Json | None) -> ImportReport | None:
    """Give a report back."""
    if value is None:
        return None
    return ImportReport(
        rows_accepted=value["rows_accepted"],
        rows_rejected=value["rows_rejected"],
        rejected_rows=tuple(RejectedRow(**it) for it in value["rejected_rows"]),
    )


def encode_failure(failure: ImportFailure | None) -> Json | None:
    """Give the reason of a failure as JSON."""
    return None if failure is None else asdict(failure)


@decoder
def decode_failure(value: Json | None) -> ImportFailure | None:
    """Give the reason of a failure back."""
    return None if value is None else ImportFailure(**value)
