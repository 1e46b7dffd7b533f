"""What the server process serves."""

from collections.abc import AsyncGenerator
from contextlib import ExitStack, asynccontextmanager

from fastapi import FastAPI

from thingport.bootstrap.services import open_services
from thingport.entrypoints.http.app import create_app
from thingport.settings import read_settings


def create() -> FastAPI:
    """Make the application from the environment; its end closes the services."""
    stack = ExitStack()
    settings = read_settings()
    services = stack.enter_context(open_services(settings))

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        with stack:
            yield

    return create_app(services, lifespan=lifespan)
