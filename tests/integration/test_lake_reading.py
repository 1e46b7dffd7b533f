"""What a damaged or busy lake does to its readers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builders import a_metric
from lake_rows import (
    ACME,
    PUMP,
    LakePlace,
    a_batch,
    a_lane,
    a_layout,
    a_reader,
    a_reading,
    read,
)
from thingport.adapters.lake.catalogue import open_catalogue
from thingport.adapters.lake.engine import open_engine
from thingport.adapters.lake.group_commit import GroupCommitWriter
from thingport.adapters.lake.parquet_ingest import ingest_parquet
from thingport.adapters.lake.reader import DuckLakeReader
from thingport.adapters.lake.snapshot_query import (
    MAX_LISTED_THINGS,
    SnapshotQuery,
    find_columns,
)
from thingport.domain.errors import CorruptData
from thingport.domain.ids import MetricId, ThingId
from thingport.domain.metric import ValueType
from thingport.domain.period import ALL_TIME


@pytest.fixture
def reader(place: LakePlace) -> Iterator[DuckLakeReader]:
    writer = GroupCommitWriter(a_lane(place))
    for start in (0, 5_000):
        writer.write(
            [
                a_batch(
                    *(
                        a_reading("t", start + it, long=it, string="x" * 100)
                        for it in range(5_000)
                    )
                )
            ]
        )
    writer.close()
    reader = a_reader(place)
    yield reader
    reader.close()


def _second_file(place: LakePlace) -> Path:
    return sorted(place.directory.rglob("*.parquet"))[1]


@pytest.mark.parametrize(
    "content", [None, b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1"]
)
def test_a_file_that_is_gone_or_damaged_is_corrupt_data(
    reader: DuckLakeReader, place: LakePlace, content: bytes | None
) -> None:
    file = _second_file(place)
    file.unlink()
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(CorruptData):
        read(reader, a_layout("long"), ["t"])
    with pytest.raises(CorruptData):
        reader.survey(
            reader.current_snapshot(), a_layout("string"), [ThingId("t")], ALL_TIME
        )


def test_a_truncated_file_is_corrupt_data(
    reader: DuckLakeReader, place: LakePlace
) -> None:
    file = _second_file(place)
    file.write_bytes(file.read_bytes()[:-200])

    with pytest.raises(CorruptData):
        read(reader, a_layout("long", "string"), ["t"])


def test_a_file_with_garbled_pages_is_corrupt_data(
    reader: DuckLakeReader, place: LakePlace
) -> None:
    file = _second_file(place)
    content = bytearray(file.read_bytes())
    content[4:200] = bytes(196)
    file.write_bytes(content)

    with pytest.raises(CorruptData):
        read(reader, a_layout("long", "string"), ["t"])


def test_a_snapshot_that_is_no_more_is_corrupt_data(reader: DuckLakeReader) -> None:
    with pytest.raises(CorruptData):
        read(reader, a_layout("long"), ["t"], snapshot=99)


def test_a_column_of_another_type_than_planned_is_corrupt_data(
    reader: DuckLakeReader,
) -> None:
    layout = a_layout("long", types={MetricId("long"): ValueType.STRING})

    with pytest.raises(CorruptData, match="keeps BIGINT"):
        read(reader, layout, ["t"])


def test_a_garbled_catalogue_is_corrupt_data(file_place: LakePlace) -> None:
    lake = file_place.lake
    lake.mkdir(parents=True)
    (lake / "catalogue.sqlite").write_bytes(b"no database at all " * 400)

    with pytest.raises(CorruptData):
        a_reader(file_place).current_snapshot()


def test_several_reads_of_one_reader_may_overlap(reader: DuckLakeReader) -> None:
    at = reader.current_snapshot()
    one, other = (
        reader.iter_rows(at, a_layout("long"), [ThingId("t")], ALL_TIME)
        for _ in range(2)
    )
    both = list(zip(one, other, strict=True))

    assert len(both) > 1
    assert [it[0] for it in both] == [it[1] for it in both]


def test_batches_are_small(reader: DuckLakeReader) -> None:
    batches = reader.iter_rows(
        reader.current_snapshot(), a_layout("long"), [ThingId("t")], ALL_TIME
    )
    assert max(it.num_rows for it in batches) <= 10_000  # type: ignore[attr-defined]  # a pyarrow batch


def test_cutting_more_than_the_memory_goes_through_temporary_files(
    place: LakePlace,
) -> None:
    count, scattered = 3_000_000, 1_000_003
    path = place.directory / "giant.parquet"
    pq.write_table(
        pa.table(
            {
                "thing": pa.repeat("U-1", count),
                "timestamp": pa.array([it * scattered % count for it in range(count)]),
                "long": pa.array(range(count)),
            }
        ),
        path,
    )
    metric = a_metric(id=MetricId("long"), name="long", value_type=ValueType.LONG)
    ingest_parquet(
        path,
        {"U-1": (ThingId("u"), PUMP)},
        {PUMP: {"long": metric}},
        a_lane(place),
    )
    small = a_reader(place, memory_mb=100)

    at = small.current_snapshot()
    spans = small.cut_thing(at, a_layout("long"), ThingId("u"), ALL_TIME, 2_000_000)
    small.close()

    assert sum(it.rows for it in spans) == count
    assert list((place.directory / "tmp").glob("*/*")) == []


def test_an_instant_that_was_overwritten_for_long_needs_no_more_memory(
    place: LakePlace,
) -> None:
    writer = GroupCommitWriter(a_lane(place))
    for number in range(24):
        texts = [f"{number:02}{it}" + "x" * 1_000_000 for it in range(10)]
        writer.write([a_batch(*(a_reading("t", 7, string=it) for it in texts))])
    writer.write([a_batch(a_reading("t", 7, long=1), a_reading("u", 8, long=2))])
    writer.close()
    small = a_reader(place, memory_mb=100)

    rows = read(small, a_layout("long", "string", "double"), ["t"])
    small.close()

    assert rows == [("t", 7, 1, "239" + "x" * 1_000_000, None)]


def test_only_rows_near_the_wanted_things_are_taken_from_files(
    place: LakePlace,
) -> None:
    names = [f"t{it:03}" for it in range(400)]
    writer = GroupCommitWriter(a_lane(place))
    writer.write([a_batch(*(a_reading(it, 1, long=1) for it in names))])
    writer.close()
    engine = open_engine(memory_mb=256, threads=1, temp_dir=place.directory / "tmp")
    open_catalogue(place.directory / "lakes", ACME, place.database_url).attach(
        engine, read_only=True
    )
    columns = find_columns(engine, PUMP, 1)
    assert columns is not None

    for count in (20, MAX_LISTED_THINGS + 1):
        wanted = tuple(ThingId(it) for it in names[100 : 100 + count])
        query = SnapshotQuery(1, a_layout("long"), columns, wanted, ALL_TIME)
        explained = engine.execute(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {query.rows()}", query.parameters
        ).fetchall()
        # What the scan hands on is what its row groups were chosen by.
        scans = [
            it["operator_cardinality"]
            for it in _operators(json.loads(explained[0][1]))
            if it.get("operator_type") == "TABLE_SCAN"
        ]
        assert scans == [count]
    engine.close()


def _operators(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("children", []):
        yield from _operators(child)
