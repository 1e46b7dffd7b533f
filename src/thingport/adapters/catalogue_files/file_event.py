"""What the two formats have in common: beginnings, ends and texts, in order."""

from dataclasses import dataclass

from thingport.domain.catalogue_document import TextNode


@dataclass(frozen=True, slots=True)
class BeginList:
    """A list begins in a line."""

    line: int


@dataclass(frozen=True, slots=True)
class BeginMapping:
    """A mapping begins in a line; names and values follow in turn."""

    line: int


@dataclass(frozen=True, slots=True)
class End:
    """The innermost list or mapping ends in a line."""

    line: int


FileEvent = TextNode | BeginList | BeginMapping | End
"""One step through a file."""
