"""The control database: catalogue, credentials, data exports."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeEngine

revision = "0001"
down_revision = None

_IS_PENDING = sa.text("state = 'PENDING'")
_HAS_ONE_ENTITY = (
    "CASE WHEN organization_id IS NULL THEN 0 ELSE 1 END"
    " + CASE WHEN partner_id IS NULL THEN 0 ELSE 1 END"
    " + CASE WHEN customer_id IS NULL THEN 0 ELSE 1 END"
    " + CASE WHEN location_id IS NULL THEN 0 ELSE 1 END = 1"
)


def upgrade() -> None:
    """Create all tables."""
    _create_makers()
    _create_customers()
    _create_definitions()
    _create_product_models()
    _create_things()
    _create_users_and_keys()
    _create_tokens()
    _create_data_exports()
    _create_segments()


def _required(name: str, kind: type[TypeEngine[Any]]) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def _optional(name: str, kind: type[TypeEngine[Any]]) -> sa.Column[Any]:
    return sa.Column(name, kind)


def _reference(column: str, table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["tenant_id", column], [f"{table}.tenant_id", f"{table}.id"]
    )


def _create_tenant_table(name: str, *items: SchemaItem) -> None:
    op.create_table(
        name,
        _required("tenant_id", sa.String),
        _required("id", sa.String),
        *items,
        sa.PrimaryKeyConstraint("tenant_id", "id"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"]),
    )


def _create_makers() -> None:
    op.create_table(
        "tenants",
        _required("id", sa.String),
        _required("name", sa.String),
        _required("next_written_seq", sa.BigInteger),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    _create_tenant_table(
        "organizations",
        _required("name", sa.String),
        _optional("parent_organization_id", sa.String),
        _reference("parent_organization_id", "organizations"),
        sa.UniqueConstraint("tenant_id", "name"),
    )
    _create_tenant_table(
        "partners",
        _required("name", sa.String),
        _required("organization_id", sa.String),
        _optional("parent_partner_id", sa.String),
        _reference("organization_id", "organizations"),
        _reference("parent_partner_id", "partners"),
        sa.UniqueConstraint("tenant_id", "name"),
    )


def _create_customers() -> None:
    _create_tenant_table(
        "customers",
        _required("code", sa.String),
        _required("name", sa.String),
        _required("organization_id", sa.String),
        _optional("country", sa.String),
        _optional("timezone", sa.String),
        _required("properties", sa.JSON),
        _reference("organization_id", "organizations"),
        sa.UniqueConstraint("tenant_id", "code"),
    )
    op.create_table(
        "customer_partners",
        _required("tenant_id", sa.String),
        _required("customer_id", sa.String),
        _required("partner_id", sa.String),
        sa.PrimaryKeyConstraint("tenant_id", "customer_id", "partner_id"),
        _reference("customer_id", "customers"),
        _reference("partner_id", "partners"),
    )
    _create_tenant_table(
        "locations",
        _required("customer_id", sa.String),
        _required("name", sa.String),
        _optional("country", sa.String),
        _optional("timezone", sa.String),
        _required("properties", sa.JSON),
        _reference("customer_id", "customers"),
        sa.UniqueConstraint("tenant_id", "customer_id", "name"),
    )


def _create_definitions() -> None:
    _create_tenant_table(
        "thing_definitions",
        _required("name", sa.String),
        _optional("description", sa.String),
        _optional("super_thing_definition_id", sa.String),
        _required("properties", sa.JSON),
        _reference("super_thing_definition_id", "thing_definitions"),
        sa.UniqueConstraint("tenant_id", "name"),
    )
    _create_tenant_table(
        "metrics",
        _required("thing_definition_id", sa.String),
        _required("name", sa.String),
        _optional("label", sa.String),
        _optional("unit", sa.String),
        _optional("group", sa.String),
        _optional("description", sa.String),
        _required("type", sa.String),
        _required("value_type", sa.String),
        _reference("thing_definition_id", "thing_definitions"),
        sa.UniqueConstraint("tenant_id", "thing_definition_id", "name"),
    )


def _create_product_models() -> None:
    _create_tenant_table(
        "product_models",
        _required("name", sa.String),
        _required("thing_definition_id", sa.String),
        _optional("description", sa.String),
        _reference("thing_definition_id", "thing_definitions"),
        sa.UniqueConstraint("tenant_id", "name"),
    )
    _create_tenant_table(
        "product_model_parts",
        _required("name", sa.String),
        _required("product_model_id", sa.String),
        _required("thing_definition_id", sa.String),
        _optional("parent_product_model_part_id", sa.String),
        _reference("parent_product_model_part_id", "product_model_parts"),
        _reference("product_model_id", "product_models"),
        _reference("thing_definition_id", "thing_definitions"),
        sa.UniqueConstraint("tenant_id", "product_model_id", "name"),
    )


def _create_things() -> None:
    _create_tenant_table(
        "things",
        _required("serial_number", sa.String),
        _required("name", sa.String),
        _required("thing_definition_id", sa.String),
        _optional("product_model_id", sa.String),
        _optional("product_model_part_id", sa.String),
        _optional("location_id", sa.String),
        _optional("parent_thing_id", sa.String),
        _required("properties", sa.JSON),
        _reference("location_id", "locations"),
        _reference("parent_thing_id", "things"),
        _reference("product_model_id", "product_models"),
        _reference("product_model_part_id", "product_model_parts"),
        _reference("thing_definition_id", "thing_definitions"),
        sa.UniqueConstraint("tenant_id", "serial_number"),
    )
    op.create_index("ix_things_location_id", "things", ["tenant_id", "location_id"])
    op.create_index(
        "ix_things_parent_thing_id", "things", ["tenant_id", "parent_thing_id"]
    )


def _create_users_and_keys() -> None:
    _create_tenant_table(
        "users",
        _required("email", sa.String),
        _required("email_key", sa.String),
        _optional("organization_id", sa.String),
        _optional("partner_id", sa.String),
        _optional("customer_id", sa.String),
        _optional("location_id", sa.String),
        _required("permissions", sa.JSON),
        _reference("customer_id", "customers"),
        _reference("location_id", "locations"),
        _reference("organization_id", "organizations"),
        _reference("partner_id", "partners"),
        sa.CheckConstraint(
            _HAS_ONE_ENTITY,
            name="one_entity",
        ),
        sa.UniqueConstraint("tenant_id", "email_key"),
    )
    _create_tenant_table(
        "api_keys",
        _required("name", sa.String),
        _required("permissions", sa.JSON),
        _required("digest", sa.String),
        sa.UniqueConstraint("tenant_id", "digest"),
    )


def _create_tokens() -> None:
    _create_tenant_table(
        "access_tokens",
        _required("user_id", sa.String),
        _required("name", sa.String),
        _required("digest", sa.String),
        _required("created_at", sa.BigInteger),
        _reference("user_id", "users"),
        sa.UniqueConstraint("tenant_id", "digest"),
    )
    _create_tenant_table(
        "refresh_tokens",
        _required("user_id", sa.String),
        _required("api_key_id", sa.String),
        _required("created_at", sa.BigInteger),
        _reference("api_key_id", "api_keys"),
        _reference("user_id", "users"),
    )


def _create_data_exports() -> None:
    op.create_table(
        "data_exports",
        _required("id", sa.String),
        _required("tenant_id", sa.String),
        _required("scheduled_by", sa.String),
        _required("scheduled_at", sa.BigInteger),
        _required("name", sa.String),
        _required("selection", sa.JSON),
        _required("rendition", sa.JSON),
        _required("slot", sa.String),
        _required("state", sa.String),
        _required("progress", sa.JSON),
        _optional("finished_at", sa.BigInteger),
        _optional("archive", sa.JSON),
        _optional("error", sa.JSON),
        _optional("lease_runner", sa.String),
        _optional("lease_until", sa.BigInteger),
        _optional("retry_at", sa.BigInteger),
        _required("fencing_token", sa.BigInteger),
        _required("attempt", sa.Integer),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"]),
        _reference("scheduled_by", "users"),
    )
    op.create_index(
        "ix_data_exports_waiting",
        "data_exports",
        ["scheduled_at", "id"],
        sqlite_where=_IS_PENDING,
        postgresql_where=_IS_PENDING,
    )
    op.create_index(
        "uq_data_exports_active_slot",
        "data_exports",
        ["tenant_id", "slot"],
        unique=True,
        sqlite_where=_IS_PENDING,
        postgresql_where=_IS_PENDING,
    )


def _create_segments() -> None:
    op.create_table(
        "export_segments",
        _required("data_export_id", sa.String),
        _required("chunk_number", sa.Integer),
        _required("key", sa.String),
        _required("index", sa.JSON),
        sa.PrimaryKeyConstraint("data_export_id", "chunk_number"),
        sa.ForeignKeyConstraint(["data_export_id"], ["data_exports.id"]),
    )
