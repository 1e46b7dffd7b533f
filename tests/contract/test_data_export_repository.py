"""What every repository of data exports keeps of its promise."""

from dataclasses import replace
from datetime import timedelta

import pytest

from builders import NOON, a_data_export, a_stored_segment, an_archive, an_id
from stored_tenants import StoredTenant, store_tenant
from thingport.application.ports import ControlDatabase
from thingport.domain.data_export import (
    DataExport,
    ExportError,
    Phase,
    Progress,
    Rendition,
    Selection,
    TimestampFormat,
)
from thingport.domain.errors import ExportAlreadyActive, LeaseLost
from thingport.domain.ids import (
    CustomerId,
    LocationId,
    MetricId,
    ProductModelId,
    ThingDefinitionId,
    ThingId,
)
from thingport.domain.metric import MetricAnywhere, MetricOfDefinition, MetricOfPart
from thingport.domain.period import Period

LEASE = timedelta(seconds=15)


@pytest.fixture
def tenant(control_database: ControlDatabase) -> StoredTenant:
    return store_tenant(control_database)


def _scheduled(tenant: StoredTenant, **overrides: object) -> DataExport:
    return a_data_export(tenant_id=tenant.id, scheduled_by=tenant.user.id, **overrides)


def _add(control: ControlDatabase, data_export: DataExport, slot: str) -> None:
    with control.for_tenant(data_export.tenant_id) as tx:
        tx.data_exports.add(data_export, slot=slot)


def _end(control: ControlDatabase, ended: DataExport) -> None:
    with control.for_service() as tx:
        claim = tx.queue.claim("runner", now=NOON, lease=LEASE)
        assert claim is not None
        tx.queue.finish(claim, ended)


def _pin(control: ControlDatabase, tenant: StoredTenant) -> int | None:
    with control.for_tenant(tenant.id, read_only=True) as tx:
        return tx.data_exports.find_oldest_pin()


def test_a_pending_export_pins_its_snapshot_until_it_ends(
    control_database: ControlDatabase, tenant: StoredTenant
) -> None:
    assert _pin(control_database, tenant) is None
    first, second = (_scheduled(tenant, snapshot=it) for it in (2**40, 7))
    _add(control_database, first, "a")
    assert _pin(control_database, tenant) == 2**40
    _add(control_database, second, "b")
    assert _pin(control_database, tenant) == 7

    _end(control_database, first.complete(an_archive(), at=NOON))
    assert _pin(control_database, tenant) == 7
    _end(control_database, second.fail(ExportError("X", "failed"), at=NOON))
    assert _pin(control_database, tenant) is None


def test_a_pending_export_that_names_no_snapshot_pins_all(
    control_database: ControlDatabase, tenant: StoredTenant
) -> None:
    _add(control_database, _scheduled(tenant, snapshot=5), "a")
    _add(control_database, _scheduled(tenant), "b")

    assert _pin(control_database, tenant) == 0


def test_an_export_pins_nothing_of_another_tenant(
    control_database: ControlDatabase, tenant: StoredTenant
) -> None:
    _add(control_database, _scheduled(tenant, snapshot=5), "a")

    assert _pin(control_database, store_tenant(control_database)) is None


def test_what_was_stored_is_found(
    control_database: ControlDatabase, tenant: StoredTenant
) -> None:
    data_export = _scheduled(
        tenant,
        name='all "of" it, é 🙂',
        scheduled_at=NOON + timedelta(milliseconds=1),
        selection=Selection(
            customer_id=CustomerId("c"),
            location_id=LocationId("l"),
            thing_id=ThingId("t"),
            qualified_metrics=(
                MetricOfPart(MetricId("m"), ProductModelId("p")),
                MetricAnywhere(MetricId("m")),
                MetricOfDefinition(MetricId("m"), ThingDefinitionId("d")),
            ),
            period=Period(None, -5),
        ),
        rendition=Rendition(
            thing_file_name="${thing.name}",
            hash_thing_file_name=True,
            include_unit=True,
            timestamp_format=TimestampFormat.EPOCH_MILLIS,
        ),
        snapshot=2**40,
        progress=Progress(phase=Phase.CUTTING, things_total=9),
    )
    _add(control_database, data_export, slot="s")

    with control_database.for_tenant(tenant.id) as tx:
        assert tx.data_exports.find(data_export.id) == data_export


def test_another_tenants_export_is_not_found(
    control_database: ControlDatabase, tenant: StoredTenant
) -> None:
    data_export = _scheduled(tenant)
    _add(control_database, data_export, slot="s")

    with control_database.for_tenant(store_tenant(control_database).id) as tx:
        assert tx.data_exports.find(data_export.id) is None


def test_a_second_active_export_is_refused_with_the_first_ones_id(
    control_database: ControlDatabase, tenant: StoredTenant
) -> None:
    first, second = _scheduled(tenant), _scheduled(tenant)
    _add(control_database, first, slot="s")

    with pytest.raises(ExportAlreadyActive) as refusal:
        _add(control_database, second, slot="s")

    assert refusal.value.active_id == first.id
    assert refusal.value.retry_after == timedelta(seconds=5)
    with control_database.for_tenant(tenant.id) as tx:
        assert tx.data_exports.find(second.id) is None


def test_the_transaction_goes_on_after_a_refusal(
    control_database: ControlDatabase, tenant: StoredTenant
) -> None:
    first, second = _scheduled(tenant), _scheduled(tenant)
    with control_database.for_tenant(tenant.id) as tx:
        tx.data_exports.add(first, slot="s")
        with pytest.raises(ExportAlreadyActive):
            tx.data_exports.add(second, slot="s")

    with control_database.for_tenant(tenant.id) as tx:
        assert tx.data_exports.find(first.id) == first


def test_other_slots_and_other_tenants_are_not_in_the_way(
    control_database: ControlDatabase, tenant: StoredTenant
) -> None:
    other = store_tenant(control_database)

    _add(control_database, _scheduled(tenant), slot="s")
    _add(control_database, _scheduled(tenant), slot="t")
    _add(control_database, _scheduled(other), slot="s")


@pytest.mark.parametrize("way", ["completed", "failed"])
def test_an_ended_export_frees_its_slot_and_keeps_its_outcome(
    control_database: ControlDatabase, tenant: StoredTenant, way: str
) -> None:
    first = _scheduled(tenant, id=an_id())
    _add(control_database, first, slot="s")
    at = NOON + timedelta(minutes=1)
    ended = (
        first.complete(an_archive(size_bytes=2**40, rows=7), at=at)
        if way == "completed"
        else first.fail(ExportError("CORRUPT_DATA", "a file is gone"), at=at)
    )
    _end(control_database, ended)

    _add(control_database, _scheduled(tenant), slot="s")
    with control_database.for_tenant(tenant.id) as tx:
        assert tx.data_exports.find(first.id) == ended


def test_pending_ones_are_listed_and_no_others(
    control_database: ControlDatabase, tenant: StoredTenant
) -> None:
    later = _scheduled(tenant, id=an_id(), scheduled_at=NOON + timedelta(seconds=1))
    earlier = _scheduled(tenant, id=an_id(), scheduled_at=NOON)
    other = store_tenant(control_database)
    _add(control_database, later, slot="s")
    _add(control_database, earlier, slot="t")
    _add(control_database, _scheduled(other), slot="s")

    with control_database.for_tenant(tenant.id, read_only=True) as tx:
        assert tx.data_exports.list_pending() == [earlier, later]
    with control_database.for_tenant(tenant.id) as tx:
        assert tx.data_exports.end(earlier.fail(_ERASED, at=NOON))
    with control_database.for_tenant(tenant.id, read_only=True) as tx:
        assert tx.data_exports.list_pending() == [later]


_ERASED = ExportError("ERASED", "its readings were erased")


def test_one_that_is_ended_by_another_is_lost_to_its_runner_which_lets_go(
    control_database: ControlDatabase, tenant: StoredTenant
) -> None:
    scheduled = _scheduled(tenant)
    _add(control_database, scheduled, slot="s")
    with control_database.for_service() as tx:
        claim = tx.queue.claim("runner", now=NOON, lease=LEASE)
        assert claim is not None
        tx.queue.let_go(claim)
        tx.queue.commit_segment(claim, a_stored_segment())
    assert not _is_any_held(control_database, tenant)
    failed = scheduled.fail(_ERASED, at=NOON)

    with control_database.for_tenant(tenant.id) as tx:
        assert tx.data_exports.end(failed)
        assert not tx.data_exports.end(failed)
        assert tx.data_exports.find(scheduled.id) == failed
    assert _is_any_held(control_database, tenant)
    assert not _is_any_held(control_database, store_tenant(control_database))
    _add(control_database, _scheduled(tenant), slot="s")
    with control_database.for_service() as tx, pytest.raises(LeaseLost):
        tx.queue.save_progress(claim, Progress())
    with control_database.for_service() as tx:
        tx.queue.let_go(replace(claim, fencing_token=claim.fencing_token - 1))
    assert _is_any_held(control_database, tenant)
    # A lease that is over, and one that a wrong clock gave.
    for away in (LEASE, -timedelta(seconds=1)):
        assert not _is_any_held(control_database, tenant, after=away)
    with control_database.for_service() as tx:
        tx.queue.let_go(claim)
    assert not _is_any_held(control_database, tenant)


def _is_any_held(
    control: ControlDatabase, tenant: StoredTenant, *, after: timedelta = timedelta()
) -> bool:
    with control.for_tenant(tenant.id, read_only=True) as tx:
        return tx.data_exports.is_any_held(now=NOON + after, lease=LEASE)


def test_segments_are_forgotten_of_one_export_of_the_tenants_own(
    control_database: ControlDatabase, tenant: StoredTenant
) -> None:
    scheduled = _scheduled(tenant)
    _add(control_database, scheduled, slot="s")
    with control_database.for_service() as tx:
        claim = tx.queue.claim("runner", now=NOON, lease=LEASE)
        assert claim is not None
        tx.queue.commit_segment(claim, a_stored_segment())
    other = store_tenant(control_database)

    for tenant_id, left in ((other.id, 1), (tenant.id, 0)):
        with control_database.for_tenant(tenant_id) as of_one:
            of_one.data_exports.forget_segments(scheduled.id)
        with control_database.for_service() as tx:
            assert len(tx.queue.list_segments(scheduled.id)) == left
