"""Bulk readings from Parquet files, as other programs write them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake_rows import PUMP, LakePlace, a_lane, a_reader, read
from thingport.adapters.lake.parquet_ingest import ingest_parquet
from thingport.adapters.lake.source_checks import IngestReport
from thingport.domain.errors import InvalidRequest
from thingport.domain.export_plan import PlannedColumn, PlannedLayout
from thingport.domain.ids import MetricId, ThingDefinitionId, ThingId
from thingport.domain.metric import Metric, MetricType, ValueType
from thingport.domain.period import MAX_TIMESTAMP_MS, MIN_TIMESTAMP_MS

FAN = ThingDefinitionId("fan")
THINGS = {
    "P-1": (ThingId("p1"), PUMP),
    "P-2": (ThingId("p2"), PUMP),
    "F-1": (ThingId("f1"), FAN),
}


def _metric(
    definition: ThingDefinitionId, name: str, value_type: ValueType
) -> tuple[str, Metric]:
    metric_id = MetricId(f"{definition}{name}")
    return name, Metric(
        id=metric_id, thing_definition_id=definition, name=name, value_type=value_type
    )


METRICS = {
    PUMP: dict(_metric(PUMP, it.value.lower(), it) for it in ValueType),
    FAN: dict(
        [
            _metric(FAN, "double", ValueType.LONG),
            _metric(FAN, "Speed", ValueType.DOUBLE),
            _metric(FAN, "speed", ValueType.DOUBLE),
        ]
    ),
}


def _layout(definition: ThingDefinitionId, *names: str) -> PlannedLayout:
    metrics = [METRICS[definition][it] for it in names]
    columns = (PlannedColumn(it.id, it.value_type, it.name) for it in metrics)
    return PlannedLayout(definition, tuple(columns))


def _write(path: Path, columns: Mapping[str, object]) -> Path:
    table = pa.table(
        {
            name: it if isinstance(it, pa.Array) else pa.array(it)
            for name, it in columns.items()
        }
    )
    pq.write_table(table, path)
    return path


def _ingest(place: LakePlace, columns: Mapping[str, object]) -> IngestReport:
    path = _write(place.directory / "in.parquet", columns)
    return ingest_parquet(path, THINGS, METRICS, a_lane(place))


def _refused(place: LakePlace, columns: Mapping[str, object]) -> Sequence[str]:
    with pytest.raises(InvalidRequest) as refusal:
        _ingest(place, columns)
    assert a_reader(place).current_snapshot() is None
    assert list((place.directory / "lakes").rglob("*")) == []
    return refusal.value.faults


def test_rows_of_many_things_are_stored_in_one_commit(place: LakePlace) -> None:
    report = _ingest(
        place,
        {
            "double": pa.array([0.5, None, 3, 7, None], pa.float64()),
            "timestamp": [2, 1, 1, 9, 4],
            "thing": ["P-1", "P-2", "F-1", "P-1", "P-1"],
            "string": [None, "x", None, "", None],
        },
    )

    reader = a_reader(place)
    assert report == IngestReport(rows=4, values=5, things=3)
    pumps = _layout(PUMP, "double", "string")
    assert read(reader, pumps, ["p1", "p2"]) == [
        ("p1", 2, 0.5, None),
        ("p1", 9, 7.0, ""),
        ("p2", 1, None, "x"),
    ]
    assert read(reader, _layout(FAN, "double"), ["f1"]) == [("f1", 1, 3)]
    assert reader.current_snapshot() == 1


def test_the_row_further_down_the_file_is_the_later_one(place: LakePlace) -> None:
    count = 300_000
    _ingest(
        place,
        {
            "thing": ["P-1"] * count,
            "timestamp": [it % 2 for it in range(count)],
            "long": list(range(count)),
        },
    )

    rows = read(a_reader(place), _layout(PUMP, "long"), ["p1"])
    assert [it[2] for it in rows] == [*range(0, count, 2), *range(1, count, 2)]


@pytest.mark.parametrize(
    "instants",
    [
        pa.array([1_500, -1], pa.int64()),
        pa.array([1_500, -1], pa.int32()),
        pa.array([1_500_000, -1_000], pa.timestamp("us")),
        pa.array([1_500, -1], pa.timestamp("ms")),
        pa.array([1_500_000_000, -1_000_000], pa.timestamp("ns")),
        pa.array([1_500_000, -1_000], pa.timestamp("us", tz="UTC")),
        pa.array([1_500, -1], pa.timestamp("ms", tz="America/New_York")),
        pa.array(
            [
                datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC),
                datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC),
            ]
        ),
    ],
    ids=str,
)
def test_timestamps_are_utc_whatever_their_type(
    place: LakePlace, instants: object
) -> None:
    _ingest(place, {"thing": ["P-1"] * 2, "timestamp": instants, "long": [1, 2]})

    rows = read(a_reader(place), _layout(PUMP, "long"), ["p1"])
    assert rows == [("p1", -1, 2), ("p1", 1_500, 1)]


@pytest.mark.parametrize(
    ("name", "values", "stored"),
    [
        ("long", pa.array([2.0, None], pa.float64()), 2),
        ("long", pa.array([2**63 - 1, None], pa.uint64()), 2**63 - 1),
        ("integer", pa.array([-(2**63), None], pa.int64()), -(2**63)),
        ("integer", pa.array([Decimal("7.00"), None]), 7),
        ("float", pa.array([0.1, None], pa.float32()), 0.10000000149011612),
        ("float", pa.array([1, None], pa.int16()), 1.0),
        ("double", pa.array([Decimal("0.25"), None]), 0.25),
        ("double", pa.array([5e-324, None]), 5e-324),
        ("boolean", pa.array([False, None]), False),
        ("string", pa.array(["é,\n", None]).dictionary_encode(), "é,\n"),
        ("string", pa.array(["x" * 65_536, None], pa.large_string()), "x" * 65_536),
    ],
    ids=str,
)
def test_values_that_fit_are_taken_from_any_column_type(
    place: LakePlace, name: str, values: object, stored: object
) -> None:
    report = _ingest(place, {"thing": ["P-1"] * 2, "timestamp": [1, 2], name: values})

    assert report == IngestReport(rows=1, values=1, things=1)
    rows = read(a_reader(place), _layout(PUMP, name), ["p1"])
    assert rows == [("p1", 1, stored)]


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("long", pa.array([None, 1.5]), "a whole number is due"),
        ("long", pa.array([None, 2.0**63]), "a whole number is due"),
        ("long", pa.array([None, float("nan")]), "a whole number is due"),
        ("long", pa.array([None, 2**63], pa.uint64()), "64 bits"),
        ("integer", pa.array([None, Decimal("7.5")]), "a whole number is due"),
        ("integer", pa.array([None, "1"]), "the column holds VARCHAR"),
        ("double", pa.array([None, "1.5"]), "the column holds VARCHAR"),
        ("double", pa.array([None, float("nan")]), "not finite"),
        ("double", pa.array([None, float("-inf")]), "not finite"),
        ("float", pa.array([None, 3.5e38]), "32 bits"),
        ("float", pa.array([None, float("inf")], pa.float32()), "not finite"),
        ("boolean", pa.array([None, 1]), "the column holds BIGINT"),
        ("string", pa.array([None, 1]), "the column holds BIGINT"),
        ("string", pa.array([None, "é" * 32_769]), "65538 bytes"),
        ("Speed", pa.array([None, 1.0]), "no such metric"),
        ("double", pa.array([None, [1.0]]), "the column holds DOUBLE[]"),
    ],
    ids=str,
)
def test_a_value_that_does_not_fit_is_refused_by_row_and_column(
    place: LakePlace, name: str, values: object, reason: str
) -> None:
    (fault,) = _refused(
        place, {"thing": ["P-2", "P-1"], "timestamp": [1, 2], name: values}
    )

    assert fault.startswith(f"row 2 (thing P-1), column '{name}': ")
    assert reason in fault


def test_one_name_may_have_two_types_in_two_definitions(place: LakePlace) -> None:
    (fault,) = _refused(
        place,
        {"thing": ["P-1", "F-1"], "timestamp": [1, 1], "double": [0.5, 0.5]},
    )

    assert fault == (
        "row 2 (thing F-1), column 'double': not a LONG: a whole number is due"
    )


def test_names_that_differ_in_case_only_are_two_metrics(place: LakePlace) -> None:
    _ingest(
        place,
        {"thing": ["F-1"], "timestamp": [1], "speed": [1.0], "Speed": [2.0]},
    )

    layout = _layout(FAN, "Speed", "speed")
    assert read(a_reader(place), layout, ["f1"]) == [("f1", 1, 2.0, 1.0)]


@pytest.mark.parametrize(
    ("instants", "reason"),
    [
        ([1, MAX_TIMESTAMP_MS + 1], "row 2, timestamp: it is not within 1900 to 9999"),
        ([1, MIN_TIMESTAMP_MS - 1], "row 2, timestamp: it is not within 1900 to 9999"),
        ([1, None], "row 2, timestamp: one is due in every row"),
        (
            pa.array([1_000, 1_001], pa.timestamp("us")),
            "row 2, timestamp: it has a fraction of a millisecond",
        ),
    ],
    ids=str,
)
def test_a_timestamp_that_cannot_be_kept_is_refused(
    place: LakePlace, instants: object, reason: str
) -> None:
    assert _refused(
        place, {"thing": ["P-1"] * 2, "timestamp": instants, "long": [1, 2]}
    ) == (reason,)


def test_a_timestamp_beyond_what_the_engine_counts_is_refused(place: LakePlace) -> None:
    instants = pa.array([1, 2**60], pa.timestamp("ms"))
    [fault] = _refused(
        place, {"thing": ["P-1"] * 2, "timestamp": instants, "long": [1, 2]}
    )
    assert "cannot be read: Conversion Error" in fault


def test_the_first_and_last_instants_are_kept(place: LakePlace) -> None:
    ends = [MIN_TIMESTAMP_MS, MAX_TIMESTAMP_MS]
    _ingest(place, {"thing": ["P-1"] * 2, "timestamp": ends, "long": [1, 2]})

    rows = read(a_reader(place), _layout(PUMP, "long"), ["p1"])
    assert [it[1] for it in rows] == ends


def test_unknown_serial_numbers_are_named_up_to_a_few(place: LakePlace) -> None:
    things = ["P-1", "Z", "Y", "Z", *(f"X{it}" for it in range(9)), None]
    instants = list(range(len(things)))

    assert _refused(
        place, {"thing": things, "timestamp": instants, "long": instants}
    ) == (
        "row 14, thing: a serial number is due in every row",
        "column 'thing': no things with serial numbers Z, Y, X0, X1, X2 and 6 more",
    )


def test_a_column_that_is_no_metric_is_refused(place: LakePlace) -> None:
    (fault,) = _refused(
        place,
        {"thing": ["P-1"], "timestamp": [1], "long": [1], "lnog": [None]},
    )
    assert fault.startswith("column 'lnog': none of the things has a metric")


def test_a_metric_without_plain_values_is_no_column(place: LakePlace) -> None:
    blob = Metric(
        id=MetricId("blob"),
        thing_definition_id=PUMP,
        name="picture",
        type=MetricType.BLOB,
        value_type=ValueType.STRING,
    )
    path = _write(
        place.directory / "in.parquet",
        {"thing": ["P-1"], "timestamp": [1], "picture": ["x"]},
    )

    with pytest.raises(InvalidRequest, match="picture"):
        ingest_parquet(path, THINGS, {PUMP: {"picture": blob}}, a_lane(place))


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"thing": ["P-1"], "long": [1]}, "'timestamp' is missing"),
        ({"timestamp": [1], "long": [1]}, "'thing' is missing"),
        ({"thing": [1], "timestamp": [1]}, "as texts, not BIGINT"),
        ({"thing": ["P-1"], "timestamp": ["1"]}, "not VARCHAR"),
        ({"thing": ["P-1"], "timestamp": [1.0]}, "not DOUBLE"),
    ],
    ids=str,
)
def test_a_file_without_its_two_key_columns_is_refused(
    place: LakePlace, columns: Mapping[str, object], reason: str
) -> None:
    (fault,) = _refused(place, columns)
    assert reason in fault


def test_a_file_with_a_column_twice_is_refused(place: LakePlace) -> None:
    arrays = [pa.array(["P-1"]), pa.array([1]), pa.array([1]), pa.array([2])]
    table = pa.Table.from_arrays(arrays, ["thing", "timestamp", "long", "long"])
    pq.write_table(table, place.directory / "in.parquet")

    with pytest.raises(InvalidRequest, match="more than one column 'long'"):
        ingest_parquet(place.directory / "in.parquet", THINGS, METRICS, a_lane(place))


@pytest.mark.parametrize("content", [None, b"", b"thing,timestamp\n", b"PAR1" * 9])
def test_a_file_that_is_no_parquet_is_refused(
    place: LakePlace, content: bytes | None
) -> None:
    path = place.directory / "in.parquet"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(InvalidRequest, match="no readable Parquet file"):
        ingest_parquet(path, THINGS, METRICS, a_lane(place))


def test_a_file_with_damaged_pages_is_refused(place: LakePlace) -> None:
    count = 5_000
    path = _write(
        place.directory / "in.parquet",
        {
            "thing": ["P-1"] * count,
            "timestamp": list(range(count)),
            "double": [it * 0.1 for it in range(count)],
        },
    )
    content = bytearray(path.read_bytes())
    content[4:2_000] = bytes(1_996)
    path.write_bytes(content)

    with pytest.raises(InvalidRequest, match="cannot be read"):
        ingest_parquet(path, THINGS, METRICS, a_lane(place))
    assert a_reader(place).current_snapshot() is None


def test_a_file_without_rows_stores_nothing(place: LakePlace) -> None:
    report = _ingest(
        place,
        {
            "thing": pa.array([], pa.string()),
            "timestamp": pa.array([], pa.int64()),
            "long": pa.array([], pa.int64()),
        },
    )

    assert report == IngestReport(rows=0, values=0, things=0)
    assert a_reader(place).current_snapshot() is None


def test_a_files_name_is_no_pattern_and_no_partition(place: LakePlace) -> None:
    folder = place.directory / "long=5"
    folder.mkdir()
    columns = {"thing": ["P-1"], "timestamp": [1], "double": [0.5]}
    path = _write(folder / "a[1]*?'.parquet", columns)
    _write(folder / "a1x.parquet", {**columns, "lnog": [1]})

    ingest_parquet(path, THINGS, METRICS, a_lane(place))

    layout = _layout(PUMP, "double", "long")
    assert read(a_reader(place), layout, ["p1"]) == [("p1", 1, 0.5, None)]


def test_progress_ends_at_the_whole(place: LakePlace) -> None:
    path = _write(
        place.directory / "in.parquet",
        {"thing": ["P-1", "F-1"], "timestamp": [1, 1], "double": [1.0, 2.0]},
    )
    told: list[tuple[int, int]] = []

    ingest_parquet(path, THINGS, METRICS, a_lane(place), lambda *it: told.append(it))

    assert told == [(0, 2), (1, 2), (2, 2)]
