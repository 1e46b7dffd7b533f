"""How much of an export is done, and how long the rest may take."""

from dataclasses import dataclass, replace

from builders import NOON, a_stored_segment
from thingport.application.export_tally import ExportTally
from thingport.domain.data_export import Phase, Progress, TimestampFormat
from thingport.domain.export_plan import (
    Chunk,
    ExportPlan,
    PlannedFile,
    PlannedLayout,
    ThingSpan,
    WholeThings,
)
from thingport.domain.ids import TenantId, ThingDefinitionId, ThingId
from thingport.domain.period import ALL_TIME

PLAN = ExportPlan(
    tenant_id=TenantId("acme"),
    snapshot=1,
    scheduled_at=NOON,
    period=ALL_TIME,
    timestamp_format=TimestampFormat.ISO_8601,
    layouts=(PlannedLayout(ThingDefinitionId("pump"), ()),),
    files=tuple(PlannedFile(ThingId(it), f"{it}.csv", 0) for it in "abc"),
)


def a_span(number: int, rows: int, *, is_last: bool) -> ThingSpan:
    return ThingSpan(
        number=number,
        file=2,
        period=ALL_TIME,
        is_first=not is_last,
        is_last=is_last,
        rows=rows,
    )


CHUNKS: tuple[Chunk, ...] = (
    WholeThings(number=0, first_file=0, end_file=2, rows=10),
    a_span(1, 30, is_last=False),
    a_span(2, 60, is_last=True),
)


@dataclass
class Stopwatch:
    """Moves only when told to."""

    s: float = 1000.0

    def __call__(self) -> float:
        return self.s


def test_a_thing_in_spans_is_done_with_its_last_one() -> None:
    tally = ExportTally(PLAN, CHUNKS, Stopwatch())
    assert tally.progress == Progress(
        phase=Phase.RENDERING, things_total=3, rows_total=100
    )

    done = []
    for chunk in CHUNKS:
        tally.add(chunk, a_stored_segment(chunk_number=chunk.number))
        done.append((tally.progress.things_done, tally.progress.rows_done))

    assert done == [(2, 10), (2, 40), (3, 100)]


def test_the_rest_takes_as_long_as_the_pace_so_far_says() -> None:
    stopwatch = Stopwatch()
    tally = ExportTally(PLAN, CHUNKS, stopwatch)
    tally.start()
    stopwatch.s += 2.0
    assert tally.progress.remaining_seconds is None

    tally.add(CHUNKS[0], a_stored_segment())
    assert tally.progress.remaining_seconds == 18

    tally.add(CHUNKS[1], a_stored_segment())
    tally.add(CHUNKS[2], a_stored_segment())
    assert tally.progress.remaining_seconds == 0


def test_what_an_earlier_attempt_rendered_says_nothing_of_the_pace() -> None:
    stopwatch = Stopwatch()
    tally = ExportTally(PLAN, CHUNKS, stopwatch)
    tally.add(CHUNKS[0], a_stored_segment())
    stopwatch.s += 3600.0
    tally.start()
    assert tally.progress.remaining_seconds is None

    stopwatch.s += 6.0
    tally.add(CHUNKS[1], a_stored_segment())
    assert tally.progress.remaining_seconds == 12


def test_an_export_without_rows_has_no_pace() -> None:
    empty = replace(CHUNKS[0], rows=0)
    tally = ExportTally(PLAN, [empty], Stopwatch())
    tally.start()

    tally.add(empty, a_stored_segment())

    assert tally.progress.remaining_seconds is None
    assert tally.progress.things_done == 2
