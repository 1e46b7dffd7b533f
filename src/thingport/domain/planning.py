"""Planning an export: which things, which columns, which files."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime

from thingport.domain.catalogue import Definitions, PlacedThing
from thingport.domain.column_headers import column_headers
from thingport.domain.data_export import Rendition, Selection
from thingport.domain.export_plan import (
    ExportPlan,
    PlannedColumn,
    PlannedFile,
    PlannedLayout,
)
from thingport.domain.ids import (
    ProductModelId,
    ProductModelPartId,
    TenantId,
    ThingDefinitionId,
)
from thingport.domain.metric import (
    Metric,
    MetricAnywhere,
    MetricOfDefinition,
    MetricOfPart,
    QualifiedMetric,
)
from thingport.domain.thing_file_name import file_names


def check_request(selection: Selection, definitions: Definitions) -> list[str]:
    """Say what is wrong with the metrics asked for: one sentence for each fault.

    A metric that exists, but that no thing of the kind named with it can have, is
    a fault too: it would only make an export emptier than its owner believes.
    """
    return [
        f"qualifiedMetricIds[{index}].{fault}"
        for index, qualified in enumerate(selection.qualified_metrics)
        for fault in _iter_faults(qualified, definitions)
    ]


def plan_export(  # noqa: PLR0913 - what it freezes comes from as many places
    *,
    tenant_id: TenantId,
    selection: Selection,
    rendition: Rendition,
    things: Iterable[PlacedThing],
    definitions: Definitions,
    snapshot: int | None,
    scheduled_at: datetime,
) -> ExportPlan:
    """Plan an export, and freeze in it whatever could change later.

    Columns stand in the order of the request: a metric that is asked for more than
    once stands where it is first asked for of things like this one. If the request
    names no metrics, all exportable ones stand by group, then name; those without
    a group come first. A thing without any column is left out.

    Args:
        tenant_id: Whose data it is.
        selection: One that :func:`check_request` finds no fault with. Its three
            filters are not looked at: ``things`` went through them.
        rendition: With a mask that ``check_mask`` finds no fault with.
        things: Those that are asked for and may be seen, each once, in any order.
        definitions: All of the tenant's.
        snapshot: Of the lake; ``None`` if it has no readings at all.
        scheduled_at: In UTC.

    Returns:
        A plan that does not depend on the order of ``things``: its layouts are
        ordered by definition and columns, its files by layout and thing id.
    """
    by_layout: dict[PlannedLayout, list[PlacedThing]] = {}
    for kind, of_kind in _group_by_kind(things).items():
        layout = _plan_layout(kind, selection, rendition, definitions)
        if layout.columns:
            by_layout.setdefault(layout, []).extend(of_kind)
    layouts = sorted(by_layout, key=_order_of_layout)
    placed = [
        (it, number)
        for number, layout in enumerate(layouts)
        for it in sorted(by_layout[layout], key=lambda it: it.thing.id)
    ]
    names = file_names(
        rendition.thing_file_name,
        [it for it, _ in placed],
        definitions,
        hashed=rendition.hash_thing_file_name,
    )
    return ExportPlan(
        tenant_id=tenant_id,
        snapshot=snapshot,
        scheduled_at=scheduled_at,
        period=selection.period,
        timestamp_format=rendition.timestamp_format,
        layouts=tuple(layouts),
        files=tuple(
            PlannedFile(it.thing.id, name, number)
            for (it, number), name in zip(placed, names, strict=True)
        ),
    )


@dataclass(frozen=True, slots=True)
class _Kind:
    """All of a thing that its columns depend on."""

    thing_definition_id: ThingDefinitionId
    product_model_id: ProductModelId | None
    product_model_part_id: ProductModelPartId | None
    is_root: bool


def _group_by_kind(
    things: Iterable[PlacedThing],
) -> Mapping[_Kind, Sequence[PlacedThing]]:
    by_kind: dict[_Kind, list[PlacedThing]] = {}
    for placed in things:
        thing = placed.thing
        kind = _Kind(
            thing.thing_definition_id,
            thing.product_model_id,
            thing.product_model_part_id,
            is_root=thing.parent_thing_id is None,
        )
        by_kind.setdefault(kind, []).append(placed)
    return by_kind


def _plan_layout(
    kind: _Kind, selection: Selection, rendition: Rendition, definitions: Definitions
) -> PlannedLayout:
    metrics = _select_metrics(kind, selection, definitions)
    headers = column_headers(metrics, include_unit=rendition.include_unit)
    columns = (
        PlannedColumn(metric.id, metric.value_type, header)
        for metric, header in zip(metrics, headers, strict=True)
    )
    return PlannedLayout(kind.thing_definition_id, tuple(columns))


def _order_of_layout(layout: PlannedLayout) -> tuple[str, Sequence[str]]:
    return layout.thing_definition_id, [it.metric_id for it in layout.columns]


def _select_metrics(
    kind: _Kind, selection: Selection, definitions: Definitions
) -> Sequence[Metric]:
    metrics = {
        metric_id: metric
        for metric_id, metric in definitions.metrics_of(
            kind.thing_definition_id
        ).items()
        if metric.is_exportable
    }
    if not selection.qualified_metrics:
        return sorted(metrics.values(), key=lambda it: (it.group or "", it.name, it.id))
    chain = {it.id for it in definitions.iter_chain(kind.thing_definition_id)}
    chosen = dict.fromkeys(
        it.metric_id
        for it in selection.qualified_metrics
        if it.metric_id in metrics and _is_meant(it, kind, chain)
    )
    return [metrics[it] for it in chosen]


def _is_meant(
    qualified: QualifiedMetric, kind: _Kind, chain: AbstractSet[ThingDefinitionId]
) -> bool:
    """Say whether a metric was asked for of things of a kind."""
    match qualified:
        case MetricAnywhere():
            return True
        case MetricOfDefinition(_, thing_definition_id):
            return thing_definition_id in chain
        case MetricOfPart(_, product_model_id, None):
            return kind.is_root and kind.product_model_id == product_model_id
        case MetricOfPart(_, _, part_id):
            return kind.product_model_part_id == part_id


def _iter_faults(qualified: QualifiedMetric, definitions: Definitions) -> Iterator[str]:
    metric = definitions.metrics.get(qualified.metric_id)
    if metric is None:
        yield "metricId: no such metric"
    elif not metric.is_exportable:
        yield f"metricId: a {metric.type} metric cannot be exported"
    fault = _find_qualifier_fault(qualified, definitions)
    if fault is not None:
        yield fault
    elif metric is not None and not _can_occur(metric, qualified, definitions):
        yield "metricId: no thing of that kind can have this metric"


def _find_qualifier_fault(
    qualified: QualifiedMetric, definitions: Definitions
) -> str | None:
    match qualified:
        case MetricOfDefinition(_, thing_definition_id):
            if thing_definition_id not in definitions.thing_definitions:
                return "thingDefinitionId: no such thing definition"
        case MetricOfPart(_, product_model_id, part_id):
            if product_model_id not in definitions.product_models:
                return "productModelId: no such product model"
            if part_id is None:
                return None
            part = definitions.product_model_parts.get(part_id)
            if part is None or part.product_model_id != product_model_id:
                return "productModelPartId: no such part of this product model"
        case MetricAnywhere():
            pass
    return None


def _can_occur(
    metric: Metric, qualified: QualifiedMetric, definitions: Definitions
) -> bool:
    """Say whether things that a qualifier names can have a metric at all.

    Those of a definition that inherits from theirs are such things as well.
    """
    match qualified:
        case MetricAnywhere():
            return True
        case MetricOfDefinition(_, thing_definition_id):
            named = thing_definition_id
        case MetricOfPart(_, product_model_id, part_id):
            model = definitions.product_models[product_model_id]
            part = definitions.product_model_parts[part_id] if part_id else None
            named = (part or model).thing_definition_id
    owner = metric.thing_definition_id
    return definitions.inherits(named, owner) or definitions.inherits(owner, named)
