"""Planning: which things and columns, by the rules of the request."""

from collections.abc import Sequence
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from oracle import selection as oracle
from strategies import Catalogue, catalogues, qualified_metrics
from thingport.domain.catalogue import (
    Definitions,
    PlacedThing,
    ProductModel,
    ProductModelPart,
    Thing,
    ThingDefinition,
)
from thingport.domain.data_export import Rendition, Selection, TimestampFormat
from thingport.domain.export_plan import ExportPlan
from thingport.domain.ids import (
    MetricId,
    ProductModelId,
    ProductModelPartId,
    TenantId,
    ThingDefinitionId,
    ThingId,
)
from thingport.domain.metric import (
    Metric,
    MetricAnywhere,
    MetricOfDefinition,
    MetricOfPart,
    MetricType,
    QualifiedMetric,
    ValueType,
)
from thingport.domain.period import Period
from thingport.domain.planning import check_request, plan_export

NOON = datetime(2020, 3, 1, 12, tzinfo=UTC)

BASE, PUMP, VALVE = map(ThingDefinitionId, ["base", "pump", "valve"])
TEMP, FLOW, OPENED, PHOTO = map(MetricId, ["temp", "flow", "opened", "photo"])
MODEL, OTHER_MODEL = map(ProductModelId, ["model", "other-model"])
PART = ProductModelPartId("part")

DEFINITIONS = Definitions(
    thing_definitions=[
        ThingDefinition(id=BASE, name="base"),
        ThingDefinition(id=PUMP, name="pump", super_thing_definition_id=BASE),
        ThingDefinition(id=VALVE, name="valve"),
    ],
    metrics=[
        Metric(
            id=TEMP,
            thing_definition_id=BASE,
            name="temperature",
            unit="°C",
            value_type=ValueType.DOUBLE,
        ),
        Metric(
            id=FLOW, thing_definition_id=PUMP, name="flow", value_type=ValueType.LONG
        ),
        Metric(
            id=OPENED,
            thing_definition_id=VALVE,
            name="opened",
            value_type=ValueType.BOOLEAN,
        ),
        Metric(
            id=PHOTO,
            thing_definition_id=PUMP,
            name="photo",
            type=MetricType.BLOB,
            value_type=ValueType.STRING,
        ),
    ],
    product_models=[
        ProductModel(id=MODEL, name="P100", thing_definition_id=PUMP),
        ProductModel(id=OTHER_MODEL, name="P200", thing_definition_id=PUMP),
    ],
    product_model_parts=[
        ProductModelPart(
            id=PART, name="inlet", product_model_id=MODEL, thing_definition_id=VALVE
        )
    ],
)


def a_thing(thing_id: str, definition: ThingDefinitionId = PUMP) -> PlacedThing:
    thing = Thing(
        id=ThingId(thing_id),
        serial_number=f"SN-{thing_id}",
        name=thing_id,
        thing_definition_id=definition,
    )
    return PlacedThing(
        thing=thing,
        root_id=thing.id,
        ancestor_ids=(thing.id,),
        location=None,
        customer=None,
    )


def plan(
    things: Sequence[PlacedThing],
    definitions: Definitions = DEFINITIONS,
    selection: Selection | None = None,
    rendition: Rendition | None = None,
) -> ExportPlan:
    return plan_export(
        tenant_id=TenantId("tenant"),
        selection=selection or Selection(),
        rendition=rendition or Rendition(),
        things=things,
        definitions=definitions,
        snapshot=7,
        scheduled_at=NOON,
    )


def faults(*qualified: QualifiedMetric) -> list[str]:
    return check_request(Selection(qualified_metrics=qualified), DEFINITIONS)


def columns_by_thing(made: ExportPlan) -> dict[ThingId, list[MetricId]]:
    return {
        it.thing_id: [column.metric_id for column in made.layouts[it.layout].columns]
        for it in made.files
    }


def a_selection(data: DataObject, catalogue: Catalogue) -> Selection:
    return Selection(qualified_metrics=data.draw(qualified_metrics(catalogue)))


@given(catalogue=catalogues(), data=st.data())
def test_the_plan_selects_the_things_and_columns_of_the_naive_model(
    catalogue: Catalogue, data: DataObject
) -> None:
    selection = a_selection(data, catalogue)

    made = plan(catalogue.placed_things, catalogue.definitions, selection)

    assert columns_by_thing(made) == {
        thing.id: [it.id for it in columns]
        for thing, columns in oracle.selected(catalogue, selection)
    }


@given(catalogue=catalogues(), data=st.data())
def test_a_plan_does_not_depend_on_the_order_of_the_things(
    catalogue: Catalogue, data: DataObject
) -> None:
    selection = a_selection(data, catalogue)
    shuffled = data.draw(st.permutations(catalogue.placed_things))

    made = plan(shuffled, catalogue.definitions, selection)

    assert made == plan(catalogue.placed_things, catalogue.definitions, selection)


@given(catalogue=catalogues(), data=st.data())
def test_files_of_one_layout_stand_together_by_thing_id(
    catalogue: Catalogue, data: DataObject
) -> None:
    selection = a_selection(data, catalogue)

    made = plan(catalogue.placed_things, catalogue.definitions, selection)

    order = [(it.layout, it.thing_id) for it in made.files]
    assert order == sorted(order)
    assert {it.layout for it in made.files} == set(range(len(made.layouts)))
    assert len(set(made.layouts)) == len(made.layouts)
    definition_of = {it.id: it.thing_definition_id for it in catalogue.things}
    for file in made.files:
        layout = made.layouts[file.layout]
        assert layout.thing_definition_id == definition_of[file.thing_id]


@given(catalogue=catalogues(), data=st.data())
def test_faults_are_found_exactly_where_no_thing_could_have_the_metric(
    catalogue: Catalogue, data: DataObject
) -> None:
    selection = a_selection(data, catalogue)
    exportable = {it.id for it in catalogue.metrics if it.is_exportable}

    found = check_request(selection, catalogue.definitions)

    at_fault = {int(it.partition("[")[2].partition("]")[0]) for it in found}
    assert at_fault == {
        index
        for index, asked in enumerate(selection.qualified_metrics)
        if asked.metric_id not in exportable
        or not oracle.can_ever_occur(catalogue, asked)
    }


@given(catalogue=catalogues(), data=st.data())
def test_a_metric_that_some_thing_has_as_asked_is_never_a_fault(
    catalogue: Catalogue, data: DataObject
) -> None:
    selection = a_selection(data, catalogue)
    sensible = tuple(
        asked
        for asked in selection.qualified_metrics
        if any(oracle.columns_of(catalogue, it, [asked]) for it in catalogue.things)
    )

    found = check_request(Selection(qualified_metrics=sensible), catalogue.definitions)

    assert found == []


def test_what_was_asked_for_is_frozen_in_the_plan() -> None:
    made = plan(
        [a_thing("t1")],
        selection=Selection(period=Period(1, 2)),
        rendition=Rendition(
            thing_file_name="${thing.name}",
            include_unit=True,
            timestamp_format=TimestampFormat.EPOCH_MILLIS,
        ),
    )

    assert (made.tenant_id, made.snapshot, made.scheduled_at) == ("tenant", 7, NOON)
    assert made.period == Period(1, 2)
    assert made.timestamp_format is TimestampFormat.EPOCH_MILLIS
    assert [it.name for it in made.files] == ["t1.csv"]
    assert [(it.header, it.value_type) for it in made.layouts[0].columns] == [
        ("flow", ValueType.LONG),
        ("temperature [°C]", ValueType.DOUBLE),
    ]


def test_names_are_replaced_by_their_hash_where_that_is_asked_for() -> None:
    rendition = Rendition(thing_file_name="a", hash_thing_file_name=True)

    made = plan([a_thing("t1")], rendition=rendition)

    assert [it.name for it in made.files] == ["0cc175b9c0f1b6a831c399e269772661.csv"]


def test_a_metric_asked_for_twice_stands_where_it_was_asked_for_first() -> None:
    asked = (MetricAnywhere(TEMP), MetricAnywhere(FLOW), MetricAnywhere(TEMP))

    made = plan([a_thing("t1")], selection=Selection(qualified_metrics=asked))

    assert columns_by_thing(made) == {"t1": [TEMP, FLOW]}


def test_every_fault_of_a_request_is_named_by_its_index() -> None:
    nothing = MetricId("nothing")
    elsewhere = ThingDefinitionId("elsewhere")

    assert faults(
        MetricAnywhere(TEMP),
        MetricAnywhere(nothing),
        MetricOfDefinition(nothing, elsewhere),
        MetricOfPart(TEMP, ProductModelId("elsewhere")),
        MetricOfPart(OPENED, OTHER_MODEL, PART),
        MetricOfPart(OPENED, MODEL, ProductModelPartId("elsewhere")),
        MetricAnywhere(PHOTO),
    ) == [
        "qualifiedMetricIds[1].metricId: no such metric",
        "qualifiedMetricIds[2].metricId: no such metric",
        "qualifiedMetricIds[2].thingDefinitionId: no such thing definition",
        "qualifiedMetricIds[3].productModelId: no such product model",
        "qualifiedMetricIds[4].productModelPartId: no such part of this product model",
        "qualifiedMetricIds[5].productModelPartId: no such part of this product model",
        "qualifiedMetricIds[6].metricId: a BLOB metric cannot be exported",
    ]


def test_a_metric_of_an_heir_of_the_definition_named_is_no_fault() -> None:
    assert faults(MetricOfDefinition(FLOW, BASE), MetricOfPart(TEMP, MODEL)) == []


def test_a_metric_that_things_of_that_kind_cannot_have_is_a_fault() -> None:
    assert faults(
        MetricOfDefinition(OPENED, PUMP),
        MetricOfPart(OPENED, MODEL),
        MetricOfPart(FLOW, MODEL, PART),
    ) == [
        f"qualifiedMetricIds[{index}].metricId: "
        "no thing of that kind can have this metric"
        for index in range(3)
    ]


def test_a_request_without_metrics_has_no_fault() -> None:
    assert faults() == []
