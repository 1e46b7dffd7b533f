"""The rules of who sees what, walked upwards from the thing."""

from strategies import Catalogue
from thingport.domain.actor import (
    CustomerEntity,
    Entity,
    LocationEntity,
    PartnerEntity,
)
from thingport.domain.catalogue import PlacedThing
from thingport.domain.ids import OrganizationId, PartnerId


def sees(catalogue: Catalogue, entity: Entity, placed: PlacedThing) -> bool:
    """Say whether a user of an entity sees a thing."""
    location, customer = placed.location, placed.customer
    if isinstance(entity, LocationEntity):
        return location is not None and location.id == entity.id
    if isinstance(entity, CustomerEntity):
        return customer is not None and customer.id == entity.id
    if isinstance(entity, PartnerEntity):
        return customer is not None and any(
            entity.id in _partners_above(catalogue, it) for it in customer.partner_ids
        )
    if customer is None:
        return True
    return entity.id in _organizations_above(catalogue, customer.organization_id)


def _partners_above(catalogue: Catalogue, start: PartnerId) -> list[PartnerId]:
    [partner] = [it for it in catalogue.partners if it.id == start]
    above = partner.parent_partner_id
    return [start, *(_partners_above(catalogue, above) if above else [])]


def _organizations_above(
    catalogue: Catalogue, start: OrganizationId
) -> list[OrganizationId]:
    [organization] = [it for it in catalogue.organizations if it.id == start]
    above = organization.parent_organization_id
    return [start, *(_organizations_above(catalogue, above) if above else [])]
