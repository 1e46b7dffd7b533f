"""The runner beside a server: a process that is started again when it ends."""

import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

import structlog

RUNNER = [sys.executable, "-m", "thingport.entrypoints.runner"]
"""The command of one runner."""

_STOPS_WITHIN_S = 10
"""Time that a runner has to give its export back before it is killed."""

_FIRST_PAUSE_S = 0.5
"""Pause before a runner is started again; doubled each time, up to the longest."""

_LONGEST_PAUSE_S = 30.0
"""A runner that ran longer than this is no runner that fails at once."""

_LOOK_PAUSE_S = 0.2
"""How often the runner is looked after."""

_log = structlog.get_logger(__name__)


@contextmanager
def runner_beside() -> Generator[None]:
    """Keep one runner going for as long as the block lasts.

    It is another process, so that whatever becomes of it, killed for want of
    memory say, the server goes on. It ends with this process, however that ends.
    """
    stopping = threading.Event()
    keeper = threading.Thread(target=_keep, args=(stopping,), daemon=True)
    keeper.start()
    try:
        yield
    finally:
        stopping.set()
        keeper.join()


def _keep(stopping: threading.Event) -> None:
    pause_s = _FIRST_PAUSE_S
    while not stopping.is_set():
        started_at_s = time.monotonic()
        status = _run(stopping)
        if stopping.is_set():
            return
        if time.monotonic() - started_at_s > _LONGEST_PAUSE_S:
            pause_s = _FIRST_PAUSE_S
        _log.warning("runner_ended", status=status, started_again_in_s=pause_s)
        stopping.wait(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _run(stopping: threading.Event) -> int:
    """Run a runner until it ends, or until it shall; give its status."""
    command = [*RUNNER, "--until-stdin-closes"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:  # noqa: S603  # our own command
        while process.poll() is None:
            if stopping.wait(_LOOK_PAUSE_S):
                _end(process)
        return process.returncode


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask a runner to stop, then insist: what it has rendered is kept."""
    process.terminate()
    try:
        process.wait(timeout=_STOPS_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
