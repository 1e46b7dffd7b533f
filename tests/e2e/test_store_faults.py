"""A store that is full, read-only or damaged: said, and mended without a loss."""

import random
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from running import (
    PATIENCE_S,
    THINGPORT,
    Credentials,
    Server,
    add_tenant,
    add_user,
    environment,
    export,
    refused,
    serving,
)
from small_disk import SmallDisk, small_disk
from thingport_client import Client, ExportFailed, Refused

CATALOGUE = """\
organizations:
  - {name: Maker}
thingDefinitions:
  - name: Pump
    metrics:
      - {name: note, valueType: STRING}
things:
  - {id: pump-1, serialNumber: P1, thingDefinition: Pump}
"""

ALL = {"thingFileName": "${thing.serialNumber}", "timestampFormat": "EPOCH_MILLIS"}

TEXTS_IN_A_WRITE = 8


def a_text(timestamp_ms: int) -> str:
    """Give 50 kB that cannot be compressed below half."""
    return random.Random(timestamp_ms).randbytes(25_000).hex()


@dataclass(frozen=True)
class Notes:
    """A client that remembers what the server says to have written."""

    client: Client
    directory: Path
    written: dict[int, str]

    def write(self) -> None:
        first = len(self.written)
        texts = {it: a_text(it) for it in range(first, first + TEXTS_IN_A_WRITE)}
        self.client.put_values("pump-1", "note", list(texts.items()))
        self.written.update(texts)

    def fail_to_write(self) -> Refused:
        """Write until it is refused: soon, since this is done on little room."""
        for _ in range(20):
            try:
                self.write()
            except Refused as refusal:
                return refusal
        raise AssertionError("everything was taken")

    def assert_all_comes_home(self) -> None:
        files = export(self.client, ALL, self.directory / "archive.zip")
        rows = "".join(f"{at},{text}\r\n" for at, text in self.written.items())
        assert files == {"P1.csv": f"TIMESTAMP,note\r\n{rows}".encode()}


@pytest.fixture
def prepared(tmp_path: Path) -> tuple[Path, Credentials]:
    """Give a data directory without readings, and who may write them."""
    data_dir = tmp_path / "prepared"
    add_tenant(data_dir, CATALOGUE)
    return data_dir, add_user(data_dir, "m@acme.example", "--organization", "Maker")


@pytest.fixture
def disk(tmp_path: Path, prepared: tuple[Path, Credentials]) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", megabytes=48) as disk:
        shutil.copytree(prepared[0], disk.seen_from_outside / "data")
        yield disk


@pytest.fixture
def notes(
    disk: SmallDisk, prepared: tuple[Path, Credentials], tmp_path: Path
) -> Iterator[Notes]:
    with _serving(disk) as server, server.client(prepared[1]) as client:
        yield Notes(client, tmp_path, {})


@contextmanager
def _serving(disk: SmallDisk) -> Iterator[Server]:
    with serving(disk.directory / "data", disk.prefix, WORKERS=1) as server:
        yield server


def _list_files(disk: SmallDisk, *folders: str) -> set[Path]:
    data_dir = disk.seen_from_outside / "data"
    return {
        it.relative_to(data_dir)
        for folder in folders
        for it in (data_dir / folder).rglob("*")
        if it.is_file()
    }


def test_a_full_disk_refuses_what_it_cannot_keep_and_keeps_the_rest(
    notes: Notes, disk: SmallDisk
) -> None:
    notes.write()
    disk.fill(leave_bytes=1_000_000)

    refusals = [notes.fail_to_write() for _ in range(3)]
    disk.free()

    assert {it.status for it in refusals} == {503}
    assert all(it.retry_after_s for it in refusals)
    assert notes.written
    notes.assert_all_comes_home()
    notes.write()
    notes.assert_all_comes_home()


def test_an_export_that_finds_the_disk_full_says_so_and_leaves_nothing(
    notes: Notes, disk: SmallDisk
) -> None:
    for _ in range(6):
        notes.write()
    before = _list_files(disk, "archives", "temporary")
    disk.fill(leave_bytes=500_000)

    with pytest.raises(ExportFailed, match="a store of the service did not answer"):
        notes.assert_all_comes_home()
    left = _list_files(disk, "archives", "temporary") - before
    disk.free()

    assert {it.parent.name for it in left} == {"plans"}
    notes.assert_all_comes_home()


def test_a_file_that_does_not_fit_on_the_disk_is_not_ingested_at_all(
    notes: Notes, disk: SmallDisk, tmp_path: Path
) -> None:
    texts = [a_text(it) for it in range(100)]
    file = tmp_path / "notes.parquet"
    table = {"thing": ["P1"] * 100, "timestamp": list(range(100)), "note": texts}
    pq.write_table(pa.table(table), file)
    notes.write()
    before = _list_files(disk, "lakes", "temporary")

    def ingest() -> subprocess.CompletedProcess[str]:
        place = ["--tenant", "acme", "--data-dir", str(disk.directory / "data")]
        return subprocess.run(
            [*disk.prefix, *THINGPORT, "ingest", str(file), *place],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    disk.fill(leave_bytes=1_000_000)
    refused = ingest()
    left = _list_files(disk, "lakes", "temporary") - before
    disk.free()

    assert refused.returncode == 1, refused.stderr
    assert "No space left on device" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert left == set()
    notes.assert_all_comes_home()
    assert ingest().returncode == 0
    notes.written.update(enumerate(texts))
    notes.assert_all_comes_home()


def test_a_read_only_disk_is_said_at_the_start(
    disk: SmallDisk, prepared: tuple[Path, Credentials], tmp_path: Path
) -> None:
    disk.remount("ro")
    sentence = refused(disk.directory / "data", prefix=disk.prefix)
    disk.remount("rw")

    assert re.fullmatch(
        "data directory .*/data: .*; see that it can be written, or .+", sentence
    )

    with _serving(disk) as server, server.client(prepared[1]) as client:
        notes = Notes(client, tmp_path, {})
        notes.write()
        notes.assert_all_comes_home()


def _truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1_000])


def _garble(file: Path) -> None:
    file.write_bytes(b"no longer " * 1_000)


@pytest.mark.parametrize(
    ("damaged", "damage"),
    [
        ("lakes/*/data/main/*/*.parquet", _truncate),
        ("lakes/*/data/main/*/*.parquet", Path.unlink),
        ("lakes/*/catalogue.sqlite", _garble),
        ("lakes/*/catalogue.sqlite", Path.unlink),
        ("lakes/*", shutil.rmtree),
    ],
)
def test_a_damaged_lake_is_told_and_is_well_from_a_backup(
    prepared: tuple[Path, Credentials],
    tmp_path: Path,
    damaged: str,
    damage: Callable[[Path], None],
) -> None:
    data_dir, credentials = prepared
    with serving(data_dir) as server, server.client(credentials) as client:
        notes = Notes(client, tmp_path, {})
        notes.write()
    backup = shutil.copytree(data_dir, tmp_path / "backup")
    with serving(data_dir) as server, server.client(credentials) as client:
        damage(next(data_dir.glob(damaged)))
        found = Notes(client, tmp_path, notes.written)
        with pytest.raises((ExportFailed, Refused)) as failure:
            found.assert_all_comes_home()
        if "*.parquet" not in damaged:
            assert "damaged or gone" in found.fail_to_write().message
    shutil.rmtree(data_dir)
    shutil.copytree(backup, data_dir)
    with serving(data_dir) as server, server.client(credentials) as client:
        Notes(client, tmp_path, notes.written).assert_all_comes_home()

    assert "damaged" in str(failure.value)
