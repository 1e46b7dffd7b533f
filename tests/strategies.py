"""Generated catalogues and requests, for property tests of any layer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from thingport.application.ports import CatalogueEntity
from thingport.domain.catalogue import (
    Customer,
    Definitions,
    Location,
    Organization,
    Partner,
    PlacedThing,
    ProductModel,
    ProductModelPart,
    Thing,
    ThingDefinition,
)
from thingport.domain.ids import (
    CustomerId,
    LocationId,
    MetricId,
    OrganizationId,
    PartnerId,
    ProductModelId,
    ProductModelPartId,
    ThingDefinitionId,
    ThingId,
)
from thingport.domain.metric import (
    Metric,
    MetricAnywhere,
    MetricOfDefinition,
    MetricOfPart,
    MetricType,
    QualifiedMetric,
    ValueType,
)
from thingport.domain.visibility import Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """A tenant's catalogue, as plain lists; parents stand before their children."""

    organizations: Sequence[Organization]
    partners: Sequence[Partner]
    customers: Sequence[Customer]
    locations: Sequence[Location]
    thing_definitions: Sequence[ThingDefinition]
    metrics: Sequence[Metric]
    product_models: Sequence[ProductModel]
    product_model_parts: Sequence[ProductModelPart]
    things: Sequence[Thing]

    @property
    def entities(self) -> Sequence[CatalogueEntity]:
        """All of it, in an order in which it can be stored."""
        return [
            *self.organizations,
            *self.partners,
            *self.customers,
            *self.locations,
            *self.thing_definitions,
            *self.metrics,
            *self.product_models,
            *self.product_model_parts,
            *self.things,
        ]

    @property
    def definitions(self) -> Definitions:
        return Definitions(
            thing_definitions=self.thing_definitions,
            metrics=self.metrics,
            product_models=self.product_models,
            product_model_parts=self.product_model_parts,
        )

    @property
    def network(self) -> Network:
        return Network(
            organizations=self.organizations,
            partners=self.partners,
            customers=self.customers,
        )

    def place(self, thing: Thing) -> PlacedThing:
        by_id = {it.id: it for it in self.things}
        ancestors = [thing]
        while (parent_id := ancestors[-1].parent_thing_id) is not None:
            ancestors.append(by_id[parent_id])
        root = ancestors[-1]
        location = next(
            (it for it in self.locations if it.id == root.location_id), None
        )
        return PlacedThing(
            thing=thing,
            root_id=root.id,
            ancestor_ids=tuple(it.id for it in ancestors),
            location=location,
            customer=next(
                (
                    it
                    for it in self.customers
                    if location and it.id == location.customer_id
                ),
                None,
            ),
        )

    @property
    def placed_things(self) -> Sequence[PlacedThing]:
        return [self.place(it) for it in self.things]


texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8
)
"""Any text that JSON, SQL and a file can hold."""

awkward_texts = st.one_of(
    st.sampled_from(
        ["a", "A", "TIMESTAMP", "=x", "'=x", "-1", "con", "a/b", "città", "citta\u0300"]
    ),
    texts,
)
"""Texts among which equal ones, guarded ones and unsafe ones are frequent."""

names = awkward_texts.filter(str.strip)

properties = st.dictionaries(st.sampled_from(["a", "plant", "x y"]), awkward_texts)

value_types = st.sampled_from(list(ValueType))

metric_types = st.one_of(
    st.sampled_from([MetricType.SIMPLE, MetricType.COUNTER]),
    st.sampled_from(list(MetricType)),
)


@st.composite
def catalogues(draw: DrawFn) -> Catalogue:
    """Draw small catalogues in which whatever can refer to something does."""
    organizations = draw(_organizations())
    partners = draw(_partners(organizations))
    customers = draw(_customers(organizations, partners))
    locations = draw(_locations(customers))
    definitions = draw(_thing_definitions())
    models = draw(_product_models(definitions))
    parts = draw(_product_model_parts(models, definitions))
    return Catalogue(
        organizations=organizations,
        partners=partners,
        customers=customers,
        locations=locations,
        thing_definitions=definitions,
        metrics=draw(_metrics(definitions)),
        product_models=models,
        product_model_parts=parts,
        things=draw(_things(definitions, models, parts, locations)),
    )


def with_unlike_names(catalogue: Catalogue) -> Catalogue:
    """Make natural keys unique, as the control database wants them."""
    return replace(
        catalogue,
        organizations=[
            replace(it, name=it.name + it.id) for it in catalogue.organizations
        ],
        partners=[replace(it, name=it.name + it.id) for it in catalogue.partners],
        locations=[replace(it, name=it.name + it.id) for it in catalogue.locations],
        thing_definitions=[
            replace(it, name=it.name + it.id) for it in catalogue.thing_definitions
        ],
        product_models=[
            replace(it, name=it.name + it.id) for it in catalogue.product_models
        ],
        things=[
            replace(it, serial_number=it.serial_number + it.id)
            for it in catalogue.things
        ],
    )


def qualified_metrics(
    catalogue: Catalogue, *, max_size: int = 8
) -> SearchStrategy[tuple[QualifiedMetric, ...]]:
    """Draw metrics of a catalogue, qualified by anything in it, sensible or not."""
    if not catalogue.metrics:
        return st.just(())
    metric_ids = _ids_of(catalogue.metrics)
    choices: list[SearchStrategy[QualifiedMetric]] = [
        st.builds(MetricAnywhere, metric_ids),
        st.builds(MetricOfDefinition, metric_ids, _ids_of(catalogue.thing_definitions)),
    ]
    if catalogue.product_models:
        model_ids = _ids_of(catalogue.product_models)
        choices.append(st.builds(MetricOfPart, metric_ids, model_ids))
    choices.extend(
        st.builds(
            MetricOfPart, metric_ids, st.just(it.product_model_id), st.just(it.id)
        )
        for it in catalogue.product_model_parts
    )
    return st.lists(st.one_of(choices), max_size=max_size).map(tuple)


def _ids_of(entities: Sequence[object]) -> SearchStrategy[str]:
    return st.sampled_from([getattr(it, "id") for it in entities])  # noqa: B009


@st.composite
def _organizations(draw: DrawFn) -> list[Organization]:
    found: list[Organization] = []
    for n in range(draw(st.integers(1, 4))):
        parent = draw(st.sampled_from([None, *(it.id for it in found)]))
        found.append(
            Organization(
                id=OrganizationId(f"organization{n}"),
                name=draw(names),
                parent_organization_id=parent,
            )
        )
    return found


@st.composite
def _partners(draw: DrawFn, organizations: Sequence[Organization]) -> list[Partner]:
    found: list[Partner] = []
    for n in range(draw(st.integers(0, 3))):
        parent = draw(st.sampled_from([None, *(it.id for it in found)]))
        found.append(
            Partner(
                id=PartnerId(f"partner{n}"),
                name=draw(names),
                organization_id=draw(st.sampled_from(organizations)).id,
                parent_partner_id=parent,
            )
        )
    return found


@st.composite
def _customers(
    draw: DrawFn, organizations: Sequence[Organization], partners: Sequence[Partner]
) -> list[Customer]:
    partner_ids = (
        st.frozensets(st.sampled_from([it.id for it in partners]))
        if partners
        else st.just(frozenset[PartnerId]())
    )
    return [
        Customer(
            id=CustomerId(f"customer{n}"),
            code=f"C{n}",
            name=draw(names),
            organization_id=draw(st.sampled_from(organizations)).id,
            partner_ids=draw(partner_ids),
            properties=draw(properties),
        )
        for n in range(draw(st.integers(0, 3)))
    ]


@st.composite
def _locations(draw: DrawFn, customers: Sequence[Customer]) -> list[Location]:
    return [
        Location(
            id=LocationId(f"location{n}"),
            customer_id=draw(st.sampled_from(customers)).id,
            name=draw(names),
            properties=draw(properties),
        )
        for n in range(draw(st.integers(0, 4)) if customers else 0)
    ]


@st.composite
def _thing_definitions(draw: DrawFn) -> list[ThingDefinition]:
    found: list[ThingDefinition] = []
    for n in range(draw(st.integers(1, 5))):
        parent = draw(st.sampled_from([None, *(it.id for it in found)]))
        found.append(
            ThingDefinition(
                id=ThingDefinitionId(f"definition{n}"),
                name=draw(names),
                super_thing_definition_id=parent,
                properties=draw(properties),
            )
        )
    return found


@st.composite
def _metrics(draw: DrawFn, definitions: Sequence[ThingDefinition]) -> list[Metric]:
    by_id = {it.id: it for it in definitions}
    found: list[Metric] = []
    for n in range(draw(st.integers(0, 10))):
        owner = draw(st.sampled_from(definitions)).id
        taken = {
            it.name
            for it in found
            if _is_heir(it.thing_definition_id, owner, by_id)
            or _is_heir(owner, it.thing_definition_id, by_id)
        }
        name = draw(names)
        found.append(
            Metric(
                id=MetricId(f"metric{n}"),
                thing_definition_id=owner,
                name=f"{name}{n}" if name in taken else name,
                label=draw(st.none() | names),
                unit=draw(st.none() | st.sampled_from(["°C", "%", "x"])),
                group=draw(st.none() | st.sampled_from(["g1", "G2"])),
                type=draw(metric_types),
                value_type=draw(value_types),
            )
        )
    return found


@st.composite
def _product_models(
    draw: DrawFn, definitions: Sequence[ThingDefinition]
) -> list[ProductModel]:
    return [
        ProductModel(
            id=ProductModelId(f"model{n}"),
            name=f"{draw(names)} {n}",
            thing_definition_id=draw(st.sampled_from(definitions)).id,
        )
        for n in range(draw(st.integers(0, 2)))
    ]


@st.composite
def _product_model_parts(
    draw: DrawFn,
    models: Sequence[ProductModel],
    definitions: Sequence[ThingDefinition],
) -> list[ProductModelPart]:
    return [
        ProductModelPart(
            id=ProductModelPartId(f"part{n}"),
            name=f"part {n}",
            product_model_id=draw(st.sampled_from(models)).id,
            thing_definition_id=draw(st.sampled_from(definitions)).id,
        )
        for n in range(draw(st.integers(0, 3)) if models else 0)
    ]


@st.composite
def _things(
    draw: DrawFn,
    definitions: Sequence[ThingDefinition],
    models: Sequence[ProductModel],
    parts: Sequence[ProductModelPart],
    locations: Sequence[Location],
) -> list[Thing]:
    """Draw roots and sub-things; of a model or part, they are of a kind with it."""
    found: list[Thing] = []
    for n in range(draw(st.integers(0, 8))):
        parent = draw(st.sampled_from([None, *found]))
        model = draw(st.sampled_from([None, *models]))
        part = draw(st.sampled_from([None, *parts])) if parent else None
        location = None if parent else draw(st.sampled_from([None, *locations]))
        kind = part or (None if parent else model)
        found.append(
            Thing(
                id=ThingId(f"thing{n}"),
                serial_number=f"{draw(names)}{n}",
                name=draw(awkward_texts),
                thing_definition_id=draw(_definitions_like(kind, definitions)),
                product_model_id=(
                    part.product_model_id if part else model.id if model else None
                ),
                product_model_part_id=part.id if part else None,
                location_id=location.id if location else None,
                parent_thing_id=parent.id if parent else None,
                properties=draw(properties),
            )
        )
    return found


def _definitions_like(
    kind: ProductModel | ProductModelPart | None,
    definitions: Sequence[ThingDefinition],
) -> SearchStrategy[ThingDefinitionId]:
    by_id = {it.id: it for it in definitions}
    return st.sampled_from(
        [
            it.id
            for it in definitions
            if kind is None or _is_heir(it.id, kind.thing_definition_id, by_id)
        ]
    )


def _is_heir(
    definition_id: ThingDefinitionId,
    ancestor_id: ThingDefinitionId,
    by_id: dict[ThingDefinitionId, ThingDefinition],
) -> bool:
    following: ThingDefinitionId | None = definition_id
    while following is not None and following != ancestor_id:
        following = by_id[following].super_thing_definition_id
    return following is not None
