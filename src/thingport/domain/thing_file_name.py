"""Names of the CSV files in an archive."""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from thingport.domain.catalogue import (
    Customer,
    Definitions,
    Location,
    PlacedThing,
    ProductModel,
    Properties,
    ThingDefinition,
)

MAX_STEM_BYTES = 200
"""Longest name before suffix and extension, in UTF-8 bytes.

Common file systems stop at 255 bytes for one name; the rest is left for the
suffix that tells equal names apart.
"""

_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")

_UNSAFE = re.compile(
    r'[<>:"/\\|?*'
    r"\x00-\x1f\x7f-\x9f"  # control characters
    "\u2028\u2029"  # line and paragraph separators
    "\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff"  # they make a name look like another
    r"]+"
)

_EDGES = "." + "".join(it for it in map(chr, range(0x3001)) if it.isspace())
"""What no name begins or ends with: dots, and white space of all scripts."""

_DEVICE = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])"
    r"\s*(?:\.|$)",
    re.IGNORECASE,
)


_FIELDS: Mapping[str, Sequence[str]] = {
    "thing": ("id", "name", "serialNumber"),
    "thingDefinition": ("id", "name"),
    "productModel": ("id", "name"),
    "customer": ("id", "name"),
    "location": ("id", "name"),
}

_WITH_PROPERTIES = ("thing", "thingDefinition", "customer", "location")

KNOWN_PLACEHOLDERS = (
    *(f"{entity}.{name}" for entity, names in _FIELDS.items() for name in names),
    *(f"{entity}.properties.X" for entity in _WITH_PROPERTIES),
)
"""What may stand between the braces; ``X`` is the name of any property."""


@dataclass(frozen=True, slots=True)
class _Entity:
    """What a mask can say of a thing, or of something that a thing has to do with."""

    fields: Mapping[str, str] = field(default_factory=dict[str, str])
    properties: Properties = field(default_factory=dict[str, str])


_ABSENT = _Entity()


def check_mask(mask: str) -> list[str]:
    """Say what is wrong with a file-name mask: one sentence for each fault.

    A property may have any name; a thing that lacks it gets nothing in its place.
    """
    known = ", ".join(f"${{{it}}}" for it in KNOWN_PLACEHOLDERS)
    unknown = dict.fromkeys(
        name for name in _PLACEHOLDER.findall(mask) if not _is_known(name)
    )
    faults = [
        f"thingFileName: unknown placeholder ${{{name}}}; known are {known}"
        for name in unknown
    ]
    if "${" in _PLACEHOLDER.sub("", mask):
        faults.append("thingFileName: a placeholder is not closed by }")
    return faults


def file_names(
    mask: str, things: Sequence[PlacedThing], definitions: Definitions, *, hashed: bool
) -> list[str]:
    """Name the file of each thing, in the same order.

    The order of the things makes no difference to the name of any of them.

    Args:
        mask: One that :func:`check_mask` finds no fault with.
        things: Each at most once; their ids differ without case, and have no
            character that is not safe in file names.
        definitions: Theirs.
        hashed: Whether names are replaced by the MD5 of what they would be; a
            pseudonym, not encryption.

    Returns:
        Names with extension, all different, compared without case and
        without regard to how accents are composed: each is one path component
        that is no device's name and has no control or reserved character.

    Source:
        Placeholder names: Servitly REST API, *Schedules a new data-export*,
        ``thingFileName``. Characters and names refused: Microsoft Learn,
        *Naming Files, Paths, and Namespaces*.
    """
    stems = [
        _make_safe(_fill(mask, it, definitions)) or _make_safe(it.thing.id)
        for it in things
    ]
    stems = _tell_apart(stems, [it.thing.id for it in things])
    if hashed:
        stems = [_pseudonym(it) for it in stems]
    return [f"{it}.csv" for it in stems]


def _is_known(placeholder: str) -> bool:
    entity, _, name = placeholder.partition(".")
    if name.startswith("properties."):
        return entity in _WITH_PROPERTIES and name != "properties."
    return name in _FIELDS.get(entity, ())


def _fill(mask: str, placed: PlacedThing, definitions: Definitions) -> str:
    entities = _entities_of(placed, definitions)

    def value_of(match: re.Match[str]) -> str:
        entity, _, name = match[1].partition(".")
        found = entities[entity]
        if name in _FIELDS[entity]:
            return found.fields.get(name, "")
        return found.properties.get(name.removeprefix("properties."), "")

    return _PLACEHOLDER.sub(value_of, mask)


def _entities_of(
    placed: PlacedThing, definitions: Definitions
) -> Mapping[str, _Entity]:
    thing, customer, location = placed.thing, placed.customer, placed.location
    model_id = thing.product_model_id
    return {
        "thing": _Entity(
            {"id": thing.id, "name": thing.name, "serialNumber": thing.serial_number},
            thing.properties,
        ),
        "thingDefinition": _entity(
            definitions.thing_definitions[thing.thing_definition_id]
        ),
        "productModel": _product_model(
            definitions.product_models[model_id] if model_id else None
        ),
        "customer": _entity(customer),
        "location": _entity(location),
    }


def _entity(found: ThingDefinition | Customer | Location | None) -> _Entity:
    if found is None:
        return _ABSENT
    return _Entity({"id": found.id, "name": found.name}, found.properties)


def _product_model(found: ProductModel | None) -> _Entity:
    return _Entity({"id": found.id, "name": found.name}) if found else _ABSENT


def _make_safe(name: str) -> str:
    """Make a name one path component; it comes out empty if nothing is left."""
    safe = _clip(_UNSAFE.sub("_", name))
    # Looked at after clipping, which can lay a device's name bare.
    return _clip(f"_{safe}") if _DEVICE.match(safe) else safe


def _clip(name: str) -> str:
    start = name.strip(_EDGES).encode()[:MAX_STEM_BYTES]
    return start.decode(errors="ignore").strip(_EDGES)


def _tell_apart(stems: list[str], thing_ids: Sequence[str]) -> list[str]:
    """Give every one of several equal names its thing's id, until all differ."""
    while True:
        keys = [_key(it) for it in stems]
        counts = Counter(keys)
        if len(counts) == len(keys):
            return stems
        stems = [
            f"{stem}_{thing_id}" if counts[key] > 1 else stem
            for stem, key, thing_id in zip(stems, keys, thing_ids, strict=True)
        ]


def _key(name: str) -> str:
    """Give what equal names have in common, on file systems that fold them.

    Source: The Unicode Standard, §3.13.5, *canonical caseless matching*.
    """
    if name.isascii():
        return name.lower()
    folded = unicodedata.normalize("NFD", name).casefold()
    return unicodedata.normalize("NFD", folded)


def _pseudonym(stem: str) -> str:
    return hashlib.md5(stem.encode(), usedforsecurity=False).hexdigest()
