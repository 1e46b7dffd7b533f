"""What every control database keeps of its promise about transactions and tenants."""

import pytest

from builders import a_tenant, an_id, an_organization
from stored_tenants import store, store_tenant
from thingport.application.ports import ControlDatabase
from thingport.domain.errors import InvalidRequest, NotFound
from thingport.domain.ids import TenantId


class _Broken(Exception):
    pass


def test_a_block_that_raises_leaves_nothing_behind(
    control_database: ControlDatabase,
) -> None:
    tenant = store_tenant(control_database)

    def save_and_break() -> None:
        with control_database.for_tenant(tenant.id) as tx:
            tx.catalogue.save(an_organization())
            raise _Broken

    with pytest.raises(_Broken):
        save_and_break()

    with control_database.for_tenant(tenant.id) as tx:
        assert list(tx.catalogue.get_network().organizations) == [tenant.organization]


def test_a_tenant_is_found_by_its_exact_name(control_database: ControlDatabase) -> None:
    tenant = a_tenant(name="Acme")
    with control_database.for_service() as tx:
        tx.tenants.add(tenant)

    with control_database.for_service() as tx:
        assert tx.tenants.find_by_name("Acme") == tenant
        assert tx.tenants.find_by_name("acme") is None


def test_tenants_are_listed_by_name(control_database: ControlDatabase) -> None:
    tenants = [a_tenant(name=it) for it in ("b", "a", "c")]
    with control_database.for_service() as tx:
        for tenant in tenants:
            tx.tenants.add(tenant)

    with control_database.for_service(read_only=True) as tx:
        assert [it.name for it in tx.tenants.list_all()] == ["a", "b", "c"]


def test_a_second_tenant_of_a_name_is_refused(
    control_database: ControlDatabase,
) -> None:
    with control_database.for_service() as tx:
        tx.tenants.add(a_tenant(name="acme"))
        with pytest.raises(InvalidRequest, match="acme"):
            tx.tenants.add(a_tenant(name="acme"))


def test_written_seqs_grow_and_never_overlap(control_database: ControlDatabase) -> None:
    tenant, other = store_tenant(control_database), store_tenant(control_database)
    firsts: list[int] = []
    for size in (3, 1, 2):
        with control_database.for_tenant(tenant.id) as tx:
            firsts.append(tx.allocate_written_seqs(size))
    with control_database.for_tenant(other.id) as tx:
        first_of_other = tx.allocate_written_seqs(1)

    assert firsts == [firsts[0], firsts[0] + 3, firsts[0] + 4]
    assert first_of_other == firsts[0]


def test_an_unknown_tenant_gets_no_written_seqs(
    control_database: ControlDatabase,
) -> None:
    with (
        pytest.raises(NotFound),
        control_database.for_tenant(TenantId(an_id())) as tx,
    ):
        tx.allocate_written_seqs(1)


def test_two_tenants_may_use_the_same_ids_and_names(
    control_database: ControlDatabase,
) -> None:
    one, other = store_tenant(control_database), store_tenant(control_database)
    mine = an_organization(name="Same")
    theirs = an_organization(id=mine.id, name="Same", parent_organization_id=None)
    store(control_database, one.id, mine)
    store(control_database, other.id, theirs)
    store(control_database, other.id, an_organization(id=mine.id, name="Renamed"))

    with control_database.for_tenant(one.id) as tx:
        assert mine in list(tx.catalogue.get_network().organizations)
