"""Calls an application in this process, without a server between."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TypedDict, Unpack

import httpx
from starlette.types import ASGIApp


class Options(TypedDict, total=False):
    """What a call may have."""

    headers: Mapping[str, str] | Sequence[tuple[bytes, bytes]]
    content: bytes | AsyncIterator[bytes]
    json: object


class AppClient:
    """A client for one application; each call has an event loop of its own."""

    def __init__(self, app: ASGIApp, headers: dict[str, str] | None = None) -> None:
        self._app = app
        self._headers = headers or {}

    def request(
        self, method: str, path: str, **options: Unpack[Options]
    ) -> httpx.Response:
        return asyncio.run(self._request(method, path, **options))

    def get(self, path: str, **options: Unpack[Options]) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Unpack[Options]) -> httpx.Response:
        return self.request("POST", path, **options)

    def put(self, path: str, **options: Unpack[Options]) -> httpx.Response:
        return self.request("PUT", path, **options)

    async def _request(
        self, method: str, path: str, **options: Unpack[Options]
    ) -> httpx.Response:
        transport = httpx.ASGITransport(self._app)
        async with httpx.AsyncClient(
            transport=transport,
            base_url="http://thingport.test",
            headers=self._headers,
        ) as client:
            return await client.request(method, path, **options)
