"""Cutting an export into chunks."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from thingport.domain.chunking import (
    MAX_CHUNK_COST_BYTES,
    MAX_CHUNK_FILES,
    cut,
    row_cost_bytes,
)
from thingport.domain.data_export import TimestampFormat
from thingport.domain.export_plan import (
    Chunk,
    ExportPlan,
    PlannedColumn,
    PlannedFile,
    PlannedLayout,
    SurveyedSpan,
    ThingSpan,
    ThingSurvey,
    WholeThings,
)
from thingport.domain.ids import MetricId, TenantId, ThingDefinitionId, ThingId
from thingport.domain.metric import ValueType
from thingport.domain.period import ALL_TIME, Period

LIMIT = 1_000
"""Most that a chunk costs in these tests: 25 rows of one column."""

Surveys = dict[ThingId, ThingSurvey]
Spans = dict[ThingId, Sequence[SurveyedSpan]]


def a_plan(*layouts: int, period: Period = ALL_TIME) -> ExportPlan:
    """Plan a file for each of these layouts; layout ``n`` has ``n + 1`` columns."""
    return ExportPlan(
        tenant_id=TenantId("tenant"),
        snapshot=1,
        scheduled_at=datetime(2020, 3, 1, tzinfo=UTC),
        period=period,
        timestamp_format=TimestampFormat.ISO_8601,
        layouts=tuple(
            PlannedLayout(
                ThingDefinitionId(f"d{layout}"),
                tuple(
                    PlannedColumn(MetricId(f"m{n}"), ValueType.DOUBLE, f"m{n}")
                    for n in range(layout + 1)
                ),
            )
            for layout in range(max(layouts, default=-1) + 1)
        ),
        files=tuple(
            PlannedFile(ThingId(f"t{n}"), f"t{n}.csv", layout)
            for n, layout in enumerate(layouts)
        ),
    )


def rows_of(*rows: int) -> Surveys:
    return {ThingId(f"t{n}"): ThingSurvey(it, 0) for n, it in enumerate(rows)}


def spans_of(period: Period, rows: Sequence[int]) -> list[SurveyedSpan]:
    """Tile a period with spans that have so many rows."""
    inner = [*range(1, len(rows))]
    edges = [period.start_ms, *inner, period.end_ms]
    return [
        SurveyedSpan(Period(start, end), it)
        for (start, end), it in zip(pairwise(edges), rows, strict=True)
    ]


@st.composite
def exports(draw: DrawFn) -> tuple[ExportPlan, Surveys, Spans]:
    layouts = sorted(draw(st.lists(st.integers(0, 2), max_size=12)))
    plan = a_plan(*layouts, period=draw(st.sampled_from([ALL_TIME, Period(0, 99)])))
    surveys: Surveys = {}
    spans: Spans = {}
    for file in plan.files:
        rows = draw(st.integers(0, 12) | st.integers(0, 60))
        text_bytes = draw(st.integers(0, 300) | st.integers(0, 3_000)) if rows else 0
        if rows or draw(st.booleans()):
            surveys[file.thing_id] = ThingSurvey(rows, text_bytes)
        if row_cost_bytes(rows, file.layout + 1, text_bytes) > LIMIT:
            pieces = draw(st.lists(st.integers(0, 9), min_size=1, max_size=4))
            spans[file.thing_id] = spans_of(plan.period, pieces)
    return plan, surveys, spans


def iter_pieces(chunk: Chunk) -> Iterator[tuple[int, bool, bool]]:
    """Yield each file in a chunk, and whether it begins and ends there."""
    match chunk:
        case WholeThings():
            for file in range(chunk.first_file, chunk.end_file):
                yield file, True, True
        case ThingSpan():
            yield chunk.file, chunk.is_first, chunk.is_last


def cost_of(
    plan: ExportPlan, files: range, surveys: Mapping[ThingId, ThingSurvey]
) -> int:
    found = [
        (surveys.get(plan.files[it].thing_id, ThingSurvey(0, 0)), plan.files[it].layout)
        for it in files
    ]
    return sum(
        row_cost_bytes(it.rows, layout + 1, it.text_bytes) for it, layout in found
    )


@given(export=exports())
def test_every_file_is_covered_exactly_once_and_in_order(
    export: tuple[ExportPlan, Surveys, Spans],
) -> None:
    plan, surveys, spans = export

    chunks = cut(plan, surveys, spans, LIMIT)

    assert [it.number for it in chunks] == list(range(len(chunks)))
    pieces = [piece for chunk in chunks for piece in iter_pieces(chunk)]
    assert [file for file, begins, _ in pieces if begins] == list(
        range(len(plan.files))
    )
    assert [file for file, _, ends in pieces if ends] == list(range(len(plan.files)))
    assert [file for file, *_ in pieces] == sorted(file for file, *_ in pieces)


@given(export=exports())
def test_the_spans_of_a_thing_tile_the_period(
    export: tuple[ExportPlan, Surveys, Spans],
) -> None:
    plan, surveys, spans = export

    chunks = cut(plan, surveys, spans, LIMIT)

    for index, file in enumerate(plan.files):
        pieces = [it for it in chunks if isinstance(it, ThingSpan) and it.file == index]
        if pieces:
            assert [SurveyedSpan(it.period, it.rows) for it in pieces] == spans[
                file.thing_id
            ]
            assert pieces[0].period.start_ms == plan.period.start_ms
            assert pieces[-1].period.end_ms == plan.period.end_ms
            assert [it.is_first for it in pieces] == [True] + [False] * (
                len(pieces) - 1
            )
            assert [it.is_last for it in pieces] == [False] * (len(pieces) - 1) + [True]
        else:
            assert file.thing_id not in spans


@given(export=exports())
def test_a_chunk_of_whole_things_keeps_the_limit_and_has_one_layout(
    export: tuple[ExportPlan, Surveys, Spans],
) -> None:
    plan, surveys, spans = export

    for chunk in cut(plan, surveys, spans, LIMIT):
        if isinstance(chunk, WholeThings):
            files = range(chunk.first_file, chunk.end_file)
            assert cost_of(plan, files, surveys) <= LIMIT
            assert len({plan.files[it].layout for it in files}) == 1
            found = [surveys.get(plan.files[it].thing_id) for it in files]
            assert chunk.rows == sum(it.rows for it in found if it)


@given(export=exports())
def test_no_chunk_of_whole_things_could_have_taken_the_next_thing_too(
    export: tuple[ExportPlan, Surveys, Spans],
) -> None:
    plan, surveys, spans = export

    for chunk, following in pairwise(cut(plan, surveys, spans, LIMIT)):
        if isinstance(chunk, WholeThings) and isinstance(following, WholeThings):
            longer = range(chunk.first_file, following.first_file + 1)
            one_layout = len({plan.files[it].layout for it in longer}) == 1
            assert not one_layout or cost_of(plan, longer, surveys) > LIMIT


def test_a_thing_that_costs_just_the_limit_stays_whole() -> None:
    assert row_cost_bytes(25, 1, 0) == LIMIT

    assert cut(a_plan(0), rows_of(25), {}, LIMIT) == (WholeThings(0, 0, 1, 25),)


def test_a_thing_that_costs_more_than_the_limit_is_cut_into_its_spans() -> None:
    period = Period(0, 9)
    surveys = {ThingId("t0"): ThingSurvey(25, 1)}
    spans = {ThingId("t0"): spans_of(period, [20, 5])}

    assert cut(a_plan(0, period=period), surveys, spans, LIMIT) == (
        ThingSpan(0, 0, Period(0, 1), is_first=True, is_last=False, rows=20),
        ThingSpan(1, 0, Period(1, 9), is_first=False, is_last=True, rows=5),
    )


def test_a_single_span_is_the_first_and_the_last() -> None:
    spans = {ThingId("t0"): spans_of(ALL_TIME, [26])}

    assert cut(a_plan(0), rows_of(26), spans, LIMIT) == (
        ThingSpan(0, 0, ALL_TIME, is_first=True, is_last=True, rows=26),
    )


def test_things_around_a_large_one_are_not_packed_across_it() -> None:
    spans = {ThingId("t1"): spans_of(ALL_TIME, [26])}

    assert cut(a_plan(0, 0, 0), rows_of(1, 26, 2), spans, LIMIT) == (
        WholeThings(0, 0, 1, 1),
        ThingSpan(1, 1, ALL_TIME, is_first=True, is_last=True, rows=26),
        WholeThings(2, 2, 3, 2),
    )


def test_idle_things_are_cut_by_their_number() -> None:
    plan = a_plan(*[0] * (MAX_CHUNK_FILES + 1))

    assert cut(plan, {}, {}) == (
        WholeThings(0, 0, MAX_CHUNK_FILES, 0),
        WholeThings(1, MAX_CHUNK_FILES, MAX_CHUNK_FILES + 1, 0),
    )


def test_an_export_of_nothing_has_no_chunks() -> None:
    assert cut(a_plan(), {}, {}) == ()


def test_a_large_thing_without_spans_is_refused_rather_than_left_out() -> None:
    surveys = {ThingId("t0"): ThingSurvey(1, MAX_CHUNK_COST_BYTES)}

    with pytest.raises(ValueError, match="file 0 is too large"):
        cut(a_plan(0), surveys, {})
