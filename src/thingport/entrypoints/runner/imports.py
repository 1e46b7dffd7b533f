"""Running imports beside a runner's exports."""

import gc
import time
from threading import Event

import structlog
from structlog.typing import FilteringBoundLogger

from thingport.application.import_ports import ImportClaim
from thingport.application.import_upkeep import ImportUpkeep
from thingport.application.run_data_import import DataImportRunner
from thingport.bootstrap.runners import open_import_runner
from thingport.domain.data_import import ImportRefused
from thingport.domain.errors import (
    ImportLeaseLost,
    ThingportError,
    TransientError,
)
from thingport.settings import Settings

_log = structlog.get_logger(__name__)


def run_imports(settings: Settings, stop: Event) -> None:
    """Run imports until told to stop; one under way is given back as it is then."""
    pause_s = settings.runner_pause.total_seconds()
    interval_s = settings.compaction_interval.total_seconds()
    with open_import_runner(settings, is_stopping=stop.is_set) as (runner, upkeep):
        # A file has millions of cells: what is here to stay need not be looked through
        # for garbage again and again, which takes longer than reading them.
        gc.collect()
        gc.freeze()
        look_after_at_s = time.monotonic() + interval_s
        while not stop.is_set():
            if run_one_import(runner):
                continue
            if time.monotonic() >= look_after_at_s:
                look_after_imports(upkeep)
                look_after_at_s = time.monotonic() + interval_s
            stop.wait(pause_s)


def run_one_import(runner: DataImportRunner) -> bool:
    """Run one import; ``False`` if there was none, or none could be had."""
    try:
        claim = runner.claim()
    except TransientError as error:
        _log.warning("claiming_failed", reason=str(error))
        return False
    if claim is None:
        return False
    log = _log.bind(data_import=claim.data_import.id, attempt=claim.attempt)
    log.info("data_import_started")
    try:
        _tell(log, runner.run(claim))
    except ImportLeaseLost:
        log.warning("lease_lost")
    except TransientError as error:
        log.warning("data_import_interrupted", reason=str(error))
        return False
    except ThingportError as error:
        log.warning("data_import_stopped", reason=str(error))
    except Exception as bug:
        # The outermost frame: a bug ends this import with a reason, not the runner.
        log.exception("data_import_crashed")
        return _fail(runner, claim, bug, log)
    return True


def look_after_imports(upkeep: ImportUpkeep) -> None:
    """Forget what has passed; what is away now is for the next time."""
    try:
        forgotten = upkeep.look_after_all()
    except ThingportError as error:
        _log.warning("import_upkeep_failed", reason=str(error))
    else:
        if forgotten:
            _log.info("imports_forgotten", count=forgotten)


def _tell(log: FilteringBoundLogger, stopped_by: ThingportError | None) -> None:
    if stopped_by is None:
        log.info("data_import_completed")
    elif isinstance(stopped_by, ImportRefused):
        log.info("data_import_refused", code=stopped_by.code)
    else:
        log.warning("data_import_stopped", reason=str(stopped_by))


def _fail(
    runner: DataImportRunner,
    claim: ImportClaim,
    bug: Exception,
    log: FilteringBoundLogger,
) -> bool:
    """End an import with a reason; ``False`` if that cannot be stored for now."""
    try:
        runner.fail(claim, bug)
    except ImportLeaseLost:
        log.warning("lease_lost")
    except ThingportError as error:
        log.warning("data_import_interrupted", reason=str(error))
        return False
    return True
