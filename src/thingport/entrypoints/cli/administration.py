"""Tenants, users, keys and tokens; secrets are printed once."""

from typing import Annotated

import typer
from rich.console import Console

from thingport.bootstrap.services import open_services
from thingport.domain.errors import InvalidRequest
from thingport.domain.permissions import Permission
from thingport.entrypoints.cli.options import DataDir, Permissions, TenantName
from thingport.settings import read_settings

_console = Console(highlight=False, soft_wrap=True)

_EVERY_PERMISSION = ",".join(Permission)


def add_tenant(
    name: Annotated[str, typer.Argument(help="As it stands in X-Servitly-Tenant.")],
    data_dir: DataDir,
) -> None:
    """Add a tenant."""
    with open_services(read_settings(data_dir=data_dir)) as services:
        tenant = services.identity.add_tenant(name)
    _console.print(f"Tenant {tenant.name} is added.", markup=False)


def add_user(  # noqa: PLR0913, PLR0917  # one parameter for each option
    email: Annotated[str, typer.Argument(help="Who it is.")],
    tenant: TenantName,
    data_dir: DataDir,
    permissions: Permissions = _EVERY_PERMISSION,
    organization: Annotated[
        str | None, typer.Option(help="Name of the organization of the user.")
    ] = None,
    partner: Annotated[
        str | None, typer.Option(help="Name of the partner of the user.")
    ] = None,
    customer: Annotated[
        str | None, typer.Option(help="Code of the customer of the user.")
    ] = None,
    location: Annotated[
        str | None,
        typer.Option(help="Name of a location; goes with --customer."),
    ] = None,
) -> None:
    """Add a user of an organization, a partner, a customer or a location."""
    with open_services(read_settings(data_dir=data_dir)) as services:
        user = services.identity.add_user(
            tenant,
            email,
            permissions=parse_permissions(permissions),
            organization=organization,
            partner=partner,
            customer=customer,
            location=location,
        )
    _console.print(f"User {user.email} is added.", markup=False)


def add_key(
    name: Annotated[str, typer.Argument(help="What the client application is.")],
    tenant: TenantName,
    data_dir: DataDir,
    permissions: Permissions = _EVERY_PERMISSION,
) -> None:
    """Add an API key; its users can do no more than the key allows."""
    with open_services(read_settings(data_dir=data_dir)) as services:
        secret = services.identity.add_api_key(
            tenant, name, parse_permissions(permissions)
        )
    _print_secret("API key", secret)


def add_token(
    email: Annotated[str, typer.Argument(help="Whose token it is.")],
    tenant: TenantName,
    data_dir: DataDir,
    name: Annotated[str, typer.Option(help="What the token is for.")] = "default",
) -> None:
    """Add a personal access token, with which a program logs in as a user."""
    with open_services(read_settings(data_dir=data_dir)) as services:
        secret = services.identity.add_access_token(tenant, email, name)
    _print_secret("Personal access token", secret)


def parse_permissions(text: str) -> frozenset[Permission]:
    """Read names of permissions with commas between them.

    Raises:
        InvalidRequest: A name is unknown; lists the known ones.
    """
    names = [it.strip() for it in text.split(",") if it.strip()]
    unknown = [it for it in names if it not in Permission.__members__]
    if unknown:
        raise InvalidRequest(
            f"--permissions: {', '.join(unknown)} unknown; known are "
            f"{', '.join(Permission)}"
        )
    return frozenset(Permission(it) for it in names)


def _print_secret(what: str, secret: str) -> None:
    _console.print(f"{what}, shown this once:", markup=False)
    _console.print(secret, markup=False)
