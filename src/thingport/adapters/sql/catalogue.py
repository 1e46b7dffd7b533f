"""The catalogue of one tenant, in tables."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import (
    Connection,
    Table,
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
from thingport.adapters.sql.placed_things import PlacedThingQuery, find_placed_thing
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

    def save(self, entity: CatalogueEntity) -> None:
        """Insert an entity, or replace the one with its id.

        What it refers to must have been saved before.

        Raises:
            InvalidRequest: Its natural key is taken, or it refers to something
                that is not there; nothing of it was stored.
        """
        try:
            with self._connection.begin_nested():
                self._upsert(entity)
                if isinstance(entity, Customer):
                    self._entrust(entity)
        except IntegrityError as error:
            what = type(entity).__name__
            raise InvalidRequest(
                f"{what} {entity.id}: its name is taken by another one, or it "
                "refers to something that does not exist"
            ) from error

    def _rows(self, table: Table) -> Iterator[AnyRow]:
        mine = select(table).where(table.c.tenant_id == self._tenant_id)
        return iter(self._connection.execute(mine.order_by(table.c.id)))

    def _upsert(self, entity: CatalogueEntity) -> None:
        table = _TABLES[type(entity)]
        values = _values(entity, table)
        replaced = self._connection.execute(
            update(table)
            .where(table.c.tenant_id == self._tenant_id, table.c.id == entity.id)
            .values(values)
        )
        if not replaced.rowcount:
            values["tenant_id"] = self._tenant_id
            self._connection.execute(insert(table).values(values))

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
