"""Bringing a tenant's catalogue to what a file says."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TypeVar

from thingport.application.ports import (
    CatalogueEntity,
    CatalogueRepository,
    ControlDatabase,
    IdSource,
)
from thingport.domain.catalogue import Tenant
from thingport.domain.catalogue_document import Faults, Node
from thingport.domain.catalogue_file import read_entries
from thingport.domain.catalogue_kinds import build_kinds
from thingport.domain.catalogue_network import build_network
from thingport.domain.catalogue_register import Id, Register
from thingport.domain.catalogue_rules import check_rules
from thingport.domain.catalogue_things import build_things
from thingport.domain.catalogue_update import CatalogueUpdate, StoredCatalogue

_Entity = TypeVar("_Entity", bound=CatalogueEntity)

_FIELD_NAMES = {
    "organization_id": "organization",
    "parent_organization_id": "parent",
    "parent_partner_id": "parent",
    "partner_ids": "partners",
    "value_type": "valueType",
    "is_retired": "retired",
    "product_model_id": "productModel",
    "product_model_part_id": "productModelPart",
    "parent_product_model_part_id": "parent",
    "location_id": "location",
    "parent_thing_id": "parent",
}
"""What the file calls the fields that have another name in it."""


class ChangeAction(StrEnum):
    """What was done to an entity."""

    CREATED = "created"
    UPDATED = "updated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What applying a file did to one entity.

    Attributes:
        kind: What it is, in words: ``product model``.
        key: Its natural key; an owner's comes first: ``acme / Rome``.
        fields: What is different now, by the file's names; empty when created.
    """

    kind: str
    key: str
    action: ChangeAction
    fields: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Say it in one line."""
        which = f" ({', '.join(self.fields)})" if self.fields else ""
        return f"{self.action} {self.kind} {self.key}{which}"


def apply_catalogue(
    control: ControlDatabase, tenant: Tenant, document: Node, ids: IdSource
) -> Sequence[Change]:
    """Create and update what a catalogue file mentions, all of it or nothing.

    Entities are found by their natural keys, and a metric that gets another name
    by its id; what the file does not mention stays, entities and fields alike.
    Applying the same file again changes nothing. One transaction;
    reads the catalogue once, writes what changed.

    Args:
        control: Where the catalogue is kept.
        tenant: Whose catalogue it is.
        document: The file as an adapter read it.
        ids: Gives ids to new entities that bring none along.

    Returns:
        What changed, owners before what they own.

    Raises:
        InvalidRequest: With every fault of the file; nothing was stored.
    """
    faults = Faults()
    entries = read_entries(document, faults)
    with control.for_tenant(tenant.id) as tx:
        update = CatalogueUpdate(_load(tx.catalogue), faults)
        update.identify(entries, ids.new_id)
        build_network(update, tenant.name, ids.new_id)
        build_kinds(update)
        build_things(update)
        check_rules(update)
        faults.refuse_if_any()
        return list(_iter_saved(update, tx.catalogue))


def _load(catalogue: CatalogueRepository) -> StoredCatalogue:
    return StoredCatalogue(
        network=catalogue.get_network(),
        definitions=catalogue.get_definitions(),
        locations=catalogue.list_locations(),
        things=catalogue.list_things(),
    )


def _iter_saved(
    update: CatalogueUpdate, catalogue: CatalogueRepository
) -> Iterator[Change]:
    save = catalogue.save
    yield from _save(update.organizations, save, lambda it: it.parent_organization_id)
    yield from _save(update.partners, save, lambda it: it.parent_partner_id)
    yield from _save(update.customers, save)
    yield from _save(update.locations, save)
    yield from _save(
        update.thing_definitions, save, lambda it: it.super_thing_definition_id
    )
    yield from _save(update.metrics, save)
    yield from _save(update.product_models, save)
    yield from _save(update.parts, save, lambda it: it.parent_product_model_part_id)
    yield from _save(update.things, save, lambda it: it.parent_thing_id)


def _save(
    register: Register[Id, _Entity],
    save: Callable[..., None],
    parent_of: Callable[[_Entity], Id | None] = lambda _: None,
) -> Iterator[Change]:
    changed = [
        id_
        for id_ in _parents_first(register, parent_of)
        if register.stored.get(id_) != register.updated[id_]
    ]
    save(*(register.updated[id_] for id_ in changed))
    for id_ in changed:
        stored, updated = register.stored.get(id_), register.updated[id_]
        yield Change(
            kind=register.kind,
            key=" / ".join(register.key_of(id_)),
            action=ChangeAction.CREATED if stored is None else ChangeAction.UPDATED,
            fields=() if stored is None else _differences(stored, updated),
        )


def _parents_first(
    register: Register[Id, _Entity], parent_of: Callable[[_Entity], Id | None]
) -> Iterator[Id]:
    given: set[Id] = set()
    for start in register.updated:
        waiting: list[Id] = []
        following: Id | None = start
        while following in register.updated and following not in given:
            waiting.append(following)
            given.add(following)
            following = parent_of(register.updated[following])
        yield from reversed(waiting)


def _differences(stored: CatalogueEntity, updated: CatalogueEntity) -> tuple[str, ...]:
    return tuple(
        _FIELD_NAMES.get(it.name, it.name)
        for it in fields(stored)
        if getattr(stored, it.name) != getattr(updated, it.name)
    )
