"""Cutting an export into chunks: from the data alone, never from the workers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from thingport.domain.export_plan import (
    Chunk,
    ExportPlan,
    SurveyedSpan,
    ThingSpan,
    ThingSurvey,
    WholeThings,
)
from thingport.domain.ids import ThingId

ROW_COST_BYTES = 32
"""What a row costs before its values: a timestamp and its line end."""

VALUE_COST_BYTES = 8
"""What a planned column costs in a row; 8.5 bytes of CSV text were measured."""

MAX_CHUNK_COST_BYTES = 8 * 1024 * 1024
"""Most that a chunk may cost: about a million values, the size at which cutting
costs nothing measurable and memory stays far below 200 MB a worker."""

MAX_CHUNK_FILES = 1_000
"""Most things in one chunk, so that a fleet of idle things is cut as well."""

_NO_ROWS = ThingSurvey(rows=0, text_bytes=0)


def row_cost_bytes(rows: int, columns: int, text_bytes: int) -> int:
    """Estimate what rows cost in memory: about the size of their CSV text."""
    return rows * (ROW_COST_BYTES + columns * VALUE_COST_BYTES) + text_bytes


def cut(
    plan: ExportPlan,
    surveys: Mapping[ThingId, ThingSurvey],
    spans: Mapping[ThingId, Sequence[SurveyedSpan]],
    max_cost_bytes: int = MAX_CHUNK_COST_BYTES,
) -> tuple[Chunk, ...]:
    """Cut an export into chunks, in the order of its files.

    A chunk takes whole things of one layout, one after the other, for as long as
    they cost no more than the limit together. A thing that costs more by itself
    becomes one chunk for each of its spans.

    Args:
        plan: What to cut.
        surveys: What things have; one that is absent has no rows.
        spans: For each thing that is too large: at least one span, in order; they
            tile the plan's period.
        max_cost_bytes: Most that a chunk may cost.

    Returns:
        Chunks numbered from 0, that cover every file exactly once.

    Raises:
        ValueError: A thing that is too large has no spans.
    """
    sizes = [_size_of(plan, index, surveys) for index in range(len(plan.files))]
    chunks: list[Chunk] = []
    first = 0
    while first < len(sizes):
        if sizes[first].cost_bytes > max_cost_bytes:
            thing_spans = spans.get(plan.files[first].thing_id, ())
            chunks.extend(_cut_thing(len(chunks), first, thing_spans))
            first += 1
        else:
            end = _find_end(plan, sizes, first, max_cost_bytes)
            rows = sum(it.rows for it in sizes[first:end])
            chunks.append(WholeThings(len(chunks), first, end, rows))
            first = end
    return tuple(chunks)


@dataclass(frozen=True, slots=True)
class _Size:
    """How large a file is."""

    rows: int
    cost_bytes: int


def _size_of(
    plan: ExportPlan, file: int, surveys: Mapping[ThingId, ThingSurvey]
) -> _Size:
    survey = surveys.get(plan.files[file].thing_id, _NO_ROWS)
    columns = len(plan.layouts[plan.files[file].layout].columns)
    return _Size(survey.rows, row_cost_bytes(survey.rows, columns, survey.text_bytes))


def _find_end(
    plan: ExportPlan, sizes: Sequence[_Size], first: int, max_cost_bytes: int
) -> int:
    """Find the end of a chunk of whole things that begins with a file."""
    limit = min(first + MAX_CHUNK_FILES, len(sizes))
    cost_bytes = sizes[first].cost_bytes
    for end in range(first + 1, limit):
        cost_bytes += sizes[end].cost_bytes
        if (
            cost_bytes > max_cost_bytes
            or plan.files[end].layout != plan.files[first].layout
        ):
            return end
    return limit


def _cut_thing(
    number: int, file: int, spans: Sequence[SurveyedSpan]
) -> Iterator[ThingSpan]:
    if not spans:
        raise ValueError(f"file {file} is too large for one chunk, and has no spans")
    last = len(spans) - 1
    for place, span in enumerate(spans):
        yield ThingSpan(
            number=number + place,
            file=file,
            period=span.period,
            is_first=place == 0,
            is_last=place == last,
            rows=span.rows,
        )
