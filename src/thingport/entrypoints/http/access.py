"""Who is asking, and whether they may."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Header, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from thingport.domain.actor import Actor
from thingport.domain.errors import InvalidRequest, Unauthenticated
from thingport.domain.permissions import Permission
from thingport.entrypoints.http.services import Services

_BEARER = HTTPBearer(auto_error=False, bearerFormat="JWT", scheme_name="bearer")


async def _tenant_name(
    servitly: Annotated[
        str | None,
        Header(alias="X-Servitly-Tenant", description="The name of the tenant."),
    ] = None,
    semioty: Annotated[
        str | None,
        Header(alias="X-Semioty-Tenant", description="The older name of that header."),
    ] = None,
) -> str:
    name = servitly or semioty
    if not name:
        raise InvalidRequest("X-Servitly-Tenant header is required")
    return name


TenantName = Annotated[str, Depends(_tenant_name)]
"""An endpoint's parameter: the tenant that the caller names, not proved."""


def _authenticate(
    services: Services,
    tenant_name: TenantName,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
) -> Actor:
    if bearer is None:
        raise Unauthenticated
    return services.identity.authenticate(tenant_name, bearer.credentials)


def _may(*permissions: Permission) -> Callable[..., Coroutine[Any, Any, Actor]]:
    async def require(actor: Annotated[Actor, Depends(_authenticate)]) -> Actor:
        actor.require(*permissions)
        return actor

    return require


Exporter = Annotated[Actor, Depends(_may(Permission.EXPORT_DATA))]
"""An endpoint's parameter: a caller who may export, checked before the body."""

Importer = Annotated[Actor, Depends(_may(Permission.IMPORT_DATA))]
"""An endpoint's parameter: a caller who may import, checked before the body."""

ValueWriter = Annotated[
    Actor, Depends(_may(Permission.READ_THING, Permission.WRITE_METRIC_VALUE))
]
"""An endpoint's parameter: a caller who may write values."""

ValueDeleter = Annotated[
    Actor, Depends(_may(Permission.READ_THING, Permission.DELETE_METRIC_VALUE))
]
"""An endpoint's parameter: a caller who may delete values."""
