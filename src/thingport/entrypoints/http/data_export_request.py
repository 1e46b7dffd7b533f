"""The body of ``POST /data/dataExports``, read strictly."""

from collections.abc import Sequence

from thingport.domain.data_export import (
    DEFAULT_MASK,
    DataExportRequest,
    Rendition,
    Selection,
    TimestampFormat,
)
from thingport.domain.ids import (
    CustomerId,
    LocationId,
    MetricId,
    ProductModelId,
    ProductModelPartId,
    ThingDefinitionId,
    ThingId,
)
from thingport.domain.metric import (
    MetricAnywhere,
    MetricOfDefinition,
    MetricOfPart,
    QualifiedMetric,
)
from thingport.domain.period import Period
from thingport.entrypoints.http.json_body import JsonObject
from thingport.entrypoints.http.object_reader import Faults, ObjectReader

MAX_NAME_CHARACTERS = 200
MAX_MASK_CHARACTERS = 1000
MAX_QUALIFIED_METRICS = 10_000
"""Far more columns than a thing has metrics; it bounds the work of one request."""

RESPONSE_ONLY_FIELDS = frozenset(
    {
        "id",
        "state",
        "url",
        "dateTime",
        "completedAt",
        "expiresAt",
        "progress",
        "archive",
        "error",
        "expired",
    }
)
"""Accepted and ignored, so that a bean that was read back can be posted again."""


def read_data_export_request(
    body: JsonObject,
) -> tuple[DataExportRequest, Sequence[str]]:
    """Read what is asked for; give it with all that is wrong with its form.

    A faulty field reads as if it were absent. Says nothing of whether ids exist, and
    of placeholders in the mask.
    """
    faults = Faults()
    fields = ObjectReader(body, faults)
    request = DataExportRequest(
        name=fields.find_text("name", least=1, most=MAX_NAME_CHARACTERS),
        selection=_read_selection(fields),
        rendition=_read_rendition(fields),
    )
    fields.refuse_unknown(ignored=RESPONSE_ONLY_FIELDS)
    return request, faults.sentences


def _read_selection(fields: ObjectReader) -> Selection:
    customer_id = fields.find_id("customerId")
    location_id = fields.find_id("locationId")
    thing_id = fields.find_id("thingId")
    metrics = fields.iter_objects("qualifiedMetricIds", most=MAX_QUALIFIED_METRICS)
    return Selection(
        customer_id=CustomerId(customer_id) if customer_id else None,
        location_id=LocationId(location_id) if location_id else None,
        thing_id=ThingId(thing_id) if thing_id else None,
        qualified_metrics=tuple(map(_read_qualified_metric, metrics)),
        period=_read_period(fields),
    )


def _read_period(fields: ObjectReader) -> Period:
    start_ms = fields.find_timestamp("startTimestamp")
    end_ms = fields.find_timestamp("endTimestamp")
    if start_ms is not None and end_ms is not None and start_ms >= end_ms:
        fields.add_fault("startTimestamp", "must be before endTimestamp")
    return Period(start_ms, end_ms)


def _read_rendition(fields: ObjectReader) -> Rendition:
    mask = fields.find_text("thingFileName", most=MAX_MASK_CHARACTERS)
    return Rendition(
        thing_file_name=DEFAULT_MASK if mask is None else mask,
        hash_thing_file_name=fields.get_flag("hashThingFileName"),
        include_unit=fields.get_flag("includeUnit"),
        timestamp_format=fields.get_choice("timestampFormat", TimestampFormat.ISO_8601),
    )


def _read_qualified_metric(fields: ObjectReader) -> QualifiedMetric:
    if fields.find("metricId") is None:
        fields.add_fault("metricId", "is required")
    metric_id = MetricId(fields.find_id("metricId") or "")
    definition_id = fields.find_id("thingDefinitionId")
    model_id = fields.find_id("productModelId")
    part_id = fields.find_id("productModelPartId")
    if definition_id and (model_id or part_id):
        fields.add_fault(
            "thingDefinitionId",
            "cannot stand beside productModelId and productModelPartId",
        )
    elif part_id and fields.find("productModelId") is None:
        fields.add_fault("productModelPartId", "needs its productModelId beside it")
    fields.refuse_unknown()
    if definition_id:
        return MetricOfDefinition(metric_id, ThingDefinitionId(definition_id))
    if model_id:
        part = ProductModelPartId(part_id) if part_id else None
        return MetricOfPart(metric_id, ProductModelId(model_id), part)
    return MetricAnywhere(metric_id)
