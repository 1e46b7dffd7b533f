"""A data import as the wire has it."""

from thingport.domain.data_import import DataImport
from thingport.domain.period import epoch_ms
from thingport.entrypoints.http.json_body import JsonObject


def import_bean_of(data_import: DataImport) -> JsonObject:
    """Give a data import in the platform's names; what is absent is left out."""
    progress = data_import.progress
    bean: JsonObject = {
        "id": data_import.id,
        "dateTime": epoch_ms(data_import.scheduled_at),
        "state": str(data_import.state),
        "thingId": data_import.thing_id,
        "csvHeaderRow": data_import.header_line,
        "textGuard": str(data_import.text_guard),
        "progress": {
            "phase": str(progress.phase),
            "rowsRead": progress.rows_read,
            "percent": progress.percent,
        },
    }
    if data_import.finished_at is not None:
        bean["completedAt"] = epoch_ms(data_import.finished_at)
    if data_import.report is not None:
        bean["rowsAccepted"] = data_import.report.rows_accepted
        bean["rowsRejected"] = data_import.report.rows_rejected
        bean["rejectedRows"] = [
            {"line": it.line, "reason": it.reason}
            for it in data_import.report.rejected_rows
        ]
    if data_import.error is not None:
        error = data_import.error
        bean["error"] = {"code": error.code, "message": error.message}
    return bean
