"""The catalogue of one tenant, in tables."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, cast

from sqlalchemy import (
    Connection,
    Table,
    bindparam,
    delete,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from thingport.adapters.sql import catalogue_tables as tables
from thingport.adapters.sql.catalogue_rows import (
    AnyRow,
    to_metric,
    to_organization,
    to_partner,
    to_product_model,
    to_product_model_part,
    to_thing,
    to_thing_definition,
)
from thingport.adapters.sql.placed_things import (
    PlacedThingQuery,
    find_placed_thing,
    find_placed_things,
)
from thingport.adapters.sql.places import load_customers, load_locations
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
    ThingKey,
)
from thingport.domain.errors import InvalidRequest
from thingport.domain.ids import CustomerId, LocationId, TenantId, ThingId
from thingport.domain.metric import Metric
from thingport.domain.visibility import Network

_TABLES: Mapping[type[CatalogueEntity], Table] = {
    Organization: tables.organizations,
    Partner: tables.partners,
    Customer: tables.customers,
    Location: tables.locations,
    ThingDefinition: tables.thing_definitions,
    Metric: tables.metrics,
    ProductModel: tables.product_models,
    ProductModelPart: tables.product_model_parts,
    Thing: tables.things,
}
"""Where each kind of entity is kept; columns are named as its attributes."""

_NAMED = 3
"""Most entities that a refusal names."""


class SqlCatalogueRepository:
    """The catalogue of one tenant; no statement of it reaches another's rows."""

    def __init__(self, connection: Connection, tenant_id: TenantId) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def get_definitions(self) -> Definitions:
        """Give all kinds of things, models, parts and metrics; one query each."""
        return Definitions(
            thing_definitions=map(
                to_thing_definition, self._rows(tables.thing_definitions)
            ),
            metrics=map(to_metric, self._rows(tables.metrics)),
            product_models=map(to_product_model, self._rows(tables.product_models)),
            product_model_parts=map(
                to_product_model_part, self._rows(tables.product_model_parts)
            ),
        )

    def get_network(self) -> Network:
        """Give all organizations, partners and customers."""
        customers = load_customers(self._connection, self._tenant_id)
        return Network(
            organizations=list(map(to_organization, self._rows(tables.organizations))),
            partners=list(map(to_partner, self._rows(tables.partners))),
            customers=list(customers.values()),
        )

    def list_locations(self) -> Sequence[Location]:
        """Give all locations, by id."""
        return list(load_locations(self._connection, self._tenant_id).values())

    def list_things(self) -> Sequence[Thing]:
        """Give all things, sub-things too, by id."""
        return list(map(to_thing, self._rows(tables.things)))

    def find_customer(self, customer_id: CustomerId) -> Customer | None:
        """Give a customer, or ``None``."""
        wanted = select(literal(str(customer_id)))
        found = load_customers(self._connection, self._tenant_id, wanted)
        return found.get(customer_id)

    def find_location(self, location_id: LocationId) -> Location | None:
        """Give a location, or ``None``."""
        wanted = select(literal(str(location_id)))
        found = load_locations(self._connection, self._tenant_id, wanted)
        return found.get(location_id)

    def find_thing(self, thing_id: ThingId) -> PlacedThing | None:
        """Give a thing with its place, or ``None``."""
        return find_placed_thing(self._connection, self._tenant_id, thing_id)

    def find_things(
        self, keys: Collection[str], by: ThingKey
    ) -> Mapping[str, PlacedThing]:
        """Give those of some things that there are, with their places, by key."""
        return find_placed_things(self._connection, self._tenant_id, keys, by)

    def iter_placed_things(
        self,
        *,
        customer_id: CustomerId | None = None,
        location_id: LocationId | None = None,
        thing_id: ThingId | None = None,
    ) -> Iterator[PlacedThing]:
        """Yield things with their places, by id; begin before the transaction ends."""
        query = PlacedThingQuery(
            tenant_id=self._tenant_id,
            customer_id=customer_id,
            location_id=location_id,
            thing_id=thing_id,
        )
        return query.iter_from(self._connection)

    def save(self, *entities: CatalogueEntity) -> None:
        """Insert entities, or replace those with their ids; a few statements a kind.

        Entities of one kind stand together; what they refer to comes before them.

        Raises:
            InvalidRequest: A natural key is taken, or one refers to something that
                is not there; nothing of it all was stored.
        """
        try:
            with self._connection.begin_nested():
                for kind, of_kind in groupby(entities, key=type):
                    self._save_kind(kind, list(of_kind))
        except IntegrityError as error:
            names = ", ".join(
                f"{type(it).__name__} {it.id}" for it in entities[:_NAMED]
            )
            raise InvalidRequest(
                f"{names}{' …' if len(entities) > _NAMED else ''}: a name is taken "
                "by another one, or something is referred to that does not exist"
            ) from error

    def _rows(self, table: Table) -> Iterator[AnyRow]:
        mine = select(table).where(table.c.tenant_id == self._tenant_id)
        return iter(self._connection.execute(mine.order_by(table.c.id)))

    def _save_kind(
        self, kind: type[CatalogueEntity], entities: Sequence[CatalogueEntity]
    ) -> None:
        table = _TABLES[kind]
        mine = table.c.tenant_id == self._tenant_id
        stored = set(self._connection.execute(select(table.c.id).where(mine)).scalars())
        new = [
            {"tenant_id": self._tenant_id, **_values(it, table)}
            for it in entities
            if it.id not in stored
        ]
        # A parameter must not have the name of a column.
        changed = [
            {"id_": it.id, **_values(it, table)} for it in entities if it.id in stored
        ]
        if changed:
            self._free_names(table, [it.id for it in entities if it.id in stored])
        if new:
            self._connection.execute(insert(table), new)
        if changed:
            one = update(table).where(mine, table.c.id == bindparam("id_"))
            self._connection.execute(one, changed)
        for it in entities:
            if isinstance(it, Customer):
                self._entrust(it)

    def _free_names(self, table: Table, ids: Sequence[str]) -> None:
        """Let metrics take each other's names: rows are changed one after the other."""
        if table is tables.metrics:
            own = literal("\x1f").concat(table.c.id)  # No name has this character.
            one = update(table).where(
                table.c.tenant_id == self._tenant_id, table.c.id == bindparam("id_")
            )
            self._connection.execute(one.values(name=own), [{"id_": it} for it in ids])

    def _entrust(self, customer: Customer) -> None:
        links = tables.customer_partners
        self._connection.execute(
            delete(links).where(
                links.c.tenant_id == self._tenant_id,
                links.c.customer_id == customer.id,
            )
        )
        for partner_id in customer.partner_ids:
            self._connection.execute(
                insert(links).values(
                    tenant_id=self._tenant_id,
                    customer_id=customer.id,
                    partner_id=partner_id,
                )
            )


def _values(entity: CatalogueEntity, table: Table) -> dict[str, Any]:
    values: dict[str, Any] = {
        column.name: getattr(entity, column.name)
        for column in table.c
        if column.name != "tenant_id"
    }
    if "properties" in values:
        properties = cast("Mapping[str, str]", values["properties"])
        values["properties"] = dict(properties)
    return values
