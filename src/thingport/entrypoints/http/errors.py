"""What each error is on the wire."""

import math
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus

import structlog
from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import Match
from starlette.types import Scope

from thingport.domain.data_export import InvalidTransition
from thingport.domain.data_import import ImportHasEnded
from thingport.domain.download_link import DownloadLinkRefused
from thingport.domain.errors import (
    Conflict,
    CorruptData,
    ImportersDied,
    ImportLeaseLost,
    InvalidRequest,
    LeaseLost,
    NotFound,
    PermissionDenied,
    RunnerDied,
    ThingportError,
    TransientError,
    Unauthenticated,
    UnusableDatabase,
    UnusableDataDirectory,
)
from thingport.entrypoints.http.data_import_request import NotAForm
from thingport.entrypoints.http.json_body import BodyTooLarge, NotJson

STATUS_OF: Mapping[type[ThingportError], HTTPStatus] = {
    InvalidRequest: HTTPStatus.BAD_REQUEST,
    Unauthenticated: HTTPStatus.UNAUTHORIZED,
    PermissionDenied: HTTPStatus.FORBIDDEN,
    DownloadLinkRefused: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.TOO_MANY_REQUESTS,
    BodyTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    NotJson: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    NotAForm: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    TransientError: HTTPStatus.SERVICE_UNAVAILABLE,
    CorruptData: HTTPStatus.INTERNAL_SERVER_ERROR,
    LeaseLost: HTTPStatus.INTERNAL_SERVER_ERROR,
    RunnerDied: HTTPStatus.INTERNAL_SERVER_ERROR,
    ImportLeaseLost: HTTPStatus.INTERNAL_SERVER_ERROR,
    ImportersDied: HTTPStatus.INTERNAL_SERVER_ERROR,
    ImportHasEnded: HTTPStatus.INTERNAL_SERVER_ERROR,
    InvalidTransition: HTTPStatus.INTERNAL_SERVER_ERROR,
    UnusableDatabase: HTTPStatus.INTERNAL_SERVER_ERROR,
    UnusableDataDirectory: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""The status of an error is that of the nearest class above it."""

RETRY_UNAVAILABLE = timedelta(seconds=5)
"""When to try again what a store was away for."""

INTERNAL_ERROR = "Internal Server Error"

_DAMAGED = (
    "Some of what is stored for this is damaged or gone; tell the operator of the"
    " service, who can restore it"
)
_UNAVAILABLE = "The service is not available for the moment; try again a little later"
_PROBLEM = "application/problem+json"

_log = structlog.get_logger(__name__)


def status_of(kind: type[ThingportError]) -> HTTPStatus:
    """Give the status of a kind of error; raises KeyError if nobody gave it one."""
    for ancestor in kind.__mro__:
        if ancestor in STATUS_OF:
            return STATUS_OF[ancestor]
    raise KeyError(kind)


def error_response(
    scope: Scope,
    status: int,
    message: str,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Give an error in the platform's form, or, if asked for, as RFC 9457 has it."""
    body: dict[str, object] = {"message": message}
    media_type = "application/json"
    if _wants_problem(scope):
        media_type = _PROBLEM
        body |= {
            "type": "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": message,
        }
    return JSONResponse(body, status, headers, media_type)


async def on_thingport_error(request: Request, error: Exception) -> JSONResponse:
    """Answer one of our own errors."""
    if not isinstance(error, ThingportError):
        raise error
    status = status_of(type(error))
    message = str(error)
    headers: dict[str, str] = {}
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("request_failed", route=route_of(request.scope), exc_info=error)
        message = _DAMAGED if isinstance(error, CorruptData) else INTERNAL_ERROR
    if isinstance(error, TransientError):
        _log.warning("request_not_served", reason=message)
        message = _UNAVAILABLE
        headers["Retry-After"] = retry_after(RETRY_UNAVAILABLE)
    if isinstance(error, Conflict):
        headers["Retry-After"] = retry_after(error.retry_after)
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    return error_response(request.scope, status, message, headers)


async def on_http_error(request: Request, error: Exception) -> JSONResponse:
    """Answer what the framework itself refuses: unknown routes and wrong methods."""
    if not isinstance(error, HTTPException):
        raise error
    scope, method = request.scope, request.method
    if error.status_code == HTTPStatus.NOT_FOUND:
        message = f"There is no such route: {method} {request.url.path[:200]}"
        return error_response(scope, error.status_code, message)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = ", ".join(_methods_at(request))
        message = f"{method[:20]} is not allowed here; allowed: {allowed}"
        return error_response(scope, error.status_code, message, {"Allow": allowed})
    return error_response(scope, error.status_code, error.detail, error.headers)


async def on_invalid_parameters(request: Request, error: Exception) -> JSONResponse:
    """Answer what the framework cannot read."""
    _log.info("parameters_not_valid", reason=str(error))
    return error_response(request.scope, HTTPStatus.BAD_REQUEST, "Bad request")


def retry_after(pause: timedelta) -> str:
    """Give a pause as its header has it: whole seconds, never less than asked for."""
    return str(max(1, math.ceil(pause.total_seconds())))


def route_of(scope: Scope) -> str:
    """Name the route of a request for the log: never its address, which may sign."""
    return str(getattr(scope.get("route"), "path", "unknown"))


def _wants_problem(scope: Scope) -> bool:
    return any(
        name == b"accept" and _PROBLEM.encode() in value.lower()
        for name, value in scope["headers"]
    )


def _methods_at(request: Request) -> list[str]:
    """List the methods that some route takes at the address of a request."""
    return [
        method
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE")
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.router.routes
        )
    ]
