"""Columns that are looked at as a whole give what each cell by itself gives."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from builders import a_metric
from thingport.domain.csv_format import guard_text
from thingport.domain.csv_rows import CsvRow, CsvSlice
from thingport.domain.data_import import RejectedRow, TextGuard
from thingport.domain.import_rows import ImportedRows, ImportRowReader
from thingport.domain.metric import Value, ValueDoesNotFit, ValueType, parse_value

telling = st.sampled_from(
    [
        *("0", "-0", "+1", "007", "1.", ".5", "1e5", "1E-5", "-1.5e+3", "1e999"),
        *(
            "3.4028235e38",
            "3.5e38",
            "nan",
            "inf",
            "0x10",
            "1_000",
            "\uff11",
            " 1",
            "1 ",
        ),
        *("9223372036854775807", "9223372036854775808", "-9223372036854775808"),
        *("1\n", "1\n2", "\n", "", "true", "false", "True", "'1", "\0", "x" * 70_000),
        *("é" * 32_768, "é" * 32_769, "9" * 5_000),
    ]
)
cells = st.none() | telling | st.floats().map(repr) | st.integers().map(str)


def read(
    value_type: ValueType,
    column: Sequence[str | None],
    text_guard: TextGuard = TextGuard.NONE,
) -> ImportedRows:
    reader = ImportRowReader([a_metric(name="m", value_type=value_type)], text_guard)
    rows = [CsvRow(line, ["7", cell]) for line, cell in enumerate(column, 1)]
    return reader.read(CsvSlice(rows))


@given(
    value_type=st.sampled_from(ValueType),
    column=st.lists(cells, max_size=6) | st.lists(st.sampled_from(["1", "2.5", None])),
)
@example(value_type=ValueType.DOUBLE, column=["1\n2", "3"])
@example(value_type=ValueType.LONG, column=["1\n2", None])
def test_a_column_gives_what_each_cell_gives(
    value_type: ValueType, column: Sequence[str | None]
) -> None:
    kept: list[Value | None] = []
    rejected: list[RejectedRow] = []
    for line, cell in enumerate(column, 1):
        try:
            kept.append(None if cell is None else parse_value(value_type, cell))
        except ValueDoesNotFit as misfit:
            rejected.append(RejectedRow(line, f"column 'm': {misfit}"))

    found = read(value_type, column)

    assert [repr(it) for it in found.columns[0]] == [repr(it) for it in kept]
    assert found.rejected == rejected
    assert found.timestamps_ms == [7] * len(kept)


@given(text=st.text() | st.text(st.sampled_from("'=+-@\t\r1")))
def test_taking_the_guard_away_undoes_it(text: str) -> None:
    column = [guard_text(text), text]

    assert read(ValueType.STRING, column, TextGuard.FORMULA).columns[0][0] == text
    assert list(read(ValueType.STRING, column).columns[0]) == column


@pytest.mark.parametrize(
    ("cell", "timestamp_ms"),
    [
        ("0", 0),
        ("-1", -1),
        ("253402300799999", 253402300799999),
        ("2020-03-01T00:00:00.000Z", 1583020800000),
        ("2020-03-01T00:00:00Z", 1583020800000),
        ("2020-03-01t01:00+01:00", 1583020800000),
        ("2020-03-01 01:00:00,12+0100", 1583020800120),
        ("2020-03-01T00:00:00.001000Z", 1583020800001),
        ("1900-01-01T00:00:00.000Z", -2208988800000),
        ("9999-12-31T23:59:59.999Z", 253402300799999),
        ("1969-12-31T23:59:59.999Z", -1),
    ],
)
def test_instants_are_read_in_both_forms(cell: str, timestamp_ms: int) -> None:
    reader = ImportRowReader([], TextGuard.NONE)
    for others in ([], ["x"]):
        rows = [CsvRow(line, [it]) for line, it in enumerate([cell, *others])]
        assert reader.read(CsvSlice(rows)).timestamps_ms == [timestamp_ms]


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (None, "UTC milliseconds, or ISO 8601"),
        ("", "UTC milliseconds, or ISO 8601"),
        ("1.5", "UTC milliseconds, or ISO 8601"),
        ("1583020800", None),
        ("9" * 30, "UTC milliseconds, or ISO 8601"),
        ("2020-03-01T00:00:00.000", "UTC milliseconds, or ISO 8601"),
        ("2020-02-30T00:00:00Z", "there is no such instant"),
        ("0001-01-01T00:00:00+10:00", "not within 1900 to 9999"),
        ("2020-03-01T24:00:00Z", "there is no such instant"),
        ("2020-03-01T00:00:00.0001Z", "a fraction of a millisecond"),
        ("-2208988800001", "not within 1900 to 9999"),
        ("253402300800000", "not within 1900 to 9999"),
        ("1899-12-31T23:59:59.999Z", "not within 1900 to 9999"),
    ],
)
def test_what_is_no_instant_is_rejected(cell: str | None, reason: str | None) -> None:
    found = ImportRowReader([], TextGuard.NONE).read(CsvSlice([CsvRow(5, [cell])]))

    told = [it.reason for it in found.rejected]
    assert told == [] if reason is None else reason in told[0]


@given(st.datetimes(datetime(1900, 1, 1), datetime(9999, 12, 31)))  # noqa: DTZ001  # Hypothesis wants them so
def test_every_instant_that_is_written_reads_back(at: datetime) -> None:
    cell = f"{at.isoformat(timespec='milliseconds')}Z"
    found = ImportRowReader([], TextGuard.NONE).read(CsvSlice([CsvRow(1, [cell])]))

    epoch = datetime(1970, 1, 1)  # noqa: DTZ001  # as above
    assert found.timestamps_ms == [(at - epoch) // timedelta(milliseconds=1)]


def test_of_two_faults_in_a_row_the_first_is_told_and_rows_are_told_by_line() -> None:
    metrics = [a_metric(name=it, value_type=ValueType.LONG) for it in "ab"]
    rows = [
        CsvRow(2, ["1", "x", "y"]),
        CsvRow(3, ["z", "x", "1"]),
        CsvRow(4, ["1", "1", "2"]),
        CsvRow(5, ["1", "1"]),
    ]
    malformed = [RejectedRow(1, "malformed")]

    found = ImportRowReader(metrics, TextGuard.NONE).read(CsvSlice(rows, malformed))

    assert found.columns == [[1], [2]]
    assert [(it.line, it.reason[:11]) for it in found.rejected] == [
        (1, "malformed"),
        (2, "column 'a':"),
        (3, "TIMESTAMP: "),
        (5, "2 cells, bu"),
    ]
