"""What every control database keeps of its promise when many use it at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import TypeVar

from builders import NOON, a_data_export
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
