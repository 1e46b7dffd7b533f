"""A header is understood as exports write it, and nothing is guessed."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import a_metric
from thingport.domain.column_headers import column_headers
from thingport.domain.data_import import ImportRefused, TextGuard
from thingport.domain.ids import MetricId
from thingport.domain.import_header import read_header
from thingport.domain.metric import Metric, MetricType


def metrics_called(*names: str) -> list[Metric]:
    return [
        a_metric(id=MetricId(f"m{number}"), name=name)
        for number, name in enumerate(names)
    ]


def read(
    header: Sequence[str | None],
    metrics: Sequence[Metric],
    text_guard: TextGuard = TextGuard.FORMULA,
) -> Sequence[Metric]:
    by_id = {it.id: it for it in metrics}
    return read_header(["TIMESTAMP", *header], by_id, text_guard)


names = st.sampled_from(
    [
        *("a", "A", "timestamp", "TIMESTAMP", "=x", "'=x", "'", "-1", "a [b]", "ß"),
        *("a (m0)", "A (m0)", "a (m1)", "a (m0) (m0)", "(m0)", " (m0)", "SS"),
    ]
)


@given(names=st.lists(names, unique=True, max_size=6), data=st.data())
def test_whatever_header_an_export_writes_is_understood(
    names: Sequence[str], data: st.DataObject
) -> None:
    metrics = metrics_called(*names)
    wanted = data.draw(st.permutations(metrics))
    wanted = wanted[: data.draw(st.integers(0, len(wanted)))]
    header = column_headers(wanted, include_unit=False)

    try:
        found = read(header, metrics)
    except ImportRefused as refusal:
        # With few columns a header may be two metrics'; then nothing is guessed.
        assert "the name of one metric, and that of another" in str(refusal)  # noqa: PT017
    else:
        assert found == wanted


def test_names_that_are_equal_without_case_are_told_apart_by_their_id() -> None:
    metrics = metrics_called("a", "A", "timestamp")

    assert read(["A (m1)", "timestamp (m2)", "a (m0)"], metrics) == [
        metrics[1],
        metrics[2],
        metrics[0],
    ]


def test_without_guard_a_header_is_taken_as_it_is() -> None:
    metrics = metrics_called("=x", "'=x")

    assert read(["'=x"], metrics, TextGuard.NONE) == [metrics[1]]
    assert read(["'=x"], metrics) == [metrics[0]]


def test_the_timestamp_may_be_in_any_case() -> None:
    assert read_header(["timestamp"], {}, TextGuard.NONE) == []


def test_every_fault_is_told() -> None:
    blob = a_metric(name="picture", type=MetricType.BLOB)
    header = ["temp [°C]", "temp", None, "tmep", "temp", "Timestamp", "picture"]

    with pytest.raises(ImportRefused) as refusal:
        read(header, [*metrics_called("temp", "x"), blob])

    assert list(refusal.value.faults) == [
        (
            "'temp [°C]': a header is the metric's name alone; export without units "
            "(includeUnit: false)"
        ),
        "a column has no header",
        "'tmep': the thing has no such metric; the nearest is 'temp'",
        "more than one column is TIMESTAMP",
        "'picture': this metric has no plain values",
        "'temp': more than one column is of this metric",
    ]


def test_a_thing_without_metrics_has_no_nearest_one() -> None:
    with pytest.raises(ImportRefused, match=r"no such metric$"):
        read(["x" * 300], [])
