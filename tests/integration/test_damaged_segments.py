"""What becomes of an export whose segments are damaged or gone."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from export_stack import (
    LOSSES,
    Died,
    ExportStack,
    assert_ended_with_nothing_left,
    dies_at,
    empty,
    garble,
    sealed_but_not_said,
)
from thingport.application.run_data_export import LEASE


@pytest.mark.parametrize("damage", [*LOSSES, garble])
def test_a_segment_that_is_damaged_or_gone_is_rendered_again(
    stack: ExportStack, damage: Callable[[Path], None]
) -> None:
    scheduled = sealed_but_not_said(stack)
    [file] = stack.segment_files(scheduled, 3)
    damage(file)

    rest = stack.rendering()
    stack.run(rest)

    assert rest.numbers == [3]
    assert stack.exporter.archive_of(scheduled) == stack.undisturbed


@pytest.mark.parametrize("numbers", [[1, 6], [0, 2, 5], list(range(7))])
def test_several_segments_that_are_gone_are_rendered_again(
    stack: ExportStack, numbers: list[int]
) -> None:
    scheduled = sealed_but_not_said(stack)
    for number in numbers:
        [file] = stack.segment_files(scheduled, number)
        file.unlink()

    rest = stack.rendering()
    stack.run(rest)

    assert stack.exporter.archive_of(scheduled) == stack.undisturbed
    assert sorted(rest.numbers) == numbers


def test_an_export_whose_staging_is_gone_is_rendered_again(stack: ExportStack) -> None:
    scheduled = stack.exporter.schedule()
    with pytest.raises(Died):
        stack.run(stack.rendering(dies_at(5)))
    shutil.rmtree(stack.staging_of(scheduled))
    stack.clock.advance(LEASE)

    stack.run()

    assert stack.exporter.archive_of(scheduled) == stack.undisturbed


def test_a_segment_that_is_damaged_three_times_ends_the_export(
    stack: ExportStack,
) -> None:
    scheduled = stack.exporter.schedule()

    def damages_the_fourth() -> bool:
        for file in stack.segment_files(scheduled, 3):
            empty(file)
        return False

    rendering = stack.rendering()
    stack.run(rendering, is_stopping=damages_the_fourth)

    error = stack.exporter.error_of(scheduled)
    assert error.code == "CORRUPT_DATA"
    assert rendering.numbers == [0, 1, 2, 3, 4, 5, 6, 3, 3]
    assert_ended_with_nothing_left(stack, scheduled)
