"""From entries of a file to things."""

from thingport.domain.catalogue import Thing
from thingport.domain.catalogue_file import Entry
from thingport.domain.catalogue_network import properties_of
from thingport.domain.catalogue_update import CatalogueUpdate
from thingport.domain.ids import (
    LocationId,
    ProductModelId,
    ProductModelPartId,
    ThingDefinitionId,
    ThingId,
)


def build_things(update: CatalogueUpdate) -> None:
    """Make what a file says of things.

    A thing keeps its definition for ever, because its readings are stored by it.
    """
    for id_, entry in update.things.entries.items():
        _build_thing(update, id_, entry)


def _build_thing(update: CatalogueUpdate, id_: ThingId, entry: Entry) -> None:
    register = update.things
    stored = register.stored.get(id_)
    serial_number = register.key_of(id_)[0]
    model_id = update.refer(
        entry,
        "productModel",
        update.product_models,
        stored.product_model_id if stored else None,
    )
    part_id = _part_of(update, entry, stored, model_id)
    definition_id = _definition_of(update, entry, stored, model_id, part_id)
    location_id = _location_of(update, entry, stored)
    parent_id = update.refer(
        entry, "parent", register, stored.parent_thing_id if stored else None
    )
    if parent_id is not None and location_id is not None:
        field = "location" if entry.find_text("location") else "parent"
        update.refuse(
            entry,
            field,
            "a sub-thing is where its parent is: its own location must be null",
        )
    if definition_id is not None:
        register.updated[id_] = Thing(
            id=id_,
            serial_number=serial_number,
            name=entry.text_or("name", stored.name if stored else None)
            or serial_number,
            thing_definition_id=definition_id,
            product_model_id=model_id,
            product_model_part_id=part_id,
            location_id=location_id,
            parent_thing_id=parent_id,
            properties=properties_of(entry, stored.properties if stored else {}),
        )


def _part_of(
    update: CatalogueUpdate,
    entry: Entry,
    stored: Thing | None,
    model_id: ProductModelId | None,
) -> ProductModelPartId | None:
    field = "productModelPart"
    given = entry.texts.get(field)
    stored_id = stored.product_model_part_id if stored else None
    if given is None:
        if stored and stored_id and model_id != stored.product_model_id:
            part = update.parts.show(stored_id)
            reason = f"the thing is part {part}: give its {field} too, or null"
            update.refuse(entry, "productModel", reason)
        return stored_id
    if given.text is None:
        return None
    if model_id is None:
        update.require(entry, "productModel", f"is required with a {field}")
        return None
    (model_name,) = update.product_models.key_of(model_id)
    found = update.parts.find_id(model_name, given.text)
    if found is None:
        reason = f"product model {model_name!r} has no part {given.text!r}"
        update.refuse(entry, field, reason)
    return found


def _definition_of(
    update: CatalogueUpdate,
    entry: Entry,
    stored: Thing | None,
    model_id: ProductModelId | None,
    part_id: ProductModelPartId | None,
) -> ThingDefinitionId | None:
    register = update.thing_definitions
    stored_id = stored.thing_definition_id if stored else None
    given = update.refer(entry, "thingDefinition", register, stored_id)
    source, due = _definition_due(update, entry, model_id, part_id)
    if stored_id is not None and given is not None and given != stored_id:
        reason = f"is {register.show(stored_id)} and cannot change"
        update.refuse(entry, "thingDefinition", reason)
    elif given is not None and due is not None and given != due:
        reason = (
            f"things of it are of definition {register.show(due)}, "
            f"this one is of {register.show(given)}"
        )
        update.refuse(entry, source, reason)
    elif given is None and due is None and update.is_missing(entry, "productModel"):
        reason = "is required without a productModel"
        update.require(entry, "thingDefinition", reason)
    return given or due


def _definition_due(
    update: CatalogueUpdate,
    entry: Entry,
    model_id: ProductModelId | None,
    part_id: ProductModelPartId | None,
) -> tuple[str, ThingDefinitionId | None]:
    if part_id is not None:
        part = update.parts.find(part_id)
        return "productModelPart", part.thing_definition_id if part else None
    if entry.find_text("productModelPart"):  # It is unknown, which is said already.
        return "productModelPart", None
    model = None if model_id is None else update.product_models.find(model_id)
    return "productModel", model.thing_definition_id if model else None


def _location_of(
    update: CatalogueUpdate, entry: Entry, stored: Thing | None
) -> LocationId | None:
    customer = entry.find_text("customer")
    location = entry.find_text("location")
    if customer and location:
        return _find_location(update, entry, customer, location)
    if customer:
        reason = "is required with a customer: a thing stands in a location"
        update.require(entry, "location", reason)
    elif location:
        update.require(entry, "customer", "is required with a location")
    elif "customer" in entry.texts or "location" in entry.texts:
        return None
    return stored.location_id if stored else None


def _find_location(
    update: CatalogueUpdate, entry: Entry, customer: str, location: str
) -> LocationId | None:
    if update.refer(entry, "customer", update.customers, None) is None:
        return None
    found = update.locations.find_id(customer, location)
    if found is None:
        reason = f"customer {customer!r} has no location {location!r}"
        update.refuse(entry, "location", reason)
    return found
