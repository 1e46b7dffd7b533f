"""What every repository and every queue of data imports keep of their promise."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from builders import NOON, a_data_import, a_thing, a_thing_definition
from stored_tenants import StoredTenant, store, store_tenant
from thingport.application.import_ports import ImportClaim, ImportDraft, ImportQueue
from thingport.application.ports import ControlDatabase
from thingport.domain.catalogue import Thing
from thingport.domain.data_import import (
    DataImport,
    ImportFailure,
    ImportPhase,
    ImportProgress,
    ImportReport,
    RejectedRow,
    TextGuard,
)
from thingport.domain.errors import ImportAlreadyActive, ImportLeaseLost

LEASE = timedelta(seconds=15)
SECOND = timedelta(seconds=1)

REPORT = ImportReport(
    rows_accepted=2**40,
    rows_rejected=2,
    rejected_rows=(RejectedRow(3, "é 🙂"), RejectedRow(9, 'a "b"')),
)


@pytest.fixture
def tenant(control_database: ControlDatabase) -> StoredTenant:
    return store_tenant(control_database)


def add_thing(control: ControlDatabase, tenant: StoredTenant) -> Thing:
    definition = a_thing_definition()
    thing = a_thing(thing_definition_id=definition.id)
    store(control, tenant.id, definition, thing)
    return thing


def schedule(
    control: ControlDatabase, tenant: StoredTenant, **overrides: object
) -> DataImport:
    """Store an import for a thing of its own, if not told for which."""
    if "thing_id" not in overrides:
        overrides["thing_id"] = add_thing(control, tenant).id
    data_import = a_data_import(
        tenant_id=tenant.id, scheduled_by=tenant.user.id, **overrides
    )
    with control.for_tenant(tenant.id) as tx:
        tx.data_imports.add(data_import)
    return data_import


def find(control: ControlDatabase, data_import: DataImport) -> DataImport | None:
    with control.for_tenant(data_import.tenant_id, read_only=True) as tx:
        return tx.data_imports.find(data_import.id)


def claim(
    control: ControlDatabase, *, after: timedelta = timedelta()
) -> ImportClaim | None:
    with control.for_service() as tx:
        return tx.import_queue.claim("runner", now=NOON + after, lease=LEASE)


def claimed(control: ControlDatabase, *, after: timedelta = timedelta()) -> ImportClaim:
    found = claim(control, after=after)
    assert found is not None
    return found


def end(control: ControlDatabase, ended: DataImport) -> None:
    held = claimed(control)
    with control.for_service() as tx:
        tx.import_queue.finish(held, ended)


def pin(control: ControlDatabase, tenant: StoredTenant) -> int | None:
    with control.for_tenant(tenant.id, read_only=True) as tx:
        return tx.data_imports.find_oldest_pin()


# --- the repository ---------------------------------------------------------------


def test_what_was_stored_is_found_by_its_tenant_alone(
    control_database: ControlDatabase, tenant: StoredTenant
) -> None:
    data_import = schedule(
        control_database,
        tenant,
        header_line=7,
        text_guard=TextGuard.FORMULA,
        scheduled_at=NOON + timedelta(milliseconds=1),
        progress=ImportProgress(phase=ImportPhase.READING, rows_read=9, percent=3),
    )

    assert find(control_database, data_import) == data_import
    other = replace(data_import, tenant_id=store_tenant(control_database).id)
    assert find(control_database, other) is None


def test_a_second_active_import_of_a_thing_is_refused_with_the_first_ones_id(
    control_database: ControlDatabase, tenant: StoredTenant
) -> None:
    first = schedule(control_database, tenant)
    second = replace(a_data_import(), tenant_id=tenant.id, thing_id=first.thing_id)

    with control_database.for_tenant(tenant.id) as tx:
        with pytest.raises(ImportAlreadyActive) as refusal:
            tx.data_imports.add(second)
        with pytest.raises(ImportAlreadyActive) as looked_up:
            tx.data_imports.refuse_if_active(first.thing_id)

    for it in (refusal, looked_up):
        assert it.value.active_id == first.id
        assert it.value.retry_after == timedelta(seconds=5)
    assert find(control_database, first) == first
    assert find(control_database, second) is None


def test_other_things_and_other_tenants_are_not_in_the_way(
    control_database: ControlDatabase, tenant: StoredTenant
) -> None:
    first = schedule(control_database, tenant)
    schedule(control_database, tenant)

    with control_database.for_tenant(store_tenant(control_database).id) as tx:
        tx.data_imports.refuse_if_active(first.thing_id)


@pytest.mark.parametrize("way", ["completed", "failed"])
def test_an_ended_import_makes_room_and_keeps_its_outcome(
    control_database: ControlDatabase, tenant: StoredTenant, way: str
) -> None:
    first = schedule(control_database, tenant)
    at = NOON + SECOND
    ended = (
        first.complete(REPORT, at=at)
        if way == "completed"
        else first.fail(ImportFailure("CORRUPT_DATA", "gone"), at=at)
    )
    end(control_database, ended)

    schedule(control_database, tenant, thing_id=first.thing_id)
    assert find(control_database, first) == ended


def test_what_ended_long_ago_is_forgotten_and_nothing_else(
    control_database: ControlDatabase, tenant: StoredTenant
) -> None:
    other = store_tenant(control_database)
    old, young, of_other = (
        schedule(control_database, it) for it in (tenant, tenant, other)
    )
    for it, at in ((old, NOON), (young, NOON + SECOND), (of_other, NOON)):
        end(control_database, it.complete(REPORT, at=at))
    waiting = schedule(control_database, tenant)

    with control_database.for_tenant(tenant.id) as tx:
        assert tx.data_imports.forget_ended(before=NOON) == 0
        assert tx.data_imports.forget_ended(before=NOON + SECOND) == 1

    assert find(control_database, old) is None
    for kept in (young, of_other, waiting):
        assert find(control_database, kept) is not None


def test_an_import_pins_a_snapshot_from_its_draft_to_its_end(
    control_database: ControlDatabase, tenant: StoredTenant
) -> None:
    scheduled = schedule(control_database, tenant)
    held = claimed(control_database)
    assert pin(control_database, tenant) is None

    with control_database.for_service() as tx:
        tx.import_queue.save_draft(held, ImportDraft(REPORT, 2**40))
    assert pin(control_database, tenant) == 2**40
    assert pin(control_database, store_tenant(control_database)) is None

    with control_database.for_service() as tx:
        tx.import_queue.finish(held, scheduled.complete(REPORT, at=NOON))
    assert pin(control_database, tenant) is None


# --- the queue --------------------------------------------------------------------


def test_an_empty_queue_gives_nothing(control_database: ControlDatabase) -> None:
    assert claim(control_database) is None


def test_the_longest_waiting_import_comes_first_and_only_once(
    control_database: ControlDatabase, tenant: StoredTenant
) -> None:
    later = schedule(control_database, tenant, scheduled_at=NOON)
    earlier = schedule(control_database, tenant, scheduled_at=NOON - SECOND)

    first, second = claimed(control_database), claimed(control_database)

    assert (first.data_import, second.data_import) == (earlier, later)
    assert (first.attempt, second.attempt) == (1, 1)
    assert claim(control_database) is None


def test_an_expired_lease_is_taken_over_and_fences_the_first_holder_off(
    control_database: ControlDatabase, tenant: StoredTenant
) -> None:
    schedule(control_database, tenant)
    first = claimed(control_database)

    assert claim(control_database, after=LEASE - SECOND) is None
    second = claimed(control_database, after=LEASE)

    assert second.fencing_token > first.fencing_token
    assert second.attempt == 2


def test_a_heartbeat_prolongs_the_lease(
    control_database: ControlDatabase, tenant: StoredTenant
) -> None:
    schedule(control_database, tenant)
    held = claimed(control_database)
    with control_database.for_service() as tx:
        tx.import_queue.heartbeat(held, until=NOON + 2 * LEASE)

    assert claim(control_database, after=LEASE) is None
    assert claim(control_database, after=2 * LEASE) is not None


@pytest.mark.parametrize("is_attempt", [True, False])
def test_a_released_import_waits_for_its_time_and_counts_as_told(
    control_database: ControlDatabase, tenant: StoredTenant, *, is_attempt: bool
) -> None:
    schedule(control_database, tenant)
    held = claimed(control_database)
    with control_database.for_service() as tx:
        tx.import_queue.release(held, retry_at=NOON + SECOND, is_attempt=is_attempt)

    assert claim(control_database) is None
    again = claimed(control_database, after=SECOND)
    assert again.attempt == (2 if is_attempt else 1)
    assert again.fencing_token > held.fencing_token


def test_a_lease_that_a_wrong_clock_gave_is_over(
    control_database: ControlDatabase, tenant: StoredTenant
) -> None:
    schedule(control_database, tenant)
    claimed(control_database, after=1000 * LEASE)

    assert claim(control_database) is not None


def test_progress_is_seen_by_others(
    control_database: ControlDatabase, tenant: StoredTenant
) -> None:
    scheduled = schedule(control_database, tenant)
    progress = ImportProgress(phase=ImportPhase.READING, rows_read=2**40, percent=5)
    held = claimed(control_database)
    with control_database.for_service() as tx:
        tx.import_queue.save_progress(held, progress)

    assert find(control_database, scheduled) == replace(scheduled, progress=progress)


def test_a_draft_is_found_by_who_takes_over_with_the_first_ones_snapshot(
    control_database: ControlDatabase, tenant: StoredTenant
) -> None:
    schedule(control_database, tenant)
    first = claimed(control_database)
    with control_database.for_service() as tx:
        assert tx.import_queue.find_draft(first) is None
        tx.import_queue.save_draft(first, ImportDraft(REPORT, 5))
    second = claimed(control_database, after=LEASE)

    with control_database.for_service() as tx:
        assert tx.import_queue.find_draft(second) == ImportDraft(REPORT, 5)
        tx.import_queue.save_draft(second, ImportDraft(ImportReport(), 9))
        found = tx.import_queue.find_draft(second)
    assert found == ImportDraft(ImportReport(), 5)


USES: dict[str, Callable[[ImportQueue, ImportClaim], object]] = {
    "heartbeat": lambda queue, held: queue.heartbeat(held, until=NOON + 9 * LEASE),
    "release": lambda queue, held: queue.release(held, retry_at=NOON),
    "save_progress": lambda queue, held: queue.save_progress(
        held, ImportProgress(rows_read=1)
    ),
    "save_draft": lambda queue, held: queue.save_draft(held, ImportDraft(REPORT, 1)),
    "find_draft": lambda queue, held: queue.find_draft(held),
    "finish": lambda queue, held: queue.finish(
        held, held.data_import.fail(ImportFailure("X", "late"), at=NOON)
    ),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_nothing_done_under_an_older_claim_takes_effect(
    control_database: ControlDatabase,
    tenant: StoredTenant,
    use: Callable[[ImportQueue, ImportClaim], object],
) -> None:
    scheduled = schedule(control_database, tenant)
    stale = claimed(control_database)
    claimed(control_database, after=LEASE)

    with control_database.for_service() as tx, pytest.raises(ImportLeaseLost):
        use(tx.import_queue, stale)

    assert find(control_database, scheduled) == scheduled
    assert claim(control_database, after=LEASE) is None


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_nothing_changes_an_ended_import(
    control_database: ControlDatabase,
    tenant: StoredTenant,
    use: Callable[[ImportQueue, ImportClaim], object],
) -> None:
    scheduled = schedule(control_database, tenant)
    held = claimed(control_database)
    ended = scheduled.complete(REPORT, at=NOON)
    with control_database.for_service() as tx:
        tx.import_queue.finish(held, ended)

    with control_database.for_service() as tx, pytest.raises(ImportLeaseLost):
        use(tx.import_queue, held)

    assert find(control_database, scheduled) == ended
    assert claim(control_database, after=9 * LEASE) is None
