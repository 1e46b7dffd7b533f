"""What the HTTP API needs of the service."""

import asyncio
from typing import Annotated, Protocol, cast

from fastapi import Depends, Request

from thingport.application.data_exports import DataExports
from thingport.application.data_imports import DataImports
from thingport.application.downloads import Downloads
from thingport.application.identity import Identity
from thingport.application.ports import ControlDatabase
from thingport.application.reading_batches import ReadingBatches
from thingport.application.readings import Readings
from thingport.settings import Settings


class HttpServices(Protocol):
    """The use cases that have a route, and what the way in itself needs."""

    @property
    def identity(self) -> Identity:
        """Who is asking."""
        ...

    @property
    def data_exports(self) -> DataExports:
        """Scheduling data exports, and looking at them."""
        ...

    @property
    def data_imports(self) -> DataImports:
        """Scheduling data imports, and looking at them."""
        ...

    @property
    def readings(self) -> Readings:
        """Writing readings."""
        ...

    @property
    def reading_batches(self) -> ReadingBatches:
        """Writing readings of many things."""
        ...

    @property
    def downloads(self) -> Downloads:
        """Handing out archives."""
        ...

    @property
    def control(self) -> ControlDatabase:
        """What must answer before the service is ready."""
        ...

    @property
    def settings(self) -> Settings:
        """The limits of the way in."""
        ...


async def _batch_turn_of(request: Request) -> asyncio.Semaphore:
    return cast("asyncio.Semaphore", request.app.state.batch_turn)


BatchTurn = Annotated[asyncio.Semaphore, Depends(_batch_turn_of)]
"""An endpoint's parameter: held by the one batch that is being read."""


async def _services_of(request: Request) -> HttpServices:
    # A coroutine, so that no thread is taken for this.
    return cast("HttpServices", request.app.state.services)


Services = Annotated[HttpServices, Depends(_services_of)]
"""An endpoint's parameter: the services that its application was made with."""
