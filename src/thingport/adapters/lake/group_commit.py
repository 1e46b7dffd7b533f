"""Many small writes that share one commit."""

import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from thingport.adapters.lake.failures import STORE
from thingport.adapters.lake.incoming_rows import (
    IncomingRows,
    rows_of,
    rows_of_columns,
    store_rows,
)
from thingport.adapters.lake.writer_lane import WriterLane
from thingport.application.ports import ReadingColumns
from thingport.domain.errors import StoreUnavailable, ThingportError
from thingport.domain.reading import ReadingBatch, ValueDeletion

DEFAULT_PAUSE = timedelta(milliseconds=5)
"""How long a write waits for others: a fraction of what its commit takes."""


MAX_WAITING = 20
"""Most calls that wait for one lake. A server answers all its tenants with twice as
many threads, and a large ingest may hold the lane of one for minutes."""


@dataclass(slots=True, eq=False)
class _Write:
    """One call, and how it ended."""

    rows: Sequence[IncomingRows]
    is_stored: bool = False
    error: ThingportError | None = None


@dataclass(slots=True, eq=False)
class _Group:
    """Calls that share a commit."""

    writes: list[_Write] = field(default_factory=list["_Write"])
    done: threading.Event = field(default_factory=threading.Event)


class GroupCommitWriter:
    """The way in for one tenant's readings.

    The first of several calls commits for all that come while it waits: some
    milliseconds, and for as long as the commit before it takes. Threads may share
    it; there should be one for each lake in a process.

    Args:
        lane: The writer lane of the lake; closed with the writer.
        pause: How long the first call waits for others.
    """

    def __init__(self, lane: WriterLane, *, pause: timedelta = DEFAULT_PAUSE) -> None:
        self._lane = lane
        self._pause_s = pause.total_seconds()
        self._gate = threading.Lock()
        self._turn = threading.Lock()
        self._joining: _Group | None = None
        self._is_closed = False
        self._waiting = 0

    def write(self, batches: Sequence[ReadingBatch | ReadingColumns]) -> None:
        """Store readings; returns when they are durable, all or none of them.

        Raises:
            StoreUnavailable: The lake is away, too many wait for it, or the writer
                is closed; nothing was stored.
            CorruptData: The lake is damaged, or keeps another type of values
                for a metric; nothing was stored.
        """
        # Turned into columns here, so that what is wrong with a call stays in it.
        rows = map(_rows_of, batches)
        write = _Write([it for it in rows if it.table.num_rows])
        if not write.rows:
            return
        with self._waiting_in_line():
            group, is_first = self._join(write)
            if is_first:
                self._lead(group)
            else:
                group.done.wait()
        if write.error is not None:
            raise write.error
        if not write.is_stored:
            raise StoreUnavailable(STORE, "the commit was broken off")

    def delete(self, deletion: ValueDeletion) -> None:
        """Remove values; returns when it is durable that they are gone.

        Has a commit of its own: what was answered before the call is in the lake
        by then, and what joins a group meanwhile counts as written later.

        Raises:
            StoreUnavailable: The lake is away, too many wait for it, or the writer
                is closed; nothing was removed.
            CorruptData: The lake is damaged; nothing was removed.
        """
        with self._waiting_in_line(), self._turn:
            # Asked in turn, so that a lake that was let go of is not opened again.
            if self._is_closed:
                raise _stopping()
            self._lane.commit(lambda transaction: transaction.delete(deletion))

    def close(self) -> None:
        """Refuse further writes, wait for those under way, let go of the lake."""
        with self._gate:
            self._is_closed = True
            joining = self._joining
        if joining is not None:
            joining.done.wait()
        with self._turn:
            self._lane.close()

    @contextmanager
    def _waiting_in_line(self) -> Generator[None]:
        """Count a call among those that wait, or refuse it."""
        with self._gate:
            if self._waiting == MAX_WAITING:
                raise StoreUnavailable(STORE, "too many writes are waiting for it")
            self._waiting += 1
        try:
            yield
        finally:
            with self._gate:
                self._waiting -= 1

    def _join(self, write: _Write) -> tuple[_Group, bool]:
        with self._gate:
            if self._is_closed:
                raise _stopping()
            is_first = self._joining is None
            group = self._joining = self._joining or _Group()
            group.writes.append(write)
            return group, is_first

    def _lead(self, group: _Group) -> None:
        """Commit for a whole group; whatever happens, nobody waits for ever."""
        try:
            time.sleep(self._pause_s)
            with self._turn:
                self._part(group)
                self._commit(group.writes)
        finally:
            self._part(group)
            group.done.set()

    def _part(self, group: _Group) -> None:
        """Let nobody else join a group."""
        with self._gate:
            if self._joining is group:
                self._joining = None

    def _commit(self, writes: Sequence[_Write]) -> None:
        """Store all; if something is at fault, each by itself."""
        rows = [it for write in writes for it in write.rows]
        try:
            self._lane.commit(lambda transaction: store_rows(transaction, rows))
        except StoreUnavailable as error:
            for write in writes:
                write.error = StoreUnavailable(error.store, error.reason)
        except ThingportError as error:
            if len(writes) == 1:
                writes[0].error = error
                return
            for write in writes:
                self._commit([write])
        else:
            for write in writes:
                write.is_stored = True


def _rows_of(batch: ReadingBatch | ReadingColumns) -> IncomingRows:
    if isinstance(batch, ReadingColumns):
        return rows_of_columns(batch)
    return rows_of(batch)


def _stopping() -> StoreUnavailable:
    return StoreUnavailable(STORE, "the service is stopping")
