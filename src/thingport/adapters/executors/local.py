"""Chunks rendered by worker processes on this machine."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing.connection import wait as wait_for_sentinel
from threading import Thread

from thingport.application.ports import RenderTask
from thingport.domain.errors import WorkerDied
from thingport.domain.segment import StoredSegment

RenderChunk = Callable[[RenderTask], StoredSegment]
"""Renders one chunk and stages its segment; must be importable in a new process."""


class LocalExecutor:
    """An ``Executor`` with a fixed number of worker processes.

    Workers are spawned, never forked (an engine's threads do not survive a
    fork), niced, so that the API goes first, and end when their parent does.
    """

    def __init__(self, render_chunk: RenderChunk, workers: int, niceness: int) -> None:
        self._render_chunk = render_chunk
        self._workers = workers
        self._niceness = niceness
        self._pool: ProcessPoolExecutor | None = None

    def run(self, tasks: Iterable[RenderTask]) -> Generator[StoredSegment]:
        """Render chunks, some at the same time; yield them as they come."""
        waiting = iter(tasks)
        running: dict[Future[StoredSegment], RenderTask] = {}
        try:
            while True:
                for task in islice(waiting, self._workers + 1 - len(running)):
                    running[self._start(task)] = task
                if not running:
                    return
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield self._outcome(future, running.pop(future))
        finally:
            if running:
                self.close()

    def close(self) -> None:
        """End all workers at once, whatever they are doing."""
        if self._pool is None:
            return
        pool, self._pool = self._pool, None
        for process in list((pool._processes or {}).values()):  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # the pool's own way waits
            process.kill()
        pool.shutdown(wait=True, cancel_futures=True)

    def _start(self, task: RenderTask) -> Future[StoredSegment]:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._workers,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_begin_worker,
                initargs=(self._niceness,),
            )
        try:
            return self._pool.submit(self._render_chunk, task)
        except BrokenProcessPool as error:
            self.close()
            raise WorkerDied(task.chunk.number) from error

    def _outcome(
        self, future: Future[StoredSegment], task: RenderTask
    ) -> StoredSegment:
        try:
            return future.result()
        except BrokenProcessPool as error:
            self.close()
            raise WorkerDied(task.chunk.number) from error


def _begin_worker(niceness: int) -> None:
    # Terminals and service managers signal whole groups of processes; workers end
    # when they are told.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.nice(niceness)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for_sentinel([parent.sentinel])
        os._exit(1)
