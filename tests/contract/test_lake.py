"""What every lake keeps of its promise."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lake_rows import (
    PUMP,
    TYPES,
    LakePlace,
    Row,
    a_batch,
    a_deletion,
    a_lane,
    a_layout,
    a_reader,
    a_reading,
    read,
)
from thingport.adapters.lake.group_commit import GroupCommitWriter
from thingport.application.ports import LakeReader, LakeWriter
from thingport.domain.chunking import row_cost_bytes
from thingport.domain.export_plan import SurveyedSpan, ThingSurvey
from thingport.domain.ids import MetricId, ThingDefinitionId, ThingId
from thingport.domain.metric import Value, ValueType
from thingport.domain.period import ALL_TIME, Period
from thingport.domain.reading import Reading, ValueDeletion

T = ThingId("t")


@pytest.fixture
def writer(place: LakePlace) -> Iterator[LakeWriter]:
    writer = GroupCommitWriter(a_lane(place))
    yield writer
    writer.close()


@pytest.fixture
def reader(place: LakePlace) -> Iterator[LakeReader]:
    reader = a_reader(place)
    yield reader
    reader.close()


def test_a_lake_that_was_never_written_has_no_snapshot_and_nothing_in_it(
    reader: LakeReader, place: LakePlace
) -> None:
    assert reader.current_snapshot() is None
    assert read(reader, a_layout(), ["t"]) == []
    assert reader.survey(None, a_layout(), [T], ALL_TIME) == {}
    assert reader.cut_thing(None, a_layout(), T, ALL_TIME, 1) == [
        SurveyedSpan(ALL_TIME, 0)
    ]
    assert list(place.directory.iterdir()) == []


def test_values_of_every_type_come_back_as_they_went_in(
    writer: LakeWriter, reader: LakeReader
) -> None:
    rows: list[dict[str, Value]] = [
        {"string": "", "boolean": False, "integer": -(2**63), "long": 2**63 - 1},
        {"float": 0.1, "double": 5e-324},
        {"float": 3.4028234663852886e38, "double": -1.7976931348623157e308},
        {"string": "a\"b'\r\n, 😀 \0 é", "double": -0.0, "boolean": True},
        {"string": "x" * 65_536, "long": 2**53 + 1},
    ]
    writer.write([a_batch(*(a_reading("t", i, **it) for i, it in enumerate(rows)))])

    found = read(reader, a_layout(), ["t"])

    assert found == [
        ("t", i, *(_stored(it, row.get(it)) for it in TYPES))
        for i, row in enumerate(rows)
    ]
    assert repr(found[3][-1]) == "0.0", "a zero has no sign"


def test_rows_come_by_thing_then_time_then_order_of_writing(
    writer: LakeWriter, reader: LakeReader
) -> None:
    writer.write([a_batch(a_reading("b", 2, long=1), a_reading("b", 1, long=2))])
    writer.write(
        [
            a_batch(a_reading("b", 1, long=3), a_reading("a", 9, long=4)),
            a_batch(a_reading("b", 1, long=5), a_reading("b", -1, long=6)),
        ]
    )

    assert read(reader, a_layout("long"), ["b", "a", "c"]) == [
        ("a", 9, 4),
        ("b", -1, 6),
        ("b", 1, 2),
        ("b", 1, 3),
        ("b", 1, 5),
        ("b", 2, 1),
    ]


def test_a_snapshot_never_changes(writer: LakeWriter, reader: LakeReader) -> None:
    writer.write([a_batch(a_reading("t", 1, long=1), a_reading("u", 1, long=4))])
    before = reader.current_snapshot()
    writer.write([a_batch(a_reading("t", 1, long=2, double=0.5))])
    other = ThingDefinitionId("fan")
    writer.write([a_batch(a_reading("f", 1, long=3), definition=other)])

    columns = a_layout("long", "double")
    assert read(reader, columns, ["t", "u"], snapshot=before) == [
        ("t", 1, 1, None),
        ("u", 1, 4, None),
    ]
    fans = a_layout("long", definition=other)
    assert read(reader, fans, ["f"], snapshot=before) == []
    assert reader.survey(before, fans, [ThingId("f")], ALL_TIME) == {}
    assert read(reader, columns, ["t", "u"]) == [
        ("t", 1, 1, None),
        ("t", 1, 2, 0.5),
        ("u", 1, 4, None),
    ]


def test_one_instant_of_one_thing_is_merged(
    writer: LakeWriter, reader: LakeReader
) -> None:
    writer.write([a_batch(a_reading("t", 1, long=1, string="old"))])
    writer.write(
        [a_batch(a_reading("t", 1, string="new"), a_reading("t", 1, double=0.5))]
    )
    writer.write([a_batch(a_reading("t", 2, boolean=True), a_reading("u", 1, long=9))])

    columns = a_layout("long", "string", "double", "float")
    first, second = Period(0, 2), Period(2, 9)
    assert read(reader, columns, ["t"], period=first) == [("t", 1, 1, "new", 0.5, None)]
    assert read(reader, columns, ["t"], period=second) == [
        ("t", 2, None, None, None, None)
    ]


def test_a_metric_that_was_never_written_is_a_column_without_values(
    writer: LakeWriter, reader: LakeReader
) -> None:
    writer.write([a_batch(a_reading("t", 1, long=1))])

    assert read(reader, a_layout("string", "long", "float"), ["t"]) == [
        ("t", 1, None, 1, None)
    ]
    assert read(reader, a_layout("string"), ["t"]) == [("t", 1, None)]


def test_one_call_may_write_things_of_several_definitions(
    writer: LakeWriter, reader: LakeReader
) -> None:
    fan = ThingDefinitionId("fan")
    writer.write(
        [
            a_batch(a_reading("t", 1, long=1)),
            a_batch(a_reading("f", 1, string="x"), definition=fan),
            a_batch(a_reading("t", 2, string="y")),
        ]
    )

    assert read(reader, a_layout("long", "string"), ["t"]) == [
        ("t", 1, 1, None),
        ("t", 2, None, "y"),
    ]
    assert read(reader, a_layout("string", definition=fan), ["f"]) == [("f", 1, "x")]


def test_nothing_to_write_is_nothing_written(
    writer: LakeWriter, reader: LakeReader
) -> None:
    writer.write([])
    writer.write([a_batch()])

    assert reader.current_snapshot() is None


def test_a_period_is_half_open(writer: LakeWriter, reader: LakeReader) -> None:
    writer.write([a_batch(*(a_reading("t", it, long=it) for it in range(5)))])

    def instants(period: Period) -> list[object]:
        return [it[1] for it in read(reader, a_layout("long"), ["t"], period=period)]

    assert instants(Period(1, 3)) == [1, 2]
    assert instants(Period(3, None)) == [3, 4]
    assert instants(Period(None, 1)) == [0]


def test_ids_may_be_any_text(writer: LakeWriter, reader: LakeReader) -> None:
    definition = ThingDefinitionId('drop"; --/..')
    ids = ['a"b', "a'b", "A'b", "../x", "", "città", "a b;"]
    types = {MetricId(it): ValueType.LONG for it in ids}
    readings = [
        Reading(ThingId(it), number, {MetricId(it): number})
        for number, it in enumerate(ids)
    ]
    writer.write([a_batch(*readings, definition=definition, types=types)])

    layout = a_layout(*ids, definition=definition, types=types)
    assert sorted(read(reader, layout, ids), key=lambda it: str(it[1])) == [
        (it, number, *(number if it == other else None for other in ids))
        for number, it in enumerate(ids)
    ]


def test_a_survey_counts_rows_and_the_bytes_of_planned_texts(
    writer: LakeWriter, reader: LakeReader
) -> None:
    writer.write(
        [
            a_batch(
                a_reading("t", 1, string="é"),
                a_reading("t", 1, string="abc", long=1),
                a_reading("t", 2, long=1),
                a_reading("u", 9, string="abcd"),
            )
        ]
    )
    at = reader.current_snapshot()
    things = [T, ThingId("u"), ThingId("nobody")]

    assert reader.survey(at, a_layout("string"), things, ALL_TIME) == {
        "t": ThingSurvey(3, 5),
        "u": ThingSurvey(1, 4),
    }
    assert reader.survey(at, a_layout("long"), things, Period(2, 9)) == {
        "t": ThingSurvey(1, 0)
    }


def test_many_things_can_be_asked_for_at_once(
    writer: LakeWriter, reader: LakeReader
) -> None:
    things = [f"t{it:04}" for it in range(1_000)]
    writer.write([a_batch(*(a_reading(it, 1, long=1) for it in things))])
    at = reader.current_snapshot()
    wanted = things[:700]

    survey = reader.survey(at, a_layout(), [ThingId(it) for it in wanted], ALL_TIME)

    assert survey.keys() == set(wanted)
    assert [it[0] for it in read(reader, a_layout("long"), wanted)] == wanted


def test_a_deletion_takes_one_metric_of_one_thing_in_a_half_open_period(
    writer: LakeWriter, reader: LakeReader
) -> None:
    readings = [a_reading(it, at, long=at, double=0.5) for it in "tu" for at in (1, 2)]
    writer.write([a_batch(*readings, a_reading("t", 3, long=3))])

    writer.delete(a_deletion("t", "long", Period(1, 2)))
    writer.delete(a_deletion("t", "long", Period(3, None)))

    assert read(reader, a_layout("long", "double"), ["t", "u"]) == [
        ("t", 1, None, 0.5),
        ("t", 2, 2, 0.5),
        ("u", 1, 1, 0.5),
        ("u", 2, 2, 0.5),
    ]


def test_a_deletion_reaches_all_that_was_written_and_nothing_that_comes_later(
    writer: LakeWriter, reader: LakeReader
) -> None:
    for number in range(3):
        writer.write([a_batch(a_reading("t", 1, long=number))])
    writer.write([a_batch(a_reading("t", 1, double=0.5))])

    writer.delete(a_deletion("t", "long"))
    assert read(reader, a_layout("long", "double"), ["t"]) == [("t", 1, None, 0.5)]

    writer.write([a_batch(a_reading("t", 1, long=7))])
    assert read(reader, a_layout("long", "double"), ["t"]) == [("t", 1, 7, 0.5)]


def test_what_stays_of_a_row_keeps_its_place_in_the_order_of_writing(
    writer: LakeWriter, reader: LakeReader
) -> None:
    writer.write([a_batch(a_reading("t", 1, long=1, double=0.1))])
    writer.write([a_batch(a_reading("t", 1, double=0.2), a_reading("u", 1, long=1))])

    writer.delete(a_deletion("t", "long"))

    assert read(reader, a_layout("double"), ["t", "u"]) == [
        ("t", 1, 0.1),
        ("t", 1, 0.2),
        ("u", 1, None),
    ]


def test_a_deletion_that_finds_nothing_changes_nothing(
    writer: LakeWriter, reader: LakeReader
) -> None:
    writer.delete(a_deletion("t", "long"))
    assert reader.current_snapshot() is None
    writer.write([a_batch(a_reading("t", 1, long=1))])
    before = reader.current_snapshot()

    writer.delete(a_deletion("t", "double"))
    writer.delete(a_deletion("u", "long"))
    writer.delete(a_deletion("t", "long", Period(2, 9)))
    writer.delete(a_deletion("t", "long", definition=ThingDefinitionId("fan")))

    assert reader.current_snapshot() == before


@settings(
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    texts=st.lists(
        st.tuples(st.integers(0, 12), st.text(alphabet="aé", max_size=40)),
        min_size=1,
        max_size=30,
    ),
    max_cost_bytes=st.integers(1, 400),
    period=st.sampled_from([ALL_TIME, Period(2, 9), Period(None, 5)]),
)
def test_spans_tile_the_period_and_cost_no_more_than_they_may(
    writer: LakeWriter,
    reader: LakeReader,
    texts: list[tuple[int, str]],
    max_cost_bytes: int,
    period: Period,
) -> None:
    definition = ThingDefinitionId(f"d{reader.current_snapshot()}")
    layout = a_layout("string", "long", definition=definition)
    readings = [a_reading("t", at, string=text) for at, text in texts]
    writer.write([a_batch(*readings, definition=definition)])

    at = reader.current_snapshot()
    spans = reader.cut_thing(at, layout, T, period, max_cost_bytes)

    assert spans == reader.cut_thing(at, layout, T, period, max_cost_bytes)
    assert spans[0].period.start_ms == period.start_ms
    assert spans[-1].period.end_ms == period.end_ms
    for one, following in pairwise(spans):
        assert one.period.end_ms == following.period.start_ms
    for span in spans:
        inside = [it for it in texts if span.period.contains(it[0])]
        assert span.rows == len(inside)
        text_bytes = sum(len(text.encode()) for _, text in inside)
        cost = row_cost_bytes(len(inside), 2, text_bytes)
        assert cost <= max_cost_bytes or len({at for at, _ in inside}) == 1


_values: dict[ValueType, st.SearchStrategy[Value]] = {
    ValueType.STRING: st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    ValueType.BOOLEAN: st.booleans(),
    ValueType.INTEGER: st.integers(-(2**63), 2**63 - 1),
    ValueType.LONG: st.integers(-(2**63), 2**63 - 1),
    ValueType.FLOAT: st.floats(width=32, allow_nan=False, allow_infinity=False),
    ValueType.DOUBLE: st.floats(allow_nan=False, allow_infinity=False),
}


@st.composite
def _readings(draw: st.DrawFn) -> Reading:
    optional = {it: _values[type_] for it, type_ in TYPES.items()}
    values: dict[MetricId, Value] = draw(
        st.fixed_dictionaries({}, optional=optional).filter(bool)
    )
    thing = draw(st.sampled_from("ab"))
    return Reading(ThingId(thing), draw(st.integers(-3, 3)), values)


@settings(
    max_examples=20,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(writes=st.lists(st.lists(_readings(), max_size=5), max_size=4))
def test_what_is_read_is_what_was_written_in_its_order(
    writer: LakeWriter, reader: LakeReader, writes: Sequence[Sequence[Reading]]
) -> None:
    definition = ThingDefinitionId(f"{PUMP}{reader.current_snapshot()}")
    for readings in writes:
        writer.write([a_batch(*readings, definition=definition)])

    written = [it for readings in writes for it in readings]
    expected: list[Row] = [
        (
            it.thing_id,
            it.timestamp_ms,
            *(_stored(name, it.values.get(name)) for name in TYPES),
        )
        for it in sorted(written, key=lambda it: (it.thing_id, it.timestamp_ms))
    ]
    layout = a_layout(definition=definition)
    assert repr(read(reader, layout, ["b", "a"])) == repr(expected)


_deletions = st.builds(
    a_deletion,
    st.sampled_from("ab"),
    st.sampled_from(sorted(TYPES)),
    st.tuples(st.integers(-4, 3), st.integers(1, 8)).map(
        lambda it: Period(it[0], it[0] + it[1])
    ),
)

Values = dict[tuple[str, int, str], object]
"""The value of each thing, timestamp and metric."""


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(st.lists(_readings(), max_size=5) | _deletions, max_size=7))
def test_writes_and_deletions_act_as_on_a_dictionary_at_every_snapshot(
    writer: LakeWriter,
    reader: LakeReader,
    steps: Sequence[Sequence[Reading] | ValueDeletion],
) -> None:
    definition = ThingDefinitionId(f"{PUMP}{reader.current_snapshot()}")
    model: Values = {}
    seen: list[tuple[int | None, Values]] = []
    for step in steps:
        if isinstance(step, ValueDeletion):
            writer.delete(replace(step, thing_definition_id=definition))
            model = {it: model[it] for it in model if not _is_hit(step, *it)}
        else:
            writer.write([a_batch(*step, definition=definition)])
            model = model | {
                (it.thing_id, it.timestamp_ms, name): _stored(name, value)
                for it in step
                for name, value in it.values.items()
            }
        seen.append((reader.current_snapshot(), model))

    for snapshot, expected in seen:
        layout = a_layout(definition=definition)
        rows = read(reader, layout, ["a", "b"], snapshot=snapshot) if snapshot else []
        assert _last_written(rows) == expected


def _is_hit(deletion: ValueDeletion, thing: str, at: int, name: str) -> bool:
    target = (deletion.thing_id, deletion.metric_id)
    return target == (thing, name) and deletion.period.contains(at)


def _last_written(rows: Sequence[Row]) -> Values:
    found: Values = {}
    for thing, at, *values in rows:
        named = dict(zip(TYPES, values, strict=True))
        there = {it: named[it] for it in named if named[it] is not None}
        assert there, "a row without any value"
        found |= {(str(thing), int(str(at)), it): there[it] for it in there}
    return found


def _stored(name: str, value: Value | None) -> Value | None:
    """Give a value as the lake keeps it: in 32 bits if FLOAT, and no zero signed."""
    if not isinstance(value, float):
        return value
    is_single = TYPES[MetricId(name)] is ValueType.FLOAT
    return (float(np.float32(value)) if is_single else value) + 0.0
