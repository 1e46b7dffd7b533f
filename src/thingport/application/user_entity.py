"""Finding the business entity that a user belongs to."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from thingport.application.ports import CatalogueRepository
from thingport.domain.actor import (
    CustomerEntity,
    Entity,
    LocationEntity,
    OrganizationEntity,
    PartnerEntity,
)
from thingport.domain.errors import InvalidRequest
from thingport.domain.ids import CustomerId

_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityNames:
    """An entity as people name it: one of these, or a location with its customer."""

    organization: str | None
    partner: str | None
    customer: str | None
    location: str | None


def find_entity(names: EntityNames, catalogue: CatalogueRepository) -> Entity:
    """Give the entity that is named.

    Raises:
        InvalidRequest: None is, or more than one, or there is no such entity.
    """
    network = catalogue.get_network()
    match names:
        case EntityNames(
            organization=str(name), partner=None, customer=None, location=None
        ):
            organizations = network.organizations
            found = _the_one("organization", name, organizations, lambda it: it.name)
            return OrganizationEntity(found.id)
        case EntityNames(
            organization=None, partner=str(name), customer=None, location=None
        ):
            partner = _the_one("partner", name, network.partners, lambda it: it.name)
            return PartnerEntity(partner.id)
        case EntityNames(organization=None, partner=None, customer=str(code)):
            customer = _the_one("customer", code, network.customers, lambda it: it.code)
            return _within(customer.id, names.location, catalogue)
        case EntityNames(
            organization=None, partner=None, customer=None, location=str()
        ):
            raise InvalidRequest("location: name its customer too")
        case _:
            raise InvalidRequest(
                "a user belongs to one organization, one partner, one customer, or "
                "one location of a customer; name exactly one"
            )


def _within(
    customer_id: CustomerId, location: str | None, catalogue: CatalogueRepository
) -> Entity:
    if location is None:
        return CustomerEntity(customer_id)
    of_customer = (
        it for it in catalogue.list_locations() if it.customer_id == customer_id
    )
    found = _the_one("location", location, of_customer, lambda it: it.name)
    return LocationEntity(found.id)


def _the_one(
    kind: str,
    name: str,
    candidates: Iterable[_Found],
    name_of: Callable[[_Found], str],
) -> _Found:
    for it in candidates:
        if name_of(it) == name:
            return it
    raise InvalidRequest(f"{kind}: there is none called {name!r}")
