"""Starting a server, refusing to start one, and ending one in every way."""

import hashlib
import shutil
import signal
import socket
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from running import (
    PATIENCE_S,
    Credentials,
    Process,
    Server,
    add_tenant,
    add_user,
    download,
    export,
    refused,
    serving,
    thingport,
    wait_until,
)
from thingport_client import Client

MARCH_2020 = 1_583_020_800_000

ROWS = 300

SLOWLY = {"WORKERS": 1, "MAX_CHUNK_BYTES": 1}
"""A chunk for each row: long work from little data."""

CATALOGUE = """\
organizations:
  - {name: Maker}
thingDefinitions:
  - name: Pump
    metrics:
      - {name: flow, valueType: DOUBLE}
things:
  - {id: pump-1, serialNumber: P1, thingDefinition: Pump}
"""


def contents(directory: Path) -> dict[str, bytes | None]:
    """Give all that is in a directory; folders have no content."""
    return {
        str(it.relative_to(directory)): it.read_bytes() if it.is_file() else None
        for it in directory.rglob("*")
    }


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_a_directory_of_a_newer_release_is_left_alone(data_dir: Path) -> None:
    thingport(data_dir, "tenant", "add", "acme")
    with closing(sqlite3.connect(data_dir / "control.sqlite")) as control, control:
        control.execute("UPDATE alembic_version SET version_num = 'r9999'")
    before = contents(data_dir)

    sentence = refused(data_dir)

    assert str(data_dir) in sentence
    assert "newer release" in sentence
    assert "r9999" in sentence
    assert "use that release or a later one" in sentence
    assert contents(data_dir) == before


def test_a_control_database_that_is_garbage_is_left_alone(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "control.sqlite").write_bytes(b"no database at all" * 1000)
    before = contents(data_dir)

    sentence = refused(data_dir)

    assert str(data_dir) in sentence
    assert "control database" in sentence
    assert "not a database" in sentence
    assert contents(data_dir) == before


@pytest.mark.parametrize("below", ["", "data"])
def test_a_file_is_no_data_directory(tmp_path: Path, below: str) -> None:
    file = tmp_path / "file"
    file.write_text("mine")

    sentence = refused(file / below)

    assert str(file) in sentence
    assert "directory" in sentence
    assert contents(tmp_path) == {"file": b"mine"}


def test_a_port_that_is_taken_is_named_before_anything_is_made(data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        sentence = refused(data_dir, "--port", str(port))

    assert f"127.0.0.1:{port}" in sentence
    assert "--port" in sentence
    assert not data_dir.exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WORKERS", "0"),
        ("WORKERS", "many"),
        ("LINK_LIFETIME", "-PT1H"),
        ("TOKEN_SECRET", "too short"),
        ("LINK_SECRET", ""),
        ("PUBLIC_BASE_URL", "data.acme.example"),
    ],
)
def test_a_setting_that_cannot_be_is_named_before_anything_is_made(
    data_dir: Path, name: str, value: str
) -> None:
    sentence = refused(data_dir, **{name: value})

    assert f"THINGPORT_{name}: " in sentence
    assert not data_dir.exists()


@dataclass(frozen=True)
class Plant:
    """A data directory with readings of one pump."""

    data_dir: Path
    credentials: Credentials

    def client(self, server: Server) -> Client:
        return server.client(self.credentials)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Plant:
    data_dir = tmp_path_factory.mktemp("template") / "data"
    add_tenant(data_dir, CATALOGUE)
    plant = Plant(data_dir, add_user(data_dir, "a@b", "--organization", "Maker"))
    with serving(data_dir) as server, plant.client(server) as client:
        client.put_values(
            "pump-1", "flow", [(MARCH_2020 + it, it / 7) for it in range(ROWS)]
        )
    return plant


@pytest.fixture
def plant(template: Plant, tmp_path: Path) -> Plant:
    copied = shutil.copytree(template.data_dir, tmp_path / "data")
    return Plant(copied, template.credentials)


def begin_export(client: Client) -> str:
    """Schedule an export; give its id when some of it is rendered, but not all."""
    data_export_id: str = client.schedule({})["id"]
    wait_until_rendering(client, data_export_id)
    return data_export_id


def wait_until_rendering(client: Client, data_export_id: str) -> int:
    """Wait for the first rows of an export; give how many there are."""
    wait_until(lambda: rows_done(client, data_export_id) > 0, "the first rows")
    return rows_done(client, data_export_id)


def rows_done(client: Client, data_export_id: str) -> int:
    done: int = client.get(data_export_id)["progress"]["rowsDone"]
    return done


def is_worker(process: Process) -> bool:
    return "spawn_main" in process.command


def wait_for_end(processes: Sequence[Process]) -> None:
    wait_until(lambda: not any(it.is_alive for it in processes), "no orphan")


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_a_server_takes_its_runner_and_its_idle_workers_along(
    plant: Plant, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    with serving(plant.data_dir) as server, plant.client(server) as client:
        export(client, {}, tmp_path / "archive.zip")
        processes = server.list_processes()
        assert any(map(is_worker, processes))

        server.popen.send_signal(number)

        assert server.popen.wait(PATIENCE_S) == status
        wait_for_end(processes)
        log = server.log.read_text()
    assert "Traceback" not in log
    assert "Fatal" not in log


def test_sigterm_ends_a_runner_that_does_not_stop_by_itself(plant: Plant) -> None:
    with serving(plant.data_dir, **SLOWLY) as server, plant.client(server) as client:
        begin_export(client)
        processes = server.list_processes()
        assert any(map(is_worker, processes))
        server.get_runner().send(signal.SIGSTOP)

        server.popen.terminate()

        assert server.popen.wait(PATIENCE_S) == 0
        wait_for_end(processes)


def test_a_killed_server_takes_its_runner_out_of_the_middle_of_an_export(
    plant: Plant,
) -> None:
    with serving(plant.data_dir, **SLOWLY) as server, plant.client(server) as client:
        begin_export(client)
        processes = server.list_processes()

        server.popen.kill()

        wait_for_end(processes)
    with closing(sqlite3.connect(plant.data_dir / "control.sqlite")) as control:
        states = control.execute("SELECT state FROM data_exports").fetchall()
    assert states == [("PENDING",)], "nobody went on with it"


def test_a_runner_that_was_killed_is_replaced(plant: Plant, tmp_path: Path) -> None:
    with serving(plant.data_dir) as server, plant.client(server) as client:
        killed = server.get_runner()
        killed.send(signal.SIGKILL)
        wait_until(lambda: not killed.is_alive, "the end of the runner")

        files = export(client, {}, tmp_path / "archive.zip")

        assert len(files) == 1
        assert server.get_runner() != killed


def test_an_export_that_everything_died_under_is_made_all_the_same(
    plant: Plant, tmp_path: Path
) -> None:
    with (
        serving(plant.data_dir, **SLOWLY) as server,
        plant.client(server) as client,
        server.paused_runner(),
    ):
        data_export_id: str = client.schedule({})["id"]
        server.kill_all()
    undisturbed = Plant(tmp_path / "undisturbed", plant.credentials)
    shutil.copytree(plant.data_dir, undisturbed.data_dir)
    with serving(plant.data_dir, **SLOWLY) as server, plant.client(server) as client:
        kept = wait_until_rendering(client, data_export_id)
        server.kill_all()

    with serving(plant.data_dir, **SLOWLY) as server, plant.client(server) as client:
        assert client.get(data_export_id)["state"] == "PENDING"
        beans = list(client.iter_progress(data_export_id, pause_s=0.05))
        files = download(client, data_export_id, tmp_path / "resumed.zip")

    rows = [it["progress"]["rowsDone"] for it in beans]
    assert min(rows) >= kept, "what was rendered before is not rendered again"
    assert files["P1_Pump.csv"].count(b"\n") == ROWS + 1
    with (
        serving(undisturbed.data_dir, **SLOWLY) as server,
        undisturbed.client(server) as client,
    ):
        download(client, data_export_id, tmp_path / "undisturbed.zip")
    assert sha256(tmp_path / "resumed.zip") == sha256(tmp_path / "undisturbed.zip")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
