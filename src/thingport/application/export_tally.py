"""Adding up what is done of an export, and how long the rest may take."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from thingport.domain.data_export import Phase, Progress
from thingport.domain.export_plan import Chunk, ExportPlan, ThingSpan, WholeThings
from thingport.domain.segment import StoredSegment


class ExportTally:
    """What is done of an export: from all its chunks, and the segments so far.

    Args:
        plan: What was planned.
        chunks: How it was cut.
        monotonic_s: Seconds since some instant.
    """

    def __init__(
        self,
        plan: ExportPlan,
        chunks: Sequence[Chunk],
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._done = Progress(
            phase=Phase.RENDERING,
            things_total=len(plan.files),
            rows_total=sum(it.rows for it in chunks),
        )
        self._monotonic_s = monotonic_s
        self._started_at_s = monotonic_s()
        self._rows_at_start = 0

    def add(self, chunk: Chunk, segment: StoredSegment) -> None:
        """Count a chunk as done."""
        done = self._done
        self._done = replace(
            done,
            things_done=done.things_done + _count_things(chunk),
            rows_done=done.rows_done + chunk.rows,
            bytes_written=done.bytes_written + segment.index.size_bytes,
        )

    def start(self) -> None:
        """Measure the pace from here on; what an earlier attempt did has none."""
        self._started_at_s = self._monotonic_s()
        self._rows_at_start = self._done.rows_done

    @property
    def progress(self) -> Progress:
        """How much is done, and how long the rest takes at the pace so far."""
        rows = self._done.rows_done - self._rows_at_start
        if not rows:
            return self._done
        elapsed_s = self._monotonic_s() - self._started_at_s
        left = self._done.rows_total - self._done.rows_done
        return replace(self._done, remaining_seconds=math.ceil(elapsed_s * left / rows))


def _count_things(chunk: Chunk) -> int:
    """Count the things that a chunk ends; a span counts when it is the last."""
    match chunk:
        case WholeThings():
            return chunk.end_file - chunk.first_file
        case ThingSpan():
            return int(chunk.is_last)
