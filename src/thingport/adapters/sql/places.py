"""Customers and their locations, from tables."""

from collections.abc import Mapping

from sqlalchemy import Connection, Select, select

from thingport.adapters.sql.catalogue_rows import to_customer, to_location
from thingport.adapters.sql.catalogue_tables import (
    customer_partners,
    customers,
    locations,
)
from thingport.domain.catalogue import Customer, Location
from thingport.domain.ids import CustomerId, LocationId, PartnerId, TenantId


def load_customers(
    connection: Connection, tenant_id: TenantId, ids: Select[str] | None = None
) -> Mapping[CustomerId, Customer]:
    """Give customers by id: all, or those whose ids a query selects."""
    rows = select(customers).where(customers.c.tenant_id == tenant_id)
    links = select(customer_partners).where(customer_partners.c.tenant_id == tenant_id)
    if ids is not None:
        rows = rows.where(customers.c.id.in_(ids))
        links = links.where(customer_partners.c.customer_id.in_(ids))
    partner_ids: dict[CustomerId, list[PartnerId]] = {}
    for link in connection.execute(links):
        partner_ids.setdefault(link.customer_id, []).append(link.partner_id)
    return {
        row.id: to_customer(row, partner_ids.get(row.id, ()))
        for row in connection.execute(rows.order_by(customers.c.id))
    }


def load_locations(
    connection: Connection, tenant_id: TenantId, ids: Select[str] | None = None
) -> Mapping[LocationId, Location]:
    """Give locations by id: all, or those whose ids a query selects."""
    rows = select(locations).where(locations.c.tenant_id == tenant_id)
    if ids is not None:
        rows = rows.where(locations.c.id.in_(ids))
    return {
        row.id: to_location(row)
        for row in connection.execute(rows.order_by(locations.c.id))
    }
