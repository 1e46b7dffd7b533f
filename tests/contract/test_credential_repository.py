"""What every repository of credentials keeps of its promise."""

import pytest

from builders import (
    NOON,
    a_customer,
    a_location,
    a_partner,
    a_user,
    an_api_key,
    an_id,
)
from stored_tenants import store, store_tenant
from thingport.application.ports import ControlDatabase
from thingport.domain.actor import (
    CustomerEntity,
    Entity,
    LocationEntity,
    OrganizationEntity,
    PartnerEntity,
)
from thingport.domain.errors import InvalidRequest
from thingport.domain.ids import (
    ApiKeyId,
    CustomerId,
    LocationId,
    OrganizationId,
    PartnerId,
)
from thingport.domain.permissions import Permission


def test_users_of_every_kind_of_entity_are_found_as_they_were_stored(
    control_database: ControlDatabase,
) -> None:
    tenant = store_tenant(control_database)
    organization_id = tenant.organization.id
    partner = a_partner(organization_id=organization_id)
    customer = a_customer(organization_id=organization_id)
    location = a_location(customer_id=customer.id)
    store(control_database, tenant.id, partner, customer, location)
    entities: list[Entity] = [
        OrganizationEntity(organization_id),
        PartnerEntity(partner.id),
        CustomerEntity(customer.id),
        LocationEntity(location.id),
    ]
    some = frozenset({Permission.EXPORT_DATA})
    users = [a_user(entity=it, permissions=some) for it in entities]
    with control_database.for_tenant(tenant.id) as tx:
        for user in users:
            tx.credentials.add_user(user)

    with control_database.for_tenant(tenant.id) as tx:
        assert [tx.credentials.find_user(it.id) for it in users] == users


@pytest.mark.parametrize(
    "entity",
    [
        OrganizationEntity(OrganizationId("none")),
        PartnerEntity(PartnerId("none")),
        CustomerEntity(CustomerId("none")),
        LocationEntity(LocationId("none")),
    ],
)
def test_a_user_of_an_unknown_entity_is_refused(
    control_database: ControlDatabase, entity: Entity
) -> None:
    tenant = store_tenant(control_database)
    user = a_user(entity=entity)
    with (
        control_database.for_tenant(tenant.id) as tx,
        pytest.raises(InvalidRequest, match="no such"),
    ):
        tx.credentials.add_user(user)


def test_a_user_of_another_tenants_entity_is_refused(
    control_database: ControlDatabase,
) -> None:
    tenant, other = store_tenant(control_database), store_tenant(control_database)
    user = a_user(entity=OrganizationEntity(other.organization.id))
    with (
        control_database.for_tenant(tenant.id) as tx,
        pytest.raises(InvalidRequest, match="no such organization"),
    ):
        tx.credentials.add_user(user)


def test_e_mail_addresses_are_compared_without_case(
    control_database: ControlDatabase,
) -> None:
    tenant = store_tenant(control_database)
    ada = a_user(email="Ada.Ü@Example.com", entity=tenant.user.entity)
    twin = a_user(email="ada.ü@example.COM", entity=tenant.user.entity)
    with control_database.for_tenant(tenant.id) as tx:
        tx.credentials.add_user(ada)
        with pytest.raises(InvalidRequest, match="another user has this"):
            tx.credentials.add_user(twin)

    with control_database.for_tenant(tenant.id) as tx:
        assert tx.credentials.find_user_by_email("ADA.Ü@EXAMPLE.COM") == ada
        assert tx.credentials.find_user(twin.id) is None


def test_an_api_key_is_found_by_id_and_by_digest(
    control_database: ControlDatabase,
) -> None:
    tenant = store_tenant(control_database)
    key = an_api_key(permissions=frozenset({Permission.READ_THING}))
    with control_database.for_tenant(tenant.id) as tx:
        tx.credentials.add_api_key(key, "digest")

    with control_database.for_tenant(tenant.id) as tx:
        assert tx.credentials.find_api_key(key.id) == key
        assert tx.credentials.find_api_key_by_digest("digest") == key
        assert tx.credentials.find_api_key_by_digest("other") is None
        assert tx.credentials.find_api_key(ApiKeyId(an_id())) is None


def test_a_token_leads_to_its_user(control_database: ControlDatabase) -> None:
    tenant = store_tenant(control_database)
    key = an_api_key()
    with control_database.for_tenant(tenant.id) as tx:
        tx.credentials.add_access_token(an_id(), tenant.user.id, "ci", "pat", NOON)
        tx.credentials.add_api_key(key, "key")
        tx.credentials.add_refresh_token(tenant.user.id, key.id, "refresh", NOON)

    with control_database.for_tenant(tenant.id) as tx:
        assert tx.credentials.find_user_by_token_digest("pat") == tenant.user
        assert tx.credentials.find_user_by_token_digest("refresh") is None


def test_another_tenants_credentials_do_not_exist(
    control_database: ControlDatabase,
) -> None:
    tenant, other = store_tenant(control_database), store_tenant(control_database)
    key = an_api_key()
    with control_database.for_tenant(tenant.id) as tx:
        tx.credentials.add_access_token(an_id(), tenant.user.id, "ci", "pat", NOON)
        tx.credentials.add_api_key(key, "key")

    with control_database.for_tenant(other.id) as tx:
        assert tx.credentials.find_user(tenant.user.id) is None
        assert tx.credentials.find_user_by_email(tenant.user.email) is None
        assert tx.credentials.find_user_by_token_digest("pat") is None
        assert tx.credentials.find_api_key(key.id) is None
        assert tx.credentials.find_api_key_by_digest("key") is None
