"""The strict reader of CSV, against cases by hand and the standard library."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.rfc4180 import Cell, NotStrict, parse, write

SPECIAL = frozenset(',"\r\n')


def cell(text: str) -> Cell:
    return Cell(text, quoted=not text or not SPECIAL.isdisjoint(text))


MISSING = Cell("")
EMPTY = Cell("", quoted=True)

rows_of_cells = st.integers(1, 4).flatmap(
    lambda width: st.lists(
        st.lists(
            st.just(MISSING)
            | st.text(st.sampled_from('a ,"\r\n\t\0é😀'), max_size=6).map(cell),
            min_size=width,
            max_size=width,
        ),
        max_size=5,
    )
)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("", []),
        ("\r\n", [[MISSING]]),
        ("a\r\n", [[Cell("a")]]),
        ("a,b\r\nc,d\r\n", [[Cell("a"), Cell("b")], [Cell("c"), Cell("d")]]),
        (',""\r\n', [[MISSING, EMPTY]]),
        ('"",\r\n', [[EMPTY, MISSING]]),
        (" a , b\r\n", [[Cell(" a "), Cell(" b")]]),
        ("'=1,\tb\r\n", [[Cell("'=1"), Cell("\tb")]]),
        ('"a,b"\r\n', [[Cell("a,b", quoted=True)]]),
        ('"a""b"\r\n', [[Cell('a"b', quoted=True)]]),
        ('""""\r\n', [[Cell('"', quoted=True)]]),
        ('"\r"\r\n', [[Cell("\r", quoted=True)]]),
        ('"\n"\r\n', [[Cell("\n", quoted=True)]]),
        (
            '"a\r\nb",c\r\n',
            [[Cell("a\r\nb", quoted=True), Cell("c")]],
        ),
        ("\x85\u2028\0,😀\r\n", [[Cell("\x85\u2028\0"), Cell("😀")]]),
    ],
)
def test_what_is_strict_csv_is_read_cell_by_cell(
    text: str, rows: list[list[Cell]]
) -> None:
    assert parse(text) == rows


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("a", 1, "a comma or CRLF is due"),
        ("a,b", 3, "a comma or CRLF is due"),
        ("a,", 2, "a comma or CRLF is due"),
        ("a\r\nb", 4, "a comma or CRLF is due"),
        ("a\n", 1, "a comma or CRLF is due"),
        ("a\r", 1, "a comma or CRLF is due"),
        ("a\rb\r\n", 1, "a comma or CRLF is due"),
        ("a\n\r\n", 1, "a comma or CRLF is due"),
        ('a"b\r\n', 1, "a comma or CRLF is due"),
        ('a"",b\r\n', 1, "a comma or CRLF is due"),
        (' "a,b"\r\n', 1, "a comma or CRLF is due"),
        ('"a,b" \r\n', 5, "a comma or CRLF is due"),
        ('"a,b"\n', 5, "a comma or CRLF is due"),
        ('"a,b"c\r\n', 5, "a comma or CRLF is due"),
        ('""', 2, "a comma or CRLF is due"),
        ('"', 0, "the quote is not closed"),
        ('a,"b\r\n', 2, "the quote is not closed"),
        ('"a""\r\n', 0, "the quote is not closed"),
        ('"a"\r\n', 0, "the quotes are not needed"),
        ('a," b"\r\n', 2, "the quotes are not needed"),
        ('"\t"\r\n', 0, "the quotes are not needed"),
        ("a,b\r\nc\r\n", 5, "1 cells, where 2 are due"),
        ("a\r\nb,\r\n", 3, "2 cells, where 1 are due"),
        ("a,b\r\n\r\n", 5, "1 cells, where 2 are due"),
    ],
)
def test_what_is_not_is_refused_with_its_place(
    text: str, position: int, reason: str
) -> None:
    with pytest.raises(NotStrict, match=reason) as caught:
        parse(text)

    assert caught.value.position == position


@given(rows=rows_of_cells)
def test_what_was_written_is_read_back(rows: list[list[Cell]]) -> None:
    assert parse(write(rows)) == rows


@given(rows=rows_of_cells)
def test_the_standard_library_reads_the_same_texts(rows: list[list[Cell]]) -> None:
    read = csv.reader(io.StringIO(write(rows), newline=""), strict=True)

    # To it a line with one missing value is a row without any cell.
    assert [it or [""] for it in read] == [[it.text for it in row] for row in rows]


@given(text=st.text(st.sampled_from('a,"\r\n'), max_size=12))
def test_whatever_is_read_could_have_been_written_only_so(text: str) -> None:
    try:
        rows = parse(text)
    except NotStrict:
        return
    assert write(rows) == text
