"""Who sees which things."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from oracle.visibility import sees
from strategies import Catalogue, catalogues
from thingport.domain.actor import (
    CustomerEntity,
    Entity,
    LocationEntity,
    OrganizationEntity,
    PartnerEntity,
)
from thingport.domain.catalogue import Organization
from thingport.domain.ids import CustomerId, LocationId, OrganizationId
from thingport.domain.visibility import Network, visibility_of


def entities_of(catalogue: Catalogue) -> list[Entity]:
    return [
        *(OrganizationEntity(it.id) for it in catalogue.organizations),
        *(PartnerEntity(it.id) for it in catalogue.partners),
        *(CustomerEntity(it.id) for it in catalogue.customers),
        *(LocationEntity(it.id) for it in catalogue.locations),
    ]


@given(catalogue=catalogues())
def test_everybody_sees_the_things_of_the_naive_model(catalogue: Catalogue) -> None:
    for entity in entities_of(catalogue):
        visibility = visibility_of(entity, catalogue.network)
        for placed in catalogue.placed_things:
            assert visibility.sees_thing(placed) == sees(catalogue, entity, placed)


@given(catalogue=catalogues())
def test_who_sees_a_customer_sees_all_its_locations(catalogue: Catalogue) -> None:
    for entity in entities_of(catalogue):
        visibility = visibility_of(entity, catalogue.network)
        for location in catalogue.locations:
            if visibility.sees_customer(location.customer_id):
                assert visibility.sees_location(location.id, location.customer_id)


@given(catalogue=catalogues(), data=st.data())
def test_a_sub_thing_is_seen_exactly_where_its_root_is(
    catalogue: Catalogue, data: DataObject
) -> None:
    visibility = visibility_of(
        data.draw(st.sampled_from(entities_of(catalogue))), catalogue.network
    )
    seen = {it.thing.id: visibility.sees_thing(it) for it in catalogue.placed_things}

    for placed in catalogue.placed_things:
        assert seen[placed.thing.id] == seen[placed.root_id]


def test_a_location_sees_itself_and_not_its_customer() -> None:
    nobody = Network(organizations=[], partners=[], customers=[])
    here, there = LocationId("here"), LocationId("there")
    customer = CustomerId("customer")

    visibility = visibility_of(LocationEntity(here), nobody)

    assert visibility.sees_location(here, customer)
    assert not visibility.sees_location(there, customer)
    assert not visibility.sees_customer(customer)


def test_organizations_that_contain_each_other_are_walked_once() -> None:
    a, b = OrganizationId("a"), OrganizationId("b")
    network = Network(
        organizations=[
            Organization(id=a, name="a", parent_organization_id=b),
            Organization(id=b, name="b", parent_organization_id=a),
        ],
        partners=[],
        customers=[],
    )

    assert visibility_of(OrganizationEntity(a), network).sees_unassigned
