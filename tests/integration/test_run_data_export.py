"""What becomes of an export when something goes wrong on its way."""

import shutil
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import count, pairwise
from pathlib import Path
from threading import Event

import pytest

from export_stack import (
    LOSSES,
    Died,
    ExportStack,
    Rendering,
    assert_ended_with_nothing_left,
    dies_at,
    raises_at,
    sealed_but_not_said,
)
from thingport.adapters.executors.local import LocalExecutor
from thingport.application.ports import RenderTask
from thingport.application.run_data_export import (
    _PROGRESS_PAUSE_S,
    LEASE,
    MAX_ATTEMPTS,
    MAX_CLAIMS,
    RETRY_PAUSE,
)
from thingport.bootstrap.runners import render_in_worker
from thingport.domain.data_export import DataExportState, Phase, Progress
from thingport.domain.errors import (
    CorruptData,
    StoreUnavailable,
    TransientError,
    WorkerDied,
)
from thingport.domain.segment import StoredSegment


@pytest.mark.parametrize("number", [0, 1, 3, 6])
def test_an_export_whose_runner_died_goes_on_from_its_segments(
    stack: ExportStack, number: int
) -> None:
    scheduled = stack.exporter.schedule()
    with pytest.raises(Died):
        stack.run(stack.rendering(dies_at(number)))
    assert stack.claim() is None
    stack.clock.advance(LEASE)

    rest = stack.rendering()
    stack.run(rest)

    assert rest.numbers == list(range(number, 7))
    assert stack.exporter.archive_of(scheduled) == stack.undisturbed
    assert not stack.staging_of(scheduled).exists()


def test_wherever_a_runner_dies_the_archive_is_the_same(stack: ExportStack) -> None:
    for steps in count():
        scheduled = stack.exporter.schedule()
        asked = count()

        def dies_in_time(asked: Iterator[int] = asked, steps: int = steps) -> bool:
            if next(asked) == steps:
                raise Died
            return False

        with suppress(Died):
            stack.run(is_stopping=dies_in_time)
        is_whole = stack.exporter.look(scheduled).state is DataExportState.COMPLETED
        if not is_whole:
            assert stack.archive_file(scheduled) is None
            stack.clock.advance(LEASE)
            stack.run()
        assert stack.exporter.archive_of(scheduled) == stack.undisturbed
        if is_whole:
            break

    # Once while it is cut, seven times while it is rendered, and while it is sealed.
    assert steps > 8 + 7


def test_a_runner_that_died_between_sealing_and_saying_so_is_continued(
    stack: ExportStack,
) -> None:
    scheduled = sealed_but_not_said(stack)
    assert stack.exporter.look(scheduled).state is DataExportState.PENDING

    rest = stack.rendering()
    stack.run(rest)

    assert rest.numbers == []
    assert stack.exporter.archive_of(scheduled) == stack.undisturbed


def test_how_it_was_cut_stays_whatever_the_next_runner_would_do(
    stack: ExportStack,
) -> None:
    scheduled = stack.exporter.schedule()
    with pytest.raises(Died):
        stack.run(stack.rendering(dies_at(2)))
    cut = stack.chunks_of(scheduled)
    stack.clock.advance(LEASE)

    rest = stack.rendering()
    stack.run(rest, max_chunk_cost_bytes=100)

    assert rest.chunks == list(cut[2:])
    assert stack.exporter.archive_of(scheduled) == stack.undisturbed


def test_an_export_that_is_cut_again_is_cut_the_same(stack: ExportStack) -> None:
    scheduled = stack.exporter.schedule()
    first, second = stack.rendering(dies_at(6)), stack.rendering(dies_at(6))
    with pytest.raises(Died):
        stack.run(first)
    shutil.rmtree(stack.staging_of(scheduled))
    stack.clock.advance(LEASE)
    # Written later, so not a part of it.
    stack.exporter.write({"idle": 100, "small": 100})

    with pytest.raises(Died):
        stack.run(second)

    assert second.chunks == first.chunks[6:]


# --- something passing stands in the way ---------------------------------------


PASSING: dict[str, Callable[[], TransientError]] = {
    "STORE_UNAVAILABLE": lambda: StoreUnavailable("the lake", "too many open files"),
    "WORKER_DIED": lambda: WorkerDied(2),
}


@pytest.mark.parametrize("make", PASSING.values(), ids=PASSING)
def test_after_something_passing_an_export_is_tried_again_from_where_it_was(
    stack: ExportStack, make: Callable[[], TransientError]
) -> None:
    scheduled = stack.exporter.schedule()

    stack.run(stack.rendering(raises_at(2, make)))

    assert stack.exporter.look(scheduled).state is DataExportState.PENDING
    stack.clock.advance(RETRY_PAUSE - timedelta(milliseconds=1))
    assert stack.claim() is None
    stack.clock.advance(timedelta(milliseconds=1))
    rest = stack.rendering()
    stack.run(rest)
    assert rest.numbers == [2, 3, 4, 5, 6]
    assert stack.exporter.archive_of(scheduled) == stack.undisturbed


@pytest.mark.parametrize(("code", "make"), PASSING.items())
def test_the_third_attempt_is_the_last(
    stack: ExportStack, code: str, make: Callable[[], TransientError]
) -> None:
    scheduled = stack.exporter.schedule()

    for pause in (RETRY_PAUSE, 2 * RETRY_PAUSE):
        stack.run(stack.rendering(raises_at(2, make)))
        assert stack.exporter.look(scheduled).state is DataExportState.PENDING
        stack.clock.advance(pause - timedelta(milliseconds=1))
        assert stack.claim() is None
        stack.clock.advance(timedelta(milliseconds=1))
    stack.run(stack.rendering(raises_at(2, make)))

    assert stack.exporter.error_of(scheduled).code == code
    assert_ended_with_nothing_left(stack, scheduled)


@pytest.mark.parametrize("make", PASSING.values(), ids=PASSING)
def test_who_asked_is_told_to_try_again_later(
    stack: ExportStack, make: Callable[[], TransientError]
) -> None:
    scheduled = stack.exporter.schedule()
    for _ in range(MAX_ATTEMPTS):
        stack.run(stack.rendering(raises_at(2, make)))
        stack.clock.advance(LEASE)

    message = stack.exporter.error_of(scheduled).message
    assert message.startswith("The archive could not be made")
    assert "again" in message


def test_being_told_to_stop_is_no_attempt(stack: ExportStack) -> None:
    scheduled = stack.exporter.schedule()

    for _ in range(2 * MAX_ATTEMPTS):
        stack.run(is_stopping=lambda: True)
    claim = stack.claim()

    assert claim is not None
    assert claim.attempt == 1
    stack.runner().run(claim)
    assert stack.exporter.archive_of(scheduled) == stack.undisturbed


def test_a_store_that_fails_in_a_worker_process_is_named_as_the_reason(
    stack: ExportStack,
) -> None:
    scheduled = stack.exporter.schedule()
    for _ in range(MAX_ATTEMPTS - 1):
        stack.run(stack.rendering(raises_at(2, lambda: WorkerDied(2))))
        stack.clock.advance(LEASE)

    def loses_the_folder() -> bool:
        # Nothing can be put into a folder that is a file.
        staging = stack.staging_of(scheduled)
        if staging.is_dir():
            shutil.rmtree(staging)
            staging.touch()
        return False

    render = partial(render_in_worker, stack.settings)
    with closing(LocalExecutor(render, workers=1, niceness=0)) as workers:
        stack.run(executor=workers, is_stopping=loses_the_folder)

    assert stack.exporter.error_of(scheduled).code == "STORE_UNAVAILABLE"


# --- data are damaged ----------------------------------------------------------


@pytest.mark.parametrize("damage", LOSSES)
def test_a_damaged_lake_ends_the_export_at_once(
    stack: ExportStack, damage: Callable[[Path], None]
) -> None:
    scheduled = stack.exporter.schedule()
    damage(stack.lake_files()[-1])

    stack.run()

    assert stack.exporter.error_of(scheduled).code == "CORRUPT_DATA"
    assert_ended_with_nothing_left(stack, scheduled)


@pytest.mark.parametrize("damage", LOSSES)
def test_a_lake_that_is_damaged_while_it_is_rendered_ends_the_export_at_once(
    stack: ExportStack, damage: Callable[[Path], None]
) -> None:
    scheduled = stack.exporter.schedule()

    def damages_at_three(number: int) -> None:
        if number == 3:
            damage(stack.lake_files()[-1])

    rendering = stack.rendering(damages_at_three)
    stack.run(rendering)

    assert stack.exporter.error_of(scheduled).code == "CORRUPT_DATA"
    assert rendering.numbers == [0, 1, 2, 3]
    assert_ended_with_nothing_left(stack, scheduled)


def test_what_was_sealed_before_is_no_archive_of_a_failed_export(
    stack: ExportStack,
) -> None:
    scheduled = sealed_but_not_said(stack)
    [segment] = stack.segment_files(scheduled, 3)
    segment.unlink()
    stack.lake_files()[-1].unlink()
    assert stack.archive_file(scheduled) is not None

    stack.run()

    assert stack.exporter.error_of(scheduled).code == "CORRUPT_DATA"
    assert_ended_with_nothing_left(stack, scheduled)


@pytest.mark.parametrize("damage", LOSSES)
def test_a_damaged_plan_ends_the_export_at_once(
    stack: ExportStack, damage: Callable[[Path], None]
) -> None:
    scheduled = stack.exporter.schedule()
    damage(stack.plan_file(scheduled))

    stack.run()

    assert stack.exporter.error_of(scheduled).code == "CORRUPT_DATA"
    assert_ended_with_nothing_left(stack, scheduled)


def test_who_asked_is_not_told_where_things_lie(stack: ExportStack) -> None:
    scheduled = stack.exporter.schedule()
    stack.lake_files()[-1].unlink()

    stack.run()

    message = stack.exporter.error_of(scheduled).message
    assert str(stack.settings.data_dir) not in message
    assert "\n" not in message


# --- progress ------------------------------------------------------------------


@dataclass
class WatchedExecutor:
    """Takes so long for each chunk that progress is stored after it.

    Attributes:
        watch: Called when the next chunk is asked for, and so the last one counted.
    """

    rendering: Rendering
    watch: Callable[[], object]

    def run(self, tasks: Iterable[RenderTask]) -> Generator[StoredSegment]:
        for segment in map(self.rendering, tasks):
            Event().wait(1.1 * _PROGRESS_PAUSE_S)
            yield segment
            self.watch()


def test_progress_only_grows_and_ends_at_the_totals(stack: ExportStack) -> None:
    scheduled = stack.exporter.schedule()
    seen: list[Progress] = []

    def watch() -> None:
        seen.append(stack.exporter.look(scheduled).progress)

    def watching(rendering: Rendering) -> WatchedExecutor:
        return WatchedExecutor(rendering, watch)

    with pytest.raises(Died):
        stack.run(executor=watching(stack.rendering(dies_at(4))))
    stack.clock.advance(LEASE)
    stack.run(executor=watching(stack.rendering()))
    watch()

    counted = [(it.things_done, it.rows_done, it.bytes_written) for it in seen]
    assert len(set(counted)) == len(counted) == 8
    for before, after in pairwise(counted):
        assert all(it <= then for it, then in zip(before, after, strict=True))
    archive = stack.exporter.archive_of(scheduled)
    assert seen[-1] == Progress(
        phase=Phase.DONE,
        things_done=3,
        things_total=3,
        rows_done=440,
        rows_total=440,
        bytes_written=archive.size_bytes,
    )
    assert {(it.things_total, it.rows_total) for it in seen} == {(3, 440)}


def test_a_failed_export_still_says_how_far_it_had_got(stack: ExportStack) -> None:
    scheduled = stack.exporter.schedule()
    corrupt = raises_at(5, lambda: CorruptData("a file is gone"))
    rendering = stack.rendering(corrupt)

    stack.run(executor=WatchedExecutor(rendering, lambda: None))

    assert stack.exporter.error_of(scheduled).code == "CORRUPT_DATA"
    assert stack.exporter.look(scheduled).progress.rows_done > 0


def test_an_export_that_ends_its_runners_ends_with_a_reason(stack: ExportStack) -> None:
    scheduled = stack.exporter.schedule()
    for _ in range(MAX_CLAIMS):
        assert stack.claim() is not None
        stack.clock.advance(LEASE)

    stack.run()

    assert stack.exporter.error_of(scheduled).code == "RUNNER_DIED"


def test_an_export_that_comes_further_survives_any_number_of_deaths(
    stack: ExportStack,
) -> None:
    scheduled = stack.exporter.schedule()
    with pytest.raises(Died):
        stack.run(stack.rendering(dies_at(1)))
    for _ in range(MAX_CLAIMS):
        stack.clock.advance(LEASE)
        assert stack.claim() is not None
    stack.clock.advance(LEASE)

    stack.run()

    assert stack.exporter.archive_of(scheduled) == stack.undisturbed
