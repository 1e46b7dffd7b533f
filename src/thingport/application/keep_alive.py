"""Keeping a lease fresh while long work goes on."""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Event, Thread

from thingport.application.import_ports import ImportClaim
from thingport.application.ports import (
    Claim,
    Clock,
    ControlDatabase,
    ServiceTransaction,
)
from thingport.domain.errors import ImportLeaseLost, LeaseLost, ThingportError


@contextmanager
def keep_alive(
    control: ControlDatabase,
    clock: Clock,
    lease: timedelta,
    claim: Claim | ImportClaim,
) -> Generator[None]:
    """Renew a lease three times in its length, until the block ends.

    A lost lease ends the renewing in silence: the next write under the claim
    says so, where it can be acted on.
    """
    done = Event()
    thread = Thread(
        target=_renew, args=(control, clock, lease, claim, done), daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _renew(
    control: ControlDatabase,
    clock: Clock,
    lease: timedelta,
    claim: Claim | ImportClaim,
    done: Event,
) -> None:
    while not done.wait(lease.total_seconds() / 3):
        try:
            with control.for_service() as tx:
                _prolong(tx, claim, clock.now() + lease)
        except (LeaseLost, ImportLeaseLost):
            return
        except ThingportError:
            continue


def _prolong(
    tx: ServiceTransaction, claim: Claim | ImportClaim, until: datetime
) -> None:
    if isinstance(claim, Claim):
        tx.queue.heartbeat(claim, until=until)
    else:
        tx.import_queue.heartbeat(claim, until=until)
