"""Readings in columns, of any origin: what the columns are, and how to ask for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from thingport.adapters.lake.arrow import INTEGER, TEXT, ArrowTable, table_of
from thingport.adapters.lake.lake_names import (
    COLUMN_TYPES,
    added,
    column_name,
    quote,
)
from thingport.domain.errors import InvalidRequest
from thingport.domain.ids import ThingDefinitionId, ThingId
from thingport.domain.metric import END_OF_FLOAT32, Metric, ValueType

TIMESTAMP = "timestamp"
"""The column of instants."""

THING = "thing"
"""The column of serial numbers."""

THING_ID = "thingId"
"""The column of ids, where those may stand for serial numbers."""

_KEYS = {THING: "serial numbers", THING_ID: "ids"}

Things = Mapping[str, tuple[ThingId, ThingDefinitionId]]
"""Id and definition of each thing, by what the column of things names it."""

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
        name: As the sender wrote it: the name of a metric.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """Rows that an engine can read, not looked at yet.

    Attributes:
        origin: What each fault begins with; may be empty.
        thing_columns: Which columns may name the things.
        relation: SQL that can stand after FROM.
        names: The columns as the sender wrote them, in order. The engine may
            call them otherwise; that of ``row_number`` comes after them.
        row_number: The column that counts the rows from 0.
    """

    origin: str
    thing_columns: Sequence[str]
    relation: str
    names: Sequence[str]
    row_number: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingSource:
    """Rows that can be read, with the columns that they must have.

    Attributes:
        thing_column: The name of the column that names the things.
        columns: All but the thing and the timestamp.
        relation: SQL of the rows: ``thing_key``, ``instant`` (a count of fractions
            of milliseconds), ``row_number`` (from 0) and the columns.
        instants_per_ms: How many of those fractions are a millisecond.
    """

    thing_column: str
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
        return added(texts) if texts else None

    def rows_of(
        self, place: int, metrics: Sequence[Metric], written_seq: str = ""
    ) -> str:
        """Give the query of one definition's rows, as its table keeps them.

        Args:
            place: The definition's, as the view ``things`` has it.
            metrics: Those of the definition that there are columns of.
            written_seq: SQL of one more column; left out if empty.
        """
        aliases = {it.name: it.alias for it in self.columns}
        values = "".join(
            f", {aliases[it.name]}::{COLUMN_TYPES[it.value_type]}"
            f" AS {quote(column_name(it.id))}"
            for it in metrics
        )
        # Checked rows have no values but those of metrics that their things have.
        has_values = " OR ".join(f"{aliases[it.name]} IS NOT NULL" for it in metrics)
        number = written_seq and f", {written_seq} AS written_seq"
        return (
            "SELECT thing_id AS thing,"  # noqa: S608  # quoted names
            f" (instant // {self.instants_per_ms})::BIGINT AS ts{number}{values}"
            f" FROM {self.relation} JOIN things USING (thing_key)"
            f" WHERE definition = {place:d} AND ({has_values})"
        )


def source_of(engine: duckdb.DuckDBPyConnection, scan: Scan) -> ReadingSource:
    """Look at the columns of rows; reads no rows.

    Raises:
        InvalidRequest: They are not those of readings.
    """
    _refuse_repeated(scan)
    described = engine.execute(f"DESCRIBE SELECT * FROM {scan.relation}").fetchall()  # noqa: S608  # quoted names
    quoted = {
        it: quote(str(row[0])) for it, row in zip(scan.names, described, strict=False)
    }
    types = {it: str(row[1]) for it, row in zip(scan.names, described, strict=False)}
    thing = _thing_column(scan, types)
    instant, instants_per_ms = _instant(scan, quoted, types)
    columns = [
        SourceColumn(name, f"v{number}", types[name])
        for number, name in enumerate(scan.names)
        if name not in {thing, TIMESTAMP}
    ]
    values = "".join(f", {quoted[it.name]} AS {it.alias}" for it in columns)
    relation = (
        f"(SELECT {quoted[thing]} AS thing_key, {instant} AS instant,"  # noqa: S608  # quoted names
        f" {scan.row_number} AS row_number{values} FROM {scan.relation})"
    )
    return ReadingSource(
        thing_column=thing,
        columns=columns,
        relation=relation,
        instants_per_ms=instants_per_ms,
    )


def things_table(
    things: Things, definitions: Sequence[ThingDefinitionId]
) -> ArrowTable:
    """Make a table of keys of things with ids, and the places of definitions."""
    places = {it: place for place, it in enumerate(definitions)}
    return table_of(
        {
            "thing_key": (TEXT, list(things)),
            "thing_id": (TEXT, [thing_id for thing_id, _ in things.values()]),
            "definition": (INTEGER, [places[it] for _, it in things.values()]),
        }
    )


def _refuse_repeated(scan: Scan) -> None:
    seen: set[str] = set()
    for name in scan.names:
        if name in seen:
            raise InvalidRequest(f"{scan.origin}more than one column {name!r}")
        seen.add(name)


def _thing_column(scan: Scan, types: Mapping[str, str]) -> str:
    found = [it for it in scan.thing_columns if it in types]
    if not found:
        due = " or ".join(map(repr, scan.thing_columns))
        raise InvalidRequest(f"{scan.origin}the column {due} is missing")
    if len(found) > 1:
        raise InvalidRequest(
            f"{scan.origin}only one of the columns {' and '.join(found)} can be there"
        )
    (name,) = found
    if types[name] != "VARCHAR":
        raise InvalidRequest(
            f"{scan.origin}the column {name!r} must hold {_KEYS[name]} as texts,"
            f" not {types[name]}"
        )
    return name


def _instant(
    scan: Scan, quoted: Mapping[str, str], types: Mapping[str, str]
) -> tuple[str, int]:
    """Give SQL that counts time from the epoch, and its units in a millisecond."""
    if TIMESTAMP not in types:
        raise InvalidRequest(f"{scan.origin}the column {TIMESTAMP!r} is missing")
    name, type_ = quoted[TIMESTAMP], types[TIMESTAMP]
    if type_ in _INTEGERS:
        # Nothing is counted wider than it must be: the engine is slow with 128 bits.
        return f"{name}::{'BIGINT' if type_ in _SMALL_INTEGERS else 'HUGEINT'}", 1
    if type_ not in _CALENDAR:
        raise InvalidRequest(
            f"{scan.origin}the column 'timestamp' must hold integers (UTC"
            f" milliseconds) or timestamps, not {type_}"
        )
    count, per_ms = _CALENDAR[type_]
    # Infinity becomes an instant that is out of range, and is refused as such.
    counted = (
        f"(CASE WHEN isfinite({name}) THEN {count}({name})"
        f" WHEN {name} IS NOT NULL THEN 9223372036854775000 END)::BIGINT"
    )
    return counted, per_ms
