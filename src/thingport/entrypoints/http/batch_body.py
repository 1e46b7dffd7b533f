"""The body of a batch: large, so it waits on the disk for its turn."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import Annotated

from fastapi import Depends, Request

from thingport.domain.errors import StoreUnavailable
from thingport.entrypoints.http.json_body import (
    check_json_headers,
    check_not_compressed,
    iter_blocks,
    media_type_of,
)
from thingport.entrypoints.http.services import Services

ARROW_STREAM = "application/vnd.apache.arrow.stream"

_DUE = f"JSON in UTF-8 or {ARROW_STREAM}"

_IN_MEMORY_BYTES = 1024 * 1024
"""What of a body is kept in memory while it arrives, however slowly."""


@dataclass(frozen=True, slots=True)
class BatchBody:
    """A body that has arrived whole.

    Attributes:
        is_arrow: Whether it is an Arrow IPC stream, or else JSON.
    """

    file: SpooledTemporaryFile[bytes]
    is_arrow: bool

    def read(self) -> bytes:
        """Give all of it."""
        self.file.seek(0)
        return self.file.read()


async def _receive_body(
    request: Request, services: Services
) -> AsyncGenerator[BatchBody]:
    is_arrow = _is_arrow(request)
    most = services.settings.max_batch_bytes
    with SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as file:
        async for block in iter_blocks(request, most):
            try:
                file.write(block)
            except OSError as error:
                reason = f"a body cannot be kept: {error.strerror}"
                raise StoreUnavailable("the temporary folder", reason) from error
        yield BatchBody(file, is_arrow)


def _is_arrow(request: Request) -> bool:
    if media_type_of(request) != ARROW_STREAM:
        check_json_headers(request, _DUE)
        return False
    check_not_compressed(request, _DUE)
    return True


ReceivedBatch = Annotated[BatchBody, Depends(_receive_body)]
"""An endpoint's parameter: a batch, said to be JSON or an Arrow IPC stream."""
