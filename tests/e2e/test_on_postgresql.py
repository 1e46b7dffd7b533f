"""The service on PostgreSQL, from an empty database to an archive."""

import subprocess
from contextlib import ExitStack
from pathlib import Path

import httpx
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from postgres_server import PostgresServer, installed_server, running
from running import (
    PATIENCE_S,
    TENANT,
    THINGPORT,
    Credentials,
    Server,
    add_tenant,
    add_user,
    environment,
    export,
    serving,
    thingport,
    wait_until,
)

CATALOGUE = """
organizations:
  - name: Acme
customers:
  - code: c
    name: Customer
    organization: Acme
    locations:
      - name: Here
thingDefinitions:
  - name: pump
    metrics:
      - name: flow
        valueType: DOUBLE
things:
  - serialNumber: P-1
    name: Pump
    thingDefinition: pump
    customer: c
    location: Here
"""


def test_a_server_exports_from_postgresql(
    tmp_path: Path, empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_dir, readings = tmp_path / "data", tmp_path / "readings.parquet"
    monkeypatch.setenv("THINGPORT_DATABASE_URL", empty_postgres_url)
    table = {"thing": ["P-1", "P-1"], "timestamp": [1, 2], "flow": [0.5, 1.5]}
    pq.write_table(pa.table(table), readings)

    with serving(data_dir, DATABASE_URL=empty_postgres_url) as server:
        add_tenant(data_dir, CATALOGUE)
        user = add_user(data_dir, "ada@acme.example", "--organization", "Acme")
        # Beside the server, through the same lane.
        thingport(data_dir, "ingest", str(readings), "--tenant", "acme")
        with server.client(user) as client:
            request = {"timestampFormat": "EPOCH_MILLIS"}
            first = export(client, request, tmp_path / "first.zip")

    # Another server on the same database goes on where the first one ended.
    with (
        serving(data_dir, DATABASE_URL=empty_postgres_url) as server,
        server.client(user) as client,
    ):
        second = export(client, request, tmp_path / "second.zip")

    assert first == {"P-1_pump.csv": b"TIMESTAMP,flow\r\n1,0.5\r\n2,1.5\r\n"}
    assert second == first
    assert list(data_dir.rglob("*.sqlite")) == []
    with psycopg.connect(empty_postgres_url) as connection:
        schemas = connection.execute(
            "SELECT DISTINCT schemaname FROM pg_tables WHERE schemaname LIKE 'lake%'"
        ).fetchall()
    assert len(schemas) == 1


PASSWORD = "s3cret"  # of nobody


def _with_password(url: str) -> str:
    return url.replace("postgres@", f"postgres:{PASSWORD}@")


def _start(data_dir: Path, url: str, *words: str) -> str:
    """Run what cannot start; give what it says."""
    done = subprocess.run(
        [*THINGPORT, *words, "--data-dir", data_dir],
        check=False,
        env=environment(DATABASE_URL=url),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stdout
    assert PASSWORD not in done.stdout
    return done.stdout


@pytest.mark.parametrize("words", [("serve", "--port", "0"), ("runner",)])
def test_a_server_that_is_away_at_the_start_is_one_sentence(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    address = f"postgresql://ada:{PASSWORD}@/thingport?host={tmp_path}"
    told = _start(tmp_path / "data", address, *words)

    assert "the control database is not available: connection" in told


def test_a_wrong_password_is_one_sentence_without_it(
    tmp_path: Path, postgres: PostgresServer, empty_postgres_url: str
) -> None:
    hba = postgres.directory / "data" / "pg_hba.conf"
    before = hba.read_text()
    with postgres.connect() as connection:
        connection.execute("CREATE ROLE bob LOGIN PASSWORD 'another'")
        hba.write_text(f"local all bob scram-sha-256\n{before}")
        connection.execute("SELECT pg_reload_conf()")
        try:
            url = empty_postgres_url.replace("postgres@", f"bob:{PASSWORD}@")
            told = _start(tmp_path / "data", url, "tenant", "add", "acme")
        finally:
            hba.write_text(before)
            connection.execute("SELECT pg_reload_conf()")
            connection.execute("DROP ROLE bob")

    assert 'password authentication failed for user "bob"' in told


def test_a_schema_of_a_newer_release_is_one_sentence(
    tmp_path: Path, postgres_url: str
) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")

    url = _with_password(postgres_url)
    told = _start(tmp_path / "data", url, "serve", "--port", "0")

    assert "a newer release of Thingport made it (schema 9999)" in told
    assert "use that release or a later one" in told


def test_a_service_is_well_again_when_its_server_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_dir = tmp_path / "data"
    readings = {"thing": ["P-1"], "timestamp": [1], "flow": [0.5]}
    pq.write_table(pa.table(readings), tmp_path / "readings.parquet")
    with installed_server() as postgres, ExitStack() as running_now:
        running_now.enter_context(running(postgres))
        url = _with_password(postgres.url("postgres"))
        monkeypatch.setenv("THINGPORT_DATABASE_URL", url)
        with serving(data_dir, DATABASE_URL=url) as server:
            add_tenant(data_dir, CATALOGUE)
            user = add_user(data_dir, "ada@acme.example", "--organization", "Acme")
            ingest = ("ingest", str(tmp_path / "readings.parquet"))
            thingport(data_dir, *ingest, "--tenant", "acme")
            with server.client(user) as client:
                first = export(client, {}, tmp_path / "first.zip")
                headers = _log_in(server, user)
                running_now.close()

                for path in ("/health/ready", "/data/dataExports/x"):
                    answer = _get(server, path, headers)
                    assert answer.status_code == 503
                    assert int(answer.headers["Retry-After"]) > 0
                    assert "not available" in answer.json()["message"]
                assert _get(server, "/health/live", {}).status_code == 200
                wait_until(
                    lambda: "claiming_failed" in server.log.read_text(),
                    "the runner to notice",
                )

                running_now.enter_context(running(postgres))
                assert _get(server, "/health/ready", {}).status_code == 200
                second = export(client, {}, tmp_path / "second.zip")
        log = server.log.read_text()

    assert second == first
    assert "Traceback" not in log
    assert PASSWORD not in log


def _log_in(server: Server, user: Credentials) -> dict[str, str]:
    headers = {"X-Servitly-Tenant": TENANT}
    answer = httpx.post(
        f"{server.base_url}/identity/users/patLogin",
        headers=headers,
        json={"apiKey": user.api_key, "pat": user.pat},
    )
    return headers | {"Authorization": f"Bearer {answer.json()['token']}"}


def _get(server: Server, path: str, headers: dict[str, str]) -> httpx.Response:
    return httpx.get(f"{server.base_url}{path}", headers=headers, timeout=PATIENCE_S)
