"""Rows in columns that wait on the disk, and are read again as often as is needed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Protocol, Self, cast

from thingport.adapters.lake.arrow import ArrowSchema, ArrowType, table_of


class RowReader(Protocol):
    """Batches of rows, to be read once."""


class _Batch(Protocol):
    """Some rows."""


class _Table(Protocol):
    @property
    def schema(self) -> ArrowSchema: ...

    def to_batches(self) -> Sequence[_Batch]: ...


class _Writer(Protocol):
    def write_batch(self, batch: _Batch) -> None: ...

    def close(self) -> None: ...


class _Ipc(Protocol):
    def IpcWriteOptions(self, *, compression: str) -> object: ...  # noqa: N802  # the library's own name

    def new_stream(
        self, sink: str, schema: ArrowSchema, *, options: object
    ) -> _Writer: ...

    def open_stream(self, source: object) -> Iterable[_Batch]: ...


class _ReaderClass(Protocol):
    def from_batches(
        self, schema: ArrowSchema, batches: Iterable[_Batch]
    ) -> RowReader: ...


class _PyArrow(Protocol):
    RecordBatchReader: _ReaderClass


_pyarrow = cast("_PyArrow", import_module("pyarrow"))
_ipc = cast("_Ipc", import_module("pyarrow.ipc"))


class StagedBatches:
    """Columns in a file, in the order in which they were added.

    Neither writing nor reading holds more than one batch. The file is for this
    process alone, and is not synced.

    Args:
        path: Where; there is no such file yet.
        types: Name and type of each column.
    """

    def __init__(self, path: Path, types: Mapping[str, ArrowType]) -> None:
        self._path = path
        self._types = types
        empty = cast("_Table", table_of({it: (types[it], []) for it in types}))
        self._schema = empty.schema
        self._writer = _ipc.new_stream(
            str(path),
            self._schema,
            # Most cells of a wide table are empty, and take bytes all the same.
            options=_ipc.IpcWriteOptions(compression="lz4"),
        )
        self.batches = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()
        self._path.unlink(missing_ok=True)

    def add(self, columns: Mapping[str, Sequence[object]]) -> None:
        """Add rows, as one batch; there must be one at least."""
        table = table_of({it: (self._types[it], columns[it]) for it in self._types})
        for batch in cast("_Table", table).to_batches():
            self._writer.write_batch(batch)
            self.batches += 1

    def iter_readers(self, cuts: Sequence[int]) -> Iterator[RowReader]:
        """Yield successive parts of the rows; each is to be read before the next.

        Args:
            cuts: After how many batches each part ends.
        """
        self._writer.close()
        with ExitStack() as stack:
            file = stack.enter_context(self._path.open("rb"))
            batches = iter(_ipc.open_stream(file))
            start = 0
            for end in cuts:
                part = islice(batches, end - start)
                yield _pyarrow.RecordBatchReader.from_batches(self._schema, part)
                start = end
