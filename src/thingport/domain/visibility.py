"""Who sees which things: decided here, and nowhere else."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from thingport.domain.actor import (
    CustomerEntity,
    Entity,
    LocationEntity,
    OrganizationEntity,
    PartnerEntity,
)
from thingport.domain.catalogue import Customer, Organization, Partner, PlacedThing
from thingport.domain.ids import CustomerId, LocationId

_Id = TypeVar("_Id", bound=str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A tenant's business entities, as far as visibility rests on them."""

    organizations: Iterable[Organization]
    partners: Iterable[Partner]
    customers: Iterable[Customer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Visibility:
    """What somebody sees.

    Attributes:
        customer_ids: Customers seen, with all their locations and things.
        location_ids: Single locations seen, with all their things.
        sees_unassigned: Whether things that stand nowhere yet are seen.
    """

    customer_ids: frozenset[CustomerId] = field(default_factory=frozenset[CustomerId])
    location_ids: frozenset[LocationId] = field(default_factory=frozenset[LocationId])
    sees_unassigned: bool = False

    def sees_thing(self, placed: PlacedThing) -> bool:
        """Whether a thing, or the sub-thing of one, is seen."""
        if placed.location is None:
            return self.sees_unassigned
        return self.sees_location(placed.location.id, placed.location.customer_id)

    def sees_location(self, location_id: LocationId, customer_id: CustomerId) -> bool:
        """Whether a location of a customer is seen."""
        return location_id in self.location_ids or customer_id in self.customer_ids

    def sees_customer(self, customer_id: CustomerId) -> bool:
        """Whether a customer is seen as a whole."""
        return customer_id in self.customer_ids


def visibility_of(entity: Entity, network: Network) -> Visibility:
    """Say what a user of an entity sees.

    An organization sees the customers of itself and of all organizations below
    it, and the things that nobody owns yet. A partner sees the customers that
    are entrusted to it or to a partner below it. A customer sees itself. A
    location sees itself.

    Source: the platform's *Business Entities* page.
    """
    match entity:
        case LocationEntity(location_id):
            return Visibility(location_ids=frozenset({location_id}))
        case CustomerEntity(customer_id):
            return Visibility(customer_ids=frozenset({customer_id}))
        case PartnerEntity(partner_id):
            partner_parents = {it.id: it.parent_partner_id for it in network.partners}
            partners = _with_descendants(partner_id, partner_parents)
            return Visibility(
                customer_ids=frozenset(
                    it.id
                    for it in network.customers
                    if not partners.isdisjoint(it.partner_ids)
                )
            )
        case OrganizationEntity(organization_id):
            parents = {it.id: it.parent_organization_id for it in network.organizations}
            organizations = _with_descendants(organization_id, parents)
            return Visibility(
                customer_ids=frozenset(
                    it.id
                    for it in network.customers
                    if it.organization_id in organizations
                ),
                sees_unassigned=True,
            )


def _with_descendants(top: _Id, parents: Mapping[_Id, _Id | None]) -> set[_Id]:
    children: dict[_Id, list[_Id]] = {}
    for child, parent in parents.items():
        if parent is not None:
            children.setdefault(parent, []).append(child)
    found: set[_Id] = set()
    waiting = [top]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting.extend(children.get(one, ()))
    return found
