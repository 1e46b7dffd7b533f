"""The body of a request for an export, and the bean that comes back."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import NOON, a_data_export
from thingport.domain.data_export import (
    DataExportRequest,
    ExportError,
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
)
from thingport.domain.period import MAX_TIMESTAMP_MS, MIN_TIMESTAMP_MS, Period
from thingport.entrypoints.http.data_export_bean import bean_of
from thingport.entrypoints.http.data_export_request import (
    RESPONSE_ONLY_FIELDS,
    read_data_export_request,
)
from thingport.entrypoints.http.json_body import JsonObject
from thingport.entrypoints.http.schemas import DataExportBean

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
metric_ids = texts.map(MetricId)
qualified_metrics = st.one_of(
    st.builds(MetricAnywhere, metric_ids),
    st.builds(MetricOfDefinition, metric_ids, texts.map(ThingDefinitionId)),
    st.builds(
        MetricOfPart,
        metric_ids,
        texts.map(ProductModelId),
        st.none() | texts.map(ProductModelPartId),
    ),
)
timestamps = st.integers(MIN_TIMESTAMP_MS, MAX_TIMESTAMP_MS)
periods = st.one_of(
    st.builds(Period, st.none() | timestamps, st.none()),
    st.builds(Period, st.none(), st.none() | timestamps),
    st.lists(timestamps, min_size=2, max_size=2, unique=True).map(
        lambda it: Period(min(it), max(it))
    ),
)
requests = st.builds(
    DataExportRequest,
    name=texts,
    selection=st.builds(
        Selection,
        customer_id=st.none() | texts.map(CustomerId),
        location_id=st.none() | texts.map(LocationId),
        thing_id=st.none() | texts.map(ThingId),
        qualified_metrics=st.lists(qualified_metrics, max_size=4).map(tuple),
        period=periods,
    ),
    rendition=st.builds(
        Rendition,
        thing_file_name=st.sampled_from(["", "x", "${thing.properties.a b}-1"]),
        hash_thing_file_name=st.booleans(),
        include_unit=st.booleans(),
        timestamp_format=st.sampled_from(TimestampFormat),
    ),
)

NO_INTEGERS: tuple[object, ...] = (1.0, "1", True, [], 1e300)


def parsed(body: JsonObject) -> DataExportRequest:
    request, faults = read_data_export_request(body)
    assert list(faults) == []
    return request


def faults_of(body: JsonObject) -> list[str]:
    _, faults = read_data_export_request(body)
    return list(faults)


@given(request=requests)
def test_a_bean_that_was_read_back_can_be_posted_again(
    request: DataExportRequest,
) -> None:
    data_export = a_data_export(
        name=request.name, selection=request.selection, rendition=request.rendition
    )
    bean = json.loads(json.dumps(bean_of(data_export, url="https://x/y.zip")))

    assert parsed(bean) == request
    assert DataExportBean.model_validate(bean).id == data_export.id


def test_an_empty_body_asks_for_everything() -> None:
    assert parsed({}) == DataExportRequest()


def test_null_and_absent_are_the_same() -> None:
    names = [it.alias or "" for it in DataExportBean.model_fields.values()]

    assert parsed(dict.fromkeys(names)) == DataExportRequest()


def test_response_only_fields_are_ignored_whatever_they_are() -> None:
    body: JsonObject = dict.fromkeys(RESPONSE_ONLY_FIELDS, object())

    assert parsed(body) == DataExportRequest()


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("thingID", "thingId"),
        ("thing_id", "thingId"),
        ("customer", "customerId"),
        ("qualifiedMetricIDs", "qualifiedMetricIds"),
        ("metricIds", "qualifiedMetricIds"),
        ("includeManifest", "includeUnit"),
        ("thingDefinitionIds", ""),
        ("textGuard", ""),
        ("columnHeader", ""),
        ("😀", ""),
        ("", ""),
    ],
)
def test_an_unknown_field_is_refused_with_the_nearest_known_one(
    name: str, nearest: str
) -> None:
    (fault,) = faults_of({name: "1"})

    assert name in fault or json.dumps(name) in fault
    assert "unknown field; the nearest known one is " + nearest in fault


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"name": ""}, "name: must have 1 to 200 characters"),
        ({"name": "x" * 201}, "name: must have 1 to 200 characters"),
        ({"name": 1}, "name: must be a text in quotes"),
        (
            {"customerId": ""},
            "customerId: must not be empty; leave the field out instead",
        ),
        ({"thingId": 7}, "thingId: must be an id, a text in quotes"),
        ({"includeUnit": 1}, "includeUnit: must be true or false"),
        ({"includeUnit": "true"}, "includeUnit: must be true or false"),
        ({"hashThingFileName": 0}, "hashThingFileName: must be true or false"),
        (
            {"timestampFormat": "iso_8601"},
            "timestampFormat: must be one of ISO_8601, EPOCH_MILLIS",
        ),
        (
            {"timestampFormat": ["ISO_8601"]},
            "timestampFormat: must be one of ISO_8601, EPOCH_MILLIS",
        ),
        *(
            (
                {"startTimestamp": wrong},
                "startTimestamp: must be a whole number of UTC milliseconds",
            )
            for wrong in NO_INTEGERS
        ),
        *(
            (
                {"endTimestamp": wrong},
                "endTimestamp: must be within the years 1900 to 9999, in UTC ms",
            )
            for wrong in (MIN_TIMESTAMP_MS - 1, MAX_TIMESTAMP_MS + 1, 10**4000)
        ),
        (
            {"startTimestamp": 5, "endTimestamp": 5},
            "startTimestamp: must be before endTimestamp",
        ),
        ({"qualifiedMetricIds": {}}, "qualifiedMetricIds: must be a list of objects"),
        ({"qualifiedMetricIds": ["m"]}, "qualifiedMetricIds[0]: must be an object"),
        (
            {"qualifiedMetricIds": [{"metricId": "m"}] * 10_001},
            "qualifiedMetricIds: has 10001 entries, but at most 10000 fit",
        ),
        (
            {"qualifiedMetricIds": [{"metricId": "m"}, {}]},
            "qualifiedMetricIds[1].metricId: is required",
        ),
        (
            {"qualifiedMetricIds": [{"metricId": ""}]},
            "qualifiedMetricIds[0].metricId: must not be empty; leave the field out",
        ),
        (
            {"qualifiedMetricIds": [{"metricId": "m", "foo": 1}]},
            "qualifiedMetricIds[0].foo: unknown field; the nearest known one is ",
        ),
        (
            {"qualifiedMetricIds": [{"metricId": "m", "productModelPartId": "p"}]},
            "qualifiedMetricIds[0].productModelPartId: needs its productModelId",
        ),
        (
            {
                "qualifiedMetricIds": [
                    {
                        "metricId": "m",
                        "thingDefinitionId": "d",
                        "productModelId": "p",
                    }
                ]
            },
            "qualifiedMetricIds[0].thingDefinitionId: cannot stand beside",
        ),
        (
            {"thingFileName": "x" * 1001},
            "thingFileName: must have 0 to 1000 characters",
        ),
    ],
)
def test_a_fault_names_its_field_and_what_to_change(
    body: JsonObject, fault: str
) -> None:
    (found,) = faults_of(body)

    assert found.startswith(fault)


def test_ten_thousand_metrics_are_taken() -> None:
    body: JsonObject = {"qualifiedMetricIds": [{"metricId": "m"}] * 10_000}

    request = parsed(body)

    assert len(request.selection.qualified_metrics) == 10_000


def test_every_fault_of_a_body_is_told_at_once() -> None:
    faults = faults_of(
        {
            "name": "",
            "thingId": "",
            "startTimestamp": 2,
            "endTimestamp": 1,
            "qualifiedMetricIds": [{"foo": 1}, 7],
            "thingFileName": 7,
            "includeUnit": "no",
            "bar": 1,
        }
    )

    assert len(faults) == 9


def test_a_body_of_nothing_but_faults_is_told_in_bounds() -> None:
    faults = faults_of({f"f{number}": 1 for number in range(20_000)})

    assert faults[-1] == "and 19000 more faults"
    assert len("; ".join(faults)) < 50_000


def test_a_failed_export_tells_its_reason() -> None:
    failed = a_data_export().fail(ExportError("X", "For a reason."), at=NOON)

    bean = bean_of(failed)

    assert bean["state"] == "ERROR"
    assert bean["error"] == {"code": "X", "message": "For a reason."}
    assert "url" not in bean


def test_a_pending_export_shows_how_far_it_got() -> None:
    data_export = a_data_export()
    half = replace(data_export.progress, rows_done=1, rows_total=2, things_total=9)

    assert bean_of(data_export.advance(half))["progress"] == {
        "phase": "QUEUED",
        "thingsDone": 0,
        "thingsTotal": 9,
        "rowsDone": 1,
        "rowsTotal": 2,
        "bytesWritten": 0,
        "percent": 50,
    }
