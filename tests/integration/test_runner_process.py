"""The runner as a process of its own: how it ends, and what killing it does."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from export_stack import ExportStack, Prepared, prepare
from thingport.adapters.system.clock import SystemClock
from thingport.domain.data_export import DataExport, DataExportState

PATIENCE_S = 120.0
"""Much longer than anything here takes, on a busy machine too."""

WORKERS = 2
NICENESS = 7

MANY_CHUNKS = {"large": 3_000, "small": 10}
SMALL_CHUNK_BYTES = 2_000
"""Some hundred chunks: time enough to be in the middle of them."""

WHEN_LEASES_HAVE_RUN_OUT = datetime(2999, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    directory = tmp_path_factory.mktemp("many-chunks") / "data"
    return prepare(directory, MANY_CHUNKS, SMALL_CHUNK_BYTES)


def eventually(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


# --- processes -------------------------------------------------------------------


@dataclass(frozen=True)
class RunnerProcess:
    process: "subprocess.Popen[bytes]"

    @property
    def pid(self) -> int:
        return self.process.pid

    def workers(self) -> list[int]:
        return [it for it in _children(self.pid) if b"spawn_main" in _command(it)]

    def has_niced_workers(self) -> bool:
        """Whether all workers are there, and step back for others."""
        niceness = str(min(19, os.nice(0) + NICENESS))
        return [_stat(it)[16:17] for it in self.workers()] == [[niceness]] * WORKERS

    def wait(self) -> int:
        return self.process.wait(PATIENCE_S)


def _stat(pid: int) -> list[str]:
    """Give what the system says of a process, from its state on; of none, nothing."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def _children(parent: int) -> list[int]:
    pids = [int(it.name) for it in Path("/proc").iterdir() if it.name.isdecimal()]
    return [it for it in pids if _stat(it)[1:2] == [str(parent)]]


def is_running(pid: int) -> bool:
    return _stat(pid)[:1] not in ([], ["Z"])


@contextmanager
def a_runner(stack: ExportStack, *words: str) -> Generator[RunnerProcess]:
    """Start a runner; what still runs of it when the block ends is killed."""
    environment = {
        **os.environ,
        "THINGPORT_DATA_DIR": str(stack.settings.data_dir),
        "THINGPORT_MAX_CHUNK_BYTES": str(SMALL_CHUNK_BYTES),
        "THINGPORT_WORKERS": str(WORKERS),
        "THINGPORT_WORKER_NICENESS": str(NICENESS),
    }
    command = [sys.executable, "-m", "thingport.entrypoints.runner", *words]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, start_new_session=True
    ) as process:
        try:
            yield RunnerProcess(process)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def some_segments_are_there(
    stack: ExportStack, data_export: DataExport
) -> Callable[[], bool]:
    return lambda: len(stack.segments_of(data_export)) > 3


def has_ended(stack: ExportStack, data_export: DataExport) -> Callable[[], bool]:
    def ended() -> bool:
        return stack.exporter.look(data_export).state is not DataExportState.PENDING

    return ended


# --- rendering -------------------------------------------------------------------


def test_chunks_are_rendered_in_niced_processes_beside_the_runner(
    stack: ExportStack,
) -> None:
    scheduled = stack.exporter.schedule()

    with a_runner(stack) as runner:
        eventually(runner.has_niced_workers)
        assert os.getpriority(os.PRIO_PROCESS, runner.pid) == os.nice(0)
        eventually(has_ended(stack, scheduled))

    assert stack.exporter.archive_of(scheduled) == stack.undisturbed


# --- ending ----------------------------------------------------------------------


def to_the_runner(runner: RunnerProcess, number: signal.Signals) -> None:
    os.kill(runner.pid, number)


def to_all_of_them(runner: RunnerProcess, number: signal.Signals) -> None:
    # As a terminal does on Ctrl-C, and a service manager when it stops a service.
    os.killpg(runner.pid, number)


@pytest.mark.parametrize(
    ("send", "number"),
    [
        (to_the_runner, signal.SIGTERM),
        (to_all_of_them, signal.SIGTERM),
        (to_all_of_them, signal.SIGINT),
    ],
)
def test_a_runner_that_is_told_to_stop_gives_its_export_back(
    stack: ExportStack,
    send: Callable[[RunnerProcess, signal.Signals], None],
    number: signal.Signals,
) -> None:
    scheduled = stack.exporter.schedule()

    with a_runner(stack) as runner:
        eventually(runner.has_niced_workers)
        eventually(some_segments_are_there(stack, scheduled))
        workers = runner.workers()
        send(runner, number)
        assert runner.wait() == 0
    eventually(lambda: not any(map(is_running, workers)))

    kept = {it.index.chunk_number for it in stack.segments_of(scheduled)}
    rendering = stack.rendering()
    next_runner = stack.runner(rendering, clock=SystemClock())
    claim = next_runner.claim()
    assert claim is not None
    assert claim.attempt == 1
    next_runner.run(claim)
    assert stack.exporter.archive_of(scheduled) == stack.undisturbed
    assert kept.isdisjoint(rendering.numbers)


def test_a_runner_ends_with_its_standard_input_and_not_before(
    stack: ExportStack,
) -> None:
    scheduled = stack.exporter.schedule()

    with a_runner(stack, "--until-stdin-closes") as runner:
        eventually(has_ended(stack, scheduled))
        assert is_running(runner.pid)
        assert runner.process.stdin is not None
        runner.process.stdin.close()
        assert runner.wait() == 0

    assert stack.exporter.archive_of(scheduled) == stack.undisturbed


# --- being killed ----------------------------------------------------------------


def attempts_at(stack: ExportStack, data_export: DataExport) -> int:
    path = stack.settings.data_dir / "control.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        [[attempt]] = connection.execute(
            "SELECT attempt FROM data_exports WHERE id = ?", [data_export.id]
        )
    return int(attempt)


def test_an_export_whose_worker_is_killed_is_tried_again(stack: ExportStack) -> None:
    scheduled = stack.exporter.schedule()

    with a_runner(stack) as runner:
        eventually(some_segments_are_there(stack, scheduled))
        os.kill(runner.workers()[0], signal.SIGKILL)
        eventually(has_ended(stack, scheduled))
        assert is_running(runner.pid)

    assert attempts_at(stack, scheduled) == 2
    assert stack.exporter.archive_of(scheduled) == stack.undisturbed


def let_the_lease_run_out(stack: ExportStack) -> None:
    """Take over what a dead runner held, and give it back for the next one."""
    with stack.services.control.for_service() as tx:
        claim = tx.queue.claim(
            "undertaker", now=WHEN_LEASES_HAVE_RUN_OUT, lease=timedelta()
        )
        assert claim is not None
        now = SystemClock().now()
        tx.queue.release(claim, retry_at=now, is_attempt=False)


def test_an_export_whose_runner_is_killed_is_continued_by_the_next_one(
    stack: ExportStack,
) -> None:
    scheduled = stack.exporter.schedule()
    with a_runner(stack) as runner:
        eventually(some_segments_are_there(stack, scheduled))
        workers = runner.workers()
        os.kill(runner.pid, signal.SIGKILL)
        assert runner.wait() == -signal.SIGKILL
    assert len(workers) == WORKERS
    eventually(lambda: not any(map(is_running, workers)))
    assert stack.exporter.look(scheduled).state is DataExportState.PENDING
    assert stack.runner(clock=SystemClock()).claim() is None
    let_the_lease_run_out(stack)

    with a_runner(stack):
        eventually(lambda: not stack.staging_of(scheduled).exists())

    assert stack.exporter.archive_of(scheduled) == stack.undisturbed
