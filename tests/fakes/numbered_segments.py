"""Rendering without bytes; in a module that worker processes can import."""

from thingport.application.ports import RenderTask
from thingport.domain.errors import CorruptData
from thingport.domain.export_plan import WholeThings
from thingport.domain.ids import DataExportId, TenantId
from thingport.domain.segment import SegmentIndex, StoredSegment

FAULTY = 77
"""The chunk that cannot be rendered."""


def render(task: RenderTask) -> StoredSegment:
    number = task.chunk.number
    if number == FAULTY:
        raise CorruptData("a file is damaged")
    index = SegmentIndex(chunk_number=number, size_bytes=0, sha256="", members=())
    return StoredSegment(index, f"{task.tenant_id}/{task.data_export_id}/{number}")


def a_task(number: int) -> RenderTask:
    return RenderTask(
        tenant_id=TenantId("acme"),
        data_export_id=DataExportId("e1"),
        chunk=WholeThings(number, number, number + 1, 0),
    )
