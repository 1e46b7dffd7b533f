"""Steps through a YAML text with its lines."""

from collections.abc import Iterator

import yaml
from yaml.reader import ReaderError

from thingport.adapters.catalogue_files.file_event import (
    BeginList,
    BeginMapping,
    End,
    FileEvent,
)
from thingport.domain.catalogue_document import TextNode
from thingport.domain.errors import InvalidRequest

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
"""What null may be written as, without quotes (YAML 1.1, *Null* type)."""


def iter_yaml_events(text: str) -> Iterator[FileEvent]:
    """Yield the steps of a YAML text; every value is its literal text.

    Raises:
        InvalidRequest: It is no YAML, or has aliases, tags or several documents.
    """
    try:
        yield from _iter_events(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise InvalidRequest(f"{where}not valid YAML: {error.problem}") from None
    except ReaderError as error:
        line = text.encode()[: error.position].count(b"\n") + 1
        reason = f"character U+{error.character:04X}: {error.reason}"
        raise InvalidRequest(f"line {line}: not valid YAML: {reason}") from None


def _iter_events(text: str) -> Iterator[FileEvent]:
    documents = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        match event:
            case yaml.DocumentStartEvent():
                documents += 1
                if documents > 1:
                    raise InvalidRequest(f"line {line}: a second document begins")
            case yaml.AliasEvent():
                raise InvalidRequest(
                    f"line {line}: aliases such as *{event.anchor} are not taken; "
                    "write the value itself"
                )
            case yaml.ScalarEvent() | yaml.CollectionStartEvent():
                yield _begin(event, line)
            case yaml.CollectionEndEvent():
                yield End(line)
            case _:
                pass


def _begin(event: yaml.ScalarEvent | yaml.CollectionStartEvent, line: int) -> FileEvent:
    if event.tag is not None:
        raise InvalidRequest(f"line {line}: tags such as {event.tag!r} are not taken")
    if isinstance(event, yaml.MappingStartEvent):
        return BeginMapping(line)
    if isinstance(event, yaml.ScalarEvent):
        is_plain = event.implicit[0]
        is_null = is_plain and event.value in _NULLS
        return TextNode(line, None if is_null else event.value)
    return BeginList(line)
