"""Running a data export: cut, render, seal, and say how it went."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from thingport.application.cut_data_export import cut_data_export
from thingport.application.export_failures import RUNNER_DIED, explain
from thingport.application.export_tally import ExportTally
from thingport.application.keep_alive import keep_alive
from thingport.application.ports import (
    ArchiveStore,
    ChunkRenderer,
    Claim,
    Clock,
    ControlDatabase,
    Executor,
    OpenLake,
    RenderTask,
)
from thingport.domain.chunking import MAX_CHUNK_COST_BYTES
from thingport.domain.data_export import (
    Archive,
    DataExport,
    ExportError,
    Phase,
    Progress,
)
from thingport.domain.errors import (
    CorruptSegment,
    LeaseLost,
    RunnerDied,
    RunnerStopping,
    ThingportError,
    TransientError,
)
from thingport.domain.export_plan import (
    Chunk,
    ExportPlan,
)
from thingport.domain.segment import ArchivePiece, StoredSegment

LEASE = timedelta(seconds=15)
"""How long a runner may be silent before another one takes its export over."""

MAX_ATTEMPTS = 3
"""How often an export is tried when something passing stands in its way."""

MAX_CLAIMS = 10
"""How often an export is claimed before its first segment: something in it ends its
runners, which say nothing."""

RETRY_PAUSE = timedelta(seconds=2)
"""Pause before the second try; doubled for each one after it."""

_PROGRESS_PAUSE_S = 0.25
"""How often progress is stored: enough to watch, too seldom to cost anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataExportRunner:
    """Takes waiting exports and brings each to its end.

    Whatever happens, and wherever the process dies, an export is continued from
    its committed segments, by this runner or another one.

    Attributes:
        is_stopping: Asked between two steps: whether to give the export back.
    """

    name: str
    control: ControlDatabase
    open_lake: OpenLake
    archives: ArchiveStore
    renderer: ChunkRenderer
    executor: Executor
    clock: Clock
    max_chunk_cost_bytes: int = MAX_CHUNK_COST_BYTES
    is_stopping: Callable[[], bool] = lambda: False

    def claim(self) -> Claim | None:
        """Take the longest waiting export; ``None`` if there is none."""
        with self.control.for_service() as tx:
            return tx.queue.claim(self.name, now=self.clock.now(), lease=LEASE)

    def run(self, claim: Claim) -> ThingportError | None:
        """Bring an export to its end, or give it back to be tried again.

        Returns:
            What kept it from being COMPLETED, for the operator; ``None`` if nothing.

        Raises:
            LeaseLost: Another runner took it over; nothing more was changed.
        """
        try:
            if claim.attempt > MAX_CLAIMS and not self._list_segments(claim):
                self.fail(claim, RUNNER_DIED)
                return RunnerDied(claim.data_export.id)
            return self._bring_to_its_end(claim)
        except LeaseLost:
            self._withdraw(claim)
            raise

    def _bring_to_its_end(self, claim: Claim) -> ThingportError | None:
        try:
            with keep_alive(self.control, self.clock, LEASE, claim):
                archive, progress = self._run(claim)
        except RunnerStopping as stopping:
            with self.control.for_service() as tx:
                tx.queue.release(claim, retry_at=self.clock.now(), is_attempt=False)
            return stopping
        except TransientError as error:
            self._try_later(claim, error)
            return error
        except LeaseLost:
            raise
        except ThingportError as error:
            self.fail(claim, explain(error))
            return error
        advanced = claim.data_export.advance(progress)
        finished = advanced.complete(archive, at=self.clock.now())
        with self.control.for_service() as tx:
            tx.queue.finish(claim, finished)
        self._discard_staging(claim)
        return None

    def _withdraw(self, claim: Claim) -> None:
        """Take away what was made too late, of an export that has ended meanwhile."""
        present = self._find_present(claim)
        if present is None or not present.is_active:
            self._discard_staging(claim)
        if present is None or present.error is not None:
            self._discard_archive(claim)
        with self.control.for_service() as tx:
            tx.queue.let_go(claim)

    def _find_present(self, claim: Claim) -> DataExport | None:
        data_export = claim.data_export
        with self.control.for_tenant(data_export.tenant_id, read_only=True) as tx:
            return tx.data_exports.find(data_export.id)

    def fail(self, claim: Claim, error: ExportError) -> None:
        """End an export with a reason; nothing of its archive stays."""
        present = self._find_present(claim) or claim.data_export
        failed = replace(claim.data_export, progress=present.progress).fail(
            error, at=self.clock.now()
        )
        with self.control.for_service() as tx:
            tx.queue.finish(claim, failed)
        self._discard_staging(claim)
        # There is one if the runner ended between sealing it and saying so.
        self._discard_archive(claim)

    def _try_later(self, claim: Claim, error: TransientError) -> None:
        if claim.attempt >= MAX_ATTEMPTS:
            self.fail(claim, explain(error))
            return
        pause = RETRY_PAUSE * 2 ** (claim.attempt - 1)
        with self.control.for_service() as tx:
            tx.queue.release(claim, retry_at=self.clock.now() + pause)

    def _discard_staging(self, claim: Claim) -> None:
        data_export = claim.data_export
        self.archives.discard_staging(data_export.tenant_id, data_export.id)

    def _discard_archive(self, claim: Claim) -> None:
        data_export = claim.data_export
        self.archives.discard_archive(data_export.tenant_id, data_export.id)

    def _run(self, claim: Claim) -> tuple[Archive, Progress]:
        data_export = claim.data_export
        plan = self.archives.load_plan(data_export.tenant_id, data_export.id)
        chunks = self._cut(claim, plan)
        segments, progress = self._render(claim, plan, chunks)
        damages = Counter[int]()
        while True:
            try:
                return self._seal(claim, plan, chunks, segments), progress
            except CorruptSegment as damaged:
                damages[damaged.chunk_number] += 1
                if damages[damaged.chunk_number] == MAX_ATTEMPTS:
                    raise
                with self.control.for_service() as tx:
                    tx.queue.forget_segment(claim, damaged.chunk_number)
                segments, progress = self._render(claim, plan, chunks)

    def _cut(self, claim: Claim, plan: ExportPlan) -> Sequence[Chunk]:
        """Give the export's chunks: those of an earlier attempt, or new ones."""
        tenant_id, data_export_id = plan.tenant_id, claim.data_export.id
        known = self.archives.find_chunks(tenant_id, data_export_id)
        if known is not None:
            return known
        self._save_progress(
            claim, Progress(phase=Phase.CUTTING, things_total=len(plan.files))
        )
        with self.open_lake(tenant_id) as lake:
            chunks = cut_data_export(
                plan, lake, self.max_chunk_cost_bytes, partial(self._go_on, claim)
            )
        return self.archives.save_chunks(tenant_id, data_export_id, chunks)

    def _render(
        self, claim: Claim, plan: ExportPlan, chunks: Sequence[Chunk]
    ) -> tuple[Sequence[StoredSegment], Progress]:
        """Render the chunks that have no segment yet; give all segments, in order."""
        tally = ExportTally(plan, chunks)
        rendered = {it.index.chunk_number: it for it in self._list_segments(claim)}
        for number, segment in rendered.items():
            tally.add(chunks[number], segment)
        self._save_progress(claim, tally.progress)
        missing = [it for it in chunks if it.number not in rendered]
        tally.start()
        saved_at = time.monotonic()
        for segment in self._iter_rendered(claim, missing):
            tally.add(chunks[segment.index.chunk_number], segment)
            if time.monotonic() - saved_at >= _PROGRESS_PAUSE_S:
                self._save_progress(claim, tally.progress)
                saved_at = time.monotonic()
        return self._list_segments(claim), tally.progress

    def _iter_rendered(
        self, claim: Claim, chunks: Sequence[Chunk]
    ) -> Iterator[StoredSegment]:
        data_export = claim.data_export
        tasks = (
            RenderTask(
                tenant_id=data_export.tenant_id,
                data_export_id=data_export.id,
                chunk=chunk,
            )
            for chunk in chunks
        )
        # Closed at once when something goes wrong: nobody wants the rest then.
        with closing(self.executor.run(tasks)) as rendered:
            for segment in rendered:
                with self.control.for_service() as tx:
                    tx.queue.commit_segment(claim, segment)
                yield segment
                self._go_on(claim)

    def _seal(
        self,
        claim: Claim,
        plan: ExportPlan,
        chunks: Sequence[Chunk],
        segments: Sequence[StoredSegment],
    ) -> Archive:
        tally = ExportTally(plan, chunks)
        for chunk, segment in zip(chunks, segments, strict=True):
            tally.add(chunk, segment)
        self._save_progress(claim, replace(tally.progress, phase=Phase.SEALING))
        pieces = self.renderer.iter_archive(plan, chunks, segments)
        sealed = self.archives.seal(
            plan.tenant_id, claim.data_export.id, self._iter_wanted(claim, pieces)
        )
        return Archive(
            size_bytes=sealed.size_bytes,
            sha256=sealed.sha256,
            things=len(plan.files),
            rows=sum(
                member.rows for segment in segments for member in segment.index.members
            ),
        )

    def _iter_wanted(
        self, claim: Claim, pieces: Iterator[ArchivePiece]
    ) -> Iterator[ArchivePiece]:
        """Yield pieces for as long as the archive is wanted.

        Raises:
            LeaseLost: The export has ended, or another runner has it.
        """
        asked_at = time.monotonic()
        for piece in pieces:
            self._go_on(claim)
            if time.monotonic() - asked_at >= _PROGRESS_PAUSE_S:
                with self.control.for_service() as tx:
                    tx.queue.heartbeat(claim, until=self.clock.now() + LEASE)
                asked_at = time.monotonic()
            yield piece

    def _go_on(self, claim: Claim) -> None:
        """Do nothing, unless the runner shall end.

        Raises:
            RunnerStopping: It shall.
        """
        if self.is_stopping():
            raise RunnerStopping(claim.data_export.id)

    def _list_segments(self, claim: Claim) -> Sequence[StoredSegment]:
        with self.control.for_service(read_only=True) as tx:
            return tx.queue.list_segments(claim.data_export.id)

    def _save_progress(self, claim: Claim, progress: Progress) -> None:
        with self.control.for_service() as tx:
            tx.queue.save_progress(claim, progress)
