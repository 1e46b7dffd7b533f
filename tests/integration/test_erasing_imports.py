"""Erasing things and removing tenants beside imports."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from import_stack import HEADER, THING, ImportStack, import_stack
from thingport.application.data_imports import DataImportRequest
from thingport.application.erasure import Erasure
from thingport.application.run_data_import import LEASE
from thingport.domain.catalogue import Tenant
from thingport.domain.data_import import DataImportState
from thingport.domain.erasure import ErasureRecord
from thingport.domain.errors import (
    CorruptData,
    ImportLeaseLost,
    NotFound,
    StoreUnavailable,
)
from thingport.domain.ids import ThingId
from watched_imports import die, run_watched

OTHER = ThingId("p2")

MARK = "written by hand"

ONE_ROW = f"{HEADER}\n1000,1.5,2,true,0.5,{MARK}\n"

A_BAD_ROW = f"{HEADER}\n1000,{MARK},2,true,0.5,\n"


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[ImportStack]:
    with import_stack(tmp_path / "data") as made:
        yield made


def _tenant(stack: ImportStack) -> Tenant:
    with stack.services.control.for_service(read_only=True) as tx:
        (tenant,) = tx.tenants.list_all()
    return tenant


def _erase(stack: ImportStack, *, within_s: float = 60) -> ErasureRecord:
    def pause(duration: timedelta) -> None:
        stack.clock.advance(duration)

    erasure: Erasure = replace(stack.services.erasure, clock=stack.clock, pause=pause)
    things = erasure.find_things(_tenant(stack), [THING], None)
    return erasure.erase(_tenant(stack), things, within=timedelta(seconds=within_s))


def _mentions(stack: ImportStack) -> list[str]:
    files = (it for it in stack.settings.data_dir.rglob("*") if it.is_file())
    return [it.name for it in files if MARK.encode() in it.read_bytes()]


def test_a_waiting_import_of_the_thing_ends_with_a_reason(stack: ImportStack) -> None:
    waiting = stack.schedule(ONE_ROW)
    assert _mentions(stack)

    _erase(stack)

    assert stack.failure_of(waiting).code == "DATA_ERASED"
    assert stack.runner.claim() is None
    assert stack.rows(THING) == []
    assert _mentions(stack) == []


def test_what_was_imported_goes_and_so_does_what_was_reported(
    stack: ImportStack,
) -> None:
    stored, rejected = stack.bring_in(ONE_ROW), stack.bring_in(A_BAD_ROW)
    assert rejected.state is DataImportState.COMPLETED

    record = _erase(stack)

    assert record.rows_removed == 1
    assert record.verification.is_clean
    for it in (stored, rejected):
        with pytest.raises(NotFound):
            stack.look(it)
    assert _mentions(stack) == []


def test_imports_of_other_things_are_left_alone(stack: ImportStack) -> None:
    ended = stack.bring_in(ONE_ROW, OTHER)
    waiting = stack.schedule(ONE_ROW, OTHER)

    _erase(stack)
    stack.run()

    assert stack.report_of(ended).rows_accepted == 1
    assert stack.report_of(waiting).rows_accepted == 1
    assert len(stack.rows(OTHER)) == 1


def test_a_runner_stores_nothing_of_one_that_was_ended_meanwhile(
    stack: ImportStack,
) -> None:
    stack.schedule(ONE_ROW)
    claim = stack.claim()

    _erase(stack)
    with pytest.raises(ImportLeaseLost):
        stack.runner.run(claim)

    assert stack.rows(THING) == []
    assert _mentions(stack) == []


def test_one_that_is_being_stored_for_another_thing_is_waited_for(
    stack: ImportStack,
) -> None:
    """By the older view a runner knows whether it is stored; without, it is twice."""
    stack.bring_in(ONE_ROW)
    waiting = stack.schedule(ONE_ROW, OTHER)
    run_watched(stack, when_stored=die)

    with pytest.raises(StoreUnavailable, match="an import is being stored for long"):
        _erase(stack)

    stack.clock.advance(timedelta(hours=1))
    stack.run()
    assert stack.report_of(waiting).rows_accepted == 1
    assert _erase(stack).verification.is_clean
    assert len(stack.rows(OTHER)) == 1


def test_a_removed_tenant_leaves_no_file(stack: ImportStack) -> None:
    stack.bring_in(A_BAD_ROW)
    stack.schedule(ONE_ROW)

    stack.services.tenant_removal.remove(_tenant(stack).name)

    folders = stack.settings.data_dir.rglob(stack.actor.tenant_id)
    assert list(folders) == []
    assert _mentions(stack) == []


def test_a_lake_that_is_lost_is_not_taken_for_an_erased_one(stack: ImportStack) -> None:
    stack.bring_in(ONE_ROW)
    waiting = stack.schedule(ONE_ROW)
    shutil.rmtree(stack.settings.data_dir / "lakes")
    stack.services.lakes.close()

    with pytest.raises(CorruptData, match="the lake is gone"):
        _erase(stack)
    with pytest.raises(CorruptData, match="the lake is gone"):
        stack.services.housekeeping.measure(stack.actor.tenant_id)

    assert stack.look(waiting).state is DataImportState.PENDING


def test_an_import_waits_for_a_lake_that_is_lost_while_it_is_stored(
    stack: ImportStack,
) -> None:
    waiting = stack.schedule(ONE_ROW)
    run_watched(stack, when_stored=die)
    lakes = stack.settings.data_dir / "lakes"
    away = lakes.rename(lakes.with_name("away"))
    stack.services.lakes.close()
    stack.clock.advance(LEASE)

    assert isinstance(stack.run(), CorruptData)
    assert stack.look(waiting).state is DataImportState.PENDING
    assert stack.runner.claim() is None

    if lakes.exists():
        shutil.rmtree(lakes)
    away.rename(lakes)
    stack.clock.advance(timedelta(minutes=5))
    stack.run()
    assert stack.report_of(waiting).rows_accepted == 1
    assert len(stack.rows(THING)) == 1


def test_a_file_that_arrives_while_its_tenant_is_removed_goes_again(
    stack: ImportStack,
) -> None:
    upload = stack.services.data_imports.begin(
        stack.actor, DataImportRequest(thing_id=THING)
    )
    upload.file.write(ONE_ROW.encode())
    with stack.services.control.for_service() as tx:
        tx.tenants.begin_removal(_tenant(stack).name, at=stack.clock.now())

    with pytest.raises(NotFound):
        stack.services.data_imports.schedule(upload)

    assert not (stack.settings.data_dir / "imports" / stack.actor.tenant_id).exists()
