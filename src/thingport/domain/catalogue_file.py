"""The entries of a catalogue file: what each mentions, checked for its form."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from thingport.domain.catalogue_document import (
    Faults,
    ListNode,
    MappingNode,
    Node,
    TextNode,
)
from thingport.domain.catalogue_format import (
    PROPERTY,
    REFERENCE,
    SECTIONS,
    FieldRule,
    Section,
)
from thingport.domain.catalogue_text import check_name, nearest


@dataclass(slots=True)
class Entry:
    """One entry of a file: what it mentions, as far as that is well-formed.

    Attributes:
        path: Its place in the file, such as ``customers[0].locations[1]``.
        mentioned: Every known field that it names, faulty ones too.
        properties: By name; ``None`` takes the property away.
        clears_properties: Whether all properties there were are dropped first.
    """

    path: str
    line: int
    mentioned: set[str] = field(default_factory=set[str])
    texts: dict[str, TextNode] = field(default_factory=dict[str, TextNode])
    lists: dict[str, list[TextNode]] = field(default_factory=dict[str, list[TextNode]])
    properties: dict[str, str | None] = field(default_factory=dict[str, str | None])
    clears_properties: bool = False
    nested: "list[Entry]" = field(default_factory=list["Entry"])

    def find_text(self, name: str) -> str | None:
        """Give the text of a field; ``None`` if it is null or not there."""
        node = self.texts.get(name)
        return None if node is None else node.text

    def text_or(self, name: str, otherwise: str | None) -> str | None:
        """Give the text of a field, or something else if it is not mentioned."""
        node = self.texts.get(name)
        return otherwise if node is None else node.text


def read_entries(document: Node, faults: Faults) -> Mapping[str, Sequence[Entry]]:
    """Read the entries of a file by the name of their section.

    Notes every fault of form, and leaves out what is faulty.
    """
    found: dict[str, Sequence[Entry]] = {it.name: [] for it in SECTIONS}
    sections = {it.name: it for it in SECTIONS}
    for name, node in _iter_fields(document, "", sections, faults):
        found[name] = _read_section(sections[name], name, node, faults)
    return found


def _read_section(
    section: Section, path: str, node: Node, faults: Faults
) -> list[Entry]:
    return [
        _read_entry(section, f"{path}[{index}]", item, faults)
        for index, item in enumerate(_items_of(node, path, faults))
    ]


def _read_entry(section: Section, path: str, node: Node, faults: Faults) -> Entry:
    entry = Entry(path, node.line)
    known = tuple(section.iter_known())
    for name, value in _iter_fields(node, path, known, faults):
        entry.mentioned.add(name)
        here = f"{path}.{name}"
        if name in section.fields:
            rule = section.fields[name]
            if (text := _read_text(rule, here, value, faults)) is not None:
                entry.texts[name] = text
        elif name in section.lists:
            items = _items_of(value, here, faults)
            entry.lists[name] = _read_references(here, items, faults)
        elif section.nested and name == section.nested.name:
            entry.nested = _read_section(section.nested, here, value, faults)
        else:
            _read_properties(entry, here, value, faults)
    if section.key not in entry.mentioned and isinstance(node, MappingNode):
        faults.add(node.line, f"{path}.{section.key}", "is required")
    return entry


def _read_references(
    path: str, items: Sequence[Node], faults: Faults
) -> list[TextNode]:
    read = (
        _read_text(REFERENCE, f"{path}[{index}]", item, faults)
        for index, item in enumerate(items)
    )
    return [text for text in read if text is not None]


def _read_text(
    rule: FieldRule, path: str, node: Node, faults: Faults
) -> TextNode | None:
    if not isinstance(node, TextNode):
        faults.add(node.line, path, f"a text is due, not {_shape_of(node)}")
        return None
    if node.text == "" and rule.empty_is_null:
        return TextNode(node.line, None)
    if node.text is None:
        if rule.nullable:
            return node
        reason = "must not be null; put it in quotes if the word is meant"
        faults.add(node.line, path, reason)
        return None
    if wrong := rule.check(node.text):
        faults.add(node.line, path, wrong)
        return None
    return node


def _read_properties(entry: Entry, path: str, node: Node, faults: Faults) -> None:
    if isinstance(node, TextNode) and node.text is None:
        entry.clears_properties = True
        return
    for name, value in _iter_fields(node, path, None, faults):
        here = _path_to(path, name)
        if reason := check_name(name):
            faults.add(value.line, path, f"the name of a property {reason}")
        elif (text := _read_text(PROPERTY, here, value, faults)) is not None:
            entry.properties[name] = text.text


def _iter_fields(
    node: Node,
    path: str,
    known: Sequence[str] | Mapping[str, object] | None,
    faults: Faults,
) -> Iterator[tuple[str, Node]]:
    if not isinstance(node, MappingNode):
        faults.add(node.line, path, f"names with values are due, not {_shape_of(node)}")
        return
    first_lines: dict[str, int] = {}
    for key, value in node.items:
        name = key.text or ""
        here = _path_to(path, name)
        if known is not None and name not in known:
            faults.add(key.line, here, f"there is no such field{nearest(name, known)}")
        elif name in first_lines:
            reason = f"is there twice, first in line {first_lines[name]}"
            faults.add(key.line, here, reason)
        else:
            first_lines[name] = key.line
            yield name, value


def _path_to(path: str, name: str) -> str:
    # What stands here may be anything: a message must stay one short line.
    is_plain = name.isidentifier() and len(name) <= _MAX_SHOWN
    shown = name if is_plain else repr(name[:_MAX_SHOWN])
    return f"{path}.{shown}" if path else shown


_MAX_SHOWN = 64


def _items_of(node: Node, path: str, faults: Faults) -> Sequence[Node]:
    if isinstance(node, ListNode):
        return node.items
    if not (isinstance(node, TextNode) and node.text is None):
        faults.add(node.line, path, f"a list is due, not {_shape_of(node)}")
    return ()


def _shape_of(node: Node) -> str:
    match node:
        case TextNode(text=None):
            return "null"
        case TextNode():
            return "a single value"
        case ListNode():
            return "a list"
        case MappingNode():
            return "names with values"
