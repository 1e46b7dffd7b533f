"""Generated exports: what was written, who asks, and what for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from oracle.selection import can_ever_occur, lineage, metrics_of
from oracle.visibility import sees
from strategies import Catalogue, catalogues, qualified_metrics, with_unlike_names
from thingport.domain.actor import (
    CustomerEntity,
    Entity,
    LocationEntity,
    OrganizationEntity,
    PartnerEntity,
)
from thingport.domain.data_export import (
    DEFAULT_MASK,
    DataExportRequest,
    Rendition,
    Selection,
    TimestampFormat,
)
from thingport.domain.ids import MetricId
from thingport.domain.metric import (
    MAX_FLOAT32,
    Metric,
    QualifiedMetric,
    Value,
    ValueType,
)
from thingport.domain.period import ALL_TIME, MAX_TIMESTAMP_MS, MIN_TIMESTAMP_MS, Period
from thingport.domain.reading import Reading

WriteCall = Sequence[Reading]
"""Readings that are sent, and become durable, together."""

MARCH_2020 = 1_583_020_800_000

few_instants = st.sampled_from(
    [MIN_TIMESTAMP_MS, -1, 0, 1, 999, MARCH_2020, MARCH_2020 + 1, MAX_TIMESTAMP_MS]
)
"""So few that things are written more than once."""

instants = few_instants | st.integers(MIN_TIMESTAMP_MS, MAX_TIMESTAMP_MS)

telling_numbers = [0.0, -0.0, 0.1, 10.0, 1e-4, 9.9e-5, 1e-5, 1e15, 1e16, 123456789.0]

telling_texts = [
    *(
        "",
        " ",
        "a,b",
        'say "hi"',
        '"',
        "one\ntwo",
        "one\rtwo",
        "\r\n",
        "\rx",
        "\t",
        "\tx",
    ),
    *("=1+1", "+1", "-1.5e3", "-", "+", "-1x", "@a", "'", "'=x", "'a", "=a,b", '="x"'),
    *("😀", "citta\u0300", "\ufeffx", "\u2028", "\x85", "NULL", "null", "true", "nan"),
    *("-٣", "\0", "a\0b", "\x1a", "x" * 5_000),
]

any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)

whole_numbers = st.sampled_from([0, -1, 2**53 + 1, 2**63 - 1, -(2**63)]) | st.integers(
    -(2**63), 2**63 - 1
)

values_of: Mapping[ValueType, SearchStrategy[Value]] = {
    ValueType.STRING: st.sampled_from(telling_texts) | any_text,
    ValueType.BOOLEAN: st.booleans(),
    ValueType.INTEGER: whole_numbers,
    ValueType.LONG: whole_numbers,
    ValueType.FLOAT: st.sampled_from([*telling_numbers, 1e-45, MAX_FLOAT32, 2.0**24])
    | st.floats(-MAX_FLOAT32, MAX_FLOAT32),
    ValueType.DOUBLE: st.sampled_from(
        [*telling_numbers, 5e-324, 1.7976931348623157e308, 2.0**53]
    )
    | st.floats(allow_nan=False, allow_infinity=False),
}

masks = st.just(DEFAULT_MASK) | st.lists(
    st.sampled_from(
        [
            *("con", "é", "/", "${thing.name}", "${thing.properties.a}"),
            *("${customer.name}", "${productModel.name}"),
            *("${location.id}", "${location.properties.plant}"),
        ]
    ),
    max_size=3,
).map("".join)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Everything that an archive depends on, and some things it must not depend on.

    Attributes:
        before: What is written before scheduling.
        after: What is written between scheduling and rendering.
        max_chunk_bytes: So small, at times, that every timestamp is a span.
    """

    catalogue: Catalogue
    entity: Entity
    request: DataExportRequest
    before: Sequence[WriteCall]
    after: Sequence[WriteCall]
    max_chunk_bytes: int


@st.composite
def scenarios(draw: DrawFn) -> Scenario:
    catalogue = draw(
        catalogues().filter(_has_something_to_export).map(with_unlike_names)
    )
    entity = draw(entities(catalogue))
    return Scenario(
        catalogue=catalogue,
        entity=entity,
        request=draw(requests(catalogue, entity)),
        before=draw(st.lists(write_calls(catalogue), min_size=1, max_size=4)),
        after=draw(st.lists(write_calls(catalogue), max_size=1)),
        max_chunk_bytes=draw(st.sampled_from([1, 100, 400, 8 * 1024 * 1024])),
    )


def _has_something_to_export(catalogue: Catalogue) -> bool:
    return any(metrics_of(catalogue, it) for it in catalogue.things)


@st.composite
def write_calls(draw: DrawFn, catalogue: Catalogue) -> WriteCall:
    """Draw readings that are written together, of metrics that have no column too."""
    metrics_by_thing = {
        thing.id: [
            metric
            for metric in catalogue.metrics
            if metric.thing_definition_id
            in lineage(catalogue, thing.thing_definition_id)
        ]
        for thing in catalogue.things
    }
    one_reading = st.sampled_from(
        [thing_id for thing_id, metrics in metrics_by_thing.items() if metrics]
    ).flatmap(
        lambda it: st.builds(
            Reading, st.just(it), instants, _some_values(metrics_by_thing[it])
        )
    )
    # Of its own accord a list is short; most rules need readings that meet.
    size = draw(st.integers(0, 20))
    return draw(st.lists(one_reading, min_size=size, max_size=size))


def _some_values(metrics: Sequence[Metric]) -> SearchStrategy[dict[MetricId, Value]]:
    return st.fixed_dictionaries(
        {}, optional={it.id: values_of[it.value_type] for it in metrics}
    ).filter(bool)


def entities(catalogue: Catalogue) -> SearchStrategy[Entity]:
    """Draw somewhere a user can belong; most often where everything is seen."""
    top = OrganizationEntity(catalogue.organizations[0].id)
    return st.sampled_from(
        [
            *[top] * 20,
            *(OrganizationEntity(it.id) for it in catalogue.organizations),
            *(PartnerEntity(it.id) for it in catalogue.partners),
            *(CustomerEntity(it.id) for it in catalogue.customers),
            *(LocationEntity(it.id) for it in catalogue.locations),
        ]
    )


@st.composite
def requests(draw: DrawFn, catalogue: Catalogue, entity: Entity) -> DataExportRequest:
    """Draw requests that nothing is wrong with."""
    asked = draw(qualified_metrics(catalogue))
    scope = draw(st.just(Selection()) | scopes(catalogue, entity))
    return DataExportRequest(
        selection=replace(
            scope,
            qualified_metrics=tuple(it for it in asked if _is_right(catalogue, it)),
            period=draw(st.just(ALL_TIME) | periods()),
        ),
        rendition=draw(
            st.builds(
                Rendition,
                thing_file_name=masks,
                hash_thing_file_name=st.booleans(),
                include_unit=st.booleans(),
                timestamp_format=st.sampled_from(TimestampFormat),
            )
        ),
    )


def _is_right(catalogue: Catalogue, asked: QualifiedMetric) -> bool:
    [metric] = [it for it in catalogue.metrics if it.id == asked.metric_id]
    return metric.is_exportable and can_ever_occur(catalogue, asked)


@st.composite
def scopes(draw: DrawFn, catalogue: Catalogue, entity: Entity) -> Selection:
    """Draw filters by ids that belong together and that a user of an entity sees."""
    seen = [it for it in catalogue.placed_things if sees(catalogue, entity, it)]
    if not seen:
        return Selection()
    placed = draw(st.sampled_from(seen))
    place = placed.location
    sees_customer = place is not None and not isinstance(entity, LocationEntity)
    return Selection(
        thing_id=draw(st.sampled_from([None, placed.thing.id])),
        location_id=draw(st.sampled_from([None, place.id if place else None])),
        customer_id=draw(
            st.sampled_from(
                [None, place.customer_id if place and sees_customer else None]
            )
        ),
    )


@st.composite
def periods(draw: DrawFn) -> Period:
    start, end = draw(st.none() | few_instants), draw(st.none() | few_instants)
    if start is not None and end is not None and start >= end:
        return Period(end, start) if start > end else Period(start)
    return Period(start, end)
