"""A Parquet file of readings: what its columns are, and how to ask for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from thingport.adapters.lake.arrow import (
    INTEGER,
    TEXT,
    ArrowError,
    ArrowTable,
    parquet_column_names,
    table_of,
)
from thingport.adapters.lake.lake_names import quote, quote_text
from thingport.domain.errors import InvalidRequest
from thingport.domain.ids import ThingDefinitionId, ThingId
from thingport.domain.metric import END_OF_FLOAT32, ValueType

THING = "thing"
"""The column of serial numbers."""

TIMESTAMP = "timestamp"
"""The column of instants."""

_ROW_NUMBER = "file_row_number"

_SMALL_INTEGERS = frozenset(
    {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}
)
_INTEGERS = _SMALL_INTEGERS | {"UBIGINT", "HUGEINT", "UHUGEINT"}
_FLOATS = frozenset({"FLOAT", "DOUBLE"})
_CALENDAR = {
    "TIMESTAMP": ("epoch_us", 1_000),
    "TIMESTAMP_S": ("epoch_us", 1_000),
    "TIMESTAMP_MS": ("epoch_us", 1_000),
    "TIMESTAMP_NS": ("epoch_ns", 1_000_000),
    "TIMESTAMP WITH TIME ZONE": ("epoch_us", 1_000),
}
"""How to count each type of timestamp, and how many of that are a millisecond."""

_BEYOND_64_BITS = "({0} < -9223372036854775808 OR {0} > 9223372036854775807)"
_MISFITS = {
    ValueType.FLOAT: f"NOT isfinite({{0}}) OR abs({{0}}) >= {END_OF_FLOAT32!r}",
    ValueType.DOUBLE: "NOT isfinite({0})",
}


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """One column of values.

    Attributes:
        name: As it is in the file: the name of a metric.
        alias: What queries call it.
        type: As the engine names it.
    """

    name: str
    alias: str
    type: str

    def misfit(self, value_type: ValueType) -> str | None:
        """Give the condition of values that a metric cannot take.

        Returns:
            SQL; an empty one if every value fits, ``None`` if none does.
        """
        is_number = self.type in _INTEGERS | _FLOATS or self.type.startswith("DECIMAL")
        match value_type:
            case ValueType.STRING:
                fits = self.type == "VARCHAR"
                return f"strlen({self.alias}) > 65536" if fits else None
            case ValueType.BOOLEAN:
                return "" if self.type == "BOOLEAN" else None
            case ValueType.INTEGER | ValueType.LONG:
                return self._misfit_as_integer() if is_number else None
            case ValueType.FLOAT | ValueType.DOUBLE:
                misfit = _MISFITS[value_type] if self.type in _FLOATS else ""
                return misfit.format(self.alias) if is_number else None

    def _misfit_as_integer(self) -> str:
        if self.type in _SMALL_INTEGERS:
            return ""
        if self.type in _INTEGERS:
            return _BEYOND_64_BITS.format(self.alias)
        if self.type in _FLOATS:
            # 2^63 itself is a float but no 64-bit integer.
            return (
                f"NOT isfinite({self.alias}) OR {self.alias} <> trunc({self.alias})"
                f" OR {self.alias} < -9223372036854775808::DOUBLE"
                f" OR {self.alias} >= 9223372036854775808::DOUBLE"
            )
        beyond = _BEYOND_64_BITS.format(self.alias)
        return f"{self.alias} <> trunc({self.alias}) OR {beyond}"


@dataclass(frozen=True, slots=True)
class ParquetSource:
    """A file that can be read, with the columns that it must have.

    Attributes:
        columns: All but the thing and the timestamp.
        relation: SQL of its rows: ``serial``, ``instant`` (a count of fractions
            of milliseconds), ``row_number`` (from 0) and the columns.
        instants_per_ms: How many of those fractions are a millisecond.
    """

    columns: Sequence[SourceColumn]
    relation: str
    instants_per_ms: int

    @property
    def has_values(self) -> str:
        """SQL: whether a row has any value at all."""
        return " OR ".join(f"{it.alias} IS NOT NULL" for it in self.columns) or "false"

    @property
    def text_bytes(self) -> str | None:
        """SQL: the bytes of a row's texts; ``None`` if there can be none."""
        texts = [
            f"coalesce(strlen({it.alias}), 0)"
            for it in self.columns
            if it.type == "VARCHAR"
        ]
        return " + ".join(texts) or None


def open_source(engine: duckdb.DuckDBPyConnection, path: Path) -> ParquetSource:
    """Look at a file's columns; reads no rows.

    Raises:
        InvalidRequest: It is not a Parquet file of readings.
    """
    names = _read_names(path)
    options = f"{_ROW_NUMBER} = true, hive_partitioning = false"
    read = f"read_parquet({quote_text(_literal(path))}, {options})"
    try:
        described = engine.execute(f"DESCRIBE SELECT * FROM {read}").fetchall()  # noqa: S608  # a quoted path
    except (duckdb.InvalidInputException, duckdb.IOException) as error:
        raise InvalidRequest(f"{path}: it cannot be read: {error}") from error
    # The engine renames columns that differ in case only; the order is the file's.
    quoted = {it: quote(str(row[0])) for it, row in zip(names, described, strict=False)}
    types = {it: str(row[1]) for it, row in zip(names, described, strict=False)}
    _check_keys(path, types)
    instant, instants_per_ms = _instant(path, quoted[TIMESTAMP], types[TIMESTAMP])
    columns = [
        SourceColumn(name, f"v{number}", types[name])
        for number, name in enumerate(names)
        if name not in {THING, TIMESTAMP}
    ]
    values = "".join(f", {quoted[it.name]} AS {it.alias}" for it in columns)
    relation = (
        f"(SELECT {quoted[THING]} AS serial, {instant} AS instant,"  # noqa: S608  # quoted names
        f" {_ROW_NUMBER} AS row_number{values} FROM {read})"
    )
    return ParquetSource(columns, relation, instants_per_ms)


def things_table(
    things: Mapping[str, tuple[ThingId, ThingDefinitionId]],
    definitions: Sequence[ThingDefinitionId],
) -> ArrowTable:
    """Make a table of serial numbers with ids, and the places of definitions."""
    places = {it: place for place, it in enumerate(definitions)}
    return table_of(
        {
            "serial": (TEXT, list(things)),
            "thing_id": (TEXT, [thing_id for thing_id, _ in things.values()]),
            "definition": (INTEGER, [places[it] for _, it in things.values()]),
        }
    )


def _read_names(path: Path) -> Sequence[str]:
    try:
        names = parquet_column_names(path)
    except (ArrowError, OSError) as error:
        raise InvalidRequest(
            f"{path}: it is no readable Parquet file: {error}"
        ) from error
    repeated = sorted({it for it in names if names.count(it) > 1})
    if repeated:
        raise InvalidRequest(f"{path}: more than one column {repeated[0]!r}")
    return names


def _check_keys(path: Path, types: Mapping[str, str]) -> None:
    for name in (THING, TIMESTAMP):
        if name not in types:
            raise InvalidRequest(f"{path}: the column {name!r} is missing")
    if types[THING] != "VARCHAR":
        raise InvalidRequest(
            f"{path}: the column 'thing' must hold serial numbers as texts,"
            f" not {types[THING]}"
        )


def _instant(path: Path, name: str, type_: str) -> tuple[str, int]:
    """Give SQL that counts time from the epoch, and its units in a millisecond."""
    if type_ in _INTEGERS:
        return f"{name}::HUGEINT", 1
    if type_ not in _CALENDAR:
        raise InvalidRequest(
            f"{path}: the column 'timestamp' must hold integers (UTC milliseconds)"
            f" or timestamps, not {type_}"
        )
    count, per_ms = _CALENDAR[type_]
    # Infinity becomes an instant that is out of range, and is refused as such.
    counted = (
        f"(CASE WHEN isfinite({name}) THEN {count}({name})"
        f" WHEN {name} IS NOT NULL THEN 9223372036854775000 END)::HUGEINT"
    )
    return counted, per_ms


def _literal(path: Path) -> str:
    """Write a path so that the engine takes it for this file, not for a pattern."""
    special = {"*": "[*]", "?": "[?]", "[": "[[]"}
    return "".join(special.get(it, it) for it in str(path.absolute()))
