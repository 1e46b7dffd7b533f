"""Readings as Arrow IPC streams, as other programs write them, and as nobody should."""

import io
import struct
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lake_rows import PUMP, TYPES, LakePlace, a_lane, a_layout, a_reader, read
from thingport.adapters.lake.arrow_stream import arrow_readings
from thingport.adapters.lake.group_commit import GroupCommitWriter
from thingport.application.ports import ReadingColumns
from thingport.domain.catalogue import ThingKey
from thingport.domain.errors import InvalidRequest
from thingport.domain.ids import MetricId, ThingDefinitionId, ThingId
from thingport.domain.metric import Metric, ValueType

FAN = ThingDefinitionId("fan")
THINGS = {
    "P-1": (ThingId("p1"), PUMP),
    "P-2": (ThingId("p2"), PUMP),
    "F-1": (ThingId("f1"), FAN),
}


def _metric(definition: ThingDefinitionId, name: str, value_type: ValueType) -> Metric:
    return Metric(
        id=MetricId(name),
        thing_definition_id=definition,
        name=name,
        value_type=value_type,
    )


METRICS = {
    PUMP: {str(it): _metric(PUMP, it, TYPES[it]) for it in TYPES},
    FAN: {"Long": _metric(FAN, "Long", ValueType.DOUBLE)},
}


def _stream(columns: Mapping[str, object], **options: object) -> bytes:
    table = pa.table(
        {
            name: it if isinstance(it, pa.Array) else pa.array(it)
            for name, it in columns.items()
        }
    )
    output = io.BytesIO()
    options_ = pa.ipc.IpcWriteOptions(**options)
    with pa.ipc.new_stream(output, table.schema, options=options_) as writer:
        writer.write_table(table)
    return output.getvalue()


def _check(content: bytes, directory: Path) -> Sequence[ReadingColumns]:
    with arrow_readings(content, memory_mb=256, temp_dir=directory / "tmp") as table:
        asked = set(table.list_things())
        assert table.key is ThingKey.SERIAL_NUMBER
        things = {it: THINGS[it] for it in THINGS if it in asked}
        return table.check(things, METRICS)


def _rows(columns: Mapping[str, object], directory: Path) -> list[dict[str, object]]:
    (checked,) = _check(_stream(columns), directory)
    rows: list[dict[str, object]] = pa.table(checked.table).to_pylist()
    return rows


def _refused(content: bytes, directory: Path) -> Sequence[str]:
    with pytest.raises(InvalidRequest) as refusal:
        _check(content, directory)
    return refusal.value.faults


def test_a_stream_of_things_of_several_definitions_is_stored_in_its_order(
    place: LakePlace,
) -> None:
    content = _stream(
        {
            "long": pa.array([1, None, 2, None, 3], pa.int32()),
            "timestamp": [2, 1, 2, 9, 1],
            "Long": [None, 0.5, None, None, None],
            "thing": ["P-1", "F-1", "P-1", "P-2", "P-2"],
        }
    )
    writer = GroupCommitWriter(a_lane(place))
    writer.write(_check(content, place.directory))

    reader = a_reader(place)
    assert reader.current_snapshot() == 1
    assert read(reader, a_layout("long"), ["p1", "p2"]) == [
        ("p1", 2, 1),
        ("p1", 2, 2),
        ("p2", 1, 3),
    ]
    types = {MetricId("Long"): ValueType.DOUBLE}
    fans = a_layout("Long", definition=FAN, types=types)
    assert read(reader, fans, ["f1"]) == [("f1", 1, 0.5)]


@pytest.mark.parametrize(
    "instants",
    [
        pa.array([1_000], pa.uint16()),
        pa.array([datetime(1970, 1, 1, 0, 0, 1)], pa.timestamp("s")),  # noqa: DTZ001  # as some write it
        pa.array(
            [datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)], pa.timestamp("ns", "UTC")
        ),
    ],
)
def test_instants_of_every_kind_are_taken(
    tmp_path: Path, instants: Sequence[object]
) -> None:
    columns = {"thing": ["P-1"], "timestamp": instants, "double": [0.5]}
    assert _rows(columns, tmp_path) == [{"thing": "p1", "ts": 1_000, "m_double": 0.5}]


@pytest.mark.parametrize(
    ("name", "values", "stored"),
    [
        ("string", pa.array(["é"], pa.large_string()), "é"),
        ("string", pa.array([""], pa.string_view()), ""),
        ("boolean", pa.array([False]), False),
        ("integer", pa.array([2**63 - 1], pa.uint64()), 2**63 - 1),
        ("long", pa.array([-3.0]), -3),
        ("float", pa.array([1], pa.int8()), 1.0),
        ("double", pa.array([Decimal("0.25")]), 0.25),
        ("double", pa.array([7], pa.uint32()), 7.0),
    ],
)
def test_values_of_every_plain_type_are_taken(
    tmp_path: Path, name: str, values: Sequence[object], stored: object
) -> None:
    columns = {"thing": ["P-1"], "timestamp": [1], name: values}
    assert _rows(columns, tmp_path) == [{"thing": "p1", "ts": 1, f"m_{name}": stored}]


def test_what_polars_writes_is_taken(tmp_path: Path) -> None:
    output = io.BytesIO()
    frame = pl.DataFrame(
        {
            "thing": ["P-1", "P-2"],
            "timestamp": [datetime(2020, 3, 1, tzinfo=UTC)] * 2,
            "string": ["a text that is not short", None],
            "double": [0.5, 1.5],
        }
    )
    frame.write_ipc_stream(output)

    (checked,) = _check(output.getvalue(), tmp_path)

    assert checked.table.num_rows == 2


def test_rows_and_columns_without_any_value_are_left_out(tmp_path: Path) -> None:
    columns = {"thing": ["P-1", "P-2"], "timestamp": [1, 2]}
    assert _rows({**columns, "long": pa.nulls(2)}, tmp_path) == []
    found = _rows({**columns, "long": pa.nulls(2), "string": [None, "x"]}, tmp_path)
    assert [it["thing"] for it in found] == ["p2"]


@pytest.mark.parametrize(
    ("columns", "fault"),
    [
        ({"timestamp": [1]}, "the column 'thing' or 'thingId' is missing"),
        ({"thing": ["P-1"]}, "the column 'timestamp' is missing"),
        (
            {"thing": ["P-1"], "thingId": ["p1"], "timestamp": [1]},
            "only one of the columns thing and thingId can be there",
        ),
        (
            {"thing": [1], "timestamp": [1]},
            "the column 'thing' must hold serial numbers",
        ),
        ({"thing": ["P-1"], "timestamp": [0.5]}, "the column 'timestamp' must hold"),
        (
            {"thing": ["P-1"], "timestamp": [1], "Double": [1]},
            "column 'Double': none of the things has a metric of that name",
        ),
        (
            {"thing": pa.nulls(1, pa.string()), "timestamp": [1]},
            "row 1, thing: a serial",
        ),
        ({"thing": ["X"], "timestamp": [1]}, "column 'thing': no things with serial"),
        (
            {"thing": ["P-1"], "timestamp": [10**15]},
            "row 1, timestamp: it is not within",
        ),
        (
            {"thing": ["P-1"], "timestamp": [1], "double": [float("nan")]},
            "row 1 (thing P-1), column 'double': not a DOUBLE: it is not finite",
        ),
        (
            {"thing": ["P-1"], "timestamp": [1], "string": ["x" * 65_537]},
            "row 1 (thing P-1), column 'string': not a STRING: 65537 bytes",
        ),
        (
            {"thing": ["F-1"], "timestamp": [1], "long": [1]},
            "row 1 (thing F-1), column 'long': the thing has no such metric",
        ),
        (
            {"thing": ["P-1"], "timestamp": [1], "long": [[1]]},
            "column 'long': list<item: int64> is not taken",
        ),
        (
            {"thing": pa.array(["P-1"]).dictionary_encode(), "timestamp": [1]},
            "column 'thing': dictionary<values=string, indices=int32",
        ),
    ],
)
def test_a_fault_is_named_by_row_and_column(
    tmp_path: Path, columns: Mapping[str, object], fault: str
) -> None:
    faults = _refused(_stream(columns), tmp_path)

    assert faults[0].startswith(fault)


def test_columns_that_differ_in_case_only_are_different_columns(tmp_path: Path) -> None:
    columns = {"thing": ["P-1", "F-1"], "timestamp": [1, 1]}
    content = _stream({**columns, "long": [5, None], "Long": [None, 0.5]})

    fans, pumps = _check(content, tmp_path)

    assert pa.table(fans.table).to_pylist() == [
        {"thing": "f1", "ts": 1, "m__4cong": 0.5}
    ]
    assert pa.table(pumps.table).to_pylist() == [{"thing": "p1", "ts": 1, "m_long": 5}]


def test_one_column_twice_is_refused(tmp_path: Path) -> None:
    table = pa.table([["P-1"], [1], [2], [3]], ["thing", "timestamp", "long", "long"])
    output = io.BytesIO()
    with pa.ipc.new_stream(output, table.schema) as writer:
        writer.write_table(table)

    assert _refused(output.getvalue(), tmp_path) == ("more than one column 'long'",)


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_a_compressed_stream_is_refused_before_it_is_unpacked(
    tmp_path: Path, compression: str
) -> None:
    zeros = pa.array([0] * 1_000_000)
    columns = {"thing": ["P-1"] * len(zeros), "timestamp": zeros, "long": zeros}

    faults = _refused(_stream(columns, compression=compression), tmp_path)

    assert faults == ("The stream must not be compressed",)


def test_views_that_show_one_text_again_and_again_are_refused(tmp_path: Path) -> None:
    # Each view: its length, first bytes, buffer, and place in it.
    view = struct.pack("<i4sii", 60_000, b"xxxx", 0, 0)
    buffers = [None, pa.py_buffer(view * 10_000), pa.py_buffer(b"x" * 60_000)]
    views = pa.Array.from_buffers(pa.string_view(), 10_000, buffers)
    columns = {"thing": ["P-1"] * 10_000, "timestamp": range(10_000), "string": views}

    (fault,) = _refused(_stream(columns), tmp_path)

    assert fault.startswith("The texts have 600030000 bytes in all")


@pytest.mark.parametrize("content", [b"", b"{}", b"ARROW1\0\0", b"\xff" * 64])
def test_what_is_no_stream_is_refused(tmp_path: Path, content: bytes) -> None:
    (fault,) = _refused(content, tmp_path)

    assert fault.startswith("The body is no Arrow IPC stream")


def test_a_second_stream_is_not_left_out_without_a_word(tmp_path: Path) -> None:
    content = _stream({"thing": ["P-1"], "timestamp": [1], "long": [1]})

    (fault,) = _refused(content + content, tmp_path)

    assert fault == "The body is not one Arrow IPC stream with its end"


def test_a_stream_that_breaks_off_between_two_batches_is_refused(
    tmp_path: Path,
) -> None:
    content = _stream({"thing": ["P-1"], "timestamp": [1], "long": [1]})

    (fault,) = _refused(content[:-8], tmp_path)

    assert fault == "The body is not one Arrow IPC stream with its end"


def test_a_stream_without_rows_has_nothing_to_store(tmp_path: Path) -> None:
    texts = pa.array([], pa.string())
    content = _stream({"thing": texts, "timestamp": pa.array([], pa.int64())})

    assert list(_check(content, tmp_path)) == []


SOUND = _stream(
    {
        "thing": ["P-1", "P-2", "F-1"],
        "timestamp": [1, 2, 3],
        "string": ["a text that is not short", None, None],
        "boolean": [True, None, None],
        "Long": [None, None, 0.5],
    }
)


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, len(SOUND) - 1), st.integers(0, 255)), max_size=4
    ),
    length=st.just(len(SOUND)) | st.integers(0, len(SOUND)),
)
@example(changes=[], length=len(SOUND))
def test_a_damaged_stream_is_refused_or_read_and_nothing_else_happens(
    tmp_path: Path, changes: Sequence[tuple[int, int]], length: int
) -> None:
    damaged = bytearray(SOUND[:length])
    for at, byte in changes:
        if at < length:
            damaged[at] = byte

    try:
        checked = _check(bytes(damaged), tmp_path)
    except InvalidRequest:
        assert changes or length < len(SOUND)
    else:
        assert length == len(SOUND)
        assert sum(it.table.num_rows for it in checked) <= 3
