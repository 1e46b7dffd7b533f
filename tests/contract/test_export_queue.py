"""What every queue of exports keeps of its promise."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from builders import NOON, a_data_export, a_stored_segment, an_archive
from stored_tenants import store_tenant
from thingport.application.ports import Claim, ControlDatabase, ExportQueue
from thingport.domain.data_export import DataExport, ExportError, Phase, Progress
from thingport.domain.errors import LeaseLost

LEASE = timedelta(seconds=15)
SECOND = timedelta(seconds=1)


def _schedule(control: ControlDatabase, **overrides: object) -> DataExport:
    tenant = store_tenant(control)
    data_export = a_data_export(
        tenant_id=tenant.id, scheduled_by=tenant.user.id, **overrides
    )
    with control.for_tenant(tenant.id) as tx:
        tx.data_exports.add(data_export, slot="s")
    return data_export


def _find(control: ControlDatabase, data_export: DataExport) -> DataExport | None:
    with control.for_tenant(data_export.tenant_id) as tx:
        return tx.data_exports.find(data_export.id)


def _claim(control: ControlDatabase, *, after: timedelta = timedelta()) -> Claim | None:
    with control.for_service() as tx:
        return tx.queue.claim("runner", now=NOON + after, lease=LEASE)


def _claimed(control: ControlDatabase, *, after: timedelta = timedelta()) -> Claim:
    claim = _claim(control, after=after)
    assert claim is not None
    return claim


def test_an_empty_queue_gives_nothing(control_database: ControlDatabase) -> None:
    assert _claim(control_database) is None


def test_the_longest_waiting_export_comes_first_and_only_once(
    control_database: ControlDatabase,
) -> None:
    later = _schedule(control_database, scheduled_at=NOON)
    earlier = _schedule(control_database, scheduled_at=NOON - SECOND)

    first, second = _claimed(control_database), _claimed(control_database)

    assert first.data_export == earlier
    assert second.data_export == later
    assert (first.attempt, second.attempt) == (1, 1)
    assert _claim(control_database) is None


def test_an_expired_lease_is_taken_over_and_fences_the_first_holder_off(
    control_database: ControlDatabase,
) -> None:
    _schedule(control_database)
    first = _claimed(control_database)

    assert _claim(control_database, after=LEASE - SECOND) is None
    second = _claimed(control_database, after=LEASE)

    assert second.fencing_token > first.fencing_token
    assert second.attempt == 2
    with control_database.for_service() as tx, pytest.raises(LeaseLost):
        tx.queue.heartbeat(first, until=NOON + 9 * LEASE)


def test_a_heartbeat_prolongs_the_lease(control_database: ControlDatabase) -> None:
    _schedule(control_database)
    claim = _claimed(control_database)
    with control_database.for_service() as tx:
        tx.queue.heartbeat(claim, until=NOON + 2 * LEASE)

    assert _claim(control_database, after=LEASE) is None
    assert _claim(control_database, after=2 * LEASE) is not None


def test_a_released_export_waits_for_its_time_and_no_longer(
    control_database: ControlDatabase,
) -> None:
    _schedule(control_database)
    claim = _claimed(control_database)
    with control_database.for_service() as tx:
        tx.queue.release(claim, retry_at=NOON + SECOND)

    assert _claim(control_database) is None
    again = _claimed(control_database, after=SECOND)
    assert again.attempt == 2


def test_a_claim_that_was_no_attempt_does_not_count_as_one(
    control_database: ControlDatabase,
) -> None:
    _schedule(control_database)
    claim = _claimed(control_database)
    with control_database.for_service() as tx:
        tx.queue.release(claim, retry_at=NOON, is_attempt=False)

    again = _claimed(control_database)
    assert again.attempt == 1
    assert again.fencing_token > claim.fencing_token


def test_a_lease_that_a_wrong_clock_gave_is_over(
    control_database: ControlDatabase,
) -> None:
    _schedule(control_database)
    assert _claim(control_database, after=1000 * LEASE) is not None

    assert _claim(control_database) is not None
    assert _claim(control_database) is None


def test_progress_is_seen_by_others(control_database: ControlDatabase) -> None:
    data_export = _schedule(control_database)
    progress = Progress(phase=Phase.RENDERING, rows_done=2**40, rows_total=2**41)
    claim = _claimed(control_database)
    with control_database.for_service() as tx:
        tx.queue.save_progress(claim, progress)

    assert _find(control_database, data_export) == data_export.advance(progress)


def test_the_first_segment_of_a_chunk_wins(control_database: ControlDatabase) -> None:
    data_export = _schedule(control_database)
    claim = _claimed(control_database)
    one, zero = a_stored_segment(chunk_number=1), a_stored_segment(chunk_number=0)
    with control_database.for_service() as tx:
        assert tx.queue.commit_segment(claim, one)
        assert tx.queue.commit_segment(claim, zero)
        assert not tx.queue.commit_segment(claim, a_stored_segment(chunk_number=1))

    with control_database.for_service() as tx:
        assert tx.queue.list_segments(data_export.id) == [zero, one]


def test_a_forgotten_segment_makes_room_for_another(
    control_database: ControlDatabase,
) -> None:
    data_export = _schedule(control_database)
    claim = _claimed(control_database)
    kept, damaged = a_stored_segment(chunk_number=0), a_stored_segment(chunk_number=1)
    better = a_stored_segment(chunk_number=1)
    with control_database.for_service() as tx:
        tx.queue.commit_segment(claim, kept)
        tx.queue.commit_segment(claim, damaged)
        tx.queue.forget_segment(claim, 1)
        assert tx.queue.list_segments(data_export.id) == [kept]
        assert tx.queue.commit_segment(claim, better)

    with control_database.for_service() as tx:
        assert tx.queue.list_segments(data_export.id) == [kept, better]


def test_segments_outlive_the_runner_that_made_them(
    control_database: ControlDatabase,
) -> None:
    data_export = _schedule(control_database)
    segment = a_stored_segment()
    first = _claimed(control_database)
    with control_database.for_service() as tx:
        tx.queue.commit_segment(first, segment)
    second = _claimed(control_database, after=LEASE)

    with control_database.for_service() as tx:
        assert tx.queue.list_segments(data_export.id) == [segment]
        assert not tx.queue.commit_segment(second, a_stored_segment())


def test_an_ended_export_is_never_claimed_again(
    control_database: ControlDatabase,
) -> None:
    data_export = _schedule(control_database)
    claim = _claimed(control_database)
    with control_database.for_service() as tx:
        tx.queue.finish(claim, data_export.complete(an_archive(), at=NOON))

    assert _claim(control_database, after=9 * LEASE) is None


USES: dict[str, Callable[[ExportQueue, Claim], object]] = {
    "heartbeat": lambda queue, claim: queue.heartbeat(claim, until=NOON + 9 * LEASE),
    "release": lambda queue, claim: queue.release(claim, retry_at=NOON),
    "save_progress": lambda queue, claim: queue.save_progress(
        claim, Progress(rows_done=1)
    ),
    "commit_segment": lambda queue, claim: queue.commit_segment(
        claim, a_stored_segment(chunk_number=5)
    ),
    "forget_segment": lambda queue, claim: queue.forget_segment(claim, 0),
    "finish": lambda queue, claim: queue.finish(
        claim, claim.data_export.fail(ExportError("X", "late"), at=NOON)
    ),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_nothing_done_under_an_older_claim_takes_effect(
    control_database: ControlDatabase, use: Callable[[ExportQueue, Claim], object]
) -> None:
    data_export = _schedule(control_database)
    stale = _claimed(control_database)
    segment = a_stored_segment()
    with control_database.for_service() as tx:
        tx.queue.commit_segment(stale, segment)
    _claimed(control_database, after=LEASE)

    with control_database.for_service() as tx, pytest.raises(LeaseLost):
        use(tx.queue, stale)

    assert _find(control_database, data_export) == data_export
    assert _claim(control_database, after=LEASE) is None
    with control_database.for_service() as tx:
        assert tx.queue.list_segments(data_export.id) == [segment]


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_nothing_changes_an_ended_export(
    control_database: ControlDatabase, use: Callable[[ExportQueue, Claim], object]
) -> None:
    data_export = _schedule(control_database)
    claim = _claimed(control_database)
    ended = data_export.complete(an_archive(), at=NOON)
    with control_database.for_service() as tx:
        tx.queue.finish(claim, ended)

    with control_database.for_service() as tx, pytest.raises(LeaseLost):
        use(tx.queue, claim)

    assert _find(control_database, data_export) == ended
