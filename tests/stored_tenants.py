"""Tenants that a control database keeps, with what most tests need of them."""

from dataclasses import dataclass

from builders import a_tenant, a_user, an_organization
from thingport.application.ports import CatalogueEntity, ControlDatabase, User
from thingport.domain.actor import OrganizationEntity
from thingport.domain.catalogue import Organization
from thingport.domain.ids import TenantId


@dataclass(frozen=True, slots=True)
class StoredTenant:
    """A tenant with one organization and one user of it."""

    id: TenantId
    organization: Organization
    user: User


def store_tenant(control: ControlDatabase) -> StoredTenant:
    tenant, organization = a_tenant(), an_organization()
    user = a_user(entity=OrganizationEntity(organization.id))
    with control.for_service() as service:
        service.tenants.add(tenant)
    with control.for_tenant(tenant.id) as tx:
        tx.catalogue.save(organization)
        tx.credentials.add_user(user)
    return StoredTenant(tenant.id, organization, user)


def store(
    control: ControlDatabase, tenant_id: TenantId, *entities: CatalogueEntity
) -> None:
    with control.for_tenant(tenant_id) as tx:
        for entity in entities:
            tx.catalogue.save(entity)
