"""Arrow tables, as far as the lake needs them; pyarrow comes without types."""

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

import numpy as np

from thingport.application.ports import ColumnTable, RowBatch
from thingport.domain.metric import ValueType


class ArrowType(Protocol):
    """The type of a column; written as Arrow names it."""


class ArrowField(Protocol):
    """A column that a table has."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def type(self) -> ArrowType:
        """What it holds."""
        ...


class ArrowSchema(Iterable[ArrowField], Protocol):
    """The columns of a table."""

    @property
    def names(self) -> Sequence[str]:
        """What they are called, in order."""
        ...


class ArrowTable(ColumnTable, Protocol):
    """A table in memory, in columns."""

    @property
    def schema(self) -> ArrowSchema:
        """Its columns."""
        ...

    def column(self, i: str) -> object:
        """Give a column by its name."""
        ...

    def to_batches(self) -> Sequence[RowBatch]:
        """Give the rows in pieces; copies nothing."""
        ...

    def append_column(self, field_: str, column: object) -> "ArrowTable":
        """Give a table with one more column."""
        ...

    def rename_columns(self, names: Sequence[str]) -> "ArrowTable":
        """Give a table with other names."""
        ...

    def validate(self, *, full: bool) -> None:
        """Raise ``ArrowError`` if offsets or texts are not what they must be."""
        ...


class _Message(Protocol):
    @property
    def metadata(self) -> "memoryview[int]": ...

    @property
    def type(self) -> str: ...


class _StreamReader(Protocol):
    @property
    def schema(self) -> ArrowSchema: ...

    def read_all(self) -> ArrowTable: ...


class _MessageReader(Protocol):
    def open_stream(self, source: object) -> Iterable[_Message]: ...


class _BufferReader(Protocol):
    def tell(self) -> int: ...


class _Ipc(Protocol):
    MessageReader: _MessageReader

    def open_stream(self, source: object) -> _StreamReader: ...


class _PyArrow(Protocol):
    ArrowException: type[Exception]

    def array(self, values: object, type: ArrowType) -> object: ...  # noqa: A002  # the library's own name

    def table(
        self, columns: Mapping[str, object] | ColumnTable | RowBatch
    ) -> ArrowTable: ...

    def concat_tables(
        self, tables: Sequence[ArrowTable], *, promote_options: str
    ) -> ArrowTable: ...

    def BufferReader(self, content: bytes) -> _BufferReader: ...  # noqa: N802  # the library's own name

    def string(self) -> ArrowType: ...

    def bool_(self) -> ArrowType: ...

    def int64(self) -> ArrowType: ...

    def float32(self) -> ArrowType: ...

    def float64(self) -> ArrowType: ...


class _ParquetModule(Protocol):
    def read_schema(self, where: str) -> ArrowSchema: ...


_pyarrow = cast("_PyArrow", import_module("pyarrow"))
_ipc = cast("_Ipc", import_module("pyarrow.ipc"))
_parquet = cast("_ParquetModule", import_module("pyarrow.parquet"))

ArrowError = _pyarrow.ArrowException

TEXT = _pyarrow.string()
INTEGER = _pyarrow.int64()

VALUE_TYPES: Mapping[ValueType, ArrowType] = {
    ValueType.STRING: TEXT,
    ValueType.BOOLEAN: _pyarrow.bool_(),
    ValueType.INTEGER: INTEGER,
    ValueType.LONG: INTEGER,
    ValueType.FLOAT: _pyarrow.float32(),
    ValueType.DOUBLE: _pyarrow.float64(),
}
"""The Arrow type for each type of values."""


def table_of(
    columns: Mapping[str, tuple[ArrowType, Sequence[object]]],
) -> ArrowTable:
    """Make a table from columns; ``None`` is a missing value."""
    return _pyarrow.table(
        {
            name: _pyarrow.array(values, type_)
            for name, (type_, values) in columns.items()
        }
    )


def table_from(table: ColumnTable) -> ArrowTable:
    """Give a table of whatever library as one of Arrow's own; copies nothing."""
    return _pyarrow.table(table)


def concatenated(tables: Sequence[ArrowTable]) -> ArrowTable:
    """Put tables one after the other; what one lacks is missing in its rows."""
    return _pyarrow.concat_tables(tables, promote_options="default")


def side_by_side(batches: Sequence[RowBatch]) -> RowBatch:
    """Join batches of the same rows into one; columns of one name are there once."""
    tables = [_pyarrow.table(it) for it in batches]
    columns = {name: it.column(name) for it in tables for name in it.schema.names}
    (joined,) = _pyarrow.table(columns).to_batches()
    return joined


def with_numbers(table: ArrowTable, name: str, first: int) -> ArrowTable:
    """Give a table with one more column, of successive 64-bit integers."""
    numbers = np.arange(first, first + table.num_rows, dtype=np.int64)
    return table.append_column(name, _pyarrow.array(numbers, INTEGER))


def stream_messages(content: bytes) -> Iterable[tuple[str, "memoryview[int]"]]:
    """Yield kind and description of each message of an IPC stream; decodes none.

    Raises:
        ArrowError: It is no such stream.
    """
    for message in _ipc.MessageReader.open_stream(_pyarrow.BufferReader(content)):
        yield message.type, memoryview(message.metadata)


class StreamReader:
    """Reads an IPC stream, whose schema can be looked at before its rows are read.

    Raises:
        ArrowError: It is no such stream.
    """

    def __init__(self, content: bytes) -> None:
        self._source = _pyarrow.BufferReader(content)
        self._reader = _ipc.open_stream(self._source)

    @property
    def schema(self) -> ArrowSchema:
        """Its columns."""
        return self._reader.schema

    @property
    def read_bytes(self) -> int:
        """How far it has been read."""
        return self._source.tell()

    def read_all(self) -> ArrowTable:
        """Give all rows, up to the end of the stream or of the bytes."""
        return self._reader.read_all()


def parquet_column_names(path: Path) -> Sequence[str]:
    """Give the names of a Parquet file's columns, letter for letter, in order.

    Raises:
        ArrowError: It is no Parquet file.
        OSError: It cannot be read.
    """
    return list(_parquet.read_schema(str(path)).names)
