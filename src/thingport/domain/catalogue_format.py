"""The format of catalogue files: which sections and fields there are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from thingport.domain.catalogue_text import (
    TextRule,
    check_id,
    check_metric_type,
    check_name,
    check_note,
    check_timezone,
    check_truth_value,
    check_value_type,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRule:
    """What a field with a single value may be.

    Attributes:
        nullable: Whether null is allowed, which clears the field.
        empty_is_null: Whether an empty text means null.
    """

    check: TextRule
    nullable: bool = False
    empty_is_null: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One list of entries, and the fields that its entries may have.

    Attributes:
        key: The field by which entries are found; always required.
        lists: Fields that are lists of references.
        nested: The section inside each entry, by the field that holds it.
    """

    name: str
    key: str
    fields: Mapping[str, FieldRule]
    lists: Sequence[str] = ()
    has_properties: bool = False
    nested: "Section | None" = None

    def iter_known(self) -> Iterator[str]:
        """Yield the name of every field."""
        yield from self.fields
        yield from self.lists
        if self.has_properties:
            yield "properties"
        if self.nested:
            yield self.nested.name


_ID = FieldRule(check=check_id)
_KEY = FieldRule(check=check_name)
REFERENCE = FieldRule(check=check_name)
PROPERTY = FieldRule(check=check_note, nullable=True)
_LOOSE_REFERENCE = FieldRule(check=check_name, nullable=True)
_LABEL = FieldRule(check=check_name, nullable=True, empty_is_null=True)
_NOTE = FieldRule(check=check_note, nullable=True, empty_is_null=True)
_TIMEZONE = FieldRule(check=check_timezone, nullable=True, empty_is_null=True)

_PLACE = {"name": _KEY, "country": _LABEL, "timezone": _TIMEZONE}

SECTIONS = (
    Section(
        name="organizations",
        key="name",
        fields={"id": _ID, "name": _KEY, "parent": _LOOSE_REFERENCE},
    ),
    Section(
        name="partners",
        key="name",
        fields={
            "id": _ID,
            "name": _KEY,
            "organization": REFERENCE,
            "parent": _LOOSE_REFERENCE,
        },
    ),
    Section(
        name="customers",
        key="code",
        fields={"id": _ID, "code": _KEY, "organization": REFERENCE, **_PLACE},
        lists=("partners",),
        has_properties=True,
        nested=Section(
            name="locations",
            key="name",
            fields={"id": _ID, **_PLACE},
            has_properties=True,
        ),
    ),
    Section(
        name="thingDefinitions",
        key="name",
        fields={
            "id": _ID,
            "name": _KEY,
            "description": _NOTE,
            "super": _LOOSE_REFERENCE,
        },
        has_properties=True,
        nested=Section(
            name="metrics",
            key="name",
            fields={
                "id": _ID,
                "name": _KEY,
                "label": _LABEL,
                "unit": _LABEL,
                "group": _LABEL,
                "description": _NOTE,
                "type": FieldRule(check=check_metric_type),
                "valueType": FieldRule(check=check_value_type),
                "retired": FieldRule(check=check_truth_value, nullable=True),
            },
        ),
    ),
    Section(
        name="productModels",
        key="name",
        fields={
            "id": _ID,
            "name": _KEY,
            "thingDefinition": REFERENCE,
            "description": _NOTE,
        },
        nested=Section(
            name="parts",
            key="name",
            fields={
                "id": _ID,
                "name": _KEY,
                "thingDefinition": REFERENCE,
                "parent": _LOOSE_REFERENCE,
            },
        ),
    ),
    Section(
        name="things",
        key="serialNumber",
        fields={
            "id": _ID,
            "serialNumber": _KEY,
            "name": _KEY,
            "thingDefinition": REFERENCE,
            "productModel": _LOOSE_REFERENCE,
            "productModelPart": _LOOSE_REFERENCE,
            "customer": _LOOSE_REFERENCE,
            "location": _LOOSE_REFERENCE,
            "parent": _LOOSE_REFERENCE,
        },
        has_properties=True,
    ),
)
"""The top-level keys of a catalogue file."""
