"""Four ways in at once, killed again and again: what was answered is there, in order.

The judge is a model of intervals, as concurrent writes have no order of their own: the
last value of a cell is one whose write was not over before another, that was answered,
began. Deletions write nothing at all, and count as any other write.
"""

import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from running import (
    TENANT,
    THINGPORT,
    Credentials,
    add_tenant,
    add_user,
    environment,
    export,
    serving,
    wait_until,
)
from thingport_client import Client, ClientError

CATALOGUE = """\
organizations:
  - {name: Maker}
thingDefinitions:
  - name: Pump
    metrics:
      - {name: a, valueType: LONG}
      - {name: b, valueType: LONG}
things:
  - {id: P1, serialNumber: P1, thingDefinition: Pump}
  - {id: P2, serialNumber: P2, thingDefinition: Pump}
"""

Cell = tuple[str, int, str]
"""Thing, timestamp, metric."""

THINGS, METRICS, SHARED_TIMESTAMPS = ("P1", "P2"), ("a", "b"), range(5)

ROUNDS = 3
WRITES_OF_EACH = 3
"""What each writer gets answered in a round before the server is killed."""


@dataclass
class Write:
    """One call.

    Attributes:
        cells: What it writes; ``None`` deletes.
        ended: When its caller knew that it was over, whatever came of it.
        was_answered: Whether the server said that it is durable.
    """

    cells: Mapping[Cell, int | None]
    began: float = field(default_factory=time.monotonic)
    ended: float = float("inf")
    was_answered: bool = False


@dataclass
class Writers:
    """Four writers of one tenant, and all that they have tried.

    Attributes:
        seed: Of the choices of each; which of them meet is up to the machine.
    """

    directory: Path
    data_dir: Path
    settings: Mapping[str, str]
    seed: int
    writes: list[Write] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)
    _gate: threading.Lock = field(default_factory=threading.Lock)
    _number: int = 0
    _ingest: subprocess.Popen[bytes] | None = None

    def put(self, client: Client, choose: random.Random) -> None:
        thing, metric = choose.choice(THINGS), choose.choice(METRICS)
        shared = choose.sample(SHARED_TIMESTAMPS, 2)
        cells = {
            (thing, at, metric): self._next()
            for at in [*shared, *self._own_timestamps()]
        }
        with self._writing(cells):
            values = [(at, value) for (_, at, _), value in cells.items()]
            client.put_values(thing, metric, list[tuple[int, object]](values))

    def post(self, client: Client, choose: random.Random) -> None:
        cells = self._some_cells(choose)
        batch = [
            {
                "thingId": thing,
                "data": [{"timestamp": at, "values": {metric: value}}],
            }
            for (thing, at, metric), value in cells.items()
        ]
        with self._writing(cells):
            client.put_batch(batch)

    def delete(self, client: Client, choose: random.Random) -> None:
        """Delete now, and write by Arrow the next time."""
        if choose.random() < 0.5:
            return self._post_arrow(client, choose)
        thing, metric = choose.choice(THINGS), choose.choice(METRICS)
        start, end = sorted(choose.sample(range(6), 2))
        cells = {(thing, at, metric): None for at in range(start, end)}
        with self._writing(cells):
            client.delete_values(thing, metric, start, end)
        return None

    def _post_arrow(self, client: Client, choose: random.Random) -> None:
        cells = self._some_cells(choose)
        table = _table(cells)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        with self._writing(cells):
            client.put_batch(sink.getvalue().to_pybytes())

    def ingest(self, _client: Client, choose: random.Random) -> None:
        cells = self._some_cells(choose)
        file = self.directory / f"{self._next()}.parquet"
        pq.write_table(_table(cells), file)
        place = ["--tenant", TENANT, "--data-dir", str(self.data_dir)]
        with self._writing(cells):
            self._ingest = subprocess.Popen(
                [*THINGPORT, "ingest", str(file), *place],
                env=environment(**self.settings),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            if self._ingest.wait() != 0:
                raise ClientError("it was killed")

    def kill_ingest(self) -> None:
        if self._ingest is not None:
            self._ingest.send_signal(signal.SIGKILL)

    def run(self, client: Client, write: Callable[..., None], name: str) -> None:
        """Write until it is over, or the server is gone."""
        choose = random.Random(f"{self.seed} {name} {len(self.writes)}")
        with suppress(ClientError, httpx.TransportError):
            while not self.is_over.is_set():
                write(client, choose)

    def _next(self) -> int:
        with self._gate:
            self._number += 1
            return self._number

    def _own_timestamps(self) -> tuple[int, int]:
        """Give two that nobody else writes: both are there, or none of them."""
        own = 1_000 + 2 * self._next()
        return own, own + 1

    def _some_cells(self, choose: random.Random) -> Mapping[Cell, int]:
        shared = [
            (thing, at, metric)
            for thing in THINGS
            for at in SHARED_TIMESTAMPS
            for metric in METRICS
        ]
        one, other = self._own_timestamps()
        chosen = [*choose.sample(shared, 4), ("P1", one, "a"), ("P2", other, "b")]
        return {cell: self._next() for cell in chosen}

    @contextmanager
    def _writing(self, cells: Mapping[Cell, int | None]) -> Iterator[None]:
        write = Write(cells)
        with self._gate:
            self.writes.append(write)
        try:
            yield
            write.was_answered = True
        finally:
            write.ended = time.monotonic()

    def assert_holds(self, found: Mapping[Cell, int]) -> None:
        """Hold what is there to what may be there."""
        by_cell: dict[Cell, list[tuple[Write, int | None]]] = {}
        for write in self.writes:
            for cell, value in write.cells.items():
                by_cell.setdefault(cell, []).append((write, value))
        for cell, tried in by_cell.items():
            begins = [write.began for write, _ in tried if write.was_answered]
            last_began = max(begins, default=float("-inf"))
            possible = {value for write, value in tried if write.ended >= last_began}
            if not begins:
                possible.add(None)
            assert found.get(cell) in possible, cell
        assert found.keys() <= by_cell.keys()
        for write in self.writes:
            own = [it for it in write.cells if it[1] >= 1_000]
            assert len({it in found for it in own}) <= 1, "half of a write"


def _table(cells: Mapping[Cell, int]) -> pa.Table:
    rows = list(cells.items())
    return pa.table(
        {
            "thing": [thing for (thing, _, _), _ in rows],
            "timestamp": [at for (_, at, _), _ in rows],
            **{
                name: pa.array(
                    [
                        value if metric == name else None
                        for (_, _, metric), value in rows
                    ],
                    pa.int64(),
                )
                for name in METRICS
            },
        }
    )


def _run_a_round(writers: Writers, credentials: Credentials, *, is_last: bool) -> None:
    """Let all write for a while, then kill whoever stores."""
    ways = (writers.put, writers.post, writers.delete, writers.ingest)
    with (
        serving(writers.data_dir, **writers.settings) as server,
        ThreadPoolExecutor(len(ways)) as pool,
    ):
        answered = [0] * len(ways)

        def run(number: int) -> None:
            def write(client: Client, choose: random.Random) -> None:
                ways[number](client, choose)
                answered[number] += 1

            with server.client(credentials) as client:
                writers.run(client, write, ways[number].__name__)

        writers.is_over.clear()
        running: list[Future[None]] = [pool.submit(run, it) for it in range(len(ways))]
        wait_until(lambda: min(answered) >= WRITES_OF_EACH, f"writes: {answered}")
        if not is_last:
            server.kill_all()
            writers.kill_ingest()
        writers.is_over.set()
        for it in running:
            it.result()


def _read(client: Client, path: Path) -> Mapping[Cell, int]:
    asked = {
        "thingFileName": "${thing.serialNumber}",
        "timestampFormat": "EPOCH_MILLIS",
    }
    found: dict[Cell, int] = {}
    for name, content in export(client, asked, path).items():
        header, *rows = content.decode().splitlines()
        assert header == "TIMESTAMP,a,b"
        for row in rows:
            at, *values = row.split(",")
            cells = zip(METRICS, values, strict=True)
            thing = name.removesuffix(".csv")
            found |= {(thing, int(at), it): int(value) for it, value in cells if value}
    return found


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_what_was_answered_is_kept_in_the_order_of_writing(
    database: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data_dir, settings = tmp_path / "data", dict[str, str]()
    if database == "postgresql":
        settings["DATABASE_URL"] = request.getfixturevalue("empty_postgres_url")
        monkeypatch.setenv("THINGPORT_DATABASE_URL", settings["DATABASE_URL"])
    add_tenant(data_dir, CATALOGUE)
    credentials = add_user(data_dir, "m@acme.example", "--organization", "Maker")
    writers = Writers(tmp_path, data_dir, settings, seed=7)

    for number in range(ROUNDS):
        _run_a_round(writers, credentials, is_last=number == ROUNDS - 1)

    with (
        serving(data_dir, **settings) as server,
        server.client(credentials) as client,
    ):
        found = _read(client, tmp_path / "archive.zip")
    writers.assert_holds(found)
    assert len(found) > len(SHARED_TIMESTAMPS), "nothing was written"
