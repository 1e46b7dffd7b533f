"""The request of ``POST /data/dataImports``: its query, and its file as it arrives."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from thingport.application.data_imports import DataImportRequest
from thingport.domain.data_import import TextGuard
from thingport.domain.errors import CallerError, InvalidRequest
from thingport.domain.ids import ThingId
from thingport.entrypoints.http.json_body import (
    BodyTooLarge,
    check_not_compressed,
    iter_blocks,
)

FILE = "file"
"""The name of the part that is imported; others are skipped."""

_PARAMETERS = ("thingId", "csvHeaderRow", "textGuard")
_WHOLE_NUMBER = re.compile(r"[0-9]{1,7}")
_FRAME_BYTES = 64 * 1024
"""What a form may have besides its file."""


class NotAForm(CallerError):
    """The body is said to be something else than a form with a file."""

    def __init__(self) -> None:
        super().__init__(
            "The body must be multipart/form-data with a part called file; see the "
            "Content-Type header"
        )


def parse_import_query(query: Mapping[str, str]) -> DataImportRequest:
    """Read what is to be imported, and how.

    Raises:
        InvalidRequest: With every fault. An unknown parameter is one: texts would be
            stored with their guard if its name were mistyped.
    """
    faults = [
        f"{name}: unknown parameter; known are {', '.join(_PARAMETERS)}"
        for name in query
        if name not in _PARAMETERS
    ]
    thing_id = query.get("thingId", "")
    if not thing_id:
        faults.append("thingId: is required: the id of a thing")
    line = query.get("csvHeaderRow", "1")
    if not _WHOLE_NUMBER.fullmatch(line) or int(line) < 1:
        faults.append("csvHeaderRow: must be the number of a line, from 1")
        line = "1"
    guard = query.get("textGuard", TextGuard.NONE)
    if guard not in list(TextGuard):
        faults.append(f"textGuard: must be one of {', '.join(TextGuard)}")
        guard = TextGuard.NONE
    if faults:
        raise InvalidRequest(*faults)
    return DataImportRequest(
        thing_id=ThingId(thing_id), header_line=int(line), text_guard=TextGuard(guard)
    )


def check_form(request: Request) -> bytes:
    """Give what separates the parts of a form.

    Raises:
        NotAForm: The body is said to be none.
    """
    kind, parameters = parse_options_header(request.headers.get("content-type"))
    boundary = parameters.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise NotAForm
    check_not_compressed(request, "multipart/form-data")
    return boundary


async def iter_file(
    request: Request, boundary: bytes, max_bytes: int
) -> AsyncGenerator[bytes]:
    """Yield the file in a form as it arrives.

    Raises:
        InvalidRequest: There is not exactly one, it is empty, or the form is broken
            off or malformed.
        BodyTooLarge: It has more bytes than are taken.
    """
    form = _Form(boundary)
    received = 0
    async for block in _within(request, max_bytes):
        for content in form.read(block):
            received += len(content)
            if received > max_bytes:
                raise BodyTooLarge(max_bytes)
            yield content
    form.finish()
    if not received:
        raise InvalidRequest("file: it is empty")


async def _within(request: Request, max_bytes: int) -> AsyncIterator[bytes]:
    try:
        async for block in iter_blocks(request, max_bytes + _FRAME_BYTES):
            yield block
    except BodyTooLarge:
        # Of the file itself, which is what the caller can make smaller.
        raise BodyTooLarge(max_bytes) from None


class _Form:
    """Takes the file out of a form."""

    def __init__(self, boundary: bytes) -> None:
        self._files = 0
        self._is_file = False
        self._is_whole = False
        self._header = b""
        self._value = b""
        self._content: list[bytes] = []
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin_part,
                    "on_header_field": self._add_to("_header"),
                    "on_header_value": self._add_to("_value"),
                    "on_header_end": self._end_header,
                    "on_part_data": self._take,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise _malformed(error) from error

    def read(self, block: bytes) -> list[bytes]:
        """Give what is of the file in a piece of the form."""
        self._content = []
        try:
            self._parser.write(block)
        except FormParserError as error:
            raise _malformed(error) from error
        return self._content

    def finish(self) -> None:
        if not self._is_whole:
            raise InvalidRequest("The form is broken off before its end")
        if not self._files:
            raise InvalidRequest("file: is required: a CSV file, or a ZIP of one")

    def _begin_part(self) -> None:
        self._is_file = False

    def _add_to(self, name: str) -> Callable[[bytes, int, int], None]:
        def add(data: bytes, start: int, end: int) -> None:
            setattr(self, name, getattr(self, name) + data[start:end])

        return add

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            _, parameters = parse_options_header(self._value)
            self._is_file = parameters.get(b"name") == FILE.encode()
            self._files += self._is_file
            if self._files > 1:
                raise InvalidRequest("file: only one can be imported at a time")
        self._header = self._value = b""

    def _take(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._content.append(data[start:end])

    def _end(self) -> None:
        self._is_whole = True


def _malformed(error: FormParserError) -> InvalidRequest:
    return InvalidRequest(f"The form cannot be read: {error}")
