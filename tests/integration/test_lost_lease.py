"""What a runner does that lost its export to another one."""

import hashlib
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count

import pytest

from export_stack import (
    THINGS,
    Died,
    ExportStack,
    dies_at,
    nothing,
    raises_at,
)
from thingport.application.run_data_export import LEASE
from thingport.domain.data_export import DataExport
from thingport.domain.errors import CorruptData, LeaseLost, StoreUnavailable
from thingport.domain.segment import StoredSegment


def finishes(stack: ExportStack) -> None:
    """Let another runner take the export over and bring it to its end."""
    stack.clock.advance(LEASE)
    stack.run()


def fails(stack: ExportStack) -> None:
    """Let another runner take the export over and find the lake damaged."""
    stack.clock.advance(LEASE)
    stack.run(stack.rendering(raises_at(6, lambda: CorruptData("a file is gone"))))


def dies(stack: ExportStack) -> None:
    """Let another runner take the export over and end in the middle of it."""
    stack.clock.advance(LEASE)
    with pytest.raises(Died):
        stack.run(stack.rendering(dies_at(5)))


def meets_with(make: Callable[[], Exception]) -> Callable[[], None]:
    def fail() -> None:
        raise make()

    return fail


LATE_ENDS = [
    nothing,
    meets_with(lambda: CorruptData("a file is gone")),
    meets_with(lambda: StoreUnavailable("the lake", "busy")),
]


@dataclass(frozen=True)
class WhatIsSeen:
    """What others see of an export."""

    data_export: DataExport
    segments: Sequence[StoredSegment]
    archive: bytes | None


def look(stack: ExportStack, data_export: DataExport) -> WhatIsSeen:
    file = stack.archive_file(data_export)
    return WhatIsSeen(
        data_export=stack.exporter.look(data_export),
        segments=stack.segments_of(data_export),
        archive=None if file is None else file.read_bytes(),
    )


@pytest.mark.parametrize(
    ("take_over", "late_end"),
    [(it, nothing) for it in (finishes, fails)] + [(dies, it) for it in LATE_ENDS],
)
def test_a_runner_that_lost_its_lease_changes_nothing(
    stack: ExportStack,
    take_over: Callable[[ExportStack], None],
    late_end: Callable[[], None],
) -> None:
    scheduled = stack.exporter.schedule()
    seen: list[WhatIsSeen] = []

    def is_late_at_three(number: int) -> None:
        if number == 3:
            take_over(stack)
            seen.append(look(stack, scheduled))
            late_end()

    with pytest.raises(LeaseLost):
        stack.run(stack.rendering(is_late_at_three))

    assert seen == [look(stack, scheduled)]
    # Neither has it given back what is another's.
    assert stack.claim() is None


def test_an_export_is_continued_past_a_runner_that_lost_it(stack: ExportStack) -> None:
    scheduled = stack.exporter.schedule()

    def is_late_at_three(number: int) -> None:
        if number == 3:
            dies(stack)

    with pytest.raises(LeaseLost):
        stack.run(stack.rendering(is_late_at_three))
    stack.clock.advance(LEASE)
    rest = stack.rendering()
    stack.run(rest)

    assert rest.numbers == [5, 6]
    assert stack.exporter.archive_of(scheduled) == stack.undisturbed


@pytest.mark.parametrize("take_over", [finishes, fails])
def test_a_runner_that_is_late_leaves_nothing_behind(
    stack: ExportStack, take_over: Callable[[ExportStack], None]
) -> None:
    scheduled = stack.exporter.schedule()

    def is_late_at_three(number: int) -> None:
        if number == 3:
            take_over(stack)

    with pytest.raises(LeaseLost):
        stack.run(stack.rendering(is_late_at_three))

    assert not stack.staging_of(scheduled).exists()


def test_an_archive_that_is_sealed_late_does_not_show_up_after_the_error(
    stack: ExportStack,
) -> None:
    scheduled = stack.exporter.schedule()

    def fails_meanwhile() -> None:
        [segment] = stack.segment_files(scheduled, 6)
        segment.unlink()
        fails(stack)

    with pytest.raises(LeaseLost):
        stack.run(archives=stack.watched_archives(when_read=fails_meanwhile))

    assert stack.exporter.error_of(scheduled).code == "CORRUPT_DATA"
    assert stack.archive_file(scheduled) is None


def test_an_archive_that_is_sealed_twice_is_the_same(stack: ExportStack) -> None:
    scheduled = stack.exporter.schedule()
    finishes_meanwhile = partial(finishes, stack)

    with pytest.raises(LeaseLost):
        stack.run(archives=stack.watched_archives(when_read=finishes_meanwhile))

    assert stack.exporter.archive_of(scheduled) == stack.undisturbed
    file = stack.archive_file(scheduled)
    assert file is not None
    assert hashlib.sha256(file.read_bytes()).hexdigest() == stack.undisturbed.sha256


def test_a_late_cut_does_not_replace_the_one_that_is_rendered(
    stack: ExportStack,
) -> None:
    contents = set()
    for max_chunk_cost_bytes in (6_000, 12_000):
        scheduled = stack.exporter.schedule()
        stack.run(max_chunk_cost_bytes=max_chunk_cost_bytes)
        contents.add(files_of(stack, scheduled))
    [expected] = contents
    scheduled = stack.exporter.schedule()
    steps = count()

    def loses_its_lease_while_cutting() -> bool:
        if next(steps) == 0:
            stack.clock.advance(LEASE)
            with pytest.raises(Died):
                stack.run(stack.rendering(dies_at(2)))
        return False

    with pytest.raises(LeaseLost):
        stack.run(
            max_chunk_cost_bytes=12_000, is_stopping=loses_its_lease_while_cutting
        )
    stack.clock.advance(LEASE)
    stack.run()

    assert stack.exporter.archive_of(scheduled).rows == sum(THINGS.values())
    assert files_of(stack, scheduled) == expected


def files_of(
    stack: ExportStack, data_export: DataExport
) -> frozenset[tuple[str, bytes]]:
    file = stack.archive_file(data_export)
    assert file is not None
    with zipfile.ZipFile(file) as opened:
        return frozenset((it, opened.read(it)) for it in opened.namelist())
