"""Tables of tenants and their catalogues.

Columns are named as the attributes of the entities that they keep.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    String,
    Table,
    false,
)

from thingport.adapters.sql.column_types import Instant, Word
from thingport.adapters.sql.schema import (
    metadata,
    reference,
    tenant_table,
    unique_in_tenant,
)
from thingport.domain.metric import MetricType, ValueType

tenants = Table(
    "tenants",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("next_written_seq", BigInteger, nullable=False),
    Column("retention_months", Integer),
    Column("oldest_snapshot", BigInteger),
    Column("removal_began_at", Instant),
)
"""``removal_began_at`` is set while a tenant is being removed: nobody finds it then."""

organizations = tenant_table(
    "organizations",
    Column("name", String, nullable=False),
    Column("parent_organization_id", String),
    reference("parent_organization_id", "organizations"),
    unique_in_tenant("name"),
)

partners = tenant_table(
    "partners",
    Column("name", String, nullable=False),
    Column("organization_id", String, nullable=False),
    Column("parent_partner_id", String),
    reference("organization_id", "organizations"),
    reference("parent_partner_id", "partners"),
    unique_in_tenant("name"),
)

customers = tenant_table(
    "customers",
    Column("code", String, nullable=False),
    Column("name", String, nullable=False),
    Column("organization_id", String, nullable=False),
    Column("country", String),
    Column("timezone", String),
    Column("properties", JSON, nullable=False),
    reference("organization_id", "organizations"),
    unique_in_tenant("code"),
)

customer_partners = Table(
    "customer_partners",
    metadata,
    Column("tenant_id", String, primary_key=True),
    Column("customer_id", String, primary_key=True),
    Column("partner_id", String, primary_key=True),
    reference("customer_id", "customers"),
    reference("partner_id", "partners"),
)
"""Which customers are entrusted to which partners."""

locations = tenant_table(
    "locations",
    Column("customer_id", String, nullable=False),
    Column("name", String, nullable=False),
    Column("country", String),
    Column("timezone", String),
    Column("properties", JSON, nullable=False),
    reference("customer_id", "customers"),
    unique_in_tenant("customer_id", "name"),
)

thing_definitions = tenant_table(
    "thing_definitions",
    Column("name", String, nullable=False),
    Column("description", String),
    Column("super_thing_definition_id", String),
    Column("properties", JSON, nullable=False),
    reference("super_thing_definition_id", "thing_definitions"),
    unique_in_tenant("name"),
)

metrics = tenant_table(
    "metrics",
    Column("thing_definition_id", String, nullable=False),
    Column("name", String, nullable=False),
    Column("label", String),
    Column("unit", String),
    Column("group", String),
    Column("description", String),
    Column("type", Word(MetricType), nullable=False),
    Column("value_type", Word(ValueType), nullable=False),
    Column("is_retired", Boolean, nullable=False, server_default=false()),
    reference("thing_definition_id", "thing_definitions"),
    unique_in_tenant("thing_definition_id", "name"),
)

product_models = tenant_table(
    "product_models",
    Column("name", String, nullable=False),
    Column("thing_definition_id", String, nullable=False),
    Column("description", String),
    reference("thing_definition_id", "thing_definitions"),
    unique_in_tenant("name"),
)

product_model_parts = tenant_table(
    "product_model_parts",
    Column("name", String, nullable=False),
    Column("product_model_id", String, nullable=False),
    Column("thing_definition_id", String, nullable=False),
    Column("parent_product_model_part_id", String),
    reference("product_model_id", "product_models"),
    reference("thing_definition_id", "thing_definitions"),
    reference("parent_product_model_part_id", "product_model_parts"),
    unique_in_tenant("product_model_id", "name"),
)

things = tenant_table(
    "things",
    Column("serial_number", String, nullable=False),
    Column("name", String, nullable=False),
    Column("thing_definition_id", String, nullable=False),
    Column("product_model_id", String),
    Column("product_model_part_id", String),
    Column("location_id", String),
    Column("parent_thing_id", String),
    Column("properties", JSON, nullable=False),
    reference("thing_definition_id", "thing_definitions"),
    reference("product_model_id", "product_models"),
    reference("product_model_part_id", "product_model_parts"),
    reference("location_id", "locations"),
    reference("parent_thing_id", "things"),
    unique_in_tenant("serial_number"),
    Index("ix_things_location_id", "tenant_id", "location_id"),
    Index("ix_things_parent_thing_id", "tenant_id", "parent_thing_id"),
)
