"""How fast readings come in, by each way, durable when answered: values a second.

Starts a server of its own with a throw-away data directory, and sends it readings
of 100 things with 12 metrics. Takes less than two minutes.
"""

import io
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from thingport_client import Client

THINGPORT = [sys.executable, "-m", "thingport.entrypoints.cli"]
TENANT = "bench"
THINGS = [f"T{number:03}" for number in range(100)]
METRICS = [f"metric {number}" for number in range(12)]

SECONDS_EACH = 8
"""How long each way over HTTP is measured."""

SENDERS = 2
"""How many clients send at the same time."""

INGESTED_ROWS = 1_000_000


@dataclass(frozen=True)
class Result:
    """What one way achieved."""

    way: str
    requests: int
    values: int
    seconds: float


def main() -> None:
    """Measure every way and print a table."""
    with tempfile.TemporaryDirectory() as directory:
        data_dir = Path(directory) / "data"
        secrets = prepare(data_dir)
        with serving(data_dir) as base_url:
            results = [
                measure(way, body, values, base_url, secrets)
                for way, body, values in (
                    ("PUT /data/values, 1000 values", put_values, 1_000),
                    ("batch, JSON, 12,000 values", send_json(10), 12_000),
                    ("batch, JSON, 120,000 values", send_json(100), 120_000),
                    ("batch, Arrow, 12,000 values", send_arrow(10), 12_000),
                    ("batch, Arrow, 1,200,000 values", send_arrow(1000), 1_200_000),
                )
            ]
        results.append(ingest(data_dir))
    show(results)


def show(results: list[Result]) -> None:
    """Print what was measured."""
    table = Table("way in", "requests", "values", "seconds", "values/s")
    for column in table.columns[1:]:
        column.justify = "right"
    for it in results:
        rate = f"{it.values / it.seconds:,.0f}"
        table.add_row(
            it.way, f"{it.requests:,}", f"{it.values:,}", f"{it.seconds:.1f}", rate
        )
    Console(width=100).print(table)


Send = Callable[[Client, int], None]
"""Sends one request; the number makes its instants new ones."""


def measure(
    way: str, send: Send, values: int, base_url: str, secrets: tuple[str, str]
) -> Result:
    """Send for some seconds, from several clients at once."""
    api_key, pat = secrets

    def work(sender: int) -> int:
        sent = 0
        with Client(base_url, tenant=TENANT, api_key=api_key, pat=pat) as client:
            while time.monotonic() < end:
                send(client, sent * SENDERS + sender)
                sent += 1
        return sent

    with Client(base_url, tenant=TENANT, api_key=api_key, pat=pat) as client:
        send(client, 0)
    start = time.monotonic()
    end = start + SECONDS_EACH
    with ThreadPoolExecutor(SENDERS) as pool:
        requests = sum(pool.map(work, range(SENDERS)))
    return Result(way, requests, requests * values, time.monotonic() - start)


def put_values(client: Client, number: int) -> None:
    """Send values of one metric of one thing."""
    values: list[tuple[int, object]] = [
        (number * 1_000 + it, it / 8) for it in range(1_000)
    ]
    client.put_values(THINGS[number % len(THINGS)].lower(), METRICS[0], values)


def send_json(instants: int) -> Send:
    """Make a sender of readings of all things, which the client turns into JSON."""
    readings = [
        {"timestamp": at, "values": dict.fromkeys(METRICS, at / 8)}
        for at in range(instants)
    ]
    body = [{"thingId": it.lower(), "data": readings} for it in THINGS]

    def send(client: Client, _number: int) -> None:
        client.put_batch(body)

    return send


def send_arrow(instants: int) -> Send:
    """Make a sender of readings of all things, as an Arrow IPC stream."""
    frame = readings_of(THINGS, instants)
    table = pa.table(frame)
    table = table.cast(
        pa.schema(
            [pa.field("thing", pa.string()), *list(table.schema)[1:]],
        )
    )
    output = io.BytesIO()
    with pa.ipc.new_stream(output, table.schema) as writer:
        writer.write_table(table)
    body = output.getvalue()

    def send(client: Client, _number: int) -> None:
        client.put_batch(body)

    return send


def readings_of(things: list[str], instants: int) -> pl.DataFrame:
    """Make readings of sensors that measure to three digits."""
    numbers = np.random.default_rng(1)
    rows = len(things) * instants
    return pl.DataFrame(
        {
            "thing": np.repeat(things, instants),
            "timestamp": np.tile(np.arange(instants, dtype=np.int64), len(things)),
            **{it: numbers.normal(20, 5, rows).round(3) for it in METRICS},
        }
    )


def ingest(data_dir: Path) -> Result:
    """Measure the command, its start included."""
    file = data_dir.with_name("readings.parquet")
    readings_of(THINGS, INGESTED_ROWS // len(THINGS)).write_parquet(file)
    start = time.monotonic()
    thingport(data_dir, "ingest", str(file), "--tenant", TENANT)
    seconds = time.monotonic() - start
    return Result("thingport ingest", 1, INGESTED_ROWS * len(METRICS), seconds)


def prepare(data_dir: Path) -> tuple[str, str]:
    """Make a tenant with things and a user; give API key and token."""
    metrics = [{"name": it, "valueType": "DOUBLE"} for it in METRICS]
    things = [
        {"id": it.lower(), "serialNumber": it, "thingDefinition": "pump"}
        for it in THINGS
    ]
    catalogue = data_dir.with_name("catalogue.json")
    catalogue.write_text(
        json.dumps(
            {
                "organizations": [{"name": "Maker"}],
                "thingDefinitions": [{"name": "pump", "metrics": metrics}],
                "things": things,
            }
        )
    )
    of_tenant = ("--tenant", TENANT)
    thingport(data_dir, "tenant", "add", TENANT)
    thingport(data_dir, "catalogue", "apply", str(catalogue), *of_tenant)
    user = ("ada@maker.example", "--organization", "Maker")
    thingport(data_dir, "user", "add", *user, *of_tenant)
    key = thingport(data_dir, "key", "add", "bench", *of_tenant)
    token = thingport(data_dir, "token", "add", "ada@maker.example", *of_tenant)
    return find_secret(key), find_secret(token)


def thingport(data_dir: Path, *words: str) -> str:
    """Run a command; give what it printed."""
    command = [*THINGPORT, *words, "--data-dir", str(data_dir)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout


def find_secret(printed: str) -> str:
    """Find the secret in what a command printed."""
    found = re.search(r"\btp_[a-z]+_\S+", printed)
    if found is None:
        raise ValueError(printed)
    return found.group()


@contextmanager
def serving(data_dir: Path) -> Iterator[str]:
    """Run a server for as long as the block lasts; give its address."""
    log = data_dir.with_name("server.log")
    command = [*THINGPORT, "serve", "--port", "0", "--data-dir", str(data_dir)]
    with (
        log.open("wb") as output,
        subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as server,
    ):
        try:
            yield wait_for_address(server, log)
        finally:
            server.terminate()


def wait_for_address(server: subprocess.Popen[bytes], log: Path) -> str:
    """Wait until a server listens; give its address."""
    while server.poll() is None:
        found = re.search(
            r"^Thingport is at (http://\S+)\n", log.read_text(), re.MULTILINE
        )
        if found:
            return found[1]
        time.sleep(0.05)
    raise RuntimeError(log.read_text())


if __name__ == "__main__":
    main()
