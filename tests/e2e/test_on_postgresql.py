"""The service on PostgreSQL, from an empty database to an archive."""

import subprocess
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from running import (
    THINGPORT,
    add_tenant,
    add_user,
    environment,
    export,
    serving,
    thingport,
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


def test_a_database_that_cannot_be_reached_is_one_sentence(tmp_path: Path) -> None:
    address = f"postgresql://ada:s3cret@/thingport?host={tmp_path}"
    done = subprocess.run(
        [*THINGPORT, "tenant", "add", "acme", "--data-dir", tmp_path / "data"],
        check=False,
        env=environment(DATABASE_URL=address),
        stderr=subprocess.PIPE,
        text=True,
    )

    assert done.returncode == 1
    assert "the control database is not available" in done.stderr
    assert "s3cret" not in done.stderr
