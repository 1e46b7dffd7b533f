"""Erasing readings and removing a tenant beside a server that goes on."""

import json
import signal
import subprocess
from http import HTTPStatus
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from running import (
    PATIENCE_S,
    TENANT,
    THINGPORT,
    Credentials,
    Server,
    add_tenant,
    add_user,
    download,
    environment,
    export,
    serving,
    thingport,
    wait_until,
)
from thingport.bootstrap.services import open_services
from thingport.settings import read_settings

CATALOGUE = """
organizations: [{name: Acme}]
customers:
  - {code: C-1, name: One, organization: Acme, locations: [{name: Here}]}
  - {code: C-2, name: Two, organization: Acme, locations: [{name: There}]}
thingDefinitions:
  - name: pump
    metrics: [{name: temp, valueType: DOUBLE}, {name: note, valueType: STRING}]
things:
  - {serialNumber: AAA-1, thingDefinition: pump, customer: C-1, location: Here}
  - {serialNumber: AAA-1-part, thingDefinition: pump, parent: AAA-1}
  - {serialNumber: BBB-2, thingDefinition: pump, customer: C-2, location: There}
"""

ROWS = 40


def _ingest(folder: Path, data_dir: Path) -> None:
    file = folder / "readings.parquet"
    things = ["AAA-1", "AAA-1-part", "BBB-2"]
    for part in range(3):
        numbers = range(part, ROWS * 3, 3)
        columns = {
            "thing": [it for it in things for _ in numbers],
            "timestamp": [number for _ in things for number in numbers],
            "temp": [number / 7 for _ in things for number in numbers],
            "note": [f"{it} said {number}" for it in things for number in numbers],
        }
        pq.write_table(pa.table(columns), file)
        thingport(data_dir, "ingest", str(file), "--tenant", TENANT)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    data_dir = tmp_path / "data"
    add_tenant(data_dir, CATALOGUE)
    _ingest(tmp_path, data_dir)
    return data_dir


@pytest.fixture
def ada(data_dir: Path) -> Credentials:
    return add_user(data_dir, "ada@acme.example", "--organization", "Acme")


def _erase(data_dir: Path, *words: str) -> subprocess.Popen[str]:
    command = [*THINGPORT, "erase", *words, "--tenant", TENANT]
    return subprocess.Popen(
        [*command, "--data-dir", str(data_dir)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )


def _notes_in_lake(data_dir: Path) -> set[str]:
    notes: set[str] = set()
    for file in (data_dir / "lakes").rglob("*.parquet"):
        for column in pq.read_table(file).to_pydict().values():
            notes.update(str(it).partition(" ")[0] for it in column)
    return {it for it in notes if it.startswith(("AAA", "BBB"))}


def _link(server: Server, ada: Credentials, export_id: str) -> str | None:
    with server.client(ada) as client:
        link: str | None = client.get(export_id).get("url")
        return link


def _waits(popen: subprocess.Popen[str]) -> bool:
    assert popen.stderr is not None
    return "Waiting for exports of other things" in popen.stderr.readline()


def test_a_killed_erasure_is_finished_by_the_next_while_all_else_goes_on(
    data_dir: Path, ada: Credentials, tmp_path: Path
) -> None:
    report = tmp_path / "record.json"
    words = ("--customer", "C-1", "--report", str(report), "--within", "PT10M")
    with serving(data_dir) as server, server.client(ada) as client:
        everything = export(client, {}, tmp_path / "all.zip")
        assert len(everything) == 3
        finished = client.schedule({})["id"]
        download(client, finished, tmp_path / "again.zip")
        link = _link(server, ada, finished)
        assert link is not None
        assert httpx.get(link).status_code == HTTPStatus.OK
        thing_id = _thing_ids(data_dir)["BBB-2"]
        with server.paused_runner():
            other = client.schedule({"thingId": thing_id})["id"]
            killed = _erase(data_dir, *words)
            wait_until(lambda: _waits(killed), "an export to be waited for")
            killed.send_signal(signal.SIGKILL)
            killed.communicate(timeout=PATIENCE_S)
            assert not report.exists()
            again = _erase(data_dir, *words)
            wait_until(lambda: _waits(again), "an export to be waited for")
        printed, complaint = again.communicate(timeout=PATIENCE_S)
        assert again.returncode == 0, complaint

        # The export that was waited for has what it would have had.
        [(name, content)] = download(client, other, tmp_path / "other.zip").items()
        assert content == everything[name]
        assert httpx.get(link).status_code == HTTPStatus.NOT_FOUND
        bean = client.get(finished)
        assert (bean["state"], bean["expired"]) == ("COMPLETED", True)
        assert "url" not in bean
        now = export(client, {}, tmp_path / "now.zip")
        assert {it: len(text.splitlines()) for it, text in now.items()} == {
            "AAA-1_pump.csv": 1,
            "AAA-1-part_pump.csv": 1,
            "BBB-2_pump.csv": 1 + ROWS * 3,
        }
    record = json.loads(report.read_text())
    assert json.loads(printed) == record
    assert record["is_complete"] is True
    assert [it["serial_number"] for it in record["things"]] == ["AAA-1", "AAA-1-part"]
    assert record["verification"]["rows_left"] == 0
    assert _notes_in_lake(data_dir) == {"BBB-2"}


def _thing_ids(data_dir: Path) -> dict[str, str]:
    with open_services(read_settings(data_dir=data_dir)) as services:
        tenant = services.get_tenant(TENANT)
        with services.control.for_tenant(tenant.id, read_only=True) as tx:
            return {it.serial_number: it.id for it in tx.catalogue.list_things()}


def test_a_removed_tenant_is_let_in_no_more_and_leaves_nothing(
    data_dir: Path, ada: Credentials, tmp_path: Path
) -> None:
    tenants = _folders(data_dir)
    assert len(tenants) == 1
    with serving(data_dir) as server, server.client(ada) as client:
        finished = client.schedule({})["id"]
        download(client, finished, tmp_path / "all.zip")
        link = _link(server, ada, finished)
        assert link is not None
        with server.paused_runner():
            client.schedule({})
            thingport(data_dir, "tenant", "remove", TENANT, "--yes")

        assert httpx.get(link).status_code == HTTPStatus.NOT_FOUND
        answer = httpx.post(
            f"{server.base_url}/identity/users/patLogin",
            headers={"X-Servitly-Tenant": TENANT},
            json={"apiKey": ada.api_key, "pat": ada.pat},
        )
        assert answer.status_code == HTTPStatus.UNAUTHORIZED
        assert _folders(data_dir) == set()
        add_tenant(data_dir, CATALOGUE)
        _ingest(tmp_path, data_dir)
        bob = add_user(data_dir, "bob@acme.example", "--organization", "Acme")
        with server.client(bob) as client_of_bob:
            assert len(export(client_of_bob, {}, tmp_path / "new.zip")) == 3
    assert len(_folders(data_dir)) == 1


def _folders(data_dir: Path) -> set[str]:
    return {
        it.name
        for kind in ("lakes", "archives")
        if (data_dir / kind).is_dir()
        for it in (data_dir / kind).iterdir()
    }
