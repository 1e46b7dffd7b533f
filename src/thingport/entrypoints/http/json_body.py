"""Bodies of requests: bounded bytes, and the strict reading of JSON."""

import json
from collections.abc import AsyncGenerator, Sequence
from typing import Annotated, NoReturn, cast

from fastapi import Depends, Request

from thingport.domain.errors import CallerError, InvalidRequest
from thingport.entrypoints.http.services import Services

JsonObject = dict[str, object]


class BodyTooLarge(CallerError):
    """The body has more bytes than are taken; nothing of it was used."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"The body is too large: at most {max_bytes} bytes are taken")
        self.max_bytes = max_bytes


class NotJson(CallerError):
    """The body is said to be something else than what is read, plain JSON mostly."""

    def __init__(self, header: str, due: str = "JSON in UTF-8") -> None:
        super().__init__(
            f"The body must be {due}, not compressed; see the {header} header"
        )
        self.header = header


async def iter_blocks(request: Request, most: int) -> AsyncGenerator[bytes]:
    """Yield the body as it arrives, and stop where it gets too large.

    Raises:
        BodyTooLarge: It has more than ``most`` bytes, or says so.
    """
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > most:
        raise BodyTooLarge(most)
    received = 0
    async for block in request.stream():
        received += len(block)
        if received > most:
            raise BodyTooLarge(most)
        yield block


async def _read_body(request: Request, services: Services) -> bytes:
    check_json_headers(request)
    body = bytearray()
    async for block in iter_blocks(request, services.settings.max_body_bytes):
        body += block
    return bytes(body)


Body = Annotated[bytes, Depends(_read_body)]
"""An endpoint's parameter: the bytes of the body, said to be JSON."""


def parse_object(body: bytes) -> JsonObject:
    """Read a JSON object.

    Raises:
        InvalidRequest: It is none, or :func:`_parse` refuses it.
    """
    content = _parse(body)
    if not isinstance(content, dict):
        raise InvalidRequest("The body must be a JSON object")
    return cast("JsonObject", content)


def parse_array(body: bytes) -> list[object]:
    """Read a JSON array.

    Raises:
        InvalidRequest: It is none, or :func:`_parse` refuses it.
    """
    content = _parse(body)
    if not isinstance(content, list):
        raise InvalidRequest("The body must be a JSON array")
    return cast("list[object]", content)


def media_type_of(request: Request) -> str:
    """Say of what type a body is said to be, without parameters; perhaps nothing."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def check_json_headers(request: Request, due: str = "JSON in UTF-8") -> None:
    """Refuse a body that is said to be no plain JSON; ``due`` is for the message.

    Raises:
        NotJson: With the header that says so.
    """
    kind = media_type_of(request)
    if kind and kind != "application/json" and not kind.endswith("+json"):
        raise NotJson("Content-Type", due)
    parameters = request.headers.get("content-type", "").partition(";")[2]
    charset = parameters.strip().lower().removeprefix("charset=").strip('"')
    if charset not in {"", "utf-8", "utf8"}:
        raise NotJson("Content-Type", due)
    check_not_compressed(request, due)


def check_not_compressed(request: Request, due: str) -> None:
    """Refuse a body that is said to be compressed.

    Raises:
        NotJson: It is.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise NotJson("Content-Encoding", due)


def _parse(body: bytes) -> object:
    """Read JSON, and refuse what readers of JSON differ about.

    Refuses repeated names, ``NaN`` and infinities, halves of surrogate pairs, and
    what is nested beyond reason.

    Raises:
        InvalidRequest: With the reason.

    Source: RFC 8259; what is refused beyond it: RFC 7493, *I-JSON*.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            f"The body is not UTF-8, from byte {error.start} on"
        ) from None
    try:
        content: object = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_refuse_constant
        )
        if "\\u" in text:
            json.dumps(content, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise InvalidRequest(
            f"The body is not JSON: {error.msg} at line {error.lineno}, "
            f"column {error.colno}"
        ) from None
    except UnicodeEncodeError:
        raise InvalidRequest(
            "The body has half of a surrogate pair, which is no character"
        ) from None
    except RecursionError:
        raise InvalidRequest("The body is nested too deeply") from None
    except ValueError:
        # CPython refuses to convert thousands of digits, which take too long.
        raise InvalidRequest("The body has a number with too many digits") from None
    return content


def _unique(pairs: Sequence[tuple[str, object]]) -> JsonObject:
    found = dict(pairs)
    if len(found) < len(pairs):
        names: set[str] = set()
        for name, _ in pairs:
            if name in names:
                raise InvalidRequest(
                    f"The body names {json.dumps(name[:64])} more than once"
                )
            names.add(name)
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidRequest(f"The body is not JSON: {name} is no number in it")
