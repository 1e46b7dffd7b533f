"""Rows of the catalogue as entities."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row

from thingport.domain.catalogue import (
    Customer,
    Location,
    Organization,
    Partner,
    ProductModel,
    ProductModelPart,
    Thing,
    ThingDefinition,
)
from thingport.domain.ids import PartnerId
from thingport.domain.metric import Metric

AnyRow = Row[Any]
"""A row of a table, with all its columns."""


def to_organization(row: AnyRow) -> Organization:
    """Give an organization from its row."""
    return Organization(
        id=row.id,
        name=row.name,
        parent_organization_id=row.parent_organization_id,
    )


def to_partner(row: AnyRow) -> Partner:
    """Give a partner from its row."""
    return Partner(
        id=row.id,
        name=row.name,
        organization_id=row.organization_id,
        parent_partner_id=row.parent_partner_id,
    )


def to_customer(row: AnyRow, partner_ids: Iterable[PartnerId]) -> Customer:
    """Give a customer from its row and the partners that it is entrusted to."""
    return Customer(
        id=row.id,
        code=row.code,
        name=row.name,
        organization_id=row.organization_id,
        partner_ids=frozenset(partner_ids),
        country=row.country,
        timezone=row.timezone,
        properties=row.properties,
    )


def to_location(row: AnyRow) -> Location:
    """Give a location from its row."""
    return Location(
        id=row.id,
        customer_id=row.customer_id,
        name=row.name,
        country=row.country,
        timezone=row.timezone,
        properties=row.properties,
    )


def to_thing_definition(row: AnyRow) -> ThingDefinition:
    """Give a thing definition from its row."""
    return ThingDefinition(
        id=row.id,
        name=row.name,
        description=row.description,
        super_thing_definition_id=row.super_thing_definition_id,
        properties=row.properties,
    )


def to_metric(row: AnyRow) -> Metric:
    """Give a metric from its row."""
    return Metric(
        id=row.id,
        thing_definition_id=row.thing_definition_id,
        name=row.name,
        label=row.label,
        unit=row.unit,
        group=row.group,
        description=row.description,
        type=row.type,
        value_type=row.value_type,
        is_retired=row.is_retired,
    )


def to_product_model(row: AnyRow) -> ProductModel:
    """Give a product model from its row."""
    return ProductModel(
        id=row.id,
        name=row.name,
        thing_definition_id=row.thing_definition_id,
        description=row.description,
    )


def to_product_model_part(row: AnyRow) -> ProductModelPart:
    """Give a part of a product model from its row."""
    return ProductModelPart(
        id=row.id,
        name=row.name,
        product_model_id=row.product_model_id,
        thing_definition_id=row.thing_definition_id,
        parent_product_model_part_id=row.parent_product_model_part_id,
    )


def to_thing(row: AnyRow) -> Thing:
    """Give a thing from its row."""
    return Thing(
        id=row.id,
        serial_number=row.serial_number,
        name=row.name,
        thing_definition_id=row.thing_definition_id,
        product_model_id=row.product_model_id,
        product_model_part_id=row.product_model_part_id,
        location_id=row.location_id,
        parent_thing_id=row.parent_thing_id,
        properties=row.properties,
    )
