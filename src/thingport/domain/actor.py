"""Who asks."""

from dataclasses import dataclass

from thingport.domain.errors import PermissionDenied
from thingport.domain.ids import (
    CustomerId,
    LocationId,
    OrganizationId,
    PartnerId,
    TenantId,
    UserId,
)
from thingport.domain.permissions import Permission


@dataclass(frozen=True, slots=True)
class OrganizationEntity:
    """The maker of the things, or one of its sub-organizations."""

    id: OrganizationId


@dataclass(frozen=True, slots=True)
class PartnerEntity:
    """A dealer or service centre."""

    id: PartnerId


@dataclass(frozen=True, slots=True)
class CustomerEntity:
    """An owner or user of things."""

    id: CustomerId


@dataclass(frozen=True, slots=True)
class LocationEntity:
    """One site of a customer."""

    id: LocationId


Entity = OrganizationEntity | PartnerEntity | CustomerEntity | LocationEntity
"""Where a user belongs; what the user sees depends on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A proved caller; made only by the authenticator.

    Attributes:
        tenant_id: The one tenant whose data it can reach.
        user_id: Who it is.
        entity: Where the user belongs.
        permissions: What user and API key both allow.
    """

    tenant_id: TenantId
    user_id: UserId
    entity: Entity
    permissions: frozenset[Permission]

    def require(self, *permissions: Permission) -> None:
        """Do nothing if the actor has all of these.

        Raises:
            PermissionDenied: One of them is missing.
        """
        if not self.permissions.issuperset(permissions):
            raise PermissionDenied
