"""The catalogue: who owns what, where it stands, and what kind of thing it is."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from thingport.domain.ids import (
    CustomerId,
    LocationId,
    MetricId,
    OrganizationId,
    PartnerId,
    ProductModelId,
    ProductModelPartId,
    TenantId,
    ThingDefinitionId,
    ThingId,
)
from thingport.domain.metric import Metric

Properties = Mapping[str, str]
"""What the tenant notes of an entity, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """The wall between customers of the service."""

    id: TenantId
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    """The maker of the things, or a part of it."""

    id: OrganizationId
    name: str
    parent_organization_id: OrganizationId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """A dealer or service centre; sees the customers entrusted to it."""

    id: PartnerId
    name: str
    organization_id: OrganizationId
    parent_partner_id: PartnerId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """An owner or user of things.

    Attributes:
        partner_ids: The partners that it is entrusted to.
    """

    id: CustomerId
    code: str
    name: str
    organization_id: OrganizationId
    partner_ids: frozenset[PartnerId] = frozenset()
    country: str | None = None
    timezone: str | None = None
    properties: Properties = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A site; belongs to exactly one customer."""

    id: LocationId
    customer_id: CustomerId
    name: str
    country: str | None = None
    timezone: str | None = None
    properties: Properties = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """A connected product, or a part of one.

    Attributes:
        serial_number: Unique in the tenant.
        location_id: Where it stands; ``None`` while unassigned, and for a
            sub-thing, which is where its root is.
        parent_thing_id: The thing that it is a part of; ``None`` for a root.
    """

    id: ThingId
    serial_number: str
    name: str
    thing_definition_id: ThingDefinitionId
    product_model_id: ProductModelId | None = None
    product_model_part_id: ProductModelPartId | None = None
    location_id: LocationId | None = None
    parent_thing_id: ThingId | None = None
    properties: Properties = field(default_factory=dict[str, str])


class ThingKey(StrEnum):
    """By what a caller names things; each is unique in a tenant."""

    ID = "ID"
    SERIAL_NUMBER = "SERIAL_NUMBER"

    def of(self, thing: Thing) -> str:
        """Give the key of a thing."""
        return thing.id if self is ThingKey.ID else thing.serial_number


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedThing:
    """A thing with what its place in the world says about it.

    Attributes:
        root_id: The topmost thing that it is a part of; itself for a root.
        ancestor_ids: Itself and all that it is a part of, innermost first.
        location: Where its root stands, if anywhere.
        customer: Whose location that is.
    """

    thing: Thing
    root_id: ThingId
    ancestor_ids: tuple[ThingId, ...]
    location: Location | None
    customer: Customer | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ThingDefinition:
    """The kind of a thing; owns metrics.

    Attributes:
        super_thing_definition_id: What it inherits metrics from, transitively.
    """

    id: ThingDefinitionId
    name: str
    description: str | None = None
    super_thing_definition_id: ThingDefinitionId | None = None
    properties: Properties = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductModel:
    """A model as it is sold."""

    id: ProductModelId
    name: str
    thing_definition_id: ThingDefinitionId
    description: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductModelPart:
    """A part of a product model; the sub-things of a thing are made after it."""

    id: ProductModelPartId
    name: str
    product_model_id: ProductModelId
    thing_definition_id: ThingDefinitionId
    parent_product_model_part_id: ProductModelPartId | None = None


class Definitions:
    """All kinds of things of one tenant, and the metrics that they have."""

    def __init__(
        self,
        *,
        thing_definitions: Iterable[ThingDefinition] = (),
        metrics: Iterable[Metric] = (),
        product_models: Iterable[ProductModel] = (),
        product_model_parts: Iterable[ProductModelPart] = (),
    ) -> None:
        self.thing_definitions = {it.id: it for it in thing_definitions}
        self.metrics = {it.id: it for it in metrics}
        self.product_models = {it.id: it for it in product_models}
        self.product_model_parts = {it.id: it for it in product_model_parts}
        self._owned: dict[ThingDefinitionId, list[Metric]] = {}
        for metric in self.metrics.values():
            self._owned.setdefault(metric.thing_definition_id, []).append(metric)

    def iter_chain(
        self, thing_definition_id: ThingDefinitionId
    ) -> Iterator[ThingDefinition]:
        """Yield a definition, then what it inherits from, up to the topmost."""
        following: ThingDefinitionId | None = thing_definition_id
        while following is not None:
            definition = self.thing_definitions[following]
            yield definition
            following = definition.super_thing_definition_id

    def inherits(
        self, thing_definition_id: ThingDefinitionId, ancestor_id: ThingDefinitionId
    ) -> bool:
        """Whether a definition is another one or inherits from it."""
        return any(it.id == ancestor_id for it in self.iter_chain(thing_definition_id))

    def metrics_of(
        self, thing_definition_id: ThingDefinitionId
    ) -> Mapping[MetricId, Metric]:
        """Give every metric that things of a definition have, inherited ones too."""
        return {
            metric.id: metric
            for definition in self.iter_chain(thing_definition_id)
            for metric in self._owned.get(definition.id, ())
        }
