"""Writing readings, and deleting values."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from thingport.application.ports import ControlDatabase, LakeWriter
from thingport.domain.actor import Actor
from thingport.domain.errors import InvalidRequest, NotFound
from thingport.domain.ids import TenantId, ThingDefinitionId, ThingId
from thingport.domain.metric import (
    Metric,
    ValueDoesNotFit,
    parse_value,
    retired_message,
)
from thingport.domain.period import Period, is_valid_timestamp
from thingport.domain.permissions import Permission
from thingport.domain.reading import Reading, ReadingBatch, ValueDeletion
from thingport.domain.visibility import visibility_of


@dataclass(frozen=True, slots=True)
class IncomingValue:
    """A value as a caller sent it.

    Attributes:
        where: Its place in the request, for messages: ``data[3].values[0]``.
        timestamp_ms: UTC milliseconds since the Unix epoch.
        value: What JSON gave; a text may stand for any type.
    """

    where: str
    timestamp_ms: int
    value: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """The use cases around readings."""

    control: ControlDatabase
    lake_writer: Callable[[TenantId], LakeWriter]

    def write(
        self,
        actor: Actor,
        thing_id: ThingId,
        metric_name: str,
        values: Sequence[IncomingValue],
    ) -> None:
        """Store values of one metric of one thing; returns when they are durable.

        Of two values with one timestamp the later one in the request wins.

        Raises:
            PermissionDenied: The actor may not read things or write values.
            NotFound: There is no such thing that the actor can see.
            InvalidRequest: With every fault, or the metric is retired; nothing was
                stored.
        """
        actor.require(Permission.READ_THING, Permission.WRITE_METRIC_VALUE)
        definition_id, metric = self._get_metric(actor, thing_id, metric_name)
        if metric.is_retired and values:
            raise InvalidRequest(f"metricName: {retired_message(metric)}")
        readings = _parse(thing_id, metric, values)
        if readings:
            batch = ReadingBatch(
                thing_definition_id=definition_id,
                value_types={metric.id: metric.value_type},
                readings=readings,
            )
            self.lake_writer(actor.tenant_id).write([batch])

    def delete(
        self, actor: Actor, thing_id: ThingId, metric_name: str, period: Period
    ) -> None:
        """Remove the values of one metric of one thing in a period, durably.

        What is written later stays, and exports that were scheduled before still
        have what was there. A period without any value is no fault.

        Raises:
            PermissionDenied: The actor may not read things or delete values.
            NotFound: There is no such thing that the actor can see.
            InvalidRequest: The thing has no such metric; nothing was removed.
        """
        actor.require(Permission.READ_THING, Permission.DELETE_METRIC_VALUE)
        definition_id, metric = self._get_metric(actor, thing_id, metric_name)
        deletion = ValueDeletion(
            thing_definition_id=definition_id,
            thing_id=thing_id,
            metric_id=metric.id,
            period=period,
        )
        self.lake_writer(actor.tenant_id).delete(deletion)

    def _get_metric(
        self, actor: Actor, thing_id: ThingId, metric_name: str
    ) -> tuple[ThingDefinitionId, Metric]:
        with self.control.for_tenant(actor.tenant_id, read_only=True) as tx:
            visibility = visibility_of(actor.entity, tx.catalogue.get_network())
            placed = tx.catalogue.find_thing(thing_id)
            if placed is None or not visibility.sees_thing(placed):
                raise NotFound
            definition_id = placed.thing.thing_definition_id
            metrics = tx.catalogue.get_definitions().metrics_of(definition_id)
        metric = next((it for it in metrics.values() if it.name == metric_name), None)
        if metric is None or not metric.is_exportable:
            raise InvalidRequest("metricName: the thing has no such metric with values")
        return definition_id, metric


def _parse(
    thing_id: ThingId, metric: Metric, values: Sequence[IncomingValue]
) -> Sequence[Reading]:
    faults: list[str] = []
    readings: list[Reading] = []
    for it in values:
        if not is_valid_timestamp(it.timestamp_ms):
            faults.append(f"{it.where}: the timestamp is not within 1900 to 9999")
            continue
        try:
            value = parse_value(metric.value_type, it.value)
        except ValueDoesNotFit as error:
            faults.append(f"{it.where}.value: {error}")
        else:
            readings.append(Reading(thing_id, it.timestamp_ms, {metric.id: value}))
    if faults:
        raise InvalidRequest(*faults)
    return readings
