"""The JSON of a batch."""

import pytest

from thingport.application.reading_batches import IncomingReadings
from thingport.domain.errors import InvalidRequest
from thingport.domain.ids import ThingId
from thingport.entrypoints.http.batch_request import parse_batch


def test_readings_keep_the_order_in_which_they_were_sent() -> None:
    content: list[object] = [
        {
            "thingId": "b",
            "data": [
                {"timestamp": 5, "values": {"temp": 1.5, "on": None}},
                {"values": {"temp": "2"}, "timestamp": -5},
            ],
        },
        {"thingId": "a", "data": []},
        {"thingId": "b", "data": [{"timestamp": 5, "values": {"on": True}}]},
    ]

    assert parse_batch(content) == [
        IncomingReadings(
            "[0]",
            ThingId("b"),
            [(5, {"temp": 1.5, "on": None}), (-5, {"temp": "2"})],
        ),
        IncomingReadings("[1]", ThingId("a"), []),
        IncomingReadings("[2]", ThingId("b"), [(5, {"on": True})]),
    ]


GOOD = {"timestamp": 5, "values": {"temp": 1}}


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        (1, "[0]: must be an object"),
        ({"data": [GOOD]}, "[0].thingId: is required"),
        ({"thingId": "", "data": [GOOD]}, "[0].thingId: must not be empty"),
        ({"thingId": 1, "data": [GOOD]}, "[0].thingId: must be an id"),
        ({"thingId": "a"}, "[0].data: is required"),
        ({"thingId": "a", "data": GOOD}, "[0].data: must be a list of objects"),
        (
            {"thingId": "a", "data": [], "dta": []},
            "[0].dta: unknown field; the nearest known one is data",
        ),
    ],
)
def test_a_faulty_entry_is_named_by_its_place(entry: object, fault: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        parse_batch([entry])

    (found,) = refusal.value.faults
    assert found.startswith(fault)


@pytest.mark.parametrize(
    ("reading", "fault"),
    [
        (1, ": must be an object"),
        ({"values": {"temp": 1}}, ".timestamp: is required"),
        ({**GOOD, "timestamp": "5"}, ".timestamp: must be a whole number of UTC"),
        ({**GOOD, "timestamp": True}, ".timestamp: must be a whole number of UTC"),
        ({**GOOD, "timestamp": 5.0}, ".timestamp: must be a whole number of UTC"),
        ({**GOOD, "timestamp": 10**15}, ".timestamp: must be within the years"),
        ({"timestamp": 5}, ".values: is required: an object such as"),
        ({"timestamp": 5, "values": {}}, ".values: is required: an object such as"),
        ({"timestamp": 5, "values": [1]}, ".values: must be an object such as"),
        ({**GOOD, "value": 1}, ".value: unknown field; the nearest known one is value"),
    ],
)
def test_a_faulty_reading_is_named_by_its_place(reading: object, fault: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        parse_batch([{"thingId": "a", "data": [GOOD, reading]}])

    (found,) = refusal.value.faults
    assert found.startswith(f"[0].data[1]{fault}")


def test_the_faults_of_a_large_batch_are_not_all_told() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        parse_batch([1] * 5_000)

    assert refusal.value.faults[-1] == "and 4000 more faults"
