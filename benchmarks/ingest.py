"""How fast readings come in, by each way, durable when answered: values a second.

    python benchmarks/ingest.py [--ingested-rows N] [--seconds N]

Ingests a file of 1,000 things with 12 metrics, in the order of time; then starts a
server of its own with a throw-away data directory, and sends it readings of 100 of
them. Prints a table, with what is aimed at. Takes less than two minutes.
"""

import argparse
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
THINGS = [f"T{number:03}" for number in range(1_000)]
SENT_THINGS = THINGS[:100]
METRICS = [f"metric {number}" for number in range(12)]

SENDERS = 2
"""How many clients send at the same time."""

INGEST_AIM, ARROW_AIM, JSON_AIM = 5_000_000, 500_000, 100_000
"""Values a second that each way is to take, on two cores."""


@dataclass(frozen=True)
class Result:
    """What one way achieved; what is aimed at, of the best request size of a way."""

    way: str
    requests: int
    values: int
    seconds: float
    aim: int | None = None


def main() -> None:
    """Measure every way and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ingested-rows", type=int, default=3_000_000)
    parser.add_argument("--seconds", type=float, default=8, help="for each over HTTP")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        data_dir = Path(directory) / "data"
        secrets = prepare(data_dir)
        results = [ingest(data_dir, arguments.ingested_rows)]
        with serving(data_dir) as base_url:
            ways = (
                Way("batch, Arrow, large", send_arrow(1_000), 1_200_000, ARROW_AIM),
                Way("batch, Arrow, small", send_arrow(10), 12_000),
                Way("batch, JSON, large", send_json(100), 120_000, JSON_AIM),
                Way("batch, JSON, small", send_json(10), 12_000),
                Way("PUT /data/values", put_values, 1_000),
            )
            results += [
                measure(it, base_url, secrets, arguments.seconds) for it in ways
            ]
    show(results)


def show(results: list[Result]) -> None:
    """Print what was measured."""
    table = Table("way in", "requests", "values", "seconds", "values/s", "aim")
    for column in table.columns[1:]:
        column.justify = "right"
    for it in results:
        rate = f"{it.values / it.seconds:,.0f}"
        aim = "" if it.aim is None else f"{it.aim:,}"
        counts = (f"{it.requests:,}", f"{it.values:,}", f"{it.seconds:.1f}")
        table.add_row(it.way, *counts, rate, aim)
    Console(width=100).print(table)


Send = Callable[[Client, int], None]
"""Sends one request; the number makes its instants new ones."""


@dataclass(frozen=True)
class Way:
    """One kind of request over HTTP, and how many values it has."""

    name: str
    send: Send
    values: int
    aim: int | None = None


def measure(
    way: Way, base_url: str, secrets: tuple[str, str], seconds: float
) -> Result:
    """Send for some seconds, from several clients at once."""
    api_key, pat = secrets

    def work(sender: int) -> int:
        sent = 0
        with Client(base_url, tenant=TENANT, api_key=api_key, pat=pat) as client:
            while time.monotonic() < end:
                way.send(client, sent * SENDERS + sender)
                sent += 1
        return sent

    with Client(base_url, tenant=TENANT, api_key=api_key, pat=pat) as client:
        way.send(client, 0)
    start = time.monotonic()
    end = start + seconds
    with ThreadPoolExecutor(SENDERS) as pool:
        requests = sum(pool.map(work, range(SENDERS)))
    values = requests * way.values
    return Result(way.name, requests, values, time.monotonic() - start, way.aim)


def put_values(client: Client, number: int) -> None:
    """Send values of one metric of one thing."""
    values: list[tuple[int, object]] = [
        (number * 1_000 + it, it / 8) for it in range(1_000)
    ]
    client.put_values(
        SENT_THINGS[number % len(SENT_THINGS)].lower(), METRICS[0], values
    )


def send_json(instants: int) -> Send:
    """Make a sender of readings of all things, which the client turns into JSON."""
    readings = [
        {"timestamp": at, "values": dict.fromkeys(METRICS, at / 8)}
        for at in range(instants)
    ]
    body = [{"thingId": it.lower(), "data": readings} for it in SENT_THINGS]

    def send(client: Client, _number: int) -> None:
        client.put_batch(body)

    return send


def send_arrow(instants: int) -> Send:
    """Make a sender of readings of all things, as an Arrow IPC stream."""
    frame = readings_of(SENT_THINGS, instants)
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


def ingest(data_dir: Path, rows: int) -> Result:
    """Measure the command, its start included."""
    file = data_dir.with_name("readings.parquet")
    frame = readings_of(THINGS, rows // len(THINGS))
    frame.sort("timestamp", maintain_order=True).write_parquet(file)
    values = frame.height * len(METRICS)
    del frame
    start = time.monotonic()
    thingport(data_dir, "ingest", str(file), "--tenant", TENANT)
    return Result(
        "thingport ingest", 1, values, time.monotonic() - start, aim=INGEST_AIM
    )


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
