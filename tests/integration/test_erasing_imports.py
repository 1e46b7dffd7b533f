"""Erasing things and removing tenants beside imports."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from import_stack import HEADER, THING, ImportStack, import_stack
from thingport.application.erasure import Erasure
from thingport.domain.catalogue import Tenant
from thingport.domain.data_import import DataImportState
from thingport.domain.erasure import ErasureRecord
from thingport.domain.errors import ImportLeaseLost, NotFound, StoreUnavailable
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
