"""Looking after lakes beside exports that are scheduled, run and ended."""

import sqlite3
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builders import a_data_export, an_actor, an_archive
from http_service import HttpService, HttpTenant, http_service
from running import add_tenant, serving, thingport, wait_until
from thingport.application.data_exports import MAX_SCHEDULING
from thingport.application.housekeeping import Housekeeping, UpkeepStep
from thingport.application.ports import LakeReader
from thingport.application.upkeep_ports import LakeKeeper
from thingport.domain.actor import Actor
from thingport.domain.data_export import DataExport, DataExportRequest
from thingport.domain.errors import CorruptData
from thingport.domain.ids import TenantId, ThingId
from thingport.domain.period import ALL_TIME
from thingport.domain.reading import Reading, ReadingBatch
from thingport.entrypoints.runner.upkeep import Upkeep

RETENTION = timedelta(hours=1)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[HttpService]:
    with http_service(tmp_path) as opened:
        # Snapshots bear the time of the machine.
        opened.clock.at = datetime.now(UTC)
        yield opened


@pytest.fixture
def acme(service: HttpService) -> HttpTenant:
    return service.add_tenant("acme")


@pytest.fixture
def actor(service: HttpService, acme: HttpTenant) -> Actor:
    user = service.identity.add_user(
        "acme", "ada@acme.example", permissions=frozenset(), organization="Maker"
    )
    return an_actor(tenant_id=acme.id, user_id=user.id, entity=user.entity)


@pytest.fixture
def housekeeping(service: HttpService) -> Housekeeping:
    return Housekeeping(
        control=service.control,
        open_keeper=service.lakes.open_keeper,
        clock=service.clock,
        snapshot_retention=RETENTION,
    )


def _write(service: HttpService, tenant: HttpTenant, count: int) -> None:
    metric = tenant.metric
    for number in range(count):
        reading = Reading(ThingId(tenant.thing_id), number, {metric.id: 1.5})
        batch = ReadingBatch(
            thing_definition_id=metric.thing_definition_id,
            value_types={metric.id: metric.value_type},
            readings=[reading],
        )
        service.lakes.writer(tenant.id).write([batch])


def _count_rows(service: HttpService, data_export: DataExport) -> int:
    plan = service.archives.load_plan(data_export.tenant_id, data_export.id)
    things = [it.thing_id for it in plan.files]
    with service.lakes.open_reader(data_export.tenant_id) as lake:
        found = lake.survey(plan.snapshot, plan.layouts[0], things, ALL_TIME)
    return sum(it.rows for it in found.values())


def _make_old(catalogue: Path) -> None:
    """Let all that was written have been written long ago, the last of it too."""
    with closing(sqlite3.connect(catalogue)) as connection, connection:
        connection.execute(
            "UPDATE ducklake_snapshot SET snapshot_time = '2020-01-01 00:00:00+00'"
        )


def _finish(service: HttpService) -> None:
    now = service.clock.now()
    with service.control.for_service() as tx:
        claim = tx.queue.claim("runner", now=now, lease=timedelta(minutes=1))
        assert claim is not None
        tx.queue.finish(claim, claim.data_export.complete(an_archive(), at=now))


def test_what_a_pending_export_reads_stays_until_it_ends(
    service: HttpService, acme: HttpTenant, actor: Actor, housekeeping: Housekeeping
) -> None:
    _write(service, acme, 3)
    scheduled = service.data_exports.schedule(actor, DataExportRequest())
    _write(service, acme, 7)
    service.clock.advance(9 * RETENTION)

    steps = list(housekeeping.iter_steps(acme.id))

    assert steps == [UpkeepStep(expired_snapshots=3), UpkeepStep(merged_files=10)]
    assert _count_rows(service, scheduled) == 3

    _finish(service)
    service.clock.advance(RETENTION)
    assert list(housekeeping.iter_steps(acme.id)) == [UpkeepStep(expired_snapshots=8)]
    size = housekeeping.measure(acme.id)
    assert size.files == 1
    assert size.kept_bytes == size.size_bytes


def test_nothing_expires_before_its_time(
    service: HttpService, acme: HttpTenant, housekeeping: Housekeeping
) -> None:
    _write(service, acme, 3)
    service.clock.advance(RETENTION - timedelta(minutes=1))

    assert list(housekeeping.iter_steps(acme.id)) == []


def test_an_export_that_is_being_scheduled_keeps_its_snapshot(
    service: HttpService,
    acme: HttpTenant,
    actor: Actor,
    housekeeping: Housekeeping,
    tmp_path: Path,
) -> None:
    _write(service, acme, 3)
    _make_old(tmp_path / "lakes" / acme.id / "catalogue.sqlite")
    open_reader = service.lakes.open_reader

    @contextmanager
    def look_and_be_overtaken(tenant_id: TenantId) -> Generator[LakeReader]:
        with open_reader(tenant_id) as reader:
            yield reader
        with service.lakes.open_keeper(tenant_id) as keeper:
            assert keeper.compact(is_thorough=True) == 3
        service.clock.advance(MAX_SCHEDULING)
        steps = list(housekeeping.iter_steps(tenant_id))
        assert steps == [UpkeepStep(expired_snapshots=3)]

    slow = replace(service.data_exports, open_lake=look_and_be_overtaken)
    scheduled = slow.schedule(actor, DataExportRequest())

    assert scheduled.snapshot == 3
    assert _count_rows(service, scheduled) == 3


def test_expiry_waits_for_an_export_that_is_being_stored(
    service: HttpService, acme: HttpTenant, actor: Actor, housekeeping: Housekeeping
) -> None:
    _write(service, acme, 3)
    service.clock.advance(9 * RETENTION)
    is_added = Event()

    def store_slowly() -> None:
        with service.control.for_tenant(acme.id) as tx:
            pinned = a_data_export(
                tenant_id=acme.id, scheduled_by=actor.user_id, snapshot=2
            )
            tx.data_exports.add(pinned, slot="s")
            is_added.set()
            Event().wait(0.5)

    storing = Thread(target=store_slowly)
    storing.start()
    is_added.wait()
    steps = list(housekeeping.iter_steps(acme.id))
    storing.join()

    assert steps == [UpkeepStep(expired_snapshots=2)]


def test_one_tenants_damaged_lake_does_not_keep_the_others_waiting(
    service: HttpService, acme: HttpTenant, housekeeping: Housekeeping
) -> None:
    other = service.add_tenant("zeta")
    _write(service, other, 8)

    @contextmanager
    def open_keeper(tenant_id: TenantId) -> Generator[LakeKeeper]:
        if tenant_id == acme.id:
            raise CorruptData("of acme")
        with service.lakes.open_keeper(tenant_id) as keeper:
            yield keeper

    upkeep = Upkeep(60, Event(), Event())
    upkeep.look_after_all(replace(housekeeping, open_keeper=open_keeper))

    assert housekeeping.measure(other.id).files == 1


def test_a_busy_runner_is_left_alone_for_an_interval_and_no_longer(
    service: HttpService, acme: HttpTenant, housekeeping: Housekeeping
) -> None:
    _write(service, acme, 8)
    stop, busy = Event(), Event()
    busy.set()
    upkeep = Upkeep(0.5, stop, busy)
    began_at = datetime.now(UTC)

    assert upkeep.wait_for_next_round()
    upkeep.look_after_all(housekeeping)

    assert datetime.now(UTC) - began_at >= timedelta(seconds=1.5)
    assert housekeeping.measure(acme.id).files == 1


def test_nothing_begins_once_it_is_to_stop(
    service: HttpService, acme: HttpTenant, housekeeping: Housekeeping
) -> None:
    _write(service, acme, 8)
    stop, busy = Event(), Event()
    busy.set()
    stop.set()
    upkeep = Upkeep(60, stop, busy)

    assert not upkeep.wait_for_next_round()
    upkeep.look_after_all(housekeeping)
    assert housekeeping.measure(acme.id).files == 8


CATALOGUE = """
organizations: [{name: Acme}]
thingDefinitions:
  - name: pump
    metrics: [{name: temp, valueType: DOUBLE}]
things: [{serialNumber: P-1, thingDefinition: pump}]
"""


def _ingest(directory: Path, data_dir: Path, count: int) -> None:
    file = directory / "readings.parquet"
    for number in range(count):
        columns = {"thing": ["P-1"], "timestamp": [number], "temp": [0.5]}
        pq.write_table(pa.table(columns), file)
        thingport(data_dir, "ingest", str(file), "--tenant", "acme")


def test_the_command_says_what_it_did(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    add_tenant(data_dir, CATALOGUE)
    thingport(data_dir, "tenant", "add", "zeta")
    _ingest(tmp_path, data_dir, 3)

    printed = thingport(data_dir, "compact")

    first, second = (it for it in printed.splitlines() if "before" in it)
    assert first.startswith("acme: 3 files with ")
    assert " after; 0 snapshots expired, 0 leftovers deleted." in first
    assert ", 1 files with " in first.replace(" before", "")
    assert second.startswith("zeta: 0 files with 0 bytes (0 on disk) before")
    again = thingport(data_dir, "compact", "--tenant", "acme")
    assert "acme: 1 files with " in again
    assert "zeta" not in again


def test_a_runner_merges_by_itself(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    add_tenant(data_dir, CATALOGUE)
    _ingest(tmp_path, data_dir, 8)

    with serving(data_dir, COMPACTION_INTERVAL="PT0.2S") as server:
        wait_until(
            lambda: "merged_files=8" in server.log.read_text(), "a merge of all files"
        )
