"""The JSON of ``POST /data/values/batch``, read strictly."""

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from thingport.application.reading_batches import IncomingReadings
from thingport.domain.ids import ThingId
from thingport.domain.period import is_valid_timestamp
from thingport.entrypoints.http.json_body import JsonObject
from thingport.entrypoints.http.object_reader import Faults, ObjectReader

_Readings = list[tuple[int, Mapping[str, object]]]


def parse_batch(content: list[object]) -> Sequence[IncomingReadings]:
    """Read readings in the order in which they were sent.

    Says nothing of whether the things are there and the values fit.

    Raises:
        InvalidRequest: With every fault, up to a number.
    """
    faults = Faults()
    found = [
        _read_thing(f"[{index}]", entry, faults)
        for index, entry in _iter_objects(content, faults)
    ]
    faults.refuse_if_any()
    return found


def _iter_objects(
    content: list[object], faults: Faults
) -> Iterator[tuple[int, JsonObject]]:
    for index, entry in enumerate(content):
        if isinstance(entry, dict):
            yield index, cast("JsonObject", entry)
        else:
            faults.add(f"[{index}]", "must be an object")


def _read_thing(where: str, entry: JsonObject, faults: Faults) -> IncomingReadings:
    fields = ObjectReader(entry, faults, f"{where}.")
    if fields.find("thingId") is None:
        fields.add_fault("thingId", "is required")
    thing_id = ThingId(fields.find_id("thingId") or "")
    data = fields.find("data")
    readings: _Readings = []
    if data is None:
        fields.add_fault("data", "is required: a list of timestamps with values")
    elif not isinstance(data, list):
        fields.add_fault("data", "must be a list of objects")
    else:
        readings = _read_data(f"{where}.data", cast("list[object]", data), faults)
    fields.refuse_unknown()
    return IncomingReadings(where, thing_id, readings)


def _read_data(where: str, data: list[object], faults: Faults) -> _Readings:
    readings: _Readings = []
    for index, entry in enumerate(data):
        reading = _find_plain(entry)
        if reading is not None:
            readings.append(reading)
        elif isinstance(entry, dict):
            reader = ObjectReader(
                cast("JsonObject", entry), faults, f"{where}[{index}]."
            )
            readings.append(_read_reading(reader))
        else:
            faults.add(f"{where}[{index}]", "must be an object")
    return readings


def _find_plain(entry: object) -> tuple[int, Mapping[str, object]] | None:
    """Give a reading in which nothing is wrong, which is nearly every one, fast."""
    if not isinstance(entry, dict):
        return None
    fields = cast("JsonObject", entry)
    timestamp_ms, values = fields.get("timestamp"), fields.get("values")
    if type(timestamp_ms) is not int or not isinstance(values, dict) or not values:
        return None
    if len(fields) > len(("timestamp", "values")) or not is_valid_timestamp(
        timestamp_ms
    ):
        return None
    return timestamp_ms, cast("JsonObject", values)


def _read_reading(entry: ObjectReader) -> tuple[int, Mapping[str, object]]:
    timestamp_ms = entry.find_timestamp("timestamp")
    if entry.find("timestamp") is None:
        entry.add_fault("timestamp", "is required")
    values = entry.find("values")
    if values in (None, {}):
        entry.add_fault("values", 'is required: an object such as {"temp": 1.5}')
    elif not isinstance(values, dict):
        entry.add_fault("values", 'must be an object such as {"temp": 1.5}')
    entry.refuse_unknown()
    return timestamp_ms or 0, {}
