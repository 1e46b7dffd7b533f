"""A lease is kept fresh for as long as work goes on, and no longer."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

import pytest

from builders import NOON, a_data_export
from thingport.application.keep_alive import keep_alive
from thingport.application.ports import Claim, ControlDatabase
from thingport.domain.errors import LeaseLost, StoreUnavailable

LEASE = timedelta(milliseconds=30)
LONG_LEASE = timedelta(hours=1)
PATIENCE_S = 30.0


class SteppingClock:
    """A clock that is a second further each time that it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def now(self) -> datetime:
        self.asked += 1
        return NOON + timedelta(seconds=self.asked)


@dataclass(frozen=True)
class Renewal:
    claim: Claim
    until: datetime


class Renewals:
    """A control database of which only renewing works, and ends as it is told.

    Args:
        failures: What the first renewals raise, one after the other.
    """

    def __init__(self, *failures: Exception) -> None:
        self.seen: list[Renewal] = []
        self._failures = list(failures)
        self._changed = threading.Condition()

    @contextmanager
    def for_service(self, *, read_only: bool = False) -> Generator["Renewals"]:
        assert not read_only
        yield self

    @property
    def queue(self) -> "Renewals":
        return self

    def heartbeat(self, claim: Claim, *, until: datetime) -> None:
        with self._changed:
            self.seen.append(Renewal(claim, until))
            self._changed.notify_all()
        if self._failures:
            raise self._failures.pop(0)

    def wait_for(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(
                lambda: len(self.seen) >= count, timeout=PATIENCE_S
            )

    @property
    def control(self) -> ControlDatabase:
        return cast("ControlDatabase", self)


@pytest.fixture
def claim() -> Claim:
    return Claim(data_export=a_data_export(), fencing_token=1, attempt=1)


class Newcomers:
    """The threads that were started since."""

    def __init__(self) -> None:
        self._before = set(threading.enumerate())

    def alive(self) -> set[threading.Thread]:
        return set(threading.enumerate()) - self._before

    def only(self) -> threading.Thread:
        [thread] = self.alive()
        return thread

    def join(self) -> None:
        for thread in self.alive():
            thread.join(PATIENCE_S)
        assert not self.alive()


def test_a_lease_is_renewed_again_and_again_while_the_block_runs(claim: Claim) -> None:
    renewals, clock = Renewals(), SteppingClock()

    with keep_alive(renewals.control, clock, LEASE, claim):
        renewals.wait_for(3)

    assert renewals.seen == [
        Renewal(claim, NOON + timedelta(seconds=number) + LEASE)
        for number in range(1, len(renewals.seen) + 1)
    ]


def test_a_database_that_is_away_for_a_while_ends_nothing(claim: Claim) -> None:
    away = StoreUnavailable("the control database", "it is busy")
    renewals = Renewals(away, away)

    with keep_alive(renewals.control, SteppingClock(), LEASE, claim):
        renewals.wait_for(4)


def test_a_lost_lease_ends_the_renewing_and_not_the_work(claim: Claim) -> None:
    renewals = Renewals(LeaseLost(claim.data_export.id))

    newcomers = Newcomers()
    with keep_alive(renewals.control, SteppingClock(), LEASE, claim):
        renewals.wait_for(1)
        newcomers.join()

    assert len(renewals.seen) == 1


def test_the_renewing_ends_with_the_block_however_long_the_lease_is(
    claim: Claim,
) -> None:
    renewals = Renewals()

    newcomers = Newcomers()
    with keep_alive(renewals.control, SteppingClock(), LONG_LEASE, claim):
        thread = newcomers.only()
        assert thread.is_alive()

    assert not thread.is_alive()
    assert renewals.seen == []


def test_the_renewing_ends_when_the_work_fails(claim: Claim) -> None:
    newcomers = Newcomers()

    def work() -> None:
        with keep_alive(Renewals().control, SteppingClock(), LONG_LEASE, claim):
            assert newcomers.only().is_alive()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()

    assert not newcomers.alive()
