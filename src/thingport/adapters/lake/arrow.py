"""Arrow tables, as far as the lake needs them; pyarrow comes without types."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from thingport.domain.metric import ValueType


class ArrowTable(Protocol):
    """A table in memory, in columns."""

    @property
    def num_rows(self) -> int:
        """How many rows it has."""
        ...

    def append_column(self, field_: str, column: object) -> "ArrowTable":
        """Give a table with one more column."""
        ...


class ArrowType(Protocol):
    """The type of a column."""


class _Schema(Protocol):
    @property
    def names(self) -> Sequence[str]: ...


class _PyArrow(Protocol):
    ArrowException: type[Exception]

    def array(self, values: Sequence[object], type: ArrowType) -> object: ...  # noqa: A002  # the library's own name

    def table(self, columns: Mapping[str, object]) -> ArrowTable: ...

    def concat_tables(
        self, tables: Sequence[ArrowTable], *, promote_options: str
    ) -> ArrowTable: ...

    def string(self) -> ArrowType: ...

    def bool_(self) -> ArrowType: ...

    def int64(self) -> ArrowType: ...

    def float32(self) -> ArrowType: ...

    def float64(self) -> ArrowType: ...


class _ParquetModule(Protocol):
    def read_schema(self, where: str) -> _Schema: ...


_pyarrow = cast("_PyArrow", import_module("pyarrow"))
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


def concatenated(tables: Sequence[ArrowTable]) -> ArrowTable:
    """Put tables one after the other; what one lacks is missing in its rows."""
    return _pyarrow.concat_tables(tables, promote_options="default")


def with_numbers(table: ArrowTable, name: str, numbers: Sequence[int]) -> ArrowTable:
    """Give a table with one more column, of 64-bit integers."""
    return table.append_column(name, _pyarrow.array(numbers, INTEGER))


def parquet_column_names(path: Path) -> Sequence[str]:
    """Give the names of a Parquet file's columns, letter for letter, in order.

    Raises:
        ArrowError: It is no Parquet file.
        OSError: It cannot be read.
    """
    return list(_parquet.read_schema(str(path)).names)
