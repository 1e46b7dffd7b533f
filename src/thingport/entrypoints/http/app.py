"""The HTTP application: routes, and the frame around every request."""

import asyncio
import re
import secrets
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic.json_schema import models_json_schema
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from thingport.domain.errors import ThingportError
from thingport.entrypoints.http.errors import (
    INTERNAL_ERROR,
    error_response,
    on_http_error,
    on_invalid_parameters,
    on_thingport_error,
    route_of,
)
from thingport.entrypoints.http.routes import (
    data_exports,
    data_imports,
    downloads,
    health,
    identity,
    values,
)
from thingport.entrypoints.http.schemas import REQUEST_BEANS
from thingport.entrypoints.http.services import HttpServices

BASE_PATHS = ("", "/api")
"""Where every route is; both are documented for the platform."""

_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

_log = structlog.get_logger(__name__)

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(services: HttpServices, *, lifespan: Lifespan | None = None) -> FastAPI:
    """Make the application; it opens and closes nothing of the services itself."""
    app = FastAPI(
        title="Thingport",
        summary="Takes the readings of connected products home.",
        version="1",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.services = services
    app.state.batch_turn = asyncio.Semaphore(1)
    for base_path in BASE_PATHS:
        for module in (data_exports, data_imports, downloads, identity, values, health):
            app.include_router(
                module.router, prefix=base_path, include_in_schema=not base_path
            )
        app.add_api_route(
            f"{base_path}/openapi.json", _openapi, include_in_schema=False
        )
    app.add_exception_handler(ThingportError, on_thingport_error)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(RequestValidationError, on_invalid_parameters)
    app.add_middleware(_Frame)
    return app


def _openapi(request: Request) -> JSONResponse:
    """Give the OpenAPI document of all routes."""
    document: dict[str, Any] = request.app.openapi()
    _, beans = models_json_schema(
        [(bean, "validation") for bean in REQUEST_BEANS],
        ref_template="#/components/schemas/{model}",
    )
    return JSONResponse(
        {
            **document,
            "components": {
                **document["components"],
                "schemas": {**document["components"]["schemas"], **beans["$defs"]},
            },
        }
    )


class _Frame:
    """The outermost frame: headers of every answer, and an answer to every bug."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(scope, receive, send)
        try:
            await self._app(scope, receive, answer.send)
        except ClientDisconnect:
            _log.info("client_left", route=route_of(scope))
        except Exception:
            _log.exception(
                "request_crashed", route=route_of(scope), request_id=answer.request_id
            )
            if answer.has_started:
                # The caller must see a broken answer, not one that seems whole.
                raise
            await answer.refuse(HTTPStatus.INTERNAL_SERVER_ERROR, INTERNAL_ERROR)


class _Answer:
    """Sends one answer on; what the framework refuses in plain text becomes JSON."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._is_replaced = False
        self.has_started = False
        self.request_id = _request_id(scope)

    async def send(self, message: Message) -> None:
        if self._is_replaced:
            return
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=message["headers"])
            if _is_plain_refusal(message["status"], headers):
                self._is_replaced = True
                await self._replace(message["status"], headers)
                return
            self._complete(headers)
            self.has_started = True
            message = {**message, "headers": headers.raw}
        await self._send(message)

    async def refuse(self, status: int, message: str) -> None:
        response = error_response(self._scope, status, message)
        self._complete(response.headers)
        self.has_started = True
        await response(self._scope, self._receive, self._send)

    async def _replace(self, status: int, headers: Headers) -> None:
        response = error_response(self._scope, status, HTTPStatus(status).phrase)
        if "content-range" in headers:
            response.headers["Content-Range"] = headers["content-range"]
        self._complete(response.headers)
        self.has_started = True
        await response(self._scope, self._receive, self._send)

    def _complete(self, headers: MutableHeaders) -> None:
        headers["X-Request-Id"] = self.request_id
        headers.setdefault("Cache-Control", "no-store")
        headers.setdefault("X-Content-Type-Options", "nosniff")


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _SANE_REQUEST_ID.fullmatch(given) else secrets.token_hex(16)


def _is_plain_refusal(status: int, headers: Headers) -> bool:
    is_json = "json" in headers.get("content-type", "")
    return status >= HTTPStatus.BAD_REQUEST and not is_json
