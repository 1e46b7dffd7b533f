"""Rows are read as RFC 4180 has them, in whatever blocks they arrive."""

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from thingport.domain.csv_format import format_line
from thingport.domain.csv_rows import CsvRow, CsvSlice, iter_slices
from thingport.domain.data_import import ImportRefused, RejectedRow

cells = st.none() | st.text(
    st.sampled_from('a,"\r\n \ufeffé🙂') | st.characters(exclude_categories=["Cs"]),
    max_size=6,
)
tables = st.lists(st.lists(cells, min_size=1, max_size=4), max_size=6)


def blocks_of(content: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def read(content: str | bytes, size: int = 1 << 20, **how: int) -> CsvSlice:
    encoded = content.encode() if isinstance(content, str) else content
    whole = CsvSlice()
    for it in iter_slices(blocks_of(encoded, size), **how):
        whole.rows += it.rows
        whole.rejected += it.rejected
        whole.size_bytes += it.size_bytes
    return whole


def written(row: Sequence[str | None]) -> str:
    return ",".join("" if it is None else format_line([it])[:-2] for it in row)


def is_blank(row: Sequence[str | None]) -> bool:
    return list(row) == [None]


@given(table=tables, size=st.integers(1, 9), end=st.sampled_from(["\n", "\r\n"]))
@example(table=[["\r"], [None, "x\r\n"]], size=1, end="\r\n")
def test_whatever_is_written_reads_back_with_its_lines(
    table: Sequence[Sequence[str | None]], size: int, end: str
) -> None:
    content = "".join(written(it) + end for it in table)
    expected: list[CsvRow] = []
    line = 1
    for row in table:
        if not is_blank(row):
            expected.append(CsvRow(line, list(row)))
        line += 1 + written(row).count("\n")

    # A text at the very beginning that begins with a mark is taken for the mark.
    found = read("\ufeff" + content, size)

    assert found.rejected == []
    assert [CsvRow(it.line, list(it.cells)) for it in found.rows] == expected
    assert read("\ufeff" + content.removesuffix(end), size).rows == found.rows


any_csv = st.text(st.sampled_from('a,"\n\r'), max_size=40)


@given(content=any_csv, size=st.integers(1, 9))
def test_every_line_is_read_or_rejected_whatever_is_in_it(
    content: str, size: int
) -> None:
    try:
        found = read(content, size)
    except ImportRefused:
        assert '"' in content, "only a quote that is not closed ends a file"
        with pytest.raises(ImportRefused):
            read(content)
        return
    lines = [it.line for it in found.rows] + [it.line for it in found.rejected]
    assert len(set(lines)) == len(lines)
    at_once = read(content)
    assert (at_once.rows, at_once.rejected) == (found.rows, found.rejected)


def test_an_empty_cell_is_missing_and_a_quoted_one_is_empty() -> None:
    assert read('a,,"",\n').rows == [CsvRow(1, ["a", None, "", None])]


@pytest.mark.parametrize(
    ("content", "rejected", "accepted"),
    [
        ('1,a"b\n2,c\n', [1], [2]),
        ('1,"a"b\n2,c\n', [1], [2]),
        ('1,5" pipe\n2,"ok"\n3,x\n', [1], [2, 3]),
        ('1,"a\nb"c\n3,c\n', [1], [3]),
        ('1,a"b"\n2,c\n', [1], [2]),
        ("1,a\rb\n2,c\n", [1], [2]),
        (b"1,\xff\n2,c\n", [1], [2]),
        (b'1,"\xff\n"\n3,"\xc3\xa9"\n', [1], [3]),
    ],
)
def test_a_malformed_row_is_rejected_and_no_other(
    content: str | bytes, rejected: Sequence[int], accepted: Sequence[int]
) -> None:
    for size in (1, 3, 1000):
        found = read(content, size)
        assert [it.line for it in found.rejected] == rejected
        assert [it.line for it in found.rows] == accepted


def test_a_quote_that_is_never_closed_is_told_with_its_line() -> None:
    with pytest.raises(ImportRefused, match="line 3: a quote is opened here"):
        read('1,a\n2,b\n3,"c\n4,d\n5,e\n', size=4)


def test_a_row_can_be_as_long_as_the_limit_and_no_longer() -> None:
    row = '1,"' + "x\n" * 50 + '"'
    assert read(row, size=10, max_row_bytes=len(row)).rejected == []
    with pytest.raises(ImportRefused, match="line 1: a row of more than 103 bytes"):
        read(row, size=10, max_row_bytes=len(row) - 1)


@pytest.mark.parametrize("mark", [b"\xff\xfe", b"\xfe\xff"])
def test_another_encoding_is_told(mark: bytes) -> None:
    with pytest.raises(ImportRefused, match="UTF-16"):
        read(mark + b"T\0", size=1)


@pytest.mark.parametrize("size", [1, 2, 1000])
def test_reading_begins_at_a_line_whatever_stands_before(size: int) -> None:
    content = 'made by "hand\n\nTIMESTAMP,a\r\n1,2'

    found = read(content, size, first_line=3)

    assert found.rows == [CsvRow(3, ["TIMESTAMP", "a"]), CsvRow(4, ["1", "2"])]
    assert read(content, size, first_line=9).rows == []
    assert found.rejected == list[RejectedRow]()
