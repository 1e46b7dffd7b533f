"""Importing files over HTTP, from wherever they are."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, TaskID

from thingport.domain.data_import import TextGuard
from thingport.entrypoints.cli.options import AccessToken, ApiKey, TenantName, Url
from thingport_client import Client
from thingport_client.client import Bean

SOME_ROWS_REJECTED = 3
"""Exit status where a file was imported, but not all of its rows."""

_console = Console(highlight=False, soft_wrap=True)
_errors = Console(stderr=True, highlight=False)

Files = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE...",
        help="CSV files, or ZIPs of one each; one after the other.",
        exists=True,
        dir_okay=False,
        readable=True,
    ),
]


def import_files(  # noqa: PLR0913, PLR0917  # one parameter for each option
    files: Files,
    thing: Annotated[
        str, typer.Option("--thing", help="Id of the thing whose readings they are.")
    ],
    tenant: TenantName,
    api_key: ApiKey,
    token: AccessToken,
    url: Url = "http://127.0.0.1:8080",
    text_guard: Annotated[
        TextGuard,
        typer.Option(help="FORMULA takes away the ' that exports put before texts."),
    ] = TextGuard.NONE,
    header_row: Annotated[
        int, typer.Option(min=1, help="The line that the header is on.")
    ] = 1,
    as_json: Annotated[  # noqa: FBT002  # an option is a flag
        bool, typer.Option("--json", help="Print each import as a line of JSON.")
    ] = False,
) -> None:
    """Import readings of one thing over HTTP, and wait until they are stored.

    Ends with status 3 if rows were rejected; the others of the file are stored. With
    1 if a file could not be imported: nothing of it is stored, and the next are left.
    """
    is_whole = True
    with Client(url, tenant=tenant, api_key=api_key, pat=token) as client:
        for file in files:
            with Progress(
                console=_errors, transient=True, disable=not _errors.is_terminal
            ) as progress:
                task = progress.add_task(f"sending {file.name}")

                def on_bytes(done: int, total: int, task: TaskID = task) -> None:
                    progress.update(task, completed=done, total=total)

                sent = client.import_data(
                    thing,
                    file,
                    header_row=header_row,
                    text_guard=text_guard,
                    on_bytes=on_bytes,
                )
                bean = _wait(client, sent, progress, task)
            is_whole = _show(file, bean, as_json=as_json) and is_whole
    if not is_whole:
        raise typer.Exit(SOME_ROWS_REJECTED)


def _wait(client: Client, sent: Bean, progress: Progress, task: TaskID) -> Bean:
    bean = sent
    for bean in client.iter_import(sent["id"]):
        state = bean.get("progress", {})
        progress.update(
            task,
            description=f"{state.get('phase', bean['state']).lower()}",
            completed=state.get("percent", 0),
            total=100,
        )
    return bean


def _show(file: Path, bean: Bean, *, as_json: bool) -> bool:
    """Print what became of a file; whether all of it was stored."""
    rejected = int(bean.get("rowsRejected", 0))
    if as_json:
        typer.echo(json.dumps({"file": str(file), **bean}))
        return not rejected
    _console.print(
        f"{file.name}: {bean.get('rowsAccepted', 0):,} rows imported,"
        f" {rejected:,} rejected.",
        markup=False,
    )
    told: Sequence[Bean] = bean.get("rejectedRows", [])
    for row in told:
        _console.print(f"  line {row['line']}: {row['reason']}", markup=False)
    if rejected > len(told):
        _console.print(f"  and {rejected - len(told):,} more", markup=False)
    return not rejected
