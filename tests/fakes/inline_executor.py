"""Chunks rendered right here, one after the other."""

from collections.abc import Callable, Generator, Iterable

from thingport.application.ports import RenderTask
from thingport.domain.segment import StoredSegment


class InlineExecutor:
    """An ``Executor`` without workers; nothing dies but the test itself."""

    def __init__(self, render_chunk: Callable[[RenderTask], StoredSegment]) -> None:
        self._render_chunk = render_chunk

    def run(self, tasks: Iterable[RenderTask]) -> Generator[StoredSegment]:
        yield from map(self._render_chunk, tasks)
