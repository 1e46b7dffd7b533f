"""Erasing readings, keeping them for a time, and removing tenants."""

import getpass
import json
import os
import secrets
import sys
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from thingport.application.erasure import DEFAULT_WITHIN
from thingport.bootstrap.services import open_services
from thingport.domain.csv_format import format_timestamp
from thingport.domain.data_export import TimestampFormat
from thingport.domain.erasure import ErasureRecord
from thingport.domain.errors import InvalidRequest
from thingport.domain.period import epoch_ms
from thingport.entrypoints.cli.options import DataDir, TenantName
from thingport.settings import read_settings

_console = Console(highlight=False, soft_wrap=True)
_errors = Console(stderr=True, highlight=False, soft_wrap=True)

_DURATION = TypeAdapter(timedelta)

Things = Annotated[
    list[str] | None,
    typer.Option(
        "--thing",
        help="Serial number or id of a thing, meant with its sub-things; as often as "
        "there are things.",
    ),
]

Customer = Annotated[
    str | None,
    typer.Option(help="Code or id of a customer: all that stands at its locations."),
]

Within = Annotated[
    str,
    typer.Option(
        help="How long exports of other things may go on meanwhile, in seconds or "
        "ISO 8601; then they are ended."
    ),
]


def erase(  # noqa: PLR0913, PLR0917  # one parameter for each option
    tenant: TenantName,
    data_dir: DataDir,
    thing: Things = None,
    customer: Customer = None,
    within: Within = f"PT{DEFAULT_WITHIN // timedelta(hours=1)}H",
    report: Annotated[
        Path | None,
        typer.Option(help="File for the record of the erasure, as JSON."),
    ] = None,
) -> None:
    """Erase all readings of things from lake, views and archives, and prove it.

    The things stay in the catalogue. It may run beside a server, and be broken off and
    run again at any time. Exit status 1: something is left, run it again.
    """
    patience = _parse_duration(within)
    if report is not None and not report.absolute().parent.is_dir():
        raise InvalidRequest("--report: its folder is not there")
    with open_services(read_settings(data_dir=data_dir)) as services:
        found_tenant = services.get_tenant(tenant)
        things = services.erasure.find_things(found_tenant, thing or [], customer)
        record = services.erasure.erase(
            found_tenant, things, within=patience, tell=_tell
        )
    text = json.dumps(_document(record), indent=2)
    if report is not None:
        _write_whole(report, f"{text}\n")
    _console.print(text, markup=False)
    if not record.verification.is_clean:
        _errors.print("thingport: something is left; run it again", markup=False)
        sys.exit(1)


def retain(
    name: Annotated[str, typer.Argument(help="The tenant's name.")],
    data_dir: DataDir,
    months: Annotated[
        int | None, typer.Option(help="Calendar months to keep readings for.")
    ] = None,
    forever: Annotated[
        bool | None, typer.Option("--forever", help="Keep readings for ever.")
    ] = None,
) -> None:
    """Say or set for how long a tenant's readings are kept."""
    if months is not None and forever:
        raise InvalidRequest("--months and --forever exclude each other")
    with open_services(read_settings(data_dir=data_dir)) as services:
        tenant = services.get_tenant(name)
        if months is not None or forever:
            services.retention.set_months(tenant, months)
        kept = services.retention.get_months(tenant)
    duration = "for ever" if kept is None else f"for {kept} calendar months"
    _console.print(f"Readings of {name} are kept {duration}.", markup=False)


def remove_tenant(
    name: Annotated[str, typer.Argument(help="The tenant's name.")],
    data_dir: DataDir,
    yes: Annotated[
        bool | None, typer.Option("--yes", help="Do not ask for the name once more.")
    ] = None,
) -> None:
    """Remove a tenant and all that is kept of it: there is no way back.

    It may run beside a server, and be broken off; then run it again.
    """
    if not yes and typer.prompt(f"Type {name} to remove it") != name:
        raise InvalidRequest("that is not its name; nothing was removed")
    with open_services(read_settings(data_dir=data_dir)) as services:
        services.tenant_removal.remove(name, _tell)
    _console.print(f"Tenant {name} is removed.", markup=False)


def _parse_duration(text: str) -> timedelta:
    try:
        duration = _DURATION.validate_python(float(text) if text.isdigit() else text)
    except ValidationError:
        duration = timedelta(-1)
    if duration < timedelta(0):
        raise InvalidRequest("--within: must be seconds, or ISO 8601 such as PT1H")
    return duration


def _tell(sentence: str) -> None:
    _errors.print(sentence, markup=False)


def _document(record: ErasureRecord) -> dict[str, object]:
    """Give what is written of an erasure; no reading is in it."""
    fields = asdict(record)
    for name, value in fields.items():
        if isinstance(value, datetime):
            fields[name] = format_timestamp(epoch_ms(value), TimestampFormat.ISO_8601)
    return {
        "erased_by": getpass.getuser(),
        "is_complete": record.verification.is_clean,
        **fields,
    }


def _write_whole(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with temporary.open("x") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise InvalidRequest(f"--report: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)
