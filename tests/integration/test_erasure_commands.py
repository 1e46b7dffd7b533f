"""The commands that erase, keep for a time and remove, as they are typed."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from running import add_tenant, thingport
from thingport.domain.errors import InvalidRequest
from thingport.entrypoints.cli.main import app

CATALOGUE = """
organizations: [{name: Acme}]
customers:
  - {code: C-1, name: One, organization: Acme, locations: [{name: Here}, {name: Far}]}
thingDefinitions:
  - name: pump
    metrics: [{name: temp, valueType: DOUBLE}]
things:
  - {serialNumber: P-1, thingDefinition: pump, customer: C-1, location: Here}
  - {serialNumber: P-1-part, thingDefinition: pump, parent: P-1}
  - {serialNumber: P-2, thingDefinition: pump, customer: C-1, location: Far}
  - {serialNumber: P-3, thingDefinition: pump}
"""

THINGS = ["P-1", "P-1-part", "P-2", "P-3"]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    data_dir = tmp_path / "data"
    add_tenant(data_dir, CATALOGUE)
    file = tmp_path / "readings.parquet"
    columns = {"thing": THINGS, "timestamp": range(4), "temp": [0.5] * 4}
    pq.write_table(pa.table({it: list(columns[it]) for it in columns}), file)
    thingport(data_dir, "ingest", str(file), "--tenant", "acme")
    return data_dir


def _type(data_dir: Path, *words: str, typed: str = "") -> Result:
    return CliRunner().invoke(app, [*words, "--data-dir", str(data_dir)], input=typed)


def _refusal(data_dir: Path, *words: str, typed: str = "") -> str:
    exception = _type(data_dir, *words, typed=typed).exception
    assert isinstance(exception, InvalidRequest), exception
    return str(exception)


@pytest.mark.parametrize(
    ("words", "things"),
    [
        (("--thing", "P-1"), ["P-1", "P-1-part"]),
        (("--thing", "P-1-part", "--thing", "P-3"), ["P-1-part", "P-3"]),
        (("--customer", "C-1"), ["P-1", "P-1-part", "P-2"]),
        (("--customer", "C-1", "--thing", "P-3"), THINGS),
    ],
)
def test_the_record_says_what_was_erased(
    data_dir: Path, tmp_path: Path, words: tuple[str, ...], things: list[str]
) -> None:
    report = tmp_path / "record.json"

    done = _type(data_dir, "erase", *words, "--tenant", "acme", "--report", str(report))

    assert done.exit_code == 0, done.output
    record = json.loads(report.read_text())
    assert sorted(it["serial_number"] for it in record["things"]) == things
    assert record["rows_removed"] == len(things)
    assert record["is_complete"] is True
    assert record["began_at"].endswith("Z")
    left = {
        row["thing"]
        for file in (data_dir / "lakes").rglob("*.parquet")
        for row in pq.read_table(file).to_pylist()
    }
    assert len(left) == len(THINGS) - len(things)


def test_what_is_left_is_told_by_the_exit_status(data_dir: Path) -> None:
    (lake,) = (data_dir / "lakes").iterdir()
    # It is not where the lake's own files are, so nobody deletes it.
    (lake / "torn.parquet").write_bytes(b"PAR1")

    done = _type(data_dir, "erase", "--tenant", "acme", "--thing", "P-3")

    assert done.exit_code == 1
    assert "something is left; run it again" in done.stderr
    record = json.loads(done.stdout)
    assert record["is_complete"] is False
    assert record["verification"]["unreadable"] == [str(lake / "torn.parquet")]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("", "name what to erase, by --thing or by --customer"),
        ("--thing P-9", "--thing: there is none called 'P-9'"),
        ("--customer C-9", "--customer: there is none called 'C-9'"),
        ("--thing P-1 --within soon", "--within: must be seconds, or ISO 8601"),
        ("--thing P-1 --within -PT1H", "--within: must be seconds, or ISO 8601"),
        ("--thing P-1 --report no/where.json", "--report: its folder is not there"),
    ],
)
def test_an_erasure_that_cannot_be_meant_is_refused(
    data_dir: Path, words: str, complaint: str
) -> None:
    assert complaint in _refusal(data_dir, "erase", "--tenant", "acme", *words.split())


@pytest.mark.parametrize("within", ["0", "90", "PT1M30S"])
def test_a_time_to_wait_is_seconds_or_iso_8601(data_dir: Path, within: str) -> None:
    words = ("--tenant", "acme", "--thing", "P-3", "--within", within)

    assert _type(data_dir, "erase", *words).exit_code == 0


def test_a_retention_is_set_said_and_taken_back(data_dir: Path) -> None:
    retention = ("tenant", "retention", "acme")

    assert thingport(data_dir, *retention).endswith("are kept for ever.\n")
    assert "for 6 calendar months" in thingport(data_dir, *retention, "--months", "6")
    assert "for 6 calendar months" in thingport(data_dir, *retention)
    printed = thingport(data_dir, "compact")
    assert "acme: 1 files" in printed
    assert " 0 files with 0 bytes" in printed
    assert "kept for ever" in thingport(data_dir, *retention, "--forever")
    assert "exclude each other" in _refusal(
        data_dir, *retention, "--forever", "--months", "1"
    )
    assert "must be 1 to 1200" in _refusal(data_dir, *retention, "--months", "0")
    assert "none called 'zeta'" in _refusal(data_dir, "tenant", "retention", "zeta")


def test_a_tenant_is_removed_only_when_its_name_is_typed(data_dir: Path) -> None:
    remove = ("tenant", "remove", "acme")

    assert "nothing was removed" in _refusal(data_dir, *remove, typed="acne\n")
    assert list((data_dir / "lakes").iterdir())
    assert _type(data_dir, *remove, typed="acme\n").exit_code == 0
    assert not list((data_dir / "lakes").iterdir())
    assert "none called 'acme'" in _refusal(data_dir, *remove, "--yes")
