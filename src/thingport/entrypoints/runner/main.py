"""The runner's loop: take an export, bring it to its end, look for the next."""

import os
import signal
import sys
from threading import Event, Thread

import structlog
from structlog.typing import FilteringBoundLogger

from thingport.adapters.system.logs import configure_logs
from thingport.application.export_failures import INTERNAL_ERROR
from thingport.application.ports import Claim
from thingport.application.run_data_export import DataExportRunner
from thingport.bootstrap.runners import open_housekeeping, open_runner
from thingport.domain.errors import LeaseLost, ThingportError, TransientError
from thingport.entrypoints.runner.imports import run_imports
from thingport.entrypoints.runner.upkeep import Upkeep
from thingport.settings import Settings, read_settings

_PAUSE_WHILE_AWAY_S = 1.0
"""How often a runner asks a database that does not answer; each time is logged."""

_log = structlog.get_logger(__name__)


def main() -> None:
    """Run exports until told to stop; one under way is given back as it is then.

    With ``--until-stdin-closes`` the runner also ends when its standard input
    does: a parent that keeps the other end open takes its runner along, however
    the parent ends.
    """
    configure_logs()
    settings = read_settings()
    stop = Event()

    def stop_soon(_signal: int, _frame: object) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, stop_soon)
    signal.signal(signal.SIGINT, stop_soon)
    if "--until-stdin-closes" in sys.argv[1:]:
        Thread(target=_stop_with_stdin, args=(stop,), daemon=True).start()
    busy = Event()
    others = [
        Thread(target=_look_after_lakes, args=(settings, stop, busy)),
        # An import waits for no export: who sent a file looks on.
        Thread(target=run_imports, args=(settings, stop)),
    ]
    for thread in others:
        thread.start()
    try:
        with open_runner(settings, is_stopping=stop.is_set) as runner:
            _run_until(stop, runner, busy, settings.runner_pause.total_seconds())
    finally:
        stop.set()
        for thread in others:
            thread.join()


def _run_until(
    stop: Event, runner: DataExportRunner, busy: Event, pause_s: float
) -> None:
    while not stop.is_set():
        try:
            has_run = _run_one(runner, busy)
        except TransientError as error:
            _log.warning("claiming_failed", reason=str(error))
            stop.wait(max(pause_s, _PAUSE_WHILE_AWAY_S))
        else:
            if not has_run:
                stop.wait(pause_s)


def _look_after_lakes(settings: Settings, stop: Event, busy: Event) -> None:
    """Merge and expire while no export runs, until told to stop."""
    log = _log.bind()
    upkeep = Upkeep(settings.compaction_interval.total_seconds(), stop, busy)
    while upkeep.wait_for_next_round():
        try:
            with open_housekeeping(settings) as housekeeping:
                upkeep.look_after_all(housekeeping)
        except ThingportError as error:
            # The database is away, say, or a later release has it by now.
            log.warning("upkeep_failed", reason=str(error))
        except Exception:
            # The outermost frame of its thread: a bug in it must not end exports.
            log.exception("upkeep_crashed")


def _run_one(runner: DataExportRunner, busy: Event) -> bool:
    """Run one export; ``False`` if there was none, or it is to be taken up again.

    Raises:
        StoreUnavailable: Nobody says whether there is one.
    """
    claim = runner.claim()
    if claim is None:
        return False
    log = _log.bind(data_export=claim.data_export.id, attempt=claim.attempt)
    log.info("data_export_started")
    busy.set()
    try:
        stopped_by = runner.run(claim)
    except LeaseLost:
        log.warning("lease_lost")
    except TransientError as error:
        log.warning("data_export_interrupted", reason=str(error))
        return False
    except Exception:
        # The outermost frame: a bug ends this export with a reason, not the runner.
        log.exception("data_export_crashed")
        return _fail(runner, claim, log)
    else:
        if stopped_by is None:
            log.info("data_export_completed")
        else:
            log.warning("data_export_stopped", reason=str(stopped_by))
    finally:
        busy.clear()
    return True


def _fail(runner: DataExportRunner, claim: Claim, log: FilteringBoundLogger) -> bool:
    """End an export with a reason; ``False`` if that cannot be stored for now."""
    try:
        runner.fail(claim, INTERNAL_ERROR)
    except LeaseLost:
        log.warning("lease_lost")
    except TransientError as error:
        log.warning("data_export_interrupted", reason=str(error))
        return False
    return True


def _stop_with_stdin(stop: Event) -> None:
    # Not through the buffer: a thread that waits there breaks the interpreter's end.
    while os.read(sys.stdin.fileno(), 4096):
        pass
    stop.set()
