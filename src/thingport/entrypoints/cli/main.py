"""The command line of the service's own machine."""

import sys

import httpx
import typer
from rich.console import Console

from thingport.adapters.system.logs import configure_logs
from thingport.domain.errors import InvalidRequest, ThingportError
from thingport.entrypoints.cli import (
    administration,
    data,
    erasure,
    imports,
    service,
    upkeep,
)
from thingport_client import ClientError

_errors = Console(stderr=True, highlight=False, soft_wrap=True)

app = typer.Typer(
    name="thingport",
    help="Lets the owners of connected products take their data home.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("serve")(service.serve)
app.command("runner")(service.runner)
app.command("settings")(service.show_settings)
app.command("import")(imports.import_files)
app.command("ingest")(data.ingest)
app.command("compact")(upkeep.compact)
app.command("erase")(erasure.erase)

_tenant = typer.Typer(help="Tenants of this service.", no_args_is_help=True)
_tenant.command("add")(administration.add_tenant)
_tenant.command("retention")(erasure.retain)
_tenant.command("remove")(erasure.remove_tenant)
app.add_typer(_tenant, name="tenant")

for _name, _help, _command in (
    ("user", "Users of a tenant.", administration.add_user),
    ("key", "API keys of a tenant's client applications.", administration.add_key),
    ("token", "Personal access tokens of users.", administration.add_token),
):
    _group = typer.Typer(help=_help, no_args_is_help=True)
    _group.command("add")(_command)
    # A callback keeps the group a group while it has only one command.
    _group.callback()(lambda: None)
    app.add_typer(_group, name=_name)

_catalogue = typer.Typer(help="What a tenant's things are.", no_args_is_help=True)
_catalogue.command("apply")(data.apply_catalogue)
_catalogue.callback()(lambda: None)
app.add_typer(_catalogue, name="catalogue")


def main() -> None:
    """Run the command; an error is a sentence on standard error, and status 1."""
    configure_logs()
    try:
        app(prog_name="thingport")
    except InvalidRequest as error:
        for fault in error.faults:
            _errors.print(f"thingport: {fault}", markup=False)
        sys.exit(1)
    except (ThingportError, ClientError, httpx.TransportError) as error:
        _errors.print(f"thingport: {error}", markup=False)
        sys.exit(1)
