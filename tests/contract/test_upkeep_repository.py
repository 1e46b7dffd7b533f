"""What every control database keeps of its promise on keeping and removing."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, MetaData, func, select

from builders import (
    NOON,
    a_customer,
    a_data_export,
    a_data_import,
    a_location,
    a_metric,
    a_partner,
    a_product_model,
    a_product_model_part,
    a_stored_segment,
    a_tenant,
    a_thing,
    a_thing_definition,
    an_api_key,
    an_id,
)
from stored_tenants import StoredTenant, store, store_tenant
from thingport.adapters.sql.database import SqlControlDatabase
from thingport.adapters.sql.engine import open_engine, sqlite_url
from thingport.adapters.sql.migrate import upgrade
from thingport.application.ports import ControlDatabase
from thingport.domain.catalogue import Tenant
from thingport.domain.errors import InvalidRequest, NotFound
from thingport.domain.ids import TenantId

LEASE = timedelta(seconds=15)


@pytest.fixture
def tenant(control_database: ControlDatabase) -> StoredTenant:
    return store_tenant(control_database)


def _name_of(control: ControlDatabase, tenant_id: TenantId) -> str:
    with control.for_service(read_only=True) as tx:
        return next(it.name for it in tx.tenants.list_all() if it.id == tenant_id)


def _begin_removal(control: ControlDatabase, name: str) -> Tenant | None:
    with control.for_service() as tx:
        return tx.tenants.begin_removal(name, at=NOON)


def test_readings_are_kept_for_ever_until_something_else_is_said(
    control_database: ControlDatabase, tenant: StoredTenant
) -> None:
    other = store_tenant(control_database)
    for months in (None, 6, 12, None):
        with control_database.for_tenant(tenant.id) as tx:
            tx.upkeep.set_retention_months(months)
        with control_database.for_tenant(tenant.id, read_only=True) as tx:
            assert tx.upkeep.get_retention_months() == months
        with control_database.for_tenant(other.id, read_only=True) as tx:
            assert tx.upkeep.get_retention_months() is None


def test_the_oldest_view_is_never_lowered(
    control_database: ControlDatabase, tenant: StoredTenant
) -> None:
    other = store_tenant(control_database)
    seen: list[int | None] = []
    for snapshot in (5, 3, 9, 9):
        with control_database.for_tenant(tenant.id) as tx:
            tx.upkeep.raise_oldest_snapshot(snapshot)
        with control_database.for_tenant(tenant.id) as tx:
            seen.append(tx.upkeep.get_oldest_snapshot())
    assert seen == [5, 5, 9, 9]
    with control_database.for_tenant(other.id) as tx:
        assert tx.upkeep.get_oldest_snapshot() is None


def test_a_tenant_that_is_being_removed_is_found_by_nobody_else(
    control_database: ControlDatabase, tenant: StoredTenant
) -> None:
    name = _name_of(control_database, tenant.id)

    removed = _begin_removal(control_database, name)

    assert removed == Tenant(id=tenant.id, name=name)
    assert _begin_removal(control_database, name) == removed
    with control_database.for_service() as tx:
        assert tx.tenants.find_by_name(name) is None
        assert tx.tenants.list_all() == []
        with pytest.raises(InvalidRequest):
            tx.tenants.add(a_tenant(name=name))
    with control_database.for_tenant(tenant.id) as tx:
        for ask in (
            lambda: tx.allocate_written_seqs(0),
            tx.upkeep.get_oldest_snapshot,
            tx.upkeep.get_retention_months,
        ):
            with pytest.raises(NotFound):
                ask()


def test_a_tenant_that_never_was_cannot_be_removed(
    control_database: ControlDatabase,
) -> None:
    assert _begin_removal(control_database, "nobody") is None


def test_its_name_is_free_when_it_is_removed(
    control_database: ControlDatabase, tenant: StoredTenant
) -> None:
    name = _name_of(control_database, tenant.id)
    _begin_removal(control_database, name)
    with control_database.for_service() as tx:
        tx.tenants.remove_rows(tenant.id)
        tx.tenants.remove(tenant.id)
        tx.tenants.add(a_tenant(name=name))
    control_database.forget_deleted_bytes()

    assert _begin_removal(control_database, name) is not None


def _fill(control: ControlDatabase) -> StoredTenant:
    """Store a tenant that has something in every table."""
    tenant = store_tenant(control)
    partner = a_partner(organization_id=tenant.organization.id)
    customer = a_customer(
        organization_id=tenant.organization.id, partner_ids=frozenset({partner.id})
    )
    location = a_location(customer_id=customer.id)
    definition = a_thing_definition()
    metric = a_metric(thing_definition_id=definition.id)
    model = a_product_model(thing_definition_id=definition.id)
    part = a_product_model_part(
        product_model_id=model.id, thing_definition_id=definition.id
    )
    thing = a_thing(thing_definition_id=definition.id, location_id=location.id)
    entities = (partner, customer, location, definition, metric, model, part, thing)
    store(control, tenant.id, *entities)
    sub_thing = a_thing(thing_definition_id=definition.id, parent_thing_id=thing.id)
    store(control, tenant.id, sub_thing)
    with control.for_tenant(tenant.id) as tx:
        key = an_api_key()
        tx.credentials.add_api_key(key, an_id())
        tx.credentials.add_access_token(an_id(), tenant.user.id, "t", an_id(), NOON)
        tx.credentials.add_refresh_token(tenant.user.id, key.id, an_id(), NOON)
        data_export = a_data_export(tenant_id=tenant.id, scheduled_by=tenant.user.id)
        tx.data_exports.add(data_export, slot="s")
        data_import = a_data_import(
            tenant_id=tenant.id, thing_id=thing.id, scheduled_by=tenant.user.id
        )
        tx.data_imports.add(data_import)
    with control.for_service() as service:
        claim = service.queue.claim("runner", now=NOON, lease=LEASE)
        assert claim is not None
        service.queue.commit_segment(claim, a_stored_segment())
    return tenant


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(sqlite_url(tmp_path / "control.db"))
    upgrade(engine)
    yield engine
    engine.dispose()


def _count_rows(engine: Engine) -> dict[str, int]:
    """Count the rows of every table that is there, known to the code or not."""
    found = MetaData()
    with engine.connect() as connection:
        found.reflect(connection)
        return {
            name: connection.execute(
                select(func.count()).select_from(table)
            ).scalar_one()
            for name, table in found.tables.items()
            if name != "alembic_version"
        }


def test_nothing_is_left_of_a_tenant_in_any_table(engine: Engine) -> None:
    control = SqlControlDatabase(engine)
    _fill(control)
    of_one = _count_rows(engine)
    assert all(of_one.values()), "a table that this test has forgotten"
    gone = _fill(control)
    assert _count_rows(engine) == {it: 2 * of_one[it] for it in of_one}

    name = _name_of(control, gone.id)
    _begin_removal(control, name)
    with control.for_service() as tx:
        tx.tenants.remove_rows(gone.id)
        tx.tenants.remove_rows(gone.id)
    assert _count_rows(engine) == {**of_one, "tenants": 2}
    with control.for_service() as tx:
        tx.tenants.remove(gone.id)
    control.forget_deleted_bytes()

    assert _count_rows(engine) == of_one
    database = engine.url.database
    assert database is not None
    for suffix in ("", "-wal"):
        content = Path(database + suffix).read_bytes()
        assert gone.id.encode() not in content
        assert gone.user.email.encode() not in content
