"""Readings of many things as an Arrow IPC stream, in memory; nobody is trusted."""

import re
import struct
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, cast

import duckdb

from thingport.adapters.lake.arrow import (
    ArrowError,
    ArrowSchema,
    ArrowTable,
    StreamReader,
    stream_messages,
    with_numbers,
)
from thingport.adapters.lake.engine import open_bare_engine
from thingport.adapters.lake.failures import explain
from thingport.adapters.lake.lake_names import added, quote
from thingport.adapters.lake.reading_source import (
    THING,
    THING_ID,
    ReadingSource,
    Scan,
    Things,
    source_of,
    things_table,
)
from thingport.adapters.lake.source_checks import SourceChecks
from thingport.application.ports import ColumnTable, ReadingColumns
from thingport.domain.catalogue import ThingKey
from thingport.domain.errors import CorruptData, InvalidRequest
from thingport.domain.ids import ThingDefinitionId
from thingport.domain.metric import Metric

_TAKEN_TYPES = re.compile(
    r"null|bool|u?int(8|16|32|64)|float|double|decimal128\(.*\)|(large_)?string"
    r"|string_view|timestamp\[.*\]"
)
"""The types of columns that are taken, as Arrow writes them.

None of them can unfold to much more than the bytes that were sent, but for views
of texts, whose sum is bounded apart.
"""

_END = b"\xff\xff\xff\xff\0\0\0\0"
"""How a stream ends (Arrow columnar format, *IPC streaming format*)."""

_ROW_NUMBER = "row_number"
_ARRIVED = "arrived"


class _ArrowResult(Protocol):
    """What a query found, as far as the engine's own types leave out."""

    def to_arrow_table(self) -> ColumnTable: ...


class ArrowReadings:
    """A stream that was read: its rows, and an engine to ask about them."""

    def __init__(
        self, engine: duckdb.DuckDBPyConnection, source: ReadingSource
    ) -> None:
        self._engine = engine
        self._source = source

    @property
    def key(self) -> ThingKey:
        """By what it names the things."""
        is_serial = self._source.thing_column == THING
        return ThingKey.SERIAL_NUMBER if is_serial else ThingKey.ID

    def list_things(self) -> Sequence[str]:
        """Name each thing once."""
        rows = self._engine.execute(
            f"SELECT DISTINCT thing_key FROM {self._source.relation}"  # noqa: S608  # quoted names
            " WHERE thing_key IS NOT NULL"
        ).fetchall()
        return [str(row[0]) for row in rows]

    def check(
        self,
        things: Things,
        metrics: Mapping[ThingDefinitionId, Mapping[str, Metric]],
    ) -> Sequence[ReadingColumns]:
        """Give what can be stored; rows without any value are left out.

        Raises:
            InvalidRequest: With the row and the column of each fault.
        """
        definitions = sorted({definition for _, definition in things.values()})
        self._engine.register("things", things_table(things, definitions))
        SourceChecks(self._engine, self._source, definitions, metrics).check()
        names = {it.name for it in self._source.columns}
        return [
            self._columns_of(place, definition, found)
            for place, definition in enumerate(definitions)
            if (
                found := [it for it in metrics[definition].values() if it.name in names]
            )
        ]

    def _columns_of(
        self, place: int, definition: ThingDefinitionId, metrics: Sequence[Metric]
    ) -> ReadingColumns:
        query = f"{self._source.rows_of(place, metrics)} ORDER BY row_number"
        found = cast("_ArrowResult", self._engine.execute(query))
        return ReadingColumns(
            thing_definition_id=definition,
            value_types={it.id: it.value_type for it in metrics},
            table=found.to_arrow_table(),
        )


@contextmanager
def arrow_readings(
    content: bytes, *, memory_mb: int, temp_dir: Path
) -> Generator[ArrowReadings]:
    """Read a stream; its table lasts as long as the block.

    Args:
        content: The whole stream.
        memory_mb: Memory of the engine that checks it, in 10^6 bytes.
        temp_dir: Folder for what needs more.

    Raises:
        InvalidRequest: It is no stream of readings, or may unfold to much more
            than its bytes.
    """
    table = _read(content)
    names = list(table.schema.names)
    aliases = [f"c{number}" for number in range(len(names))]
    numbered = with_numbers(table.rename_columns(aliases), _ROW_NUMBER, 0)
    scan = Scan(
        origin="",
        thing_columns=(THING, THING_ID),
        relation=_ARRIVED,
        names=names,
        row_number=_ROW_NUMBER,
    )
    with (
        open_bare_engine(memory_mb=memory_mb, threads=1, temp_dir=temp_dir) as engine,
        _engine_failures(),
    ):
        engine.register("incoming", numbered)
        _refuse_unfolding_texts(engine, len(content))
        # As a table of its own: filters that it passes on to Arrow are not taken
        # for every type there, and mean something else for some values.
        engine.execute(f"CREATE TEMP TABLE {_ARRIVED} AS FROM incoming")
        yield ArrowReadings(engine, source_of(engine, scan))


@contextmanager
def _engine_failures() -> Generator[None]:
    try:
        yield
    except duckdb.Error as error:
        explained = explain(error)
        if isinstance(explained, CorruptData):
            raise InvalidRequest(f"The stream cannot be read: {error}") from error
        raise explained or error from error


def _read(content: bytes) -> ArrowTable:
    try:
        for kind, description in stream_messages(content):
            if kind == "record batch" and _is_compressed(description):
                raise InvalidRequest("The stream must not be compressed")
        reader = StreamReader(content)
        _check_types(reader.schema)
        table = reader.read_all()
        if reader.read_bytes != len(content) or not content.endswith(_END):
            # It was broken off between two batches, or others come after it.
            raise InvalidRequest("The body is not one Arrow IPC stream with its end")
        # Offsets that point elsewhere would be followed, wherever that is.
        table.validate(full=True)
    except (ArrowError, OSError, struct.error, UnicodeDecodeError) as error:
        reason = str(error).partition("\n")[0][:200]
        raise InvalidRequest(f"The body is no Arrow IPC stream: {reason}") from None
    return table


def _check_types(schema: ArrowSchema) -> None:
    faults = [
        f"column {it.name!r}: {str(it.type)[:100]} is not taken; cast it to a plain"
        " type: bool, integers, float, double, decimal128, string or timestamp"
        for it in schema
        if not _TAKEN_TYPES.fullmatch(str(it.type))
    ]
    if faults:
        raise InvalidRequest(*faults[:20])


def _refuse_unfolding_texts(engine: duckdb.DuckDBPyConnection, most: int) -> None:
    """Refuse views that show the same bytes again and again."""
    described = engine.execute("DESCRIBE FROM incoming").fetchall()
    texts = [quote(str(row[0])) for row in described if row[1] == "VARCHAR"]
    total = added([f"coalesce(sum(strlen({it})), 0)" for it in texts])
    row = engine.execute(f"SELECT {total} FROM incoming").fetchone()  # noqa: S608  # quoted names
    if row and int(row[0]) > most:
        raise InvalidRequest(
            f"The texts have {int(row[0])} bytes in all, more than the stream itself"
        )


def _is_compressed(description: "memoryview[int]") -> bool:
    """Whether a record batch says that its buffers are compressed.

    Looked for in its description, since reading it would unpack it, to whatever
    size it says.

    Source: Arrow's ``Message.fbs``: the header is a message's third field, and
    ``compression`` a record batch's fourth; FlatBuffers, *Internals*.
    """
    message = _unpack("<I", description, 0)
    header = _find_field(description, message, 2)
    if header is None:
        return False
    batch = header + _unpack("<I", description, header)
    return _find_field(description, batch, 3) is not None


def _find_field(content: "memoryview[int]", table: int, number: int) -> int | None:
    """Give where a field of a FlatBuffers table is; ``None`` if it is not there."""
    slots = table - _unpack("<i", content, table)
    slot = 4 + 2 * number
    if slot >= _unpack("<H", content, slots):
        return None
    offset = _unpack("<H", content, slots + slot)
    return table + offset if offset else None


def _unpack(form: str, content: "memoryview[int]", at: int) -> int:
    if at < 0:
        raise struct.error("an offset points before the message")
    return int(struct.unpack_from(form, content, at)[0])
