"""Tenants, users, keys and tokens; and who is asking."""

import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Protocol

from thingport.application.ports import (
    ApiKey,
    Clock,
    ControlDatabase,
    IdSource,
    TenantTransaction,
    User,
)
from thingport.application.user_entity import EntityNames, find_entity
from thingport.domain.actor import Actor
from thingport.domain.catalogue import Tenant
from thingport.domain.errors import InvalidRequest, Unauthenticated
from thingport.domain.ids import ApiKeyId, TenantId, UserId
from thingport.domain.permissions import Permission

_TENANT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_MAX_EMAIL_CHARACTERS = 254
"""Longest address that mail can be sent to (RFC 5321, §4.5.3.1.3)."""

_MAX_NAME_CHARACTERS = 200


class SecretKind(Enum):
    """What a secret is for."""

    API_KEY = auto()
    ACCESS_TOKEN = auto()
    REFRESH_TOKEN = auto()


class SecretSource(Protocol):
    """New secrets, and their digests."""

    def new_secret(self, kind: SecretKind) -> str:
        """Give a secret that nobody can guess."""
        ...

    def digest(self, secret: str) -> str:
        """Give what may be stored of a secret."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSubject:
    """Who an access token stands for."""

    tenant_id: TenantId
    user_id: UserId
    api_key_id: ApiKeyId


class AccessTokens(Protocol):
    """Tokens that a caller shows at each request."""

    def issue(
        self, subject: TokenSubject, *, now: datetime, lifetime: timedelta
    ) -> str:
        """Give a token for somebody."""
        ...

    def verify(self, token: str, *, now: datetime) -> TokenSubject:
        """Give whom a token stands for.

        Raises:
            Unauthenticated: It proves nothing.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What somebody gets who has logged in.

    Attributes:
        token: Shown at each request, until ``expires_at``.
        refresh_token: For a new session afterwards.
    """

    token: str
    expires_at: datetime
    refresh_token: str
    user_id: UserId
    tenant_id: TenantId


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The use cases around who somebody is. Every secret is given out once."""

    control: ControlDatabase
    secrets: SecretSource
    tokens: AccessTokens
    token_lifetime: timedelta
    clock: Clock
    ids: IdSource

    def add_tenant(self, name: str) -> Tenant:
        """Add a tenant.

        Raises:
            InvalidRequest: The name is taken, or does not fit in a header.
        """
        if not _TENANT_NAME.fullmatch(name):
            raise InvalidRequest(
                "name: must be 1 to 64 letters, digits, '.', '_' or '-', and begin "
                "with a letter or digit"
            )
        tenant = Tenant(id=TenantId(self.ids.new_id()), name=name)
        with self.control.for_service() as tx:
            tx.tenants.add(tenant)
        return tenant

    def add_user(  # noqa: PLR0913  # each says where the user belongs
        self,
        tenant_name: str,
        email: str,
        *,
        permissions: frozenset[Permission],
        organization: str | None = None,
        partner: str | None = None,
        customer: str | None = None,
        location: str | None = None,
    ) -> User:
        """Add a user of one entity, found by its name or, for a customer, its code.

        A location is named together with its customer.

        Raises:
            InvalidRequest: The address is malformed or taken, or the entity unknown.
        """
        if len(email) > _MAX_EMAIL_CHARACTERS or not _EMAIL.fullmatch(email):
            raise InvalidRequest("email: must be an e-mail address")
        names = EntityNames(
            organization=organization,
            partner=partner,
            customer=customer,
            location=location,
        )
        with self._of_tenant(tenant_name) as tx:
            user = User(
                id=UserId(self.ids.new_id()),
                email=email,
                entity=find_entity(names, tx.catalogue),
                permissions=permissions,
            )
            tx.credentials.add_user(user)
        return user

    def add_api_key(
        self, tenant_name: str, name: str, permissions: frozenset[Permission]
    ) -> str:
        """Add the API key of a client application; give its secret.

        Raises:
            InvalidRequest: The tenant is unknown, or the name too long or empty.
        """
        _check_name(name)
        secret = self.secrets.new_secret(SecretKind.API_KEY)
        api_key = ApiKey(
            id=ApiKeyId(self.ids.new_id()), name=name, permissions=permissions
        )
        with self._of_tenant(tenant_name) as tx:
            tx.credentials.add_api_key(api_key, self.secrets.digest(secret))
        return secret

    def add_access_token(self, tenant_name: str, email: str, name: str) -> str:
        """Add a personal access token of a user; give its secret.

        Raises:
            InvalidRequest: The tenant or user is unknown, or the name no name.
        """
        _check_name(name)
        secret = self.secrets.new_secret(SecretKind.ACCESS_TOKEN)
        with self._of_tenant(tenant_name) as tx:
            user = tx.credentials.find_user_by_email(email)
            if user is None:
                raise InvalidRequest(f"email: there is no user {email!r}")
            tx.credentials.add_access_token(
                self.ids.new_id(),
                user.id,
                name,
                self.secrets.digest(secret),
                self.clock.now(),
            )
        return secret

    def log_in_with_token(self, tenant_name: str, api_key: str, pat: str) -> Session:
        """Begin a session with an API key and a personal access token.

        Raises:
            Unauthenticated: Tenant, key or token is wrong; which one is not said.
        """
        tenant = self._find_tenant(tenant_name)
        if tenant is None:
            raise Unauthenticated("Invalid credentials")
        now = self.clock.now()
        refresh_token = self.secrets.new_secret(SecretKind.REFRESH_TOKEN)
        with self.control.for_tenant(tenant.id, read_only=True) as tx:
            found = tx.credentials.find_api_key_by_digest(self.secrets.digest(api_key))
            user = tx.credentials.find_user_by_token_digest(self.secrets.digest(pat))
        # Who guesses keeps no writer waiting.
        if found is None or user is None:
            raise Unauthenticated("Invalid credentials")
        with self.control.for_tenant(tenant.id) as tx:
            digest = self.secrets.digest(refresh_token)
            tx.credentials.add_refresh_token(user.id, found.id, digest, now)
        subject = TokenSubject(
            tenant_id=tenant.id, user_id=user.id, api_key_id=found.id
        )
        lifetime = self.token_lifetime
        return Session(
            token=self.tokens.issue(subject, now=now, lifetime=lifetime),
            expires_at=now + lifetime,
            refresh_token=refresh_token,
            user_id=user.id,
            tenant_id=tenant.id,
        )

    def authenticate(self, tenant_name: str, token: str) -> Actor:
        """Say who is asking.

        User and key are read again each time, so that what was taken from them
        since the token was issued is gone at once.

        Raises:
            Unauthenticated: It is not proved; why is not said.
        """
        subject = self.tokens.verify(token, now=self.clock.now())
        tenant = self._find_tenant(tenant_name)
        if tenant is None or tenant.id != subject.tenant_id:
            raise Unauthenticated
        with self.control.for_tenant(tenant.id, read_only=True) as tx:
            user = tx.credentials.find_user(subject.user_id)
            api_key = tx.credentials.find_api_key(subject.api_key_id)
        if user is None or api_key is None:
            raise Unauthenticated
        return Actor(
            tenant_id=tenant.id,
            user_id=user.id,
            entity=user.entity,
            permissions=user.permissions & api_key.permissions,
        )

    def _find_tenant(self, name: str) -> Tenant | None:
        with self.control.for_service(read_only=True) as tx:
            return tx.tenants.find_by_name(name)

    @contextmanager
    def _of_tenant(self, name: str) -> Generator[TenantTransaction]:
        tenant = self._find_tenant(name)
        if tenant is None:
            raise InvalidRequest(f"tenant: there is none called {name!r}")
        with self.control.for_tenant(tenant.id) as tx:
            yield tx


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > _MAX_NAME_CHARACTERS:
        raise InvalidRequest(f"name: must have 1 to {_MAX_NAME_CHARACTERS} characters")
