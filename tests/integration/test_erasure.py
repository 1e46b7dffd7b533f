"""Erasing things beside exports that are pending, running and finished."""

import zipfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count

import pyarrow.parquet as pq
import pytest

from export_stack import Died, ExportStack
from server_rows import iter_rows
from thingport.application.erased_exports import Pause
from thingport.application.erasure import Erasure
from thingport.application.erasure_ports import LakeEraser
from thingport.application.ports import LakeReader
from thingport.application.run_data_export import LEASE
from thingport.domain.catalogue import Tenant
from thingport.domain.data_export import (
    DataExport,
    DataExportRequest,
    DataExportState,
    Selection,
)
from thingport.domain.erasure import ErasureRecord
from thingport.domain.errors import InvalidRequest, LeaseLost, ViewErased
from thingport.domain.ids import TenantId, ThingId
from thingport.domain.period import ALL_TIME

GONE = "large"
"""The thing to be erased; all its texts begin with its name, and no others do."""

MARK = GONE.encode()

on_both = pytest.mark.parametrize("stack", ["sqlite", "postgresql"], indirect=True)


@dataclass(frozen=True)
class Eraser:
    """Erases a thing of the stack's tenant."""

    stack: ExportStack
    erasure: Erasure

    @property
    def tenant(self) -> Tenant:
        with self.stack.services.control.for_service(read_only=True) as tx:
            (tenant,) = tx.tenants.list_all()
        return tenant

    def erase(
        self, *things: str, within: timedelta = timedelta(hours=1)
    ) -> ErasureRecord:
        found = self.erasure.find_things(self.tenant, things or (GONE,), None)
        return self.erasure.erase(self.tenant, found, within=within)


@pytest.fixture
def eraser(stack: ExportStack) -> Eraser:
    def pause(duration: timedelta) -> None:
        stack.clock.advance(duration)

    return eraser_with(stack, pause)


def eraser_with(stack: ExportStack, pause: Pause) -> Eraser:
    erasure = replace(stack.services.erasure, clock=stack.clock, pause=pause)
    return Eraser(stack, erasure)


def _schedule(stack: ExportStack, thing: str) -> DataExport:
    request = DataExportRequest(selection=Selection(thing_id=ThingId(thing)))
    return stack.exporter.data_exports.schedule(stack.exporter.actor, request)


def _complete(stack: ExportStack, thing: str) -> DataExport:
    scheduled = _schedule(stack, thing)
    stack.run()
    return scheduled


def _content(stack: ExportStack, data_export: DataExport) -> bytes:
    file = stack.archive_file(data_export)
    assert file is not None
    return file.read_bytes()


def _assert_nothing_is_left(stack: ExportStack) -> None:
    """Look at every byte of the lake, and at every row of it and of every archive."""
    root = stack.settings.data_dir
    files = [it for it in (root / "lakes").rglob("*") if it.is_file()]
    assert [it.name for it in files if MARK in it.read_bytes()] == []
    assert _tables_with(stack, GONE) <= {"things", "pg_stats"}
    for file in stack.lake_files():
        assert MARK not in str(pq.read_table(file).to_pydict()).encode()
    assert not list((root / "archives").rglob("*.segment"))
    for file in (root / "archives").rglob("*.zip"):
        with zipfile.ZipFile(file) as archive:
            texts = [archive.read(it) for it in archive.namelist()]
        assert not any(MARK in it for it in texts)


def _tables_with(stack: ExportStack, text: str) -> set[str]:
    """Give the tables of a server's database in which a text is."""
    url = stack.settings.database_url
    rows = iter_rows(None if url is None else url.get_secret_value())
    return {table for table, row in rows if text in row}


@on_both
def test_readings_go_and_everything_else_stays(
    stack: ExportStack, eraser: Eraser
) -> None:
    before = _content(stack, _complete(stack, "small"))
    with pytest.raises(AssertionError):
        _assert_nothing_is_left(stack)

    record = eraser.erase()

    assert record.rows_removed == 400
    assert record.verification.is_clean
    assert record.verification.lake_files >= len(stack.lake_files()) > 0
    _assert_nothing_is_left(stack)
    assert _content(stack, _complete(stack, "small")) == before
    empty = _complete(stack, GONE)
    assert stack.exporter.archive_of(empty).rows == 0
    again = eraser.erase()
    assert (again.rows_removed, again.files_rewritten) == (0, 0)
    assert again.verification.is_clean


def test_finished_archives_of_it_are_removed_and_others_are_not(
    stack: ExportStack, eraser: Eraser
) -> None:
    showing, other = _complete(stack, GONE), _complete(stack, "small")
    everything = stack.exporter.schedule()
    stack.run()

    record = eraser.erase()

    prepared = [
        it for it in record.archives_removed if it not in {showing.id, everything.id}
    ]
    assert len(prepared) == 1
    assert stack.archive_file(showing) is None
    assert stack.archive_file(everything) is None
    assert stack.archive_file(other) is not None
    assert stack.segments_of(showing) == []
    view = stack.services.data_exports.get(stack.exporter.actor, showing.id)
    assert view.data_export.state is DataExportState.COMPLETED
    assert (view.may_download, view.is_gone) == (False, True)
    kept = stack.services.data_exports.get(stack.exporter.actor, other.id)
    assert (kept.may_download, kept.is_gone) == (True, False)
    _assert_nothing_is_left(stack)


def test_a_waiting_export_of_it_ends_with_a_reason(
    stack: ExportStack, eraser: Eraser
) -> None:
    scheduled = stack.exporter.schedule()

    record = eraser.erase()

    assert record.exports_ended == [scheduled.id]
    assert stack.exporter.error_of(scheduled).code == "DATA_ERASED"
    assert stack.claim() is None
    stack.exporter.schedule()


@on_both
@pytest.mark.parametrize("number", [0, 3, 6])
def test_a_running_export_of_it_is_withdrawn_wherever_it_is(
    stack: ExportStack, eraser: Eraser, number: int
) -> None:
    scheduled = stack.exporter.schedule()
    records: list[ErasureRecord] = []

    def erase_at(present: int) -> None:
        if present == number:
            records.append(eraser.erase())

    with pytest.raises(LeaseLost):
        stack.run(stack.rendering(erase_at))

    assert records[0].verification.is_clean
    assert stack.exporter.error_of(scheduled).code == "DATA_ERASED"
    assert not stack.staging_of(scheduled).exists()
    _assert_nothing_is_left(stack)


def test_an_export_that_is_being_sealed_leaves_nothing(
    stack: ExportStack, eraser: Eraser
) -> None:
    scheduled = stack.exporter.schedule()

    def erase() -> None:
        eraser.erase()

    with pytest.raises(LeaseLost):
        stack.run(archives=stack.watched_archives(when_sealed=erase))

    assert stack.exporter.error_of(scheduled).code == "DATA_ERASED"
    assert stack.archive_file(scheduled) is None
    _assert_nothing_is_left(stack)


def test_a_runner_that_withdrew_is_not_waited_for(stack: ExportStack) -> None:
    scheduled = stack.exporter.schedule()
    claim = stack.claim()
    assert claim is not None
    pauses = count()

    def withdraw(_: timedelta) -> None:
        next(pauses)
        with pytest.raises(LeaseLost):
            stack.runner().run(claim)

    record = eraser_with(stack, withdraw).erase()

    assert next(pauses) == 1
    assert record.exports_ended == [scheduled.id]
    assert record.verification.is_clean


@on_both
def test_a_runner_that_died_is_waited_for_as_long_as_its_lease(
    stack: ExportStack, eraser: Eraser
) -> None:
    stack.exporter.schedule()
    stack.claim()
    began_at = stack.clock.now()

    assert eraser.erase().verification.is_clean

    assert LEASE <= stack.clock.now() - began_at <= LEASE + timedelta(seconds=1)


def test_a_runner_that_another_erasure_ended_is_waited_for_too(
    stack: ExportStack, eraser: Eraser
) -> None:
    stack.exporter.schedule()
    stack.claim()
    began_at = stack.clock.now()

    def die(_: timedelta) -> None:
        raise Died

    with pytest.raises(Died):
        eraser_with(stack, die).erase()
    assert stack.clock.now() == began_at

    record = eraser.erase()

    assert record.exports_ended == []
    assert stack.clock.now() - began_at >= LEASE


@on_both
def test_an_export_of_another_thing_is_waited_for_and_has_the_same_bytes(
    stack: ExportStack,
) -> None:
    before = _content(stack, _complete(stack, "small"))
    scheduled = _schedule(stack, "small")

    record = eraser_with(stack, lambda _: _run_once(stack)).erase()

    assert record.exports_cut_short == ()
    assert _content(stack, scheduled) == before
    assert record.verification.is_clean
    _assert_nothing_is_left(stack)


def _run_once(stack: ExportStack) -> None:
    stack.run()


def test_an_export_of_another_thing_that_takes_too_long_ends_with_a_reason(
    stack: ExportStack, eraser: Eraser
) -> None:
    scheduled = _schedule(stack, "small")
    began_at = stack.clock.now()

    record = eraser.erase(within=timedelta(minutes=5))

    assert record.exports_ended == []
    assert record.exports_cut_short == [scheduled.id]
    assert stack.exporter.error_of(scheduled).code == "CUT_SHORT_BY_ERASURE"
    assert stack.clock.now() - began_at < timedelta(minutes=6)
    assert record.verification.is_clean
    _assert_nothing_is_left(stack)


@on_both
def test_an_export_scheduled_after_the_view_was_looked_up_is_refused(
    stack: ExportStack, eraser: Eraser
) -> None:
    open_lake = stack.exporter.data_exports.open_lake
    exporter = stack.exporter

    @contextmanager
    def overtaken(tenant_id: TenantId) -> Generator[LakeReader]:
        with open_lake(tenant_id) as lake:
            yield lake
        eraser.erase()

    slow = replace(exporter.data_exports, open_lake=overtaken)
    with pytest.raises(ViewErased):
        slow.schedule(exporter.actor, DataExportRequest())

    stack.exporter.schedule()
    stack.run()
    assert not list((stack.settings.data_dir / "archives").rglob(".*"))


STEPS = [
    "delete_things",
    "find_rewritten",
    "rewrite",
    "expire_before",
    "delete_leftovers",
    "scrub_catalogue",
    "inspect",
]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", STEPS)
def test_one_that_died_anywhere_is_finished_by_the_next(
    stack: ExportStack, eraser: Eraser, step: str, *, after: bool
) -> None:
    _complete(stack, GONE)
    pending = stack.exporter.schedule()
    open_eraser = eraser.erasure.open_eraser

    @contextmanager
    def dying(tenant_id: TenantId) -> Generator[LakeEraser]:
        with open_eraser(tenant_id) as opened:
            yield _Dying(opened, step, after=after)  # type: ignore[misc]  # is one

    with pytest.raises(Died):
        Eraser(stack, replace(eraser.erasure, open_eraser=dying)).erase()
    record = eraser.erase()

    assert record.verification.is_clean
    assert stack.exporter.error_of(pending).code == "DATA_ERASED"
    _assert_nothing_is_left(stack)


class _Dying:
    """An eraser that ends before or after a step."""

    def __init__(self, eraser: LakeEraser, step: str, *, after: bool) -> None:
        self._eraser = eraser
        self._step = step
        self._after = after

    def __getattr__(self, name: str) -> Callable[..., object]:
        method: Callable[..., object] = getattr(self._eraser, name)
        if name != self._step:
            return method

        def die(*arguments: object) -> object:
            if self._after:
                method(*arguments)
            raise Died

        return die


@on_both
def test_what_is_left_is_told(stack: ExportStack, eraser: Eraser) -> None:
    showing = _complete(stack, GONE)
    content = _content(stack, showing)
    file = stack.archive_file(showing)
    assert file is not None
    copied = next(iter(stack.lake_files())).read_bytes()

    @contextmanager
    def meddled(tenant_id: TenantId) -> Generator[LakeEraser]:
        with eraser.erasure.open_eraser(tenant_id) as opened:
            yield _Meddled(opened, _put_back)  # type: ignore[misc]  # is one

    def _put_back() -> None:
        file.write_bytes(content)
        lake = stack.settings.data_dir / "lakes" / stack.exporter.actor.tenant_id
        (lake / "data" / "copy.parquet").write_bytes(copied)

    record = Eraser(stack, replace(eraser.erasure, open_eraser=meddled)).erase()

    assert record.verification.rows_left > 0
    assert showing.id in record.verification.exports_left
    assert not record.verification.is_clean
    assert eraser.erase().verification.is_clean


class _Meddled:
    """An eraser beside which somebody copies files back."""

    def __init__(self, eraser: LakeEraser, meddle: Callable[[], None]) -> None:
        self._eraser = eraser
        self._meddle = meddle

    def __getattr__(self, name: str) -> Callable[..., object]:
        if name == "inspect":
            self._meddle()
        method: Callable[..., object] = getattr(self._eraser, name)
        return method


def test_things_are_found_by_serial_number_and_id_and_nothing_else(
    eraser: Eraser,
) -> None:
    find_things, tenant = eraser.erasure.find_things, eraser.tenant
    found = find_things(tenant, ["small", "idle", "small"], None)
    assert [it.id for it in found] == ["idle", "small"]
    for things, customer, complaint in (
        ((), None, "name what to erase"),
        (("nobody",), None, "--thing: there is none called 'nobody'"),
        ((), "nobody", "--customer: there is none called 'nobody'"),
    ):
        with pytest.raises(InvalidRequest, match=complaint):
            find_things(tenant, things, customer)


def test_a_view_of_the_lake_is_what_it_was_for_others(
    stack: ExportStack, eraser: Eraser
) -> None:
    plan_of = _complete(stack, "small")
    plan = stack.archives.load_plan(plan_of.tenant_id, plan_of.id)
    eraser.erase()

    with stack.services.lakes.open_reader(plan_of.tenant_id) as lake:
        found = lake.survey(
            lake.current_snapshot(), plan.layouts[0], [ThingId("small")], ALL_TIME
        )
    assert found[ThingId("small")].rows == 40
