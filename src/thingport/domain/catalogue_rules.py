"""What must hold in a catalogue as a whole, once a file is applied to it."""

from collections.abc import Callable, Iterator

from thingport.domain.catalogue_register import E, Id, Register
from thingport.domain.catalogue_update import CatalogueUpdate
from thingport.domain.ids import ThingDefinitionId
from thingport.domain.metric import Metric

MAX_METRICS = 4096
"""Most metrics that a definition may have, inherited ones too."""


def check_rules(update: CatalogueUpdate) -> None:
    """Note whatever would break the catalogue's rules."""
    _check_cycles(
        update, update.organizations, "parent", lambda it: it.parent_organization_id
    )
    _check_cycles(update, update.partners, "parent", lambda it: it.parent_partner_id)
    _check_cycles(
        update,
        update.thing_definitions,
        "super",
        lambda it: it.super_thing_definition_id,
    )
    _check_cycles(
        update, update.parts, "parent", lambda it: it.parent_product_model_part_id
    )
    _check_cycles(update, update.things, "parent", lambda it: it.parent_thing_id)
    if update.metrics.updated:
        _check_metrics(update)


def iter_upwards(
    register: Register[Id, E], start: Id, parent_of: Callable[[E], Id | None]
) -> Iterator[Id]:
    """Yield an entity and what is above it; stops where a cycle closes."""
    seen: set[Id] = set()
    following: Id | None = start
    while following is not None and following not in seen:
        seen.add(following)
        yield following
        found = register.find(following)
        following = None if found is None else parent_of(found)


def _check_cycles(
    update: CatalogueUpdate,
    register: Register[Id, E],
    field: str,
    parent_of: Callable[[E], Id | None],
) -> None:
    sound: set[Id] = set()
    for start in register.updated:
        path: dict[Id, None] = {}
        following: Id | None = start
        while following is not None and following not in sound:
            if following in path:
                _refuse_cycle(update, register, field, following, path)
                break
            path[following] = None
            found = register.find(following)
            following = None if found is None else parent_of(found)
        sound.update(path)


def _refuse_cycle(
    update: CatalogueUpdate,
    register: Register[Id, E],
    field: str,
    first: Id,
    path: dict[Id, None],
) -> None:
    walked = list(path)
    cycle = walked[walked.index(first) :]
    shown = [register.show(it) for it in [*cycle[:8], first]]
    if len(cycle) > len(shown):
        shown.insert(-1, "…")
    entry = next((register.entries[it] for it in cycle if it in register.entries), None)
    if entry is not None:
        update.refuse(entry, field, "goes round in a circle: " + " → ".join(shown))


def _check_metrics(update: CatalogueUpdate) -> None:
    owned: dict[ThingDefinitionId, list[Metric]] = {}
    for _, metric in update.metrics.iter_all():
        owned.setdefault(metric.thing_definition_id, []).append(metric)
    refused: set[str] = set()
    for definition_id, _ in update.thing_definitions.iter_all():
        chain = list(
            iter_upwards(
                update.thing_definitions,
                definition_id,
                lambda it: it.super_thing_definition_id,
            )
        )
        metrics = [metric for it in chain for metric in owned.get(it, ())]
        _check_names(update, metrics, refused)
        if len(metrics) > MAX_METRICS:
            _refuse_number(update, chain, len(metrics))


def _check_names(
    update: CatalogueUpdate, metrics: list[Metric], refused: set[str]
) -> None:
    by_name: dict[str, Metric] = {}
    for metric in reversed(metrics):  # From the topmost definition down.
        other = by_name.setdefault(metric.name, metric)
        if other is metric:
            continue
        is_new = update.metrics.has_new_name(metric.id)
        new, old = (metric, other) if is_new else (other, metric)
        if new.id not in refused:
            refused.add(new.id)
            (definition, _) = update.metrics.key_of(old.id)
            reason = (
                f"definition {definition!r} has a metric {new.name!r} already, "
                "and one of the two inherits from the other"
            )
            update.refuse(update.metrics.entries[new.id], "name", reason)


def _refuse_number(
    update: CatalogueUpdate, chain: list[ThingDefinitionId], count: int
) -> None:
    register = update.thing_definitions
    entry = next((register.entries[it] for it in chain if it in register.entries), None)
    if entry is not None:
        reason = (
            f"definition {register.show(chain[0])} would have {count} metrics, "
            f"but at most {MAX_METRICS} are allowed"
        )
        update.faults.add(entry.line, f"{entry.path}.metrics", reason)
