"""What every executor keeps to, whoever does the rendering."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from fakes.inline_executor import InlineExecutor
from fakes.numbered_segments import FAULTY, a_task, render
from thingport.adapters.executors.local import LocalExecutor
from thingport.application.ports import Executor, RenderTask
from thingport.domain.errors import CorruptData


@pytest.fixture(params=["inline", "local"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    if request.param == "inline":
        yield InlineExecutor(render)
    else:
        with closing(LocalExecutor(render, workers=2, niceness=0)) as local:
            yield local


def test_every_task_is_rendered_once(executor: Executor) -> None:
    rendered = list(executor.run(map(a_task, range(20))))

    assert sorted(it.index.chunk_number for it in rendered) == list(range(20))
    assert {it.key for it in rendered} == {f"acme/e1/{n}" for n in range(20)}


def test_without_tasks_there_is_nothing_to_wait_for(executor: Executor) -> None:
    assert list(executor.run([])) == []


def test_tasks_are_taken_only_as_fast_as_they_are_rendered(executor: Executor) -> None:
    taken: list[int] = []

    def tasks() -> Iterator[RenderTask]:
        for number in range(50):
            taken.append(number)
            yield a_task(number)

    rendering = iter(executor.run(tasks()))
    next(rendering)

    assert len(taken) <= 4


def test_what_rendering_raises_comes_through(executor: Executor) -> None:
    with pytest.raises(CorruptData, match="a file is damaged"):
        list(executor.run([a_task(FAULTY)]))


def test_after_a_fault_it_goes_on_with_other_tasks(executor: Executor) -> None:
    with pytest.raises(CorruptData):
        list(executor.run(map(a_task, (1, FAULTY, 2))))

    assert len(list(executor.run([a_task(3)]))) == 1
