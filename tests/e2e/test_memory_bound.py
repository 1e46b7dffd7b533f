"""The memory that an export takes does not depend on how large it is."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import pytest

from builders import a_user, an_actor
from thingport.application.ports import CatalogueEntity
from thingport.bootstrap.services import Services, open_services
from thingport.domain.actor import OrganizationEntity
from thingport.domain.catalogue import Organization, Thing, ThingDefinition
from thingport.domain.data_export import (
    DataExport,
    DataExportRequest,
    DataExportState,
)
from thingport.domain.ids import MetricId, OrganizationId, ThingDefinitionId, ThingId
from thingport.domain.metric import MAX_TEXT_BYTES, Metric, ValueType
from thingport.settings import Settings

LIMIT_MB = 800
"""What a process that renders may take. 650 suffice; a good part of it is taken before
the first row is read: by libraries, by stacks of threads, by what allocators keep."""

INGEST_LIMIT_MB = 1200
"""What a process that ingests may take: its engine alone may take 512."""

MARGIN = 1.25
"""By how much an export may peak higher than one of a tenth of its size."""

LIMITED_PROCESS = Path(__file__).parents[1] / "limited_process.py"

PUMP = ThingDefinitionId("pump")

MAKER = Organization(id=OrganizationId("maker"), name="Maker")


@dataclass(frozen=True, slots=True)
class Column:
    """A metric, and SQL for its value in row ``r`` of thing ``t``."""

    value_type: ValueType
    value: str


@dataclass(frozen=True, slots=True)
class Fleet:
    """So many things of one kind, with so many rows each."""

    things: int
    rows: int
    columns: tuple[Column, ...]


def a_text(size_bytes: int) -> Column:
    """Give texts of this size, none like another."""
    copies = size_bytes // 32
    return Column(ValueType.STRING, f"repeat(md5(format('{{}} {{}}', t, r)), {copies})")


NUMBERS = tuple(Column(ValueType.DOUBLE, f"hash(t, r, {n}) / 1e9") for n in range(8))
"""Nearly all their digits are needed: as text they are more than twice as large."""

ONE_GIANT = Fleet(things=1, rows=300_000, columns=NUMBERS)
MANY = Fleet(things=150, rows=1_000, columns=NUMBERS)
LONG_TEXTS = Fleet(things=1, rows=16_000, columns=(a_text(2_048),))
LONGEST_TEXTS = Fleet(things=1, rows=250, columns=(a_text(MAX_TEXT_BYTES),))


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    # Others keep theirs for a look at it later; these are gigabytes.
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize(
    ("small", "large"),
    [
        pytest.param(ONE_GIANT, replace(ONE_GIANT, rows=3_000_000), id="one giant"),
        pytest.param(MANY, replace(MANY, things=1_500), id="many things"),
        pytest.param(LONG_TEXTS, replace(LONG_TEXTS, rows=160_000), id="long texts"),
        pytest.param(
            LONGEST_TEXTS, replace(LONGEST_TEXTS, rows=2_500), id="longest texts"
        ),
    ],
)
def test_an_export_ten_times_larger_peaks_at_the_same_memory(
    directory: Path, small: Fleet, large: Fleet
) -> None:
    check(directory, small, large)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_an_export_of_a_hundred_million_values_peaks_at_the_same_memory(
    directory: Path,
) -> None:
    check(directory, ONE_GIANT, replace(ONE_GIANT, rows=15_000_000))


def test_the_limit_cannot_hold_a_whole_export(directory: Path) -> None:
    ingest(directory, replace(ONE_GIANT, rows=2_000_000))

    with open_services(Settings(data_dir=directory)) as services:
        scheduled = schedule(services)
        done = run_waiting(directory, THINGPORT_MAX_CHUNK_BYTES=str(10**12))
        with services.control.for_tenant(scheduled.tenant_id) as tx:
            ended = tx.data_exports.find(scheduled.id)

    # The process ends, or its engine does, which the export says then.
    assert ended is not None
    assert done.returncode != 0 or ended.state is DataExportState.ERROR


@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_a_file_larger_than_the_limit_is_ingested(directory: Path) -> None:
    fleet = replace(LONG_TEXTS, rows=600_000)
    path = write_readings(directory, fleet)
    assert path.stat().st_size > INGEST_LIMIT_MB * 1_000_000
    apply_catalogue(directory, fleet)

    words = ("ingest", str(path), "--tenant", "acme", "--data-dir", str(directory))
    done = run_limited(INGEST_LIMIT_MB, "thingport.entrypoints.cli", *words)

    assert done.returncode == 0, done.stderr
    assert "Stored 600,000 rows with 600,000 values of 1 thing." in done.stdout


def check(directory: Path, small: Fleet, large: Fleet) -> None:
    """Export two fleets under the same limit, and compare their peaks."""
    small_peak_mb = export_all(directory / "small", small)
    large_peak_mb = export_all(directory / "large", large)

    assert large_peak_mb <= MARGIN * small_peak_mb


def export_all(data_dir: Path, fleet: Fleet) -> float:
    """Export all of a new fleet in a process with a limit; give its peak, in MB."""
    ingest(data_dir, fleet)
    with open_services(Settings(data_dir=data_dir)) as services:
        scheduled = schedule(services)
        done = run_waiting(data_dir)
        with services.control.for_tenant(scheduled.tenant_id) as tx:
            finished = tx.data_exports.find(scheduled.id)
    assert done.returncode == 0, done.stderr
    assert finished is not None
    assert finished.state is DataExportState.COMPLETED, finished.error
    assert finished.archive is not None
    assert finished.archive.rows == fleet.things * fleet.rows
    return float(done.stdout)


def schedule(services: Services) -> DataExport:
    """Schedule an export of everything."""
    tenant = services.get_tenant("acme")
    user = a_user(entity=OrganizationEntity(MAKER.id))
    with services.control.for_tenant(tenant.id) as tx:
        tx.credentials.add_user(user)
    actor = an_actor(tenant_id=tenant.id, user_id=user.id, entity=user.entity)
    return services.data_exports.schedule(actor, DataExportRequest())


def run_waiting(data_dir: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    settings = {**settings, "THINGPORT_DATA_DIR": str(data_dir)}
    return run_limited(LIMIT_MB, "inline_runner", **settings)


def run_limited(
    limit_mb: int, module: str, *words: str, **settings: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, LIMITED_PROCESS, str(limit_mb), module, *words],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **settings},
    )


# --- fleets --------------------------------------------------------------------


def ingest(data_dir: Path, fleet: Fleet) -> None:
    """Make a new data directory with a fleet and its readings."""
    apply_catalogue(data_dir, fleet)
    path = write_readings(data_dir, fleet)
    with open_services(Settings(data_dir=data_dir)) as services:
        services.ingest_parquet("acme", path, lambda _done, _total: None)


def apply_catalogue(data_dir: Path, fleet: Fleet) -> None:
    with open_services(Settings(data_dir=data_dir)) as services:
        tenant = services.identity.add_tenant("acme")
        with services.control.for_tenant(tenant.id) as tx:
            for entity in entities_of(fleet):
                tx.catalogue.save(entity)


def entities_of(fleet: Fleet) -> Sequence[CatalogueEntity]:
    metrics = (
        Metric(
            id=MetricId(f"m{n}"),
            thing_definition_id=PUMP,
            name=f"m{n}",
            value_type=column.value_type,
        )
        for n, column in enumerate(fleet.columns)
    )
    things = (
        Thing(
            id=ThingId(f"t{n}"),
            serial_number=f"T{n}",
            name="",
            thing_definition_id=PUMP,
        )
        for n in range(fleet.things)
    )
    return [MAKER, ThingDefinition(id=PUMP, name="pump"), *metrics, *things]


def write_readings(directory: Path, fleet: Fleet) -> Path:
    """Write the readings of a fleet to a file, thing by thing."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "readings.parquet"
    values = ", ".join(f"{it.value} AS m{n}" for n, it in enumerate(fleet.columns))
    with duckdb.connect() as engine:
        engine.execute(
            f"COPY (SELECT 'T' || t AS thing, r * 1000 AS timestamp, {values}"
            f" FROM range({fleet.things}) things(t), range({fleet.rows}) instants(r))"
            f" TO '{path}' (ROW_GROUP_SIZE 10_000, COMPRESSION uncompressed)"
        )
    return path
