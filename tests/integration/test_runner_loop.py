"""The runner's loop: what ends an export, and what ends no runner."""

import sqlite3
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from threading import Event

import pytest
from structlog.testing import capture_logs

from export_stack import THINGS, ExportStack, add_exporter
from thingport.adapters.sql.database import SqlControlDatabase
from thingport.adapters.sql.engine import open_engine, sqlite_url
from thingport.application.run_data_export import LEASE
from thingport.domain.data_export import DataExportState
from thingport.entrypoints.runner.main import _look_after_lakes, _run_one, _run_until


def has_a_bug(number: int) -> None:
    if number == 2:
        raise ZeroDivisionError


def test_a_bug_ends_the_export_and_the_runner_goes_on_with_the_next(
    stack: ExportStack,
) -> None:
    stop = Event()
    unlucky = stack.exporter.schedule()
    lucky_exporter = add_exporter(stack.services)
    lucky = lucky_exporter.schedule()

    def before(number: int) -> None:
        if stack.exporter.look(unlucky).state is DataExportState.PENDING:
            has_a_bug(number)
        elif number == 6:
            stop.set()

    with capture_logs() as logged:
        _run_until(stop, stack.runner(stack.rendering(before)), Event(), 0.01)

    assert stack.exporter.error_of(unlucky).code == "INTERNAL_ERROR"
    assert not stack.staging_of(unlucky).exists()
    assert stack.archive_file(unlucky) is None
    assert lucky_exporter.archive_of(lucky).rows == sum(THINGS.values())
    [crashed] = [it for it in logged if it["event"] == "data_export_crashed"]
    assert crashed["data_export"] == unlucky.id
    assert crashed["exc_info"]


def test_a_bug_in_a_runner_that_lost_its_lease_ends_neither(stack: ExportStack) -> None:
    scheduled = stack.exporter.schedule()

    def has_a_bug_too_late(number: int) -> None:
        if number == 2:
            stack.clock.advance(LEASE)
            stack.run()
        has_a_bug(number)

    assert _run_one(stack.runner(stack.rendering(has_a_bug_too_late)), Event())

    assert stack.exporter.archive_of(scheduled).rows == sum(THINGS.values())


@contextmanager
def impatient_control(stack: ExportStack) -> Generator[SqlControlDatabase]:
    """Open the control database for somebody who waits for nobody."""
    url = sqlite_url(stack.settings.data_dir / "control.sqlite")
    control = SqlControlDatabase(open_engine(url, busy_timeout=timedelta()))
    yield control
    control.close()


@contextmanager
def busy_control(stack: ExportStack) -> Generator[sqlite3.Connection]:
    """Keep everybody else from writing to the control database."""
    path = stack.settings.data_dir / "control.sqlite"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    finally:
        connection.close()


class Pauses(Event):
    """Waits for nothing; whatever is to happen meanwhile happens at once."""

    def __init__(self, *meanwhile: Callable[[], None]) -> None:
        super().__init__()
        self._meanwhile = iter(meanwhile)
        self.lengths_s: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.lengths_s.append(timeout)
        next(self._meanwhile, self.set)()
        return self.is_set()


def test_a_runner_that_cannot_claim_looks_again_a_little_later(
    stack: ExportStack,
) -> None:
    scheduled = stack.exporter.schedule()

    with ExitStack() as busy, impatient_control(stack) as control:
        busy.enter_context(busy_control(stack))
        stop = Pauses(busy.close)
        _run_until(stop, stack.runner(control=control), Event(), 0.01)

    assert stop.lengths_s == [1.0, 0.01]
    assert stack.exporter.archive_of(scheduled).rows == sum(THINGS.values())


@pytest.mark.parametrize(
    ("also", "event"),
    [
        (lambda _number: None, "data_export_interrupted"),
        (has_a_bug, "data_export_crashed"),
    ],
)
def test_an_export_that_cannot_even_be_given_back_is_taken_up_when_its_lease_ends(
    stack: ExportStack, also: Callable[[int], None], event: str
) -> None:
    scheduled = stack.exporter.schedule()

    with ExitStack() as busy, impatient_control(stack) as control:

        def database_goes_away(number: int) -> None:
            if number == 2:
                busy.enter_context(busy_control(stack))
            also(number)

        runner = stack.runner(stack.rendering(database_goes_away), control=control)
        logged = busy.enter_context(capture_logs())
        assert not _run_one(runner, Event())
    assert [it["event"] for it in logged][:2] == ["data_export_started", event]
    assert stack.claim() is None
    stack.clock.advance(LEASE)
    rest = stack.rendering()
    assert _run_one(stack.runner(rest), Event())

    assert rest.numbers == [2, 3, 4, 5, 6]
    assert stack.exporter.archive_of(scheduled) == stack.undisturbed


def test_upkeep_says_in_a_sentence_that_a_later_release_has_the_database(
    stack: ExportStack,
) -> None:
    path = stack.settings.data_dir / "control.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")

    with capture_logs() as logged:
        _look_after_lakes(stack.settings, Pauses(lambda: None), Event())

    [failed] = logged
    assert failed["event"] == "upkeep_failed"
    assert "newer release" in failed["reason"]
