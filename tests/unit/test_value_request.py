"""The request that writes values."""

import pytest
from starlette.datastructures import QueryParams

from thingport.application.readings import IncomingValue
from thingport.domain.errors import InvalidRequest
from thingport.domain.ids import ThingId
from thingport.entrypoints.http.json_body import JsonObject
from thingport.entrypoints.http.value_request import (
    MetricOfThing,
    parse_metric_of_thing,
    parse_values,
)


def test_values_keep_the_order_in_which_they_were_sent() -> None:
    body: JsonObject = {
        "data": [
            {"timestamp": 5, "values": [{"value": "1"}, {"value": False}]},
            {"timestamp": -5, "values": [{"value": 1.5}]},
        ]
    }

    assert parse_values(body) == [
        IncomingValue("data[0].values[0]", 5, "1"),
        IncomingValue("data[0].values[1]", 5, value=False),
        IncomingValue("data[1].values[0]", -5, 1.5),
    ]


def test_an_empty_list_writes_nothing() -> None:
    assert parse_values({"data": []}) == []


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({}, "data: is required"),
        ({"data": None}, "data: is required"),
        ({"data": {}}, "data: must be a list of objects"),
        ({"data": [1]}, "data[0]: must be an object"),
        ({"data": [], "dta": 1}, "dta: unknown field; the nearest known one is data"),
        (
            {"data": [{"values": [{"value": 1}]}]},
            "data[0].timestamp: is required",
        ),
        (
            {"data": [{"timestamp": "5", "values": [{"value": 1}]}]},
            "data[0].timestamp: must be a whole number of UTC milliseconds",
        ),
        (
            {"data": [{"timestamp": 10**15, "values": [{"value": 1}]}]},
            "data[0].timestamp: must be within the years 1900 to 9999",
        ),
        ({"data": [{"timestamp": 5}]}, "data[0].values: is required"),
        ({"data": [{"timestamp": 5, "values": []}]}, "data[0].values: is required"),
        (
            {"data": [{"timestamp": 5, "values": [{}]}]},
            "data[0].values[0].value: is required",
        ),
        (
            {"data": [{"timestamp": 5, "values": [{"value": 1, "name": "x"}]}]},
            "data[0].values[0].name: unknown field; the nearest known one is value",
        ),
        (
            {"data": [{"timestamp": 5, "ts": 5, "values": [{"value": 1}]}]},
            "data[0].ts: unknown field; the nearest known one is timestamp",
        ),
    ],
)
def test_a_fault_names_its_place(body: JsonObject, fault: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        parse_values(body)

    (found,) = raised.value.faults
    assert found.startswith(fault)


def test_the_query_names_thing_and_metric() -> None:
    query = QueryParams("thingId=1&metricName=wind%20speed")

    assert parse_metric_of_thing(query) == MetricOfThing(ThingId("1"), "wind speed")


@pytest.mark.parametrize(
    ("query", "faulty"),
    [
        ("", ["thingId", "metricName"]),
        ("thingId=1", ["metricName"]),
        ("thingId=&metricName=a", ["thingId"]),
        ("thingId=1&thingId=2&metricName=a", ["thingId"]),
    ],
)
def test_a_query_that_is_not_clear_is_refused(query: str, faulty: list[str]) -> None:
    with pytest.raises(InvalidRequest) as raised:
        parse_metric_of_thing(QueryParams(query))

    assert [it.partition(":")[0] for it in raised.value.faults] == faulty
