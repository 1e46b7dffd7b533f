"""Looking after the lakes, on the server's own machine."""

from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from thingport.application.housekeeping import Housekeeping
from thingport.application.upkeep_ports import LakeSize
from thingport.bootstrap.services import open_services
from thingport.domain.catalogue import Tenant
from thingport.entrypoints.cli.options import DataDir
from thingport.settings import read_settings

_console = Console(highlight=False, soft_wrap=True)
_errors = Console(stderr=True, highlight=False)

SomeTenant = Annotated[
    str | None,
    typer.Option(
        "--tenant",
        envvar="THINGPORT_TENANT",
        help="The tenant's name; without it, all of them.",
    ),
]


def compact(data_dir: DataDir, tenant: SomeTenant = None) -> None:
    """Merge the files of readings into few, sorted ones; delete what has passed.

    A runner does this by itself, less thoroughly. It may run beside a server.
    """
    with open_services(read_settings(data_dir=data_dir)) as services:
        housekeeping = services.housekeeping
        tenants = (
            housekeeping.list_tenants()
            if tenant is None
            else [services.get_tenant(tenant)]
        )
        for each in tenants:
            _compact(housekeeping, each)


def _compact(housekeeping: Housekeeping, tenant: Tenant) -> None:
    before = housekeeping.measure(tenant.id)
    snapshots = leftovers = 0
    with Progress(console=_errors, transient=True) as progress:
        task = progress.add_task(f"compacting {tenant.name}", total=before.files)
        for step in housekeeping.iter_steps(tenant.id, is_thorough=True):
            progress.advance(task, step.merged_files)
            snapshots += step.expired_snapshots
            leftovers += step.deleted_files
    after = housekeeping.measure(tenant.id)
    _console.print(
        f"{tenant.name}: {_text(before)} before, {_text(after)} after;"
        f" {snapshots:,} snapshots expired, {leftovers:,} leftovers deleted.",
        markup=False,
    )


def _text(size: LakeSize) -> str:
    return (
        f"{size.files:,} files with {size.size_bytes:,} bytes"
        f" ({size.kept_bytes:,} on disk)"
    )
