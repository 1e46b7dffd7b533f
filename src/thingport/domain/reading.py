"""Readings: one timestamp, and the values that arrived with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from thingport.domain.ids import MetricId, ThingDefinitionId, ThingId
from thingport.domain.metric import Value, ValueType
from thingport.domain.period import Period

FIRST_WRITTEN_SEQ = 1
"""The number of the first row that a tenant wrote; later ones have greater ones."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Values of one thing at one instant.

    Attributes:
        timestamp_ms: UTC milliseconds since the Unix epoch.
        values: Of the value type of their metric; never empty.
    """

    thing_id: ThingId
    timestamp_ms: int
    values: Mapping[MetricId, Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingBatch:
    """Readings of things of one definition, in the order in which they were sent.

    Attributes:
        value_types: The type of every metric that occurs in the readings.
    """

    thing_definition_id: ThingDefinitionId
    value_types: Mapping[MetricId, ValueType]
    readings: Sequence[Reading]


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueDeletion:
    """Which stored values are to go: those of one metric of one thing in a period.

    Values of other metrics stay, those of the same instants too.
    """

    thing_definition_id: ThingDefinitionId
    thing_id: ThingId
    metric_id: MetricId
    period: Period
