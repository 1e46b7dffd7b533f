"""Users, API keys and tokens of one tenant, in tables."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, Row, insert, select
from sqlalchemy.exc import IntegrityError

from thingport.adapters.sql.credential_tables import (
    access_tokens,
    api_keys,
    refresh_tokens,
    users,
)
from thingport.application.ports import ApiKey, User
from thingport.domain.actor import (
    CustomerEntity,
    Entity,
    LocationEntity,
    OrganizationEntity,
    PartnerEntity,
)
from thingport.domain.errors import InvalidRequest
from thingport.domain.ids import ApiKeyId, TenantId, UserId
from thingport.domain.permissions import Permission


class SqlCredentialRepository:
    """Credentials of one tenant; no statement of it reaches another's rows.

    Keeps digests only: a secret cannot be read back from here.
    """

    def __init__(self, connection: Connection, tenant_id: TenantId) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def add_user(self, user: User) -> None:
        """Store a user.

        Raises:
            InvalidRequest: The e-mail address is taken, or its entity unknown;
                nothing was stored.
        """
        column, entity_id = _entity_column(user.entity)
        values: dict[str, Any] = {
            "tenant_id": self._tenant_id,
            "id": user.id,
            "email": user.email,
            "email_key": user.email.lower(),
            "permissions": _encode_permissions(user.permissions),
            column: entity_id,
        }
        try:
            with self._connection.begin_nested():
                self._connection.execute(insert(users).values(values))
        except IntegrityError as error:
            if self.find_user_by_email(user.email) is not None:
                fault = "email: another user has this e-mail address"
            else:
                fault = f"entity: no such {column.removesuffix('_id')}"
            raise InvalidRequest(fault) from error

    def find_user(self, user_id: UserId) -> User | None:
        """Give a user, or ``None``."""
        return self._find_user(users.c.id == user_id)

    def find_user_by_email(self, email: str) -> User | None:
        """Give a user by e-mail address, compared without case, or ``None``."""
        return self._find_user(users.c.email_key == email.lower())

    def add_api_key(self, api_key: ApiKey, digest: str) -> None:
        """Store an API key under the digest of its secret."""
        self._connection.execute(
            insert(api_keys).values(
                tenant_id=self._tenant_id,
                id=api_key.id,
                name=api_key.name,
                permissions=_encode_permissions(api_key.permissions),
                digest=digest,
            )
        )

    def find_api_key(self, api_key_id: ApiKeyId) -> ApiKey | None:
        """Give an API key, or ``None``."""
        return self._find_api_key(api_keys.c.id == api_key_id)

    def find_api_key_by_digest(self, digest: str) -> ApiKey | None:
        """Give the API key whose secret has this digest, or ``None``."""
        return self._find_api_key(api_keys.c.digest == digest)

    def add_access_token(
        self, token_id: str, user_id: UserId, name: str, digest: str, at: datetime
    ) -> None:
        """Store a personal access token under the digest of its secret."""
        self._connection.execute(
            insert(access_tokens).values(
                tenant_id=self._tenant_id,
                id=token_id,
                user_id=user_id,
                name=name,
                digest=digest,
                created_at=at,
            )
        )

    def find_user_by_token_digest(self, digest: str) -> User | None:
        """Give the user whose personal access token has this digest, or ``None``."""
        owner = select(access_tokens.c.user_id).where(
            access_tokens.c.tenant_id == self._tenant_id,
            access_tokens.c.digest == digest,
        )
        return self._find_user(users.c.id == owner.scalar_subquery())

    def add_refresh_token(
        self, user_id: UserId, api_key_id: ApiKeyId, digest: str, at: datetime
    ) -> None:
        """Store the digest of a refresh token."""
        self._connection.execute(
            insert(refresh_tokens).values(
                tenant_id=self._tenant_id,
                id=digest,
                user_id=user_id,
                api_key_id=api_key_id,
                created_at=at,
            )
        )

    def _find_user(self, condition: ColumnElement[bool]) -> User | None:
        row = self._connection.execute(
            select(users).where(users.c.tenant_id == self._tenant_id, condition)
        ).one_or_none()
        if row is None:
            return None
        return User(
            id=row.id,
            email=row.email,
            entity=_to_entity(row),
            permissions=_decode_permissions(row.permissions),
        )

    def _find_api_key(self, condition: ColumnElement[bool]) -> ApiKey | None:
        row = self._connection.execute(
            select(api_keys).where(api_keys.c.tenant_id == self._tenant_id, condition)
        ).one_or_none()
        if row is None:
            return None
        return ApiKey(
            id=row.id,
            name=row.name,
            permissions=_decode_permissions(row.permissions),
        )


def _entity_column(entity: Entity) -> tuple[str, str]:
    match entity:
        case OrganizationEntity():
            return "organization_id", entity.id
        case PartnerEntity():
            return "partner_id", entity.id
        case CustomerEntity():
            return "customer_id", entity.id
        case LocationEntity():
            return "location_id", entity.id


def _to_entity(row: Row[Any]) -> Entity:
    if row.organization_id is not None:
        return OrganizationEntity(row.organization_id)
    if row.partner_id is not None:
        return PartnerEntity(row.partner_id)
    if row.customer_id is not None:
        return CustomerEntity(row.customer_id)
    return LocationEntity(row.location_id)


def _encode_permissions(permissions: Iterable[Permission]) -> list[str]:
    return sorted(it.value for it in permissions)


def _decode_permissions(value: object) -> frozenset[Permission]:
    return frozenset(map(Permission, cast("list[str]", value)))
