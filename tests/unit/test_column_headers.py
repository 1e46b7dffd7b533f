"""Headers of a CSV file's columns."""

from hypothesis import given
from hypothesis import strategies as st

from strategies import names
from thingport.domain.column_headers import column_headers
from thingport.domain.csv_format import guard_text
from thingport.domain.ids import MetricId, ThingDefinitionId
from thingport.domain.metric import Metric, ValueType

units = st.none() | st.sampled_from(["", "°C", "x"])

awkward_names = names | st.sampled_from(
    ["timestamp", "TIMESTAMP (m0)", "a (m1)", "A [x]", "'-1", "+1e5", "+1E5", "''x"]
)


def a_metric(number: int, name: str, unit: str | None = None) -> Metric:
    return Metric(
        id=MetricId(f"m{number}"),
        thing_definition_id=ThingDefinitionId("d1"),
        name=name,
        unit=unit,
        value_type=ValueType.DOUBLE,
    )


def headers(*names: str) -> list[str]:
    metrics = [a_metric(number, name) for number, name in enumerate(names)]
    return column_headers(metrics, include_unit=False)


@given(named=st.lists(st.tuples(awkward_names, units)), include_unit=st.booleans())
def test_headers_always_differ_without_case_and_none_is_the_timestamps(
    named: list[tuple[str, str | None]], *, include_unit: bool
) -> None:
    metrics = [a_metric(n, name, unit) for n, (name, unit) in enumerate(named)]

    made = column_headers(metrics, include_unit=include_unit)

    keys = {"timestamp", *(it.casefold() for it in made)}
    assert len(keys) == len(named) + 1


@given(named=st.lists(awkward_names, unique_by=str.casefold))
def test_a_header_that_equals_no_other_is_the_name_with_the_text_guard(
    named: list[str],
) -> None:
    expected = [guard_text(it) for it in named if it.casefold() != "timestamp"]

    made = headers(*named)

    assert [it for it in made if not it.casefold().startswith("timestamp (")] == [
        it for it in expected if not it.casefold().startswith("timestamp (")
    ]


def test_every_one_of_several_equal_headers_gets_its_metrics_id() -> None:
    assert headers("a", "b", "A") == ["a (m0)", "b", "A (m2)"]


def test_a_header_that_equals_the_first_column_gets_its_metrics_id() -> None:
    assert headers("Timestamp") == ["Timestamp (m0)"]


def test_a_name_that_looks_like_a_suffixed_one_is_told_apart_too() -> None:
    assert headers("a", "A", "a (m0)") == ["a (m0) (m0)", "A (m1)", "a (m0) (m2)"]


def test_a_unit_follows_the_name_where_it_is_wanted_and_there_is_one() -> None:
    metrics = [a_metric(0, "t", "°C"), a_metric(1, "n"), a_metric(2, "e", "")]

    assert column_headers(metrics, include_unit=True) == ["t [°C]", "n", "e"]
    assert column_headers(metrics, include_unit=False) == ["t", "n", "e"]


def test_headers_are_equal_only_with_their_units() -> None:
    metrics = [a_metric(0, "t", "°C"), a_metric(1, "T", "K"), a_metric(2, "t [k]")]

    assert column_headers(metrics, include_unit=True) == [
        "t [°C]",
        "T [K] (m1)",
        "t [k] (m2)",
    ]


def test_a_header_that_a_spreadsheet_would_run_is_guarded() -> None:
    assert headers("=1+1", "-1") == ["'=1+1", "-1"]
