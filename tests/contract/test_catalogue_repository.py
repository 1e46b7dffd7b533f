"""What every repository of catalogues keeps of its promise."""

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import (
    a_customer,
    a_location,
    a_metric,
    a_partner,
    a_product_model,
    a_product_model_part,
    a_thing,
    a_thing_definition,
    an_organization,
)
from stored_tenants import StoredTenant, store, store_tenant
from strategies import Catalogue, catalogues, with_unlike_names
from thingport.application.ports import CatalogueEntity, ControlDatabase
from thingport.domain.catalogue import PlacedThing, Thing, ThingKey
from thingport.domain.errors import CorruptData, InvalidRequest
from thingport.domain.ids import CustomerId, LocationId, ThingId

settings_for_a_shared_database = settings(
    max_examples=60,
    # Each example has a tenant of its own, as the service's users have.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def tenant(control_database: ControlDatabase) -> StoredTenant:
    return store_tenant(control_database)


def _sorted(placed: Sequence[PlacedThing]) -> Sequence[PlacedThing]:
    return sorted(placed, key=lambda it: it.thing.id)


@settings_for_a_shared_database
@given(catalogue=catalogues().map(with_unlike_names))
def test_a_catalogue_is_read_as_it_was_saved(
    control_database: ControlDatabase, catalogue: Catalogue
) -> None:
    tenant = store_tenant(control_database)
    store(control_database, tenant.id, *catalogue.entities, *catalogue.entities)

    with control_database.for_tenant(tenant.id) as tx:
        definitions = tx.catalogue.get_definitions()
        network = tx.catalogue.get_network()
        locations = tx.catalogue.list_locations()
        things = tx.catalogue.list_things()
    assert vars(definitions) == vars(catalogue.definitions)
    assert {it.id: it for it in network.organizations} == {
        it.id: it for it in [tenant.organization, *catalogue.organizations]
    }
    assert {it.id: it for it in network.partners} == {
        it.id: it for it in catalogue.partners
    }
    assert {it.id: it for it in network.customers} == {
        it.id: it for it in catalogue.customers
    }
    assert {it.id: it for it in locations} == {it.id: it for it in catalogue.locations}
    assert {it.id: it for it in things} == {it.id: it for it in catalogue.things}


@settings_for_a_shared_database
@given(catalogue=catalogues().map(with_unlike_names), data=st.data())
def test_placed_things_are_those_that_a_naive_search_finds(
    control_database: ControlDatabase, catalogue: Catalogue, data: st.DataObject
) -> None:
    tenant = store_tenant(control_database)
    store(control_database, tenant.id, *catalogue.entities)
    customer_id = data.draw(_some([it.id for it in catalogue.customers]))
    location_id = data.draw(_some([it.id for it in catalogue.locations]))
    thing_id = data.draw(_some([it.id for it in catalogue.things]))
    expected = [
        it
        for it in _sorted(catalogue.placed_things)
        if customer_id in {None, it.customer and it.customer.id}
        and location_id in {None, it.location and it.location.id}
        and thing_id in {None, *it.ancestor_ids}
    ]

    with control_database.for_tenant(tenant.id) as tx:
        found = list(
            tx.catalogue.iter_placed_things(
                customer_id=CustomerId(customer_id) if customer_id else None,
                location_id=LocationId(location_id) if location_id else None,
                thing_id=ThingId(thing_id) if thing_id else None,
            )
        )
        each = [tx.catalogue.find_thing(it.id) for it in catalogue.things]
    assert found == expected
    assert each == list(catalogue.placed_things)


@settings_for_a_shared_database
@given(catalogue=catalogues().map(with_unlike_names), data=st.data())
def test_many_things_are_found_as_each_by_itself_by_id_and_by_serial_number(
    control_database: ControlDatabase, catalogue: Catalogue, data: st.DataObject
) -> None:
    tenant = store_tenant(control_database)
    store(control_database, tenant.id, *catalogue.entities)
    by = data.draw(st.sampled_from(ThingKey))
    keys = [by.of(it) for it in catalogue.things]
    wanted = data.draw(st.sets(st.sampled_from([*keys, "nobody"])))

    with control_database.for_tenant(tenant.id) as tx:
        found = tx.catalogue.find_things(wanted, by)
        each = {by.of(it): tx.catalogue.find_thing(it.id) for it in catalogue.things}

    assert found == {it: each[it] for it in wanted if it in each}


def test_more_things_than_one_query_takes_are_found(
    control_database: ControlDatabase, tenant: StoredTenant
) -> None:
    definition = a_thing_definition()
    things = [a_thing(thing_definition_id=definition.id) for _ in range(2_100)]
    store(control_database, tenant.id, definition, *things)
    serial_numbers = [it.serial_number for it in things]

    with control_database.for_tenant(tenant.id) as tx:
        found = tx.catalogue.find_things(serial_numbers, ThingKey.SERIAL_NUMBER)
        assert tx.catalogue.find_things([], ThingKey.ID) == {}

    assert {it: found[it].thing for it in found} == {
        it.serial_number: it for it in things
    }


def test_things_of_another_tenant_are_not_found(
    control_database: ControlDatabase, tenant: StoredTenant
) -> None:
    definition = a_thing_definition()
    thing = a_thing(thing_definition_id=definition.id)
    store(control_database, tenant.id, definition, thing)
    other = store_tenant(control_database)

    with control_database.for_tenant(other.id) as tx:
        for by in ThingKey:
            assert tx.catalogue.find_things([by.of(thing)], by) == {}


def _some(ids: Sequence[str]) -> st.SearchStrategy[str | None]:
    return st.sampled_from([None, *ids])


def test_saving_again_replaces_all_of_an_entity(
    control_database: ControlDatabase, tenant: StoredTenant
) -> None:
    organization_id = tenant.organization.id
    one, two = (a_partner(organization_id=organization_id) for _ in range(2))
    customer = a_customer(
        organization_id=organization_id,
        country="IT",
        partner_ids=frozenset({one.id, two.id}),
        properties=MappingProxyType({"tier": "gold"}),
    )
    changed = replace(
        customer, country=None, partner_ids=frozenset({two.id}), properties={}
    )
    store(control_database, tenant.id, one, two, customer, changed)

    with control_database.for_tenant(tenant.id) as tx:
        assert tx.catalogue.find_customer(customer.id) == changed


def test_entities_of_another_tenant_do_not_exist(
    control_database: ControlDatabase, tenant: StoredTenant
) -> None:
    customer = a_customer(organization_id=tenant.organization.id)
    location = a_location(customer_id=customer.id)
    definition = a_thing_definition()
    thing = a_thing(thing_definition_id=definition.id, location_id=location.id)
    store(control_database, tenant.id, customer, location, definition, thing)

    with control_database.for_tenant(store_tenant(control_database).id) as tx:
        assert tx.catalogue.find_customer(customer.id) is None
        assert tx.catalogue.find_location(location.id) is None
        assert tx.catalogue.find_thing(thing.id) is None
        assert list(tx.catalogue.iter_placed_things()) == []
        assert list(tx.catalogue.iter_placed_things(thing_id=thing.id)) == []
        assert list(tx.catalogue.iter_placed_things(customer_id=customer.id)) == []
        assert tx.catalogue.list_things() == []
        assert tx.catalogue.list_locations() == []
        assert not tx.catalogue.get_definitions().thing_definitions


def test_saving_under_another_tenants_id_leaves_the_others_entity_alone(
    control_database: ControlDatabase, tenant: StoredTenant
) -> None:
    mine = a_customer(organization_id=tenant.organization.id)
    store(control_database, tenant.id, mine)
    other = store_tenant(control_database)
    theirs = replace(mine, name="Theirs", organization_id=other.organization.id)
    store(control_database, other.id, theirs)

    with control_database.for_tenant(tenant.id) as tx:
        assert tx.catalogue.find_customer(mine.id) == mine


def test_what_refers_to_another_tenants_entity_is_refused(
    control_database: ControlDatabase, tenant: StoredTenant
) -> None:
    other = store_tenant(control_database)

    with pytest.raises(InvalidRequest, match="does not exist"):
        store(
            control_database,
            tenant.id,
            a_customer(organization_id=other.organization.id),
        )


def test_natural_keys_are_unique_in_a_tenant(
    control_database: ControlDatabase, tenant: StoredTenant
) -> None:
    organization_id = tenant.organization.id
    customer = a_customer(organization_id=organization_id)
    definition, other = a_thing_definition(), a_thing_definition()
    model = a_product_model(thing_definition_id=definition.id)
    part = a_product_model_part(
        product_model_id=model.id, thing_definition_id=definition.id
    )
    location = a_location(customer_id=customer.id)
    metric = a_metric(thing_definition_id=definition.id)
    thing = a_thing(thing_definition_id=definition.id)
    partner = a_partner(organization_id=organization_id)
    stored: list[CatalogueEntity] = [
        tenant.organization,
        partner,
        customer,
        location,
        definition,
        metric,
        model,
        part,
        thing,
    ]
    store(control_database, tenant.id, *stored, other)
    # The same metric name is free again in another definition.
    store(
        control_database, tenant.id, _renumbered(metric, thing_definition_id=other.id)
    )

    for entity in stored:
        with pytest.raises(InvalidRequest, match="taken"):
            store(control_database, tenant.id, _renumbered(entity))


def _renumbered(entity: CatalogueEntity, **changes: object) -> CatalogueEntity:
    twin: CatalogueEntity = replace(entity, id=an_organization().id, **changes)  # type: ignore[arg-type] # ids differ in type only
    return twin


def test_the_transaction_goes_on_after_a_refused_entity(
    control_database: ControlDatabase, tenant: StoredTenant
) -> None:
    good = an_organization()
    with control_database.for_tenant(tenant.id) as tx:
        with pytest.raises(InvalidRequest):
            tx.catalogue.save(a_location())
        tx.catalogue.save(good)

    with control_database.for_tenant(tenant.id) as tx:
        assert good in list(tx.catalogue.get_network().organizations)


def test_a_thing_that_is_a_part_of_itself_is_called_damage(
    control_database: ControlDatabase, tenant: StoredTenant
) -> None:
    definition = a_thing_definition()
    outer = a_thing(thing_definition_id=definition.id)
    inner = a_thing(thing_definition_id=definition.id, parent_thing_id=outer.id)
    circle = replace(outer, parent_thing_id=inner.id)
    store(control_database, tenant.id, definition, outer, inner, circle)

    with control_database.for_tenant(tenant.id) as tx:
        with pytest.raises(CorruptData, match="part of itself"):
            list(tx.catalogue.iter_placed_things())
        with pytest.raises(CorruptData, match="part of itself"):
            tx.catalogue.find_thing(inner.id)
        with pytest.raises(CorruptData, match="part of itself"):
            list(tx.catalogue.iter_placed_things(thing_id=inner.id))


def test_the_place_of_a_sub_thing_is_its_roots(
    control_database: ControlDatabase, tenant: StoredTenant
) -> None:
    customer = a_customer(organization_id=tenant.organization.id)
    here, elsewhere = (a_location(customer_id=customer.id) for _ in range(2))
    definition = a_thing_definition()
    root = a_thing(thing_definition_id=definition.id, location_id=here.id)
    part: Thing = a_thing(
        thing_definition_id=definition.id,
        parent_thing_id=root.id,
        location_id=elsewhere.id,
    )
    store(control_database, tenant.id, customer, here, elsewhere, definition)
    store(control_database, tenant.id, root, part)

    with control_database.for_tenant(tenant.id) as tx:
        at_here = list(tx.catalogue.iter_placed_things(location_id=here.id))
        at_elsewhere = list(tx.catalogue.iter_placed_things(location_id=elsewhere.id))
    assert [it.thing for it in at_here] == [root, part]
    assert at_here[1].location == here
    assert at_elsewhere == []
