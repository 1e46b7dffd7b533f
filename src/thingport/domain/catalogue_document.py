"""A catalogue file as it was written: texts, lists and mappings, with their lines."""

from dataclasses import dataclass

from thingport.domain.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class TextNode:
    """A single value, letter for letter as it was written.

    Attributes:
        line: Where it begins, from 1.
        text: ``None`` for null. A number or a truth value is its literal text,
            so that ``00123`` keeps its zeros and ``no`` stays a word.
    """

    line: int
    text: str | None


@dataclass(frozen=True, slots=True)
class ListNode:
    """A list."""

    line: int
    items: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class MappingNode:
    """Names with their values, in the order of the file, repeated names too."""

    line: int
    items: "tuple[tuple[TextNode, Node], ...]"


Node = TextNode | ListNode | MappingNode
"""Whatever a catalogue file is made of."""


class Faults:
    """Everything that is wrong with a file, gathered to be told at once."""

    def __init__(self) -> None:
        self._faults: list[tuple[int, str]] = []

    def add(self, line: int, path: str, reason: str) -> None:
        """Note what is wrong with the field at a path, such as ``things[2].name``."""
        where = f"{path}: " if path else ""
        self._faults.append((line, f"line {line}: {where}{reason}"))

    def refuse_if_any(self) -> None:
        """Refuse the file if anything is wrong with it.

        Raises:
            InvalidRequest: With every fault, in the order of the file.
        """
        if self._faults:
            self._faults.sort(key=lambda fault: fault[0])
            raise InvalidRequest(*(sentence for _, sentence in self._faults))
