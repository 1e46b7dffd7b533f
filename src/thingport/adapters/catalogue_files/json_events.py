"""Steps through a JSON text with its lines, which ``json`` does not tell."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import cast

from thingport.adapters.catalogue_files.file_event import (
    BeginList,
    BeginMapping,
    End,
    FileEvent,
)
from thingport.domain.catalogue_document import TextNode
from thingport.domain.errors import InvalidRequest

_TOKEN = re.compile(
    r'(?P<lines>\n[\s,:]*)|(?P<text>"[^"\\]*+(?:\\.[^"\\]*+)*+")'
    r"|(?P<mark>[\[\]{}])|(?P<plain>[\w.+-]+)"
)


def iter_json_events(text: str) -> Iterator[FileEvent]:
    """Yield the steps of a JSON text; numbers are their literal text.

    Raises:
        InvalidRequest: It is no JSON, with the line.
    """
    _check(text)
    line = 1
    for token in _TOKEN.finditer(text):
        found = token.group()
        match token.lastgroup:
            case "lines":
                line += found.count("\n")
            case "text":
                yield TextNode(line, _unquote(found))
            case "plain" if found in _NO_NUMBERS:
                raise InvalidRequest(f"line {line}: not valid JSON: {found}")
            case "plain":
                yield TextNode(line, None if found == "null" else found)
            case _:
                yield _MARKS[found](line)


_MARKS: Mapping[str, Callable[[int], FileEvent]] = {
    "[": BeginList,
    "{": BeginMapping,
    "]": End,
    "}": End,
}


_NO_NUMBERS = frozenset({"NaN", "Infinity", "-Infinity"})
"""What Python's parser takes and JSON (RFC 8259, section 6) does not."""


def _unquote(literal: str) -> str:
    return cast("str", json.loads(literal)) if "\\" in literal else literal[1:-1]


def _check(text: str) -> None:
    try:
        # Texts instead of numbers, so that one of many digits is no trouble.
        json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except json.JSONDecodeError as error:
        raise InvalidRequest(
            f"line {error.lineno}: not valid JSON: {error.msg}, column {error.colno}"
        ) from None
    except RecursionError:
        raise InvalidRequest("line 1: nested too deep") from None
