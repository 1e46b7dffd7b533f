"""From entries of a file to thing definitions, metrics, product models and parts."""

from thingport.domain.catalogue import (
    ProductModel,
    ProductModelPart,
    ThingDefinition,
)
from thingport.domain.catalogue_file import Entry
from thingport.domain.catalogue_network import properties_of
from thingport.domain.catalogue_register import E, Id, Register
from thingport.domain.catalogue_update import CatalogueUpdate
from thingport.domain.ids import ThingDefinitionId
from thingport.domain.metric import Metric, MetricType, ValueType


def build_kinds(update: CatalogueUpdate) -> None:
    """Make what a file says of kinds of things.

    What a thing is, and the type of what is stored of it, never changes: a
    definition's super, a model's and a part's definition and a metric's value
    type are given at creation only.
    """
    _build_thing_definitions(update)
    _build_metrics(update)
    _build_product_models(update)
    _build_parts(update)


def _build_thing_definitions(update: CatalogueUpdate) -> None:
    register = update.thing_definitions
    for id_, entry in register.entries.items():
        stored = register.stored.get(id_)
        super_id = stored.super_thing_definition_id if stored else None
        given = update.refer(entry, "super", register, super_id)
        if stored and given != super_id:
            _refuse_change(update, entry, "super", register, super_id)
        register.updated[id_] = ThingDefinition(
            id=id_,
            name=register.key_of(id_)[0],
            description=entry.text_or(
                "description", stored.description if stored else None
            ),
            super_thing_definition_id=given,
            properties=properties_of(entry, stored.properties if stored else {}),
        )


def _build_metrics(update: CatalogueUpdate) -> None:
    register = update.metrics
    for id_, entry in register.entries.items():
        stored = register.stored.get(id_)
        value_type = _value_type_of(update, entry, stored)
        definition_name, name = register.key_of(id_)
        definition_id = update.thing_definitions.find_id(definition_name)
        if value_type is not None and definition_id is not None:
            kind = entry.text_or("type", stored.type if stored else None)
            retired = "true" if stored and stored.is_retired else None
            register.updated[id_] = Metric(
                id=id_,
                thing_definition_id=definition_id,
                name=name,
                label=entry.text_or("label", stored.label if stored else None),
                unit=entry.text_or("unit", stored.unit if stored else None),
                group=entry.text_or("group", stored.group if stored else None),
                description=entry.text_or(
                    "description", stored.description if stored else None
                ),
                type=MetricType(kind) if kind else MetricType.SIMPLE,
                value_type=value_type,
                is_retired=entry.text_or("retired", retired) == "true",
            )


def _value_type_of(
    update: CatalogueUpdate, entry: Entry, stored: Metric | None
) -> ValueType | None:
    given = entry.find_text("valueType")
    if stored is None:
        if given is None:
            update.require(entry, "valueType")
        return ValueType(given) if given else None
    if given is not None and given != stored.value_type:
        reason = f"is {stored.value_type} and cannot change"
        update.refuse(entry, "valueType", reason)
    return stored.value_type


def _build_product_models(update: CatalogueUpdate) -> None:
    register = update.product_models
    for id_, entry in register.entries.items():
        stored = register.stored.get(id_)
        definition_id = _definition_of(
            update, entry, stored.thing_definition_id if stored else None
        )
        if definition_id is not None:
            register.updated[id_] = ProductModel(
                id=id_,
                name=register.key_of(id_)[0],
                thing_definition_id=definition_id,
                description=entry.text_or(
                    "description", stored.description if stored else None
                ),
            )


def _build_parts(update: CatalogueUpdate) -> None:
    register = update.parts
    for id_, entry in register.entries.items():
        stored = register.stored.get(id_)
        model_name, name = register.key_of(id_)
        model_id = update.product_models.find_id(model_name)
        definition_id = _definition_of(
            update, entry, stored.thing_definition_id if stored else None
        )
        parent_id = update.refer(
            entry,
            "parent",
            register,
            stored.parent_product_model_part_id if stored else None,
            owner=model_name,
        )
        if model_id is not None and definition_id is not None:
            register.updated[id_] = ProductModelPart(
                id=id_,
                name=name,
                product_model_id=model_id,
                thing_definition_id=definition_id,
                parent_product_model_part_id=parent_id,
            )


def _definition_of(
    update: CatalogueUpdate, entry: Entry, stored: ThingDefinitionId | None
) -> ThingDefinitionId | None:
    register = update.thing_definitions
    given = update.refer(entry, "thingDefinition", register, stored)
    if stored is not None and given is not None and given != stored:
        _refuse_change(update, entry, "thingDefinition", register, stored)
    elif given is None:
        update.require(entry, "thingDefinition")
    return given


def _refuse_change(
    update: CatalogueUpdate,
    entry: Entry,
    field: str,
    register: Register[Id, E],
    stored: Id | None,
) -> None:
    present = "not set" if stored is None else register.show(stored)
    update.refuse(entry, field, f"is {present} and cannot change")
