"""Other people's readers agree on an archive, and on every value in it."""

import csv
import subprocess
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import cycle, islice
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest

from builders import a_user, an_actor
from fakes.inline_executor import InlineExecutor
from thingport.application.ports import CatalogueEntity, RenderTask
from thingport.bootstrap.runners import open_runner, render_in_worker
from thingport.bootstrap.services import Services, open_services
from thingport.domain.actor import Actor, OrganizationEntity
from thingport.domain.catalogue import Organization, Thing, ThingDefinition
from thingport.domain.data_export import DataExportRequest, Rendition
from thingport.domain.export_plan import ThingSpan
from thingport.domain.ids import (
    MetricId,
    OrganizationId,
    ThingDefinitionId,
    ThingId,
)
from thingport.domain.metric import MAX_FLOAT32, Metric, Value, ValueType
from thingport.domain.period import epoch_ms
from thingport.domain.reading import Reading, ReadingBatch
from thingport.domain.segment import StoredSegment
from thingport.settings import Settings

Row = tuple[Value | None, ...]
"""Timestamp in UTC ms, then a value for each column."""

COLUMNS = {
    "boolean": ValueType.BOOLEAN,
    "double": ValueType.DOUBLE,
    "float": ValueType.FLOAT,
    "integer": ValueType.INTEGER,
    "long": ValueType.LONG,
    "text": ValueType.STRING,
}
"""One of each type, in the order in which they are exported."""

MARCH_2020 = 1_583_020_800_000

SENSOR = ThingDefinitionId("sensor")

MAKER = Organization(id=OrganizationId("maker"), name="Maker")

# --- what is written -----------------------------------------------------------

BOOLEANS = [True, False, None]

WHOLE_NUMBERS = [0, -1, 2**53 + 1, None, -(2**53) - 1, 2**63 - 1, -(2**63)]

DOUBLES = [
    *(0.0, 0.1, 1 / 3, 1e-5, 1e16, 123456789.0, 2.0**53, None),
    *(5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, -1e-300),
]

FLOATS = [
    float(np.float32(it)) if it is not None else None
    for it in (0.1, 0.0, 1e-45, MAX_FLOAT32, 1 / 3, 2.0**24, 1e13, 9.9e-5, None, 10)
]

TEXTS = [
    *("", None, " ", "plain", "a,b", ",", 'say "hi"', '"', '""', '","'),
    *("one\ntwo", "one\r\ntwo", "\n", "\r", "\r\n", "\ttab", "x" * 5_000),
    *("=1+1", "=a,b", '="x"', "+1", "-1.5e3", "-", "-x", "@a", "'", "''", "'=x"),
    *("😀", "👩‍🚀 in orbit", "città", "温度", "\ufeffmark", "\u2028"),
    *("NULL", "null", "None", "NaN", "nan", "NA", "N/A", "true", "1", "007", "#"),
]


def rows(count: int) -> list[Row]:
    """Give so many rows, in which all these values meet in ever other ways."""
    values = (BOOLEANS, DOUBLES, FLOATS, WHOLE_NUMBERS, WHOLE_NUMBERS[1:], TEXTS)
    columns = [islice(cycle(it), count) for it in values]
    instants = (MARCH_2020 + step * 1_001 for step in range(count))
    # A row without any value would be no row.
    return [row for row in zip(instants, *columns, strict=True) if any_value(row)]


def any_value(row: Row) -> bool:
    return any(it is not None for it in row[1:])


Files = Mapping[str, Sequence[Row]]
"""By its name in the archive: what was written of a thing."""

FILES: Files = {
    "città.csv": rows(100),
    "温度計 №1.csv": rows(3_000),
    "😀.csv": [(MARCH_2020, None, None, None, None, None, "")],
    "idle.csv": [],
    "last.csv": rows(10),
}


# --- the archive ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Unpacked:
    """An archive, and the folder where 7-Zip has put its files.

    Attributes:
        spans: In how many pieces each file was rendered; whole files are absent.
    """

    archive: Path
    directory: Path
    spans: Mapping[int, int]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Unpacked:
    return export_files(tmp_path_factory.mktemp("foreign"), FILES)


def export_files(directory: Path, files: Files) -> Unpacked:
    """Write what shall be in the files, and export it."""
    settings = Settings(data_dir=directory / "data", max_chunk_bytes=100_000)
    tasks: list[RenderTask] = []
    with open_services(settings) as services:
        tenant = services.identity.add_tenant("acme")
        user = a_user(entity=OrganizationEntity(MAKER.id))
        with services.control.for_tenant(tenant.id) as tx:
            for entity in entities(files):
                tx.catalogue.save(entity)
            tx.credentials.add_user(user)
        services.readings.lake_writer(tenant.id).write([readings(files)])
        actor = an_actor(tenant_id=tenant.id, user_id=user.id, entity=user.entity)
        archive = export(services, actor, tasks)
    run("7z", "x", f"-o{directory / 'files'}", str(archive))
    numbers = [it.chunk.file for it in tasks if isinstance(it.chunk, ThingSpan)]
    return Unpacked(archive, directory / "files", Counter(numbers))


def export(services: Services, actor: Actor, tasks: list[RenderTask]) -> Path:
    """Export all that an actor sees; note what is rendered."""
    request = DataExportRequest(
        rendition=Rendition(thing_file_name="${thing.serialNumber}")
    )
    scheduled = services.data_exports.schedule(actor, request)

    def render(task: RenderTask) -> StoredSegment:
        tasks.append(task)
        return render_in_worker(services.settings, task)

    with open_runner(services.settings) as runner:
        claim = runner.claim()
        assert claim is not None
        replace(runner, executor=InlineExecutor(render)).run(claim)
    archive = services.data_exports.archives.find_archive(actor.tenant_id, scheduled.id)
    assert archive is not None
    return archive


def entities(files: Files) -> Sequence[CatalogueEntity]:
    metrics = (
        Metric(
            id=MetricId(name),
            thing_definition_id=SENSOR,
            name=name,
            value_type=value_type,
        )
        for name, value_type in COLUMNS.items()
    )
    things = (
        Thing(
            id=ThingId(f"thing-{n}"),
            serial_number=name.removesuffix(".csv"),
            name="",
            thing_definition_id=SENSOR,
        )
        for n, name in enumerate(files)
    )
    return [MAKER, ThingDefinition(id=SENSOR, name="sensor"), *metrics, *things]


def readings(files: Files) -> ReadingBatch:
    return ReadingBatch(
        thing_definition_id=SENSOR,
        value_types={MetricId(it): COLUMNS[it] for it in COLUMNS},
        readings=[
            Reading(
                ThingId(f"thing-{n}"),
                int(timestamp_ms or 0),
                {
                    MetricId(name): value
                    for name, value in zip(COLUMNS, values, strict=True)
                    if value is not None
                },
            )
            for n, written in enumerate(files.values())
            for timestamp_ms, *values in written
        ],
    )


def run(*command: str) -> bytes:
    done = subprocess.run(
        command, check=False, capture_output=True, env={"LC_ALL": "C.UTF-8"}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# --- readers of archives -------------------------------------------------------


def test_the_archive_has_a_file_in_spans_and_whole_ones(unpacked: Unpacked) -> None:
    [spans] = unpacked.spans.values()
    assert spans > 2


def test_unzip_finds_no_fault(unpacked: Unpacked) -> None:
    assert b"No errors detected" in run("unzip", "-t", str(unpacked.archive))


def test_7z_finds_no_fault(unpacked: Unpacked) -> None:
    assert b"Everything is Ok" in run("7z", "t", str(unpacked.archive))


def test_all_unpack_the_same_names_and_bytes(unpacked: Unpacked) -> None:
    with zipfile.ZipFile(unpacked.archive) as opened:
        assert opened.testzip() is None
        by_python = {it: opened.read(it) for it in opened.namelist()}
    by_unzip = {it: run("unzip", "-p", str(unpacked.archive), it) for it in FILES}
    by_7z = {it.name: it.read_bytes() for it in unpacked.directory.iterdir()}

    assert list(by_python) == list(FILES)
    assert by_unzip == by_python
    assert by_7z == by_python


# --- readers of files ----------------------------------------------------------


def read_with_csv(path: Path) -> list[Row]:
    """Read texts, and make values of them; an empty text looks like a missing one."""
    parsers: Sequence[Callable[[str], Value]] = [
        {"true": True, "false": False}.__getitem__,
        float,
        lambda it: float(np.float32(it)),
        int,
        int,
        str,
    ]
    with path.open(encoding="utf-8", newline="") as file:
        header, *lines = csv.reader(file, strict=True)
    assert header == ["TIMESTAMP", *COLUMNS]
    return [
        (
            epoch_ms(datetime.fromisoformat(timestamp)),
            *(
                parse(cell) if cell else None
                for parse, cell in zip(parsers, cells, strict=True)
            ),
        )
        for timestamp, *cells in lines
    ]


def read_with_polars(path: Path) -> list[Row]:
    types = {
        "TIMESTAMP": pl.String(),
        "boolean": pl.Boolean(),
        "double": pl.Float64(),
        "float": pl.Float32(),
        "integer": pl.Int64(),
        "long": pl.Int64(),
        "text": pl.String(),
    }
    found = pl.read_csv(path, schema=types)
    instants = found["TIMESTAMP"].str.to_datetime("%Y-%m-%dT%H:%M:%S%.3fZ")
    return found.with_columns(instants.dt.epoch("ms")).rows()


def read_with_duckdb(path: Path) -> list[Row]:
    types = {
        "TIMESTAMP": "TIMESTAMP",
        "boolean": "BOOLEAN",
        "double": "DOUBLE",
        "float": "FLOAT",
        "integer": "BIGINT",
        "long": "BIGINT",
        "text": "VARCHAR",
    }
    with duckdb.connect() as engine:
        # Unless told otherwise, it takes an empty text for a missing one.
        found: list[Row] = engine.execute(
            "SELECT epoch_ms(TIMESTAMP), * EXCLUDE (TIMESTAMP) FROM read_csv("
            "?, columns = ?, header = true, auto_detect = false, delim = ',',"
            " quote = '\"', escape = '\"', allow_quoted_nulls = false)",
            [str(path), types],
        ).fetchall()
    return found


def read_with_pandas(path: Path) -> list[Row]:
    """Read typed columns; an empty text is missing, or a missing one is empty."""
    types = {
        "boolean": "boolean",
        "double": "Float64",
        "float": "Float32",
        "integer": "Int64",
        "long": "Int64",
        "text": "string",
    }
    # Texts like "NA" are texts.
    found = pd.read_csv(path, dtype=types, keep_default_na=False, na_values=[""])
    instants = pd.to_datetime(found["TIMESTAMP"], utc=True, format="ISO8601")
    columns = (found[it].astype(object).tolist() for it in COLUMNS)
    return [
        (epoch_ms(instant), *(None if it is pd.NA else it for it in values))
        for instant, *values in zip(instants, *columns, strict=True)
    ]


def without_empty_texts(written: Iterable[Row]) -> list[Row]:
    return [tuple(None if it == "" else it for it in row) for row in written]


def without_guard(read: Iterable[Row]) -> list[Row]:
    """Take away what keeps spreadsheets from taking a text for a formula."""
    return [
        tuple(it.removeprefix("'") if isinstance(it, str) else it for it in row)
        for row in read
    ]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    ("read", "as_told"),
    [
        pytest.param(read_with_csv, without_empty_texts, id="csv"),
        pytest.param(read_with_polars, list, id="polars"),
        pytest.param(read_with_duckdb, list, id="duckdb"),
        pytest.param(read_with_pandas, without_empty_texts, id="pandas"),
    ],
)
def test_a_reader_finds_what_was_written(
    unpacked: Unpacked,
    name: str,
    read: Callable[[Path], list[Row]],
    as_told: Callable[[Iterable[Row]], list[Row]],
) -> None:
    found = without_guard(read(unpacked.directory / name))

    # Their texts tell the types as well.
    assert list(map(repr, found)) == list(map(repr, as_told(FILES[name])))


def test_a_zero_comes_back_without_a_sign_whatever_stands_beside_it(
    tmp_path: Path,
) -> None:
    numbers: list[Value] = [-0.0, 0.0, -0.5] * 30
    written: list[Row] = [
        (MARCH_2020 + step, None, number, None, None, None, None)
        for step, number in enumerate(numbers)
    ]

    unpacked = export_files(tmp_path, {"zeros.csv": written})

    found = read_with_csv(unpacked.directory / "zeros.csv")
    assert [repr(row[2]) for row in found] == ["0.0", "0.0", "-0.5"] * 30
