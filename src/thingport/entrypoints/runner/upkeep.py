"""Looking after the lakes beside a runner's exports, when there are none."""

import time
from contextlib import closing
from dataclasses import asdict
from threading import Event

import structlog

from thingport.application.housekeeping import Housekeeping
from thingport.domain.catalogue import Tenant
from thingport.domain.errors import ThingportError

_LOOK_PAUSE_S = 0.2
"""How often it looks whether the runner is idle."""

_log = structlog.get_logger(__name__)


class Upkeep:
    """Decides when the next step may be taken.

    An export goes first: no step begins while one runs. But a runner that is never
    idle has the most files to read, so each step waits for one interval at most.

    Args:
        interval_s: Time between two rounds over all tenants.
        stop: Set when the process is to end; it waits for the step under way.
        busy: Set while an export runs.
    """

    def __init__(self, interval_s: float, stop: Event, busy: Event) -> None:
        self._interval_s = interval_s
        self._stop = stop
        self._busy = busy

    def wait_for_next_round(self) -> bool:
        """Return when a round is due; ``False`` when there is none any more."""
        return not self._stop.wait(self._interval_s) and self._may_go_on()

    def look_after_all(self, housekeeping: Housekeeping) -> None:
        """Do what is due for every tenant, as far as there is time."""
        for tenant in housekeeping.list_tenants():
            if not self._may_go_on():
                return
            try:
                self._look_after(housekeeping, tenant)
            except ThingportError as error:
                # One lake that is away or damaged is no reason to leave the others.
                _log.warning("upkeep_failed", tenant=tenant.name, reason=str(error))

    def _look_after(self, housekeeping: Housekeeping, tenant: Tenant) -> None:
        with closing(housekeeping.iter_steps(tenant.id)) as steps:
            for step in steps:
                _log.info("lake_looked_after", tenant=tenant.name, **asdict(step))
                if not self._may_go_on():
                    return

    def _may_go_on(self) -> bool:
        """Wait until the runner is idle, for some time; ``False`` to stop."""
        give_up_at_s = time.monotonic() + self._interval_s
        while self._busy.is_set() and time.monotonic() < give_up_at_s:
            if self._stop.wait(_LOOK_PAUSE_S):
                break
        return not self._stop.is_set()
