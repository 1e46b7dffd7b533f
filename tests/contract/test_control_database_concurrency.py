"""What every control database keeps of its promise when many use it at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import TypeVar

import pytest

from builders import (
    NOON,
    a_data_export,
    a_thing,
    a_thing_definition,
    an_archive,
    an_organization,
)
from stored_tenants import StoredTenant, store_tenant
from thingport.application.ports import Claim, ControlDatabase
from thingport.domain.data_export import DataExport
from thingport.domain.errors import ExportAlreadyActive

THREADS = 6
_T = TypeVar("_T")


def _at_once(work: Callable[[int], _T]) -> list[_T]:
    start = Barrier(THREADS)

    def wait_and_work(number: int) -> _T:
        start.wait()
        return work(number)

    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(wait_and_work, range(THREADS)))


def _export(tenant: StoredTenant) -> DataExport:
    return a_data_export(tenant_id=tenant.id, scheduled_by=tenant.user.id)


def test_of_many_exports_scheduled_at_once_one_wins_the_slot(
    control_database: ControlDatabase,
) -> None:
    tenant = store_tenant(control_database)
    exports = [_export(tenant) for _ in range(THREADS)]

    def schedule(number: int) -> str | None:
        try:
            with control_database.for_tenant(tenant.id) as tx:
                tx.data_exports.add(exports[number], slot="s")
        except ExportAlreadyActive as refusal:
            return refusal.active_id
        return None

    outcomes = _at_once(schedule)

    assert outcomes.count(None) == 1
    winner = exports[outcomes.index(None)].id
    assert set(outcomes) == {None, winner}


def test_an_export_is_claimed_by_one_of_many_runners(
    control_database: ControlDatabase,
) -> None:
    tenant = store_tenant(control_database)
    exports = [_export(tenant) for _ in range(THREADS - 2)]
    with control_database.for_tenant(tenant.id) as tx:
        for number, data_export in enumerate(exports):
            tx.data_exports.add(data_export, slot=str(number))

    def claim(number: int) -> Claim | None:
        with control_database.for_service() as tx:
            return tx.queue.claim(
                f"runner-{number}", now=NOON, lease=timedelta(seconds=15)
            )

    claims = [it for it in _at_once(claim) if it is not None]

    assert sorted(it.data_export.id for it in claims) == [it.id for it in exports]


def test_reading_first_and_writing_later_waits_its_turn(
    control_database: ControlDatabase,
) -> None:
    tenant = store_tenant(control_database)

    def read_then_write(_: int) -> list[int]:
        firsts: list[int] = []
        for _ in range(5):
            with control_database.for_tenant(tenant.id) as tx:
                tx.catalogue.get_network()
                firsts.append(tx.allocate_written_seqs(2))
        return firsts

    firsts = sorted(it for each in _at_once(read_then_write) for it in each)

    assert firsts == list(range(firsts[0], firsts[0] + 2 * len(firsts), 2))


def test_what_was_read_is_still_true_when_it_is_written(
    control_database: ControlDatabase,
) -> None:
    tenant = store_tenant(control_database)

    def add_unless_there_is_one(number: int) -> None:
        with control_database.for_tenant(tenant.id) as tx:
            if len(tx.catalogue.list_things()) == 0:
                definition = a_thing_definition()
                tx.catalogue.save(definition)
                tx.catalogue.save(
                    a_thing(
                        serial_number=str(number), thing_definition_id=definition.id
                    )
                )

    _at_once(add_unless_there_is_one)

    with control_database.for_tenant(tenant.id, read_only=True) as tx:
        assert len(tx.catalogue.list_things()) == 1


def test_reading_goes_on_beside_a_writer_and_sees_one_view(
    control_database: ControlDatabase,
) -> None:
    tenant = store_tenant(control_database)
    with control_database.for_tenant(tenant.id, read_only=True) as reading:
        before = reading.catalogue.get_network()
        with control_database.for_tenant(tenant.id) as writing:
            writing.catalogue.save(an_organization())
            assert reading.catalogue.get_network().organizations == before.organizations
        assert reading.catalogue.get_network().organizations == before.organizations

    with control_database.for_tenant(tenant.id, read_only=True) as reading:
        assert len(list(reading.catalogue.get_network().organizations)) == 2


def test_an_export_does_not_end_while_its_tenant_decides_upon_it(
    control_database: ControlDatabase,
) -> None:
    tenant = store_tenant(control_database)
    data_export = _export(tenant)
    with control_database.for_tenant(tenant.id) as tx:
        tx.data_exports.add(data_export, slot="s")
    with control_database.for_service() as service:
        claim = service.queue.claim("r", now=NOON, lease=timedelta(seconds=15))
    assert claim is not None

    def finish() -> None:
        with control_database.for_service() as service:
            service.queue.finish(claim, data_export.complete(an_archive(), at=NOON))

    with ThreadPoolExecutor(1) as threads:
        with control_database.for_tenant(tenant.id) as tx:
            seen = tx.data_exports.find(data_export.id)
            finishing = threads.submit(finish)
            with pytest.raises(TimeoutError):
                finishing.result(timeout=0.2)
            assert tx.data_exports.find(data_export.id) == seen
        finishing.result()


def test_a_slot_is_free_for_the_next_export_the_moment_the_last_one_ends(
    control_database: ControlDatabase,
) -> None:
    tenant = store_tenant(control_database)
    following = _export(tenant)
    with control_database.for_tenant(tenant.id) as tx:
        tx.data_exports.add(_export(tenant), slot="s")

    def schedule() -> None:
        with control_database.for_tenant(tenant.id) as tx:
            tx.data_exports.add(following, slot="s")

    with ThreadPoolExecutor(1) as threads:
        with control_database.for_service() as service:
            claim = service.queue.claim("r", now=NOON, lease=timedelta(seconds=15))
            assert claim is not None
            done = claim.data_export.complete(an_archive(), at=NOON)
            service.queue.finish(claim, done)
            # It looks for who holds the slot, and finds that it must wait.
            scheduling = threads.submit(schedule)
            with pytest.raises(TimeoutError):
                scheduling.result(timeout=0.2)
        scheduling.result()

    with control_database.for_tenant(tenant.id) as tx:
        assert tx.data_exports.find(following.id) == following
