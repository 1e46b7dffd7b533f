"""Domain objects for tests: each as plain as can be, and unlike every other.

Every builder takes the attributes that matter to a test as keywords. Ids count
up from 1, so that they sort by age, as the real ones do.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import Any, TypeVar, cast

from thingport.application.ports import ApiKey, User
from thingport.domain.actor import Actor, OrganizationEntity
from thingport.domain.catalogue import (
    Customer,
    Location,
    Organization,
    Partner,
    ProductModel,
    ProductModelPart,
    Tenant,
    Thing,
    ThingDefinition,
)
from thingport.domain.data_export import Archive, DataExport, Rendition, Selection
from thingport.domain.data_import import DataImport
from thingport.domain.ids import (
    ApiKeyId,
    CustomerId,
    DataExportId,
    DataImportId,
    LocationId,
    MetricId,
    OrganizationId,
    PartnerId,
    ProductModelId,
    ProductModelPartId,
    TenantId,
    ThingDefinitionId,
    ThingId,
    UserId,
)
from thingport.domain.metric import Metric, ValueType
from thingport.domain.permissions import Permission
from thingport.domain.segment import SegmentIndex, SegmentMember, StoredSegment

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
"""When things happen, where a test does not say otherwise."""

ALL_PERMISSIONS = frozenset(Permission)

_numbers = count(1)

_T = TypeVar("_T")


def a_number() -> int:
    """Give a number that no test was given before."""
    return next(_numbers)


def an_id() -> str:
    """Give a new id, in the form that the service's own have."""
    return f"{a_number():032x}"


def _with(made: _T, overrides: Mapping[str, object]) -> _T:
    return cast("_T", replace(cast("Any", made), **overrides))


def a_tenant(**overrides: object) -> Tenant:
    tenant = Tenant(id=TenantId(an_id()), name=f"tenant-{a_number()}")
    return _with(tenant, overrides)


def an_organization(**overrides: object) -> Organization:
    organization = Organization(
        id=OrganizationId(an_id()), name=f"Organization {a_number()}"
    )
    return _with(organization, overrides)


def a_partner(**overrides: object) -> Partner:
    partner = Partner(
        id=PartnerId(an_id()),
        name=f"Partner {a_number()}",
        organization_id=OrganizationId(an_id()),
    )
    return _with(partner, overrides)


def a_customer(**overrides: object) -> Customer:
    customer = Customer(
        id=CustomerId(an_id()),
        code=f"C-{a_number()}",
        name="Customer",
        organization_id=OrganizationId(an_id()),
    )
    return _with(customer, overrides)


def a_location(**overrides: object) -> Location:
    location = Location(
        id=LocationId(an_id()),
        customer_id=CustomerId(an_id()),
        name=f"Location {a_number()}",
    )
    return _with(location, overrides)


def a_thing_definition(**overrides: object) -> ThingDefinition:
    definition = ThingDefinition(
        id=ThingDefinitionId(an_id()), name=f"Definition {a_number()}"
    )
    return _with(definition, overrides)


def a_metric(**overrides: object) -> Metric:
    metric = Metric(
        id=MetricId(an_id()),
        thing_definition_id=ThingDefinitionId(an_id()),
        name=f"metric-{a_number()}",
        value_type=ValueType.DOUBLE,
    )
    return _with(metric, overrides)


def a_product_model(**overrides: object) -> ProductModel:
    model = ProductModel(
        id=ProductModelId(an_id()),
        name=f"Model {a_number()}",
        thing_definition_id=ThingDefinitionId(an_id()),
    )
    return _with(model, overrides)


def a_product_model_part(**overrides: object) -> ProductModelPart:
    part = ProductModelPart(
        id=ProductModelPartId(an_id()),
        name=f"Part {a_number()}",
        product_model_id=ProductModelId(an_id()),
        thing_definition_id=ThingDefinitionId(an_id()),
    )
    return _with(part, overrides)


def a_thing(**overrides: object) -> Thing:
    thing = Thing(
        id=ThingId(an_id()),
        serial_number=f"SN-{a_number()}",
        name="Thing",
        thing_definition_id=ThingDefinitionId(an_id()),
    )
    return _with(thing, overrides)


def a_user(**overrides: object) -> User:
    user = User(
        id=UserId(an_id()),
        email=f"user-{a_number()}@example.com",
        entity=OrganizationEntity(OrganizationId(an_id())),
        permissions=ALL_PERMISSIONS,
    )
    return _with(user, overrides)


def an_api_key(**overrides: object) -> ApiKey:
    api_key = ApiKey(
        id=ApiKeyId(an_id()), name=f"key-{a_number()}", permissions=ALL_PERMISSIONS
    )
    return _with(api_key, overrides)


def an_actor(**overrides: object) -> Actor:
    actor = Actor(
        tenant_id=TenantId(an_id()),
        user_id=UserId(an_id()),
        entity=OrganizationEntity(OrganizationId(an_id())),
        permissions=ALL_PERMISSIONS,
    )
    return _with(actor, overrides)


def a_data_export(**overrides: object) -> DataExport:
    data_export = DataExport(
        id=DataExportId(an_id()),
        tenant_id=TenantId(an_id()),
        scheduled_by=UserId(an_id()),
        scheduled_at=NOON,
        name=f"export-{a_number()}",
        selection=Selection(),
        rendition=Rendition(),
    )
    return _with(data_export, overrides)


def a_data_import(**overrides: object) -> DataImport:
    data_import = DataImport(
        id=DataImportId(an_id()),
        tenant_id=TenantId(an_id()),
        thing_id=ThingId(an_id()),
        scheduled_by=UserId(an_id()),
        scheduled_at=NOON,
    )
    return _with(data_import, overrides)


def an_archive(**overrides: object) -> Archive:
    archive = Archive(size_bytes=22, sha256="0" * 64, things=0, rows=0)
    return _with(archive, overrides)


def a_stored_segment(*, chunk_number: int = 0, key: str = "") -> StoredSegment:
    member = SegmentMember(
        file=chunk_number,
        offset=0,
        crc32=2**32 - 1,
        compressed_bytes=10,
        text_bytes=30,
        rows=2,
        first_ms=-1,
        last_ms=None,
    )
    index = SegmentIndex(
        chunk_number=chunk_number, size_bytes=50, sha256="a" * 64, members=(member,)
    )
    return StoredSegment(index, key or f"segments/{an_id()}")
