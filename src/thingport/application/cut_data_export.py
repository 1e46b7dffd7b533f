"""Cutting an export into chunks, from what the lake has at its snapshot."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby

from thingport.application.ports import LakeReader
from thingport.domain.chunking import cut, row_cost_bytes
from thingport.domain.export_plan import Chunk, ExportPlan, SurveyedSpan, ThingSurvey
from thingport.domain.ids import ThingId

_SURVEY_THINGS = 2_000
"""Things surveyed by one query."""


def cut_data_export(
    plan: ExportPlan,
    lake: LakeReader,
    max_chunk_cost_bytes: int,
    go_on: Callable[[], None],
) -> Sequence[Chunk]:
    """Cut an export; equal data at the snapshot give equal chunks.

    Args:
        plan: What to cut.
        lake: Its tenant's.
        max_chunk_cost_bytes: Most that a chunk may cost.
        go_on: Called between two queries; raises to break off.
    """
    surveys: dict[ThingId, ThingSurvey] = {}
    spans: dict[ThingId, Sequence[SurveyedSpan]] = {}
    for layout, thing_ids in _iter_survey_groups(plan):
        go_on()
        planned = plan.layouts[layout]
        found = lake.survey(plan.snapshot, planned, thing_ids, plan.period)
        surveys.update(found)
        columns = len(planned.columns)
        for thing_id in _iter_large(found, columns, max_chunk_cost_bytes):
            go_on()
            spans[thing_id] = lake.cut_thing(
                plan.snapshot, planned, thing_id, plan.period, max_chunk_cost_bytes
            )
    return cut(plan, surveys, spans, max_chunk_cost_bytes)


def _iter_large(
    surveys: Mapping[ThingId, ThingSurvey], columns: int, max_cost_bytes: int
) -> Iterator[ThingId]:
    for thing_id, it in surveys.items():
        if row_cost_bytes(it.rows, columns, it.text_bytes) > max_cost_bytes:
            yield thing_id


def _iter_survey_groups(plan: ExportPlan) -> Iterator[tuple[int, Sequence[ThingId]]]:
    for layout, files in groupby(plan.files, key=lambda it: it.layout):
        thing_ids = [it.thing_id for it in files]
        for start in range(0, len(thing_ids), _SURVEY_THINGS):
            yield layout, thing_ids[start : start + _SURVEY_THINGS]
