"""Files sent to a real server, by the client and by the command line."""

import json
import os
import re
import threading
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from running import Credentials, Server, add_tenant, add_user, export, serving
from thingport.entrypoints.cli.main import app
from thingport_client import Client, ImportFailed, Refused

MAX_BYTES = 20_000_000

CATALOGUE = """\
organizations:
  - {name: Maker}
customers:
  - code: other
    locations: [{name: Elsewhere}]
thingDefinitions:
  - name: Pump
    metrics:
      - {name: flow, valueType: DOUBLE, unit: l/s}
      - {name: count, valueType: LONG}
      - {name: "on", valueType: BOOLEAN}
      - {name: "=note", valueType: STRING}
things:
  - {id: p1, serialNumber: P1, thingDefinition: Pump}
  - {id: p2, serialNumber: P2, thingDefinition: Pump}
"""

CSV = "TIMESTAMP,flow,'=note\r\n1000,1.5,'=1+1\r\n2000,,\"\"\r\n"

REQUEST = {"timestampFormat": "EPOCH_MILLIS", "thingFileName": "${thing.id}"}


@dataclass(frozen=True)
class Place:
    """A server, and who may do everything."""

    server: Server
    owner: Credentials

    def client(self) -> Client:
        return self.server.client(self.owner)

    def run(self, *words: str) -> Result:
        environment = {
            "THINGPORT_URL": self.server.base_url,
            "THINGPORT_TENANT": "acme",
            "THINGPORT_API_KEY": self.owner.api_key,
            "THINGPORT_TOKEN": self.owner.pat,
        }
        return CliRunner(env=environment).invoke(app, ["import", *words])


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    add_tenant(data_dir, CATALOGUE)
    owner = add_user(data_dir, "ada@acme.example", "--organization", "Maker")
    with serving(data_dir, MAX_IMPORT_BYTES=MAX_BYTES) as server:
        yield Place(server, owner)


def write(path: Path, content: str) -> Path:
    path.write_bytes(content.encode())
    return path


def exported(client: Client, folder: Path) -> Mapping[str, bytes]:
    return export(client, REQUEST, folder / "archive.zip")


def test_files_are_imported_from_the_command_line(place: Place, tmp_path: Path) -> None:
    plain = write(tmp_path / "plain.csv", CSV)
    packed = tmp_path / "packed.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("x.csv", CSV.replace("1000", "500"))

    done = place.run(
        "--thing", "p1", "--text-guard", "FORMULA", str(plain), str(packed)
    )

    assert done.exit_code == 0
    assert done.stdout == (
        "plain.csv: 2 rows imported, 0 rejected.\n"
        "packed.zip: 2 rows imported, 0 rejected.\n"
    )
    with place.client() as client:
        files = exported(client, tmp_path)
    assert files["p1.csv"].decode() == (
        "TIMESTAMP,'=note,count,flow,on\r\n"
        "500,'=1+1,,1.5,\r\n1000,'=1+1,,1.5,\r\n2000,\"\",,,\r\n"
    )


def test_rejected_rows_are_told_by_line_and_end_with_a_status_of_their_own(
    place: Place, tmp_path: Path
) -> None:
    rows = "".join(f"x,{at}\n" for at in range(150))
    file = write(tmp_path / "a.csv", f"made by hand\nTIMESTAMP,flow\n1,1\n{rows}")
    words = ("--thing", "p1", "--header-row", "2", str(file))

    done = place.run(*words)
    as_json = place.run("--json", *words)

    assert done.exit_code == 3
    lines = done.stdout.splitlines()
    assert lines[0] == "a.csv: 1 rows imported, 150 rejected."
    assert lines[1].startswith("  line 4: TIMESTAMP: UTC milliseconds")
    assert lines[-1] == "  and 50 more"
    assert as_json.exit_code == 3
    bean = json.loads(as_json.stdout)
    assert (bean["state"], bean["rowsRejected"]) == ("COMPLETED", 150)
    assert len(bean["rejectedRows"]) == 100


def test_a_file_that_cannot_be_imported_is_an_error_and_the_next_are_left(
    place: Place, tmp_path: Path
) -> None:
    wrong = write(tmp_path / "wrong.csv", "TIMESTAMP,flow [l/s]\n1,1\n")
    right = write(tmp_path / "right.csv", "TIMESTAMP,flow\n1,1\n")

    done = place.run("--thing", "p1", str(wrong), str(right))

    assert isinstance(done.exception, ImportFailed)
    assert "export without units" in str(done.exception)
    assert done.stdout == ""
    with place.client() as client:
        assert b"\n1," not in exported(client, tmp_path)["p1.csv"]


def test_an_unknown_thing_is_refused(place: Place, tmp_path: Path) -> None:
    done = place.run("--thing", "nothing", str(write(tmp_path / "a.csv", CSV)))

    assert isinstance(done.exception, Refused)
    assert done.exception.status == 404


def test_the_client_sees_how_far_it_is(place: Place, tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", CSV)
    seen: list[tuple[int, int]] = []
    with place.client() as client:
        sent = client.import_data(
            "p1",
            file,
            text_guard="FORMULA",
            on_bytes=lambda done, total: seen.append((done, total)),
        )
        *_, ended = client.iter_import(sent["id"])

        assert client.data_import(sent["id"]) == ended

    assert sent["state"] == "PENDING"
    assert ended["progress"] == {"phase": "DONE", "rowsRead": 2, "percent": 100}
    assert seen[-1] == (len(CSV), len(CSV))


def test_a_file_over_the_limit_is_refused_while_it_is_sent(
    place: Place, tmp_path: Path
) -> None:
    file = write(tmp_path / "a.csv", "TIMESTAMP,flow\n" + "1,1\n" * 10_000_000)
    with place.client() as client:
        with pytest.raises(Refused) as refusal:
            client.import_data("p1", file)
        assert refusal.value.status == 413
        assert str(MAX_BYTES) in refusal.value.message
        # Nothing is left that would be in the way.
        sent = client.import_data("p1", write(file, "TIMESTAMP,flow\n1,1\n"))
        *_, ended = client.iter_import(sent["id"])
    assert ended["rowsAccepted"] == 1


def test_of_two_imports_for_a_thing_at_once_one_is_taken(
    place: Place, tmp_path: Path
) -> None:
    file = write(tmp_path / "a.csv", CSV)
    outcomes: list[object] = []

    def send() -> None:
        with place.client() as client:
            try:
                outcomes.append(client.import_data("p1", file)["id"])
            except Refused as refusal:
                outcomes.append(refusal.status)

    with place.server.paused_runner():
        threads = [threading.Thread(target=send) for _ in range(6)]
        for it in threads:
            it.start()
        for it in threads:
            it.join()

    assert len(outcomes) == 6
    assert outcomes.count(429) == 5


def test_an_import_outlives_the_end_of_all_processes_whole(
    place: Place, tmp_path: Path
) -> None:
    rows = "".join(f"{at},{at}.5,{at}\n" for at in range(300_000))
    file = write(tmp_path / "a.csv", f"TIMESTAMP,flow,count\n{rows}")
    with place.client() as client:
        sent = client.import_data("p1", file)
        for bean in client.iter_import(sent["id"], pause_s=0.02):
            if bean["progress"]["phase"] != "QUEUED":
                break
        assert bean["state"] == "PENDING"
    place.server.kill_all()

    with (
        serving(place.server.data_dir) as again,
        again.client(place.owner) as client,
    ):
        *_, ended = client.iter_import(sent["id"])
        found = exported(client, tmp_path)["p1.csv"].decode().splitlines()

    assert ended["rowsAccepted"] == 300_000
    assert len(found) == 300_001
    assert found[-1] == "299999,,299999,299999.5,"
    assert not list((place.server.data_dir / "imports").rglob("*.*"))


def test_a_reader_of_the_log_finds_no_secret_and_no_value(
    place: Place, tmp_path: Path
) -> None:
    secret = "very-secret-value"
    file = write(tmp_path / "a.csv", f"TIMESTAMP,flow\n1,{secret}\n")
    place.run("--thing", "p1", str(file))

    log = place.server.log.read_text()

    assert "data_import_completed" in re.sub(r"\x1b\[\d+m", "", log)
    assert secret not in log
    assert place.owner.api_key not in log
    assert os.path.basename(file) not in log  # noqa: PTH119  # as it is sent
