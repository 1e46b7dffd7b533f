"""The requests to ``/data/values``, read strictly."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from thingport.application.readings import IncomingValue
from thingport.domain.errors import InvalidRequest
from thingport.domain.ids import ThingId
from thingport.domain.period import MAX_TIMESTAMP_MS, MIN_TIMESTAMP_MS, Period
from thingport.entrypoints.http.json_body import JsonObject
from thingport.entrypoints.http.object_reader import Faults, ObjectReader

_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")


class QueryParameters(Protocol):
    """The query part of an address: names, each with all its values."""

    def getlist(self, key: str) -> list[str]:
        """Give every value of a name."""
        ...


@dataclass(frozen=True, slots=True)
class MetricOfThing:
    """Which metric of which thing values belong to."""

    thing_id: ThingId
    metric_name: str


def parse_metric_of_thing(query: QueryParameters) -> MetricOfThing:
    """Read which metric values belong to.

    Raises:
        InvalidRequest: With every fault of the query.
    """
    given = _parse_query(query, ("thingId", "metricName"))
    return MetricOfThing(ThingId(given["thingId"]), given["metricName"])


def parse_deletion(query: QueryParameters) -> tuple[MetricOfThing, Period]:
    """Read which values are to go.

    Raises:
        InvalidRequest: With every fault of the query.
    """
    bounds = ("startTimestamp", "endTimestamp")
    given = _parse_query(query, ("thingId", "metricName", *bounds))
    faults = Faults()
    start_ms, end_ms = (_parse_instant(it, given[it], faults) for it in bounds)
    if start_ms is not None and end_ms is not None and start_ms >= end_ms:
        faults.add("startTimestamp", "must be before endTimestamp")
    faults.refuse_if_any()
    target = MetricOfThing(ThingId(given["thingId"]), given["metricName"])
    return target, Period(start_ms, end_ms)


def _parse_query(query: QueryParameters, names: Sequence[str]) -> Mapping[str, str]:
    given = {name: query.getlist(name) for name in names}
    faults = [
        f"{name}: exactly one must be in the query, and not be empty"
        for name, values in given.items()
        if len(values) != 1 or not values[0]
    ]
    if faults:
        raise InvalidRequest(*faults)
    return {name: values[0] for name, values in given.items()}


def _parse_instant(name: str, text: str, faults: Faults) -> int | None:
    """Read a bound of a period; the end of the year 9999 is one too."""
    if not _WHOLE_NUMBER.fullmatch(text):
        faults.add(name, "must be a whole number of UTC milliseconds")
    elif not MIN_TIMESTAMP_MS <= int(text) <= MAX_TIMESTAMP_MS + 1:
        faults.add(name, "must be within the years 1900 to 9999, in UTC ms")
    else:
        return int(text)
    return None


def parse_values(body: JsonObject) -> Sequence[IncomingValue]:
    """Read values in the order in which they were sent.

    Says nothing of whether they fit their metric.

    Raises:
        InvalidRequest: With every fault of the body.
    """
    faults = Faults()
    fields = ObjectReader(body, faults)
    if fields.find("data") is None:
        fields.add_fault("data", "is required: a list of timestamps with values")
    values = [
        value for entry in fields.iter_objects("data") for value in _iter_values(entry)
    ]
    fields.refuse_unknown()
    faults.refuse_if_any()
    return values


def _iter_values(entry: ObjectReader) -> Iterator[IncomingValue]:
    timestamp_ms = entry.find_timestamp("timestamp")
    if entry.find("timestamp") is None:
        entry.add_fault("timestamp", "is required")
    if entry.find("values") in (None, []):
        entry.add_fault("values", 'is required: a list such as [{"value": 1.5}]')
    for item in entry.iter_objects("values"):
        value = item.find("value")
        if value is None:
            item.add_fault("value", "is required")
        item.refuse_unknown()
        yield IncomingValue(item.path_of("")[:-1], timestamp_ms or 0, value)
    entry.refuse_unknown()
