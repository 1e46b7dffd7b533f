"""Catalogue and readings, on the server's own machine."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from thingport.bootstrap.services import open_services
from thingport.entrypoints.cli.options import DataDir, TenantName
from thingport.settings import read_settings

_console = Console(highlight=False, soft_wrap=True)
_errors = Console(stderr=True, highlight=False)

File = Annotated[
    Path,
    typer.Argument(
        help="The file to read.", exists=True, dir_okay=False, readable=True
    ),
]


def apply_catalogue(file: File, tenant: TenantName, data_dir: DataDir) -> None:
    """Create and update what a YAML or JSON file says, all of it or nothing."""
    with open_services(read_settings(data_dir=data_dir)) as services:
        changes = services.apply_catalogue(tenant, file)
    for change in changes:
        _console.print(str(change), markup=False)
    _console.print(f"{_count(len(changes), 'change')}.", markup=False)


def ingest(file: File, tenant: TenantName, data_dir: DataDir) -> None:
    """Store the readings of a Parquet file, all of them or none.

    Columns: thing (serial number), timestamp (UTC milliseconds, or a timestamp),
    and one for each metric, by its name.
    """
    with (
        open_services(read_settings(data_dir=data_dir)) as services,
        Progress(
            console=_errors, transient=True, disable=not _errors.is_terminal
        ) as progress,
    ):
        task = progress.add_task("ingesting", total=None)

        def on_progress(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        report = services.ingest_parquet(tenant, file, on_progress)
    _console.print(
        f"Stored {_count(report.rows, 'row')} with "
        f"{_count(report.values, 'value')} of {_count(report.things, 'thing')}.",
        markup=False,
    )


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
