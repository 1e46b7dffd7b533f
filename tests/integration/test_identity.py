"""Tenants, users, keys and tokens, on a real control database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from builders import a_customer, a_location, a_partner
from http_service import HttpService, HttpTenant, http_service
from thingport.domain.actor import (
    CustomerEntity,
    LocationEntity,
    OrganizationEntity,
    PartnerEntity,
)
from thingport.domain.errors import InvalidRequest
from thingport.domain.permissions import Permission

PERMISSIONS = frozenset({Permission.EXPORT_DATA})


@pytest.fixture
def service(tmp_path: Path) -> Iterator[HttpService]:
    with http_service(tmp_path) as opened:
        yield opened


@pytest.fixture
def acme(service: HttpService) -> HttpTenant:
    return service.add_tenant("acme")


def test_a_user_belongs_to_the_entity_that_is_named(
    service: HttpService, acme: HttpTenant
) -> None:
    with service.control.for_tenant(acme.id) as tx:
        (maker,) = tx.catalogue.get_network().organizations
        partner = a_partner(name="Dealer", organization_id=maker.id)
        other = a_customer(code="C-0", organization_id=maker.id)
        customer = a_customer(code="C-1", organization_id=maker.id)
        decoy = a_location(name="Plant", customer_id=other.id)
        location = a_location(name="Plant", customer_id=customer.id)
        for entity in (partner, other, customer, decoy, location):
            tx.catalogue.save(entity)

    named = [
        ({"organization": "Maker"}, OrganizationEntity(maker.id)),
        ({"partner": "Dealer"}, PartnerEntity(partner.id)),
        ({"customer": "C-1"}, CustomerEntity(customer.id)),
        ({"customer": "C-1", "location": "Plant"}, LocationEntity(location.id)),
    ]
    for number, (names, belongs_to) in enumerate(named):
        user = service.identity.add_user(
            acme.name, f"{number}@acme.example", permissions=PERMISSIONS, **names
        )
        assert user.entity == belongs_to
        with service.control.for_tenant(acme.id) as tx:
            assert tx.credentials.find_user(user.id) == user


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ({}, "name exactly one"),
        ({"organization": "Maker", "partner": "Dealer"}, "name exactly one"),
        ({"location": "Plant"}, "name its customer too"),
        ({"organization": "Nobody"}, "organization: there is none called 'Nobody'"),
        ({"customer": "C-9"}, "customer: there is none called 'C-9'"),
    ],
)
def test_a_user_of_no_clear_entity_is_refused(
    service: HttpService, acme: HttpTenant, names: dict[str, str], reason: str
) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        service.identity.add_user(
            acme.name, "a@acme.example", permissions=PERMISSIONS, **names
        )


@pytest.mark.parametrize("email", ["", "a", "a@", "@b", "a b@c", "a@b@c", "a@" * 200])
def test_what_is_no_address_is_refused(
    service: HttpService, acme: HttpTenant, email: str
) -> None:
    with pytest.raises(InvalidRequest, match="email: must be an e-mail address"):
        service.identity.add_user(
            acme.name, email, permissions=PERMISSIONS, organization="Maker"
        )


@pytest.mark.parametrize("name", ["", " ", "a b", "-a", "ä", "a" * 65, "a/b", "a\n"])
def test_a_tenant_has_a_name_that_fits_in_a_header(
    service: HttpService, name: str
) -> None:
    with pytest.raises(InvalidRequest, match="name: must be 1 to 64 letters"):
        service.identity.add_tenant(name)


def test_a_second_tenant_of_a_name_is_refused(
    service: HttpService, acme: HttpTenant
) -> None:
    with pytest.raises(InvalidRequest):
        service.identity.add_tenant(acme.name)


def test_keys_and_tokens_need_a_tenant_a_user_and_a_name(
    service: HttpService, acme: HttpTenant
) -> None:
    identity = service.identity
    with pytest.raises(InvalidRequest, match="tenant: there is none called 'no'"):
        identity.add_api_key("no", "app", PERMISSIONS)
    with pytest.raises(InvalidRequest, match="email: there is no user"):
        identity.add_access_token(acme.name, "nobody@acme.example", "cli")
    with pytest.raises(InvalidRequest, match="name: must have 1 to 200 characters"):
        identity.add_api_key(acme.name, " ", PERMISSIONS)
