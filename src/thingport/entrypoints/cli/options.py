"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[
    Path,
    typer.Option(
        envvar="THINGPORT_DATA_DIR",
        help="Folder for everything that is kept; made where it is missing.",
    ),
]

TenantName = Annotated[
    str, typer.Option("--tenant", envvar="THINGPORT_TENANT", help="The tenant's name.")
]

Permissions = Annotated[
    str, typer.Option(help="Names of permissions, with commas between them.")
]

Url = Annotated[
    str,
    typer.Option(
        "--url", envvar="THINGPORT_URL", help="Where the service is, from outside."
    ),
]

ApiKey = Annotated[
    str,
    typer.Option(
        "--api-key",
        envvar="THINGPORT_API_KEY",
        help="The secret of an API key; better in the environment.",
    ),
]

AccessToken = Annotated[
    str,
    typer.Option(
        "--token",
        envvar="THINGPORT_TOKEN",
        help="A personal access token; better in the environment.",
    ),
]
