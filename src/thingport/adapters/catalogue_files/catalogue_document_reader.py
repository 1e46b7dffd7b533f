"""Reads a catalogue file, YAML or JSON by its name, with its lines."""

from collections.abc import Iterator
from pathlib import Path

from thingport.adapters.catalogue_files.file_event import (
    BeginList,
    BeginMapping,
    End,
    FileEvent,
)
from thingport.adapters.catalogue_files.json_events import iter_json_events
from thingport.adapters.catalogue_files.yaml_events import iter_yaml_events
from thingport.domain.catalogue_document import (
    ListNode,
    MappingNode,
    Node,
    TextNode,
)
from thingport.domain.errors import InvalidRequest

MAX_FILE_BYTES = 64 * 1024 * 1024
"""Largest file that is read; it bounds the memory that reading takes."""

MAX_DEPTH = 16
"""Deepest nesting that is read; the format itself needs six levels."""


def read_catalogue_document(path: Path) -> Node:
    """Read a file; one that ends in ``.json`` is JSON, any other is YAML.

    Takes every value letter for letter. Refuses aliases and tags: a file says
    what it means, and no small file grows to a large one in memory.

    Raises:
        InvalidRequest: The file cannot be read, is too large, or is not well-formed.
    """
    return parse_catalogue_document(
        _read_text(path), is_json=path.suffix.lower() == ".json"
    )


def parse_catalogue_document(text: str, *, is_json: bool) -> Node:
    """Read the text of a file.

    Raises:
        InvalidRequest: It is not well-formed.
    """
    events = iter_json_events(text) if is_json else iter_yaml_events(text)
    first = next(events, None)
    if first is None or (isinstance(first, TextNode) and first.text is None):
        raise InvalidRequest("line 1: the file is empty")
    document = _build(first, events, depth=1)
    for _ in events:  # A second document, or a text broken further down.
        pass
    return document


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise InvalidRequest(
            f"{path} cannot be read: {error.strerror or error}"
        ) from None
    if len(content) > MAX_FILE_BYTES:
        raise InvalidRequest(f"{path} is larger than {MAX_FILE_BYTES} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InvalidRequest(f"line {line}: the file is not UTF-8") from None


def _build(event: FileEvent, events: Iterator[FileEvent], depth: int) -> Node:
    if isinstance(event, TextNode):
        return event
    if depth > MAX_DEPTH:
        raise InvalidRequest(
            f"line {event.line}: nested more than {MAX_DEPTH} levels deep"
        )
    match event:
        case BeginList(line):
            items = tuple(_build(it, events, depth + 1) for it in _until_end(events))
            return ListNode(line, items)
        case BeginMapping(line):
            pairs = tuple(
                (_key_of(it), _build(next(events), events, depth + 1))
                for it in _until_end(events)
            )
            return MappingNode(line, pairs)
        case End(line):
            raise InvalidRequest(f"line {line}: nothing to end here")


def _until_end(events: Iterator[FileEvent]) -> Iterator[FileEvent]:
    while not isinstance(event := next(events), End):
        yield event


def _key_of(event: FileEvent) -> TextNode:
    if isinstance(event, TextNode):
        return event
    raise InvalidRequest(f"line {event.line}: a name must be a single text")
