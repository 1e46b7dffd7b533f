"""Rendering one chunk: what a worker process does."""

from thingport.application.ports import (
    ArchiveStore,
    ChunkRenderer,
    LakeReader,
    RenderTask,
)
from thingport.domain.export_plan import (
    Chunk,
    ExportPlan,
    PlannedLayout,
    ThingSpan,
    WholeThings,
)
from thingport.domain.ids import ThingId
from thingport.domain.period import Period
from thingport.domain.segment import StoredSegment


def render_chunk(
    task: RenderTask,
    plan: ExportPlan,
    lake: LakeReader,
    renderer: ChunkRenderer,
    archives: ArchiveStore,
) -> StoredSegment:
    """Read a chunk's rows at the plan's snapshot, render them, stage the segment.

    Raises:
        CorruptData: The lake is damaged; nothing was staged.
        StoreUnavailable: A store does not answer; nothing was staged.
    """
    layout, thing_ids, period = _scope(plan, task.chunk)
    batches = lake.iter_rows(plan.snapshot, layout, thing_ids, period)
    segment = renderer.render(plan, task.chunk, batches)
    return archives.put_segment(task.tenant_id, task.data_export_id, segment)


def _scope(
    plan: ExportPlan, chunk: Chunk
) -> tuple[PlannedLayout, list[ThingId], Period]:
    match chunk:
        case WholeThings():
            files = plan.files[chunk.first_file : chunk.end_file]
            period = plan.period
        case ThingSpan():
            files = (plan.files[chunk.file],)
            period = chunk.period
    return plan.layouts[files[0].layout], [it.thing_id for it in files], period
