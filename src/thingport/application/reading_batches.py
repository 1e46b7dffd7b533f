"""Writing readings of many things at once, all of them or none."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from thingport.application.ports import (
    ControlDatabase,
    LakeWriter,
    OpenReadingTable,
    ReadingColumns,
)
from thingport.domain.actor import Actor
from thingport.domain.catalogue import ThingKey
from thingport.domain.errors import InvalidRequest
from thingport.domain.ids import MetricId, TenantId, ThingDefinitionId, ThingId
from thingport.domain.metric import (
    Metric,
    Value,
    ValueDoesNotFit,
    ValueType,
    parse_value,
    retired_message,
)
from thingport.domain.permissions import Permission
from thingport.domain.reading import Reading, ReadingBatch
from thingport.domain.visibility import visibility_of

MAX_FAULTS = 100
"""Most faults that are told; one is often in every reading."""

MAX_CELLS = 16 * 1024 * 1024
"""Most readings times metrics of one definition in one request.

Readings become columns, in which a value that is missing takes memory too."""

Metrics = Mapping[str, Metric]
"""The metrics of a thing definition that take plain values, by name."""


@dataclass(frozen=True, slots=True)
class IncomingReadings:
    """Readings of one thing as a caller sent them.

    Attributes:
        where: Their place in the request, for messages: ``[3]``.
        readings: Valid timestamps in UTC ms, each with values by metric name;
            ``None`` is no value. In the order of the request.
    """

    where: str
    thing_id: ThingId
    readings: Sequence[tuple[int, Mapping[str, object]]]


@dataclass(frozen=True, slots=True)
class AcceptedReadings:
    """Readings in which nothing is wrong; not stored yet."""

    tenant_id: TenantId
    batches: Sequence[ReadingBatch | ReadingColumns]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingBatches:
    """The use cases around batches.

    Accepting takes time and memory, storing waits for a disk: two steps, so that
    a way in can have few of the one and many of the other under way.
    """

    control: ControlDatabase
    lake_writer: Callable[[TenantId], LakeWriter]
    open_table: OpenReadingTable

    def accept(
        self, actor: Actor, incoming: Sequence[IncomingReadings]
    ) -> AcceptedReadings:
        """Check readings; nothing is stored.

        Raises:
            PermissionDenied: The actor may not read things or write values.
            InvalidRequest: With every fault, up to a number.
        """
        known = self._find(actor, {it.thing_id for it in incoming}, ThingKey.ID)
        faults = _Faults()
        drafts: dict[ThingDefinitionId, _Draft] = {}
        for it in incoming:
            if it.thing_id not in known.things:
                faults.add(f"{it.where}.thingId: no such thing")
                continue
            _, definition = known.things[it.thing_id]
            if definition not in drafts:
                drafts[definition] = _Draft(known.metrics[definition], faults)
            drafts[definition].take(it)
        faults.refuse_if_any()
        batches = [draft.batch(definition) for definition, draft in drafts.items()]
        return AcceptedReadings(actor.tenant_id, batches)

    def accept_table(self, actor: Actor, content: bytes) -> AcceptedReadings:
        """Check readings that come as an Arrow IPC stream; nothing is stored.

        Raises:
            PermissionDenied: The actor may not read things or write values.
            InvalidRequest: With the first fault of each kind.
        """
        actor.require(Permission.READ_THING, Permission.WRITE_METRIC_VALUE)
        with self.open_table(content) as table:
            known = self._find(actor, table.list_things(), table.key)
            batches = table.check(known.things, known.metrics)
        return AcceptedReadings(actor.tenant_id, batches)

    def store(self, accepted: AcceptedReadings) -> None:
        """Store readings; returns when they are durable, all or none of them.

        Raises:
            StoreUnavailable: Nothing was stored.
        """
        self.lake_writer(accepted.tenant_id).write(accepted.batches)

    def _find(self, actor: Actor, keys: Collection[str], by: ThingKey) -> "_Known":
        actor.require(Permission.READ_THING, Permission.WRITE_METRIC_VALUE)
        with self.control.for_tenant(actor.tenant_id, read_only=True) as tx:
            visibility = visibility_of(actor.entity, tx.catalogue.get_network())
            found = tx.catalogue.find_things(keys, by)
            definitions = tx.catalogue.get_definitions()
        things = {
            key: (placed.thing.id, placed.thing.thing_definition_id)
            for key, placed in found.items()
            if visibility.sees_thing(placed)
        }
        metrics = {
            definition: {
                it.name: it
                for it in definitions.metrics_of(definition).values()
                if it.is_exportable
            }
            for definition in {definition for _, definition in things.values()}
        }
        return _Known(things, metrics)


@dataclass(frozen=True, slots=True)
class _Known:
    """What there is of what a request names, as far as its sender sees it."""

    things: Mapping[str, tuple[ThingId, ThingDefinitionId]]
    metrics: Mapping[ThingDefinitionId, Metrics]


@dataclass(slots=True)
class _Faults:
    told: list[str] = field(default_factory=list[str])
    more: int = 0

    def add(self, fault: str) -> None:
        if len(self.told) < MAX_FAULTS:
            self.told.append(fault)
        else:
            self.more += 1

    def refuse_if_any(self) -> None:
        if self.told:
            rest = [f"and {self.more} more faults"] if self.more else []
            raise InvalidRequest(*self.told, *rest)


class _Draft:
    """The readings of one definition, while they are checked."""

    def __init__(self, metrics: Metrics, faults: _Faults) -> None:
        self._metrics = metrics
        self._faults = faults
        self._readings: list[Reading] = []
        self._value_types: dict[MetricId, ValueType] = {}

    def take(self, incoming: IncomingReadings) -> None:
        for index, (timestamp_ms, given) in enumerate(incoming.readings):
            values: dict[MetricId, Value] = {}
            for name, value in given.items():
                if value is None:
                    continue
                metric = self._metrics.get(name)
                if metric is None:
                    self._add(incoming, index, name, "the thing has no such metric")
                    continue
                if metric.is_retired:
                    self._add(incoming, index, name, retired_message(metric))
                    continue
                try:
                    values[metric.id] = parse_value(metric.value_type, value)
                except ValueDoesNotFit as misfit:
                    self._add(incoming, index, name, str(misfit))
                self._value_types[metric.id] = metric.value_type
            if values:
                self._readings.append(Reading(incoming.thing_id, timestamp_ms, values))

    def batch(self, definition: ThingDefinitionId) -> ReadingBatch:
        if len(self._readings) * len(self._value_types) > MAX_CELLS:
            raise InvalidRequest(
                f"{len(self._readings)} readings of {len(self._value_types)} different"
                " metrics are too many for one request; send fewer at a time"
            )
        return ReadingBatch(
            thing_definition_id=definition,
            value_types=self._value_types,
            readings=self._readings,
        )

    def _add(
        self, incoming: IncomingReadings, index: int, name: str, reason: str
    ) -> None:
        self._faults.add(
            f"{incoming.where}.data[{index}].values[{name[:64]!r}]: {reason}"
        )
