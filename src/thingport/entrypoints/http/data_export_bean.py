"""A data export as the wire has it."""

from thingport.domain.data_export import DataExport, ExportError, Progress
from thingport.domain.metric import (
    MetricAnywhere,
    MetricOfDefinition,
    MetricOfPart,
    QualifiedMetric,
)
from thingport.domain.period import epoch_ms
from thingport.entrypoints.http.json_body import JsonObject


def bean_of(
    data_export: DataExport, *, url: str | None = None, is_gone: bool = False
) -> JsonObject:
    """Give a data export in the platform's names; what is absent is left out.

    Args:
        data_export: What to show.
        url: Where its archive is, for who may have it.
        is_gone: Whether there was an archive, which is deleted.
    """
    selection, rendition = data_export.selection, data_export.rendition
    fields: JsonObject = {
        "id": data_export.id,
        "name": data_export.name,
        "dateTime": epoch_ms(data_export.scheduled_at),
        "thingFileName": rendition.thing_file_name,
        "hashThingFileName": rendition.hash_thing_file_name,
        "state": str(data_export.state),
        "customerId": selection.customer_id,
        "locationId": selection.location_id,
        "thingId": selection.thing_id,
        "qualifiedMetricIds": [
            _qualified_metric(it) for it in selection.qualified_metrics
        ]
        or None,
        "startTimestamp": selection.period.start_ms,
        "endTimestamp": selection.period.end_ms,
        "includeUnit": rendition.include_unit,
        "timestampFormat": str(rendition.timestamp_format),
        "url": url,
        "expired": is_gone or None,
        "progress": _progress(data_export.progress),
        "error": _error(data_export.error),
    }
    return _without_absent(fields)


def _qualified_metric(qualified: QualifiedMetric) -> JsonObject:
    match qualified:
        case MetricAnywhere(metric_id):
            return {"metricId": metric_id}
        case MetricOfDefinition(metric_id, thing_definition_id):
            return {"metricId": metric_id, "thingDefinitionId": thing_definition_id}
        case MetricOfPart(metric_id, model_id, part_id):
            return _without_absent(
                {
                    "metricId": metric_id,
                    "productModelId": model_id,
                    "productModelPartId": part_id,
                }
            )


def _progress(progress: Progress) -> JsonObject:
    fields: JsonObject = {
        "phase": str(progress.phase),
        "thingsDone": progress.things_done,
        "thingsTotal": progress.things_total,
        "rowsDone": progress.rows_done,
        "rowsTotal": progress.rows_total,
        "bytesWritten": progress.bytes_written,
        "percent": progress.percent,
        "remainingSeconds": progress.remaining_seconds,
    }
    return _without_absent(fields)


def _error(error: ExportError | None) -> JsonObject | None:
    return {"code": error.code, "message": error.message} if error else None


def _without_absent(fields: JsonObject) -> JsonObject:
    return {name: value for name, value in fields.items() if value is not None}
