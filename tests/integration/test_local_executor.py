"""Worker processes: what they give, and what happens when they die."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from thingport.adapters.executors.local import LocalExecutor
from thingport.application.ports import RenderTask
from thingport.domain.errors import CorruptData, WorkerDied
from thingport.domain.export_plan import WholeThings
from thingport.domain.ids import DataExportId, TenantId
from thingport.domain.segment import SegmentIndex, StoredSegment

DEADLY = 66
FAULTY = 77


def render(task: RenderTask) -> StoredSegment:
    number = task.chunk.number
    if number == DEADLY:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == FAULTY:
        raise CorruptData("a file is damaged")
    index = SegmentIndex(
        chunk_number=number, size_bytes=os.getpid(), sha256="", members=()
    )
    return StoredSegment(index, f"nice {os.nice(0)}")


def a_task(number: int) -> RenderTask:
    return RenderTask(
        tenant_id=TenantId("acme"),
        data_export_id=DataExportId("e1"),
        chunk=WholeThings(number, number, number + 1, 0),
    )


@pytest.fixture
def executor() -> Iterator[LocalExecutor]:
    executor = LocalExecutor(render, workers=2, niceness=3)
    yield executor
    executor.close()


def test_every_task_is_rendered_in_another_niced_process(
    executor: LocalExecutor,
) -> None:
    rendered = list(executor.run(map(a_task, range(20))))

    assert sorted(it.index.chunk_number for it in rendered) == list(range(20))
    assert os.getpid() not in {it.index.size_bytes for it in rendered}
    assert {it.key for it in rendered} == {f"nice {os.nice(0) + 3}"}


def test_tasks_are_taken_only_as_fast_as_they_are_rendered(
    executor: LocalExecutor,
) -> None:
    taken: list[int] = []

    def tasks() -> Iterator[RenderTask]:
        for number in range(50):
            taken.append(number)
            yield a_task(number)

    rendering = executor.run(tasks())
    next(rendering)

    assert len(taken) <= 4
    rendering.close()


def test_a_worker_that_dies_is_named_by_its_chunk_and_replaced(
    executor: LocalExecutor,
) -> None:
    with pytest.raises(WorkerDied) as caught:
        list(executor.run([a_task(DEADLY)]))
    assert caught.value.chunk_number == DEADLY

    assert len(list(executor.run([a_task(1)]))) == 1


def test_what_rendering_raises_comes_through(executor: LocalExecutor) -> None:
    with pytest.raises(CorruptData, match="a file is damaged"):
        list(executor.run([a_task(FAULTY)]))


_PARENT = """
import sys, time
sys.path[:0] = {path!r}
from test_local_executor import LocalExecutor, a_task, render
if __name__ == "__main__":
    executor = LocalExecutor(render, workers=1, niceness=0)
    (segment,) = executor.run([a_task(1)])
    print(segment.index.size_bytes, flush=True)
    time.sleep(60)
"""


def test_workers_end_when_their_parent_is_killed(tmp_path: object) -> None:
    script = f"{tmp_path}/parent.py"
    with open(script, "w") as file:  # noqa: PTH123
        file.write(_PARENT.format(path=[os.path.dirname(__file__)]))  # noqa: PTH120
    with subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and _is_running(worker):
        time.sleep(0.05)
    assert not _is_running(worker)


def _is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
