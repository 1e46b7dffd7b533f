"""Tables of users and of what they prove themselves with: digests, never secrets."""

from sqlalchemy import JSON, CheckConstraint, Column, String

from thingport.adapters.sql.column_types import Instant
from thingport.adapters.sql.schema import reference, tenant_table, unique_in_tenant

ENTITY_COLUMNS = ("organization_id", "partner_id", "customer_id", "location_id")
"""Where a user belongs: exactly one of these is set.

Four columns, so that the database can hold each to the rows that it names.
"""

_SET_ENTITIES = " + ".join(
    f"CASE WHEN {column} IS NULL THEN 0 ELSE 1 END" for column in ENTITY_COLUMNS
)

users = tenant_table(
    "users",
    Column("email", String, nullable=False),
    Column("email_key", String, nullable=False),
    Column("organization_id", String),
    Column("partner_id", String),
    Column("customer_id", String),
    Column("location_id", String),
    Column("permissions", JSON, nullable=False),
    reference("organization_id", "organizations"),
    reference("partner_id", "partners"),
    reference("customer_id", "customers"),
    reference("location_id", "locations"),
    unique_in_tenant("email_key"),
    CheckConstraint(f"{_SET_ENTITIES} = 1", name="one_entity"),
)
"""``email_key`` is the address in lower case.

Kept in a column: databases differ in what they call lower case.
"""

api_keys = tenant_table(
    "api_keys",
    Column("name", String, nullable=False),
    Column("permissions", JSON, nullable=False),
    Column("digest", String, nullable=False),
    unique_in_tenant("digest"),
)

access_tokens = tenant_table(
    "access_tokens",
    Column("user_id", String, nullable=False),
    Column("name", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("created_at", Instant, nullable=False),
    reference("user_id", "users"),
    unique_in_tenant("digest"),
)

refresh_tokens = tenant_table(
    "refresh_tokens",
    Column("user_id", String, nullable=False),
    Column("api_key_id", String, nullable=False),
    Column("created_at", Instant, nullable=False),
    reference("user_id", "users"),
    reference("api_key_id", "api_keys"),
)
"""``id`` is the digest."""
