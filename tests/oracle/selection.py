"""The rules of what an export has in it, one loop for each, as slow as they read."""

from collections.abc import Iterator, Sequence

from strategies import Catalogue
from thingport.domain.catalogue import PlacedThing, Thing
from thingport.domain.data_export import Selection
from thingport.domain.ids import ThingDefinitionId
from thingport.domain.metric import (
    Metric,
    MetricAnywhere,
    MetricOfDefinition,
    MetricType,
    QualifiedMetric,
)


def lineage(catalogue: Catalogue, start: ThingDefinitionId) -> list[ThingDefinitionId]:
    """Give a definition and all that it inherits from."""
    for definition in catalogue.thing_definitions:
        if definition.id == start:
            above = definition.super_thing_definition_id
            return [start, *(lineage(catalogue, above) if above else [])]
    raise AssertionError(start)


def metrics_of(catalogue: Catalogue, thing: Thing) -> list[Metric]:
    """Give the metrics of a thing that have a place in a CSV file."""
    return [
        metric
        for metric in catalogue.metrics
        if metric.thing_definition_id in lineage(catalogue, thing.thing_definition_id)
        and metric.type is not MetricType.BLOB
        and metric.type is not MetricType.RECORD
    ]


def means(catalogue: Catalogue, asked: QualifiedMetric, thing: Thing) -> bool:
    """Say whether a thing is one that a qualifier names."""
    if isinstance(asked, MetricAnywhere):
        return True
    if isinstance(asked, MetricOfDefinition):
        return asked.thing_definition_id in lineage(
            catalogue, thing.thing_definition_id
        )
    if asked.product_model_part_id is None:
        is_root = thing.parent_thing_id is None
        return is_root and thing.product_model_id == asked.product_model_id
    return thing.product_model_part_id == asked.product_model_part_id


def columns_of(
    catalogue: Catalogue, thing: Thing, qualified: Sequence[QualifiedMetric]
) -> list[Metric]:
    """Give the columns of a thing's file, in order; none if it has no file."""
    available = metrics_of(catalogue, thing)
    if not qualified:
        ungrouped = [it for it in available if it.group is None]
        columns = sorted(ungrouped, key=lambda it: it.name)
        for group in sorted({it.group for it in available if it.group is not None}):
            of_group = [it for it in available if it.group == group]
            columns += sorted(of_group, key=lambda it: it.name)
        return columns
    columns = []
    for asked in qualified:
        for metric in available:
            is_asked = metric.id == asked.metric_id and means(catalogue, asked, thing)
            if is_asked and metric not in columns:
                columns.append(metric)
    return columns


def selected(
    catalogue: Catalogue, selection: Selection
) -> Iterator[tuple[Thing, list[Metric]]]:
    """Yield the things of an export of somebody who sees all, and their columns."""
    for placed in catalogue.placed_things:
        columns = columns_of(catalogue, placed.thing, selection.qualified_metrics)
        if columns and is_in_scope(placed, selection):
            yield placed.thing, columns


def is_in_scope(placed: PlacedThing, selection: Selection) -> bool:
    """Say whether a thing passes the three filters of a request."""
    if selection.thing_id is not None and selection.thing_id not in placed.ancestor_ids:
        return False
    place = placed.location
    if selection.location_id is not None and (
        place is None or place.id != selection.location_id
    ):
        return False
    return selection.customer_id is None or (
        place is not None and place.customer_id == selection.customer_id
    )


def can_ever_occur(catalogue: Catalogue, asked: QualifiedMetric) -> bool:
    """Say whether there can be a thing that a qualifier names, with the metric."""
    owner = next(
        it.thing_definition_id for it in catalogue.metrics if it.id == asked.metric_id
    )
    if isinstance(asked, MetricAnywhere):
        return True
    named: ThingDefinitionId
    if isinstance(asked, MetricOfDefinition):
        named = asked.thing_definition_id
    elif asked.product_model_part_id is None:
        [named] = [
            it.thing_definition_id
            for it in catalogue.product_models
            if it.id == asked.product_model_id
        ]
    else:
        [named] = [
            it.thing_definition_id
            for it in catalogue.product_model_parts
            if it.id == asked.product_model_part_id
        ]
    return any(
        named in lineage(catalogue, it.id) and owner in lineage(catalogue, it.id)
        for it in catalogue.thing_definitions
    )
