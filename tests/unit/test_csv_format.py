"""The written specification of the CSV dialect."""

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.rfc4180 import Cell, parse
from renderings import (
    any_bits,
    around_powers_of_two,
    doubles,
    float32s,
    timestamp_formats,
    to_float32,
)
from scenarios import any_text, instants, telling_texts, whole_numbers
from thingport.domain.csv_format import (
    format_boolean,
    format_double,
    format_float,
    format_integer,
    format_line,
    format_timestamp,
    guard_text,
    quote,
)
from thingport.domain.data_export import TimestampFormat
from thingport.domain.metric import MAX_FLOAT32
from thingport.domain.period import MAX_TIMESTAMP_MS, MIN_TIMESTAMP_MS

texts = (
    st.sampled_from(telling_texts)
    | any_text
    | st.text("=+-@'\t\r\n.,\"019eE٣x ", max_size=6)
)


# --- fields and lines ----------------------------------------------------------


@given(fields=st.lists(texts, min_size=1))
def test_a_line_is_read_back_as_the_fields_it_was_made_of(fields: list[str]) -> None:
    [cells] = parse(format_line(fields))

    assert [it.text for it in cells] == fields
    # The reader refuses quotes that nobody needs; a missing value has none at all.
    assert Cell("") not in cells


@pytest.mark.parametrize(
    ("field", "quoted"),
    [
        ("", '""'),
        (" ", " "),
        ("a'b", "a'b"),
        ("a;b\tc", "a;b\tc"),
        ("a,b", '"a,b"'),
        ('"', '""""'),
        ('say "hi"', '"say ""hi"""'),
        ("one\ntwo", '"one\ntwo"'),
        ("one\rtwo", '"one\rtwo"'),
        ("\u2028\x85\x0b", "\u2028\x85\x0b"),
        ("città 😀", "città 😀"),
    ],
)
def test_a_field_is_quoted_where_it_must_be(field: str, quoted: str) -> None:
    assert quote(field) == quoted


# --- the guard -----------------------------------------------------------------


@given(text=texts)
def test_taking_one_leading_quote_away_undoes_the_guard_exactly(text: str) -> None:
    assert guard_text(text).removeprefix("'") == text


@given(text=texts)
def test_a_guarded_text_starts_no_formula_unless_it_is_a_number(text: str) -> None:
    guarded = guard_text(text)

    if guarded.startswith(("=", "+", "-", "@", "\t", "\r")):
        assert guarded == text
        assert re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", text, re.ASCII)


@given(text=texts)
def test_a_text_is_guarded_only_where_it_must_be(text: str) -> None:
    is_guarded = guard_text(text) != text

    assert not is_guarded or text.startswith(("=", "+", "-", "@", "'", "\t", "\r"))


@pytest.mark.parametrize(
    "text",
    [
        *("=1+1", "+", "-", "@a", "\t", "\tx", "\r", "\rx", "'", "'a", "'=x", "''"),
        *("+1-1", "-1x", "-x1", "-.", "-1e", "-1.5e+", "--1", "+-1", "-1 ", "-1\n"),
        *("-٣", "-1_000", "-1,5", "+0x1F", "-inf", "-nan", "='-1", "'-1", "\t1", "=1"),
    ],
)
def test_what_a_spreadsheet_could_run_gets_a_quote_before_it(text: str) -> None:
    assert guard_text(text) == f"'{text}"


@pytest.mark.parametrize(
    "text",
    [
        *("", "a", "a=1", " =1", "1+1", "\n=1", '"=1"', ",=1", "\ufeff=1"),
        *("-1", "+1", "-1.", "-.5", "+0.5", "-1e5", "-1E+05", "+.5e-7", "-007"),
    ],
)
def test_a_number_and_what_starts_otherwise_is_left_alone(text: str) -> None:
    assert guard_text(text) == text


# --- timestamps ----------------------------------------------------------------


@given(timestamp_ms=instants)
def test_an_instant_is_iso_8601_in_utc_with_milliseconds(timestamp_ms: int) -> None:
    text = format_timestamp(timestamp_ms, TimestampFormat.ISO_8601)

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    since = datetime.fromisoformat(text) - epoch
    assert since == timedelta(milliseconds=timestamp_ms)


@given(timestamp_ms=instants)
def test_an_instant_in_milliseconds_is_the_plain_number(timestamp_ms: int) -> None:
    text = format_timestamp(timestamp_ms, TimestampFormat.EPOCH_MILLIS)

    assert re.fullmatch("-?[0-9]+", text)
    assert int(text) == timestamp_ms


@pytest.mark.parametrize(
    ("timestamp_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (1_583_020_800_000, "2020-03-01T00:00:00.000Z"),
        (MIN_TIMESTAMP_MS, "1900-01-01T00:00:00.000Z"),
        (MAX_TIMESTAMP_MS, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_telling_instants_in_iso_8601(timestamp_ms: int, text: str) -> None:
    assert format_timestamp(timestamp_ms, TimestampFormat.ISO_8601) == text


@given(timestamp_ms=instants, written_as=timestamp_formats)
def test_a_timestamp_needs_no_quotes(
    timestamp_ms: int, written_as: TimestampFormat
) -> None:
    text = format_timestamp(timestamp_ms, written_as)

    assert quote(text) == text


# --- numbers and booleans ------------------------------------------------------


def test_a_boolean_is_true_or_false() -> None:
    assert [format_boolean(True), format_boolean(False)] == ["true", "false"]


@given(number=whole_numbers)
def test_an_integer_keeps_every_digit(number: int) -> None:
    text = format_integer(number)

    assert re.fullmatch("0|-?[1-9][0-9]*", text)
    assert int(text) == number


def digits_of(text: str) -> int:
    """Count the digits that say something: no zeros at either end."""
    return len(Decimal(text).normalize().as_tuple().digits)


def neighbours(number: float, digits: int) -> list[float]:
    """Give the decimals of so many digits next to a number, on both sides."""
    exact = Decimal(number)
    return [
        float(Context(digits, rounding).create_decimal(exact))
        for rounding in (ROUND_FLOOR, ROUND_CEILING)
    ]


def is_laid_out_as_specified(text: str) -> bool:
    size = abs(float(text))
    if size == 0 or 1e-4 <= size < 1e16:
        return bool(re.fullmatch(r"-?(0|[1-9][0-9]*)\.([0-9]*[1-9]|0)", text))
    return bool(re.fullmatch(r"-?[1-9](\.[0-9]*[1-9])?e[+-][0-9]{2,}", text))


@given(number=doubles)
def test_a_double_is_the_fewest_digits_that_parse_back(number: float) -> None:
    text = format_double(number)

    assert repr(float(text)) == repr(number)
    assert is_laid_out_as_specified(text)
    fewer = digits_of(text) - 1
    assert fewer == 0 or number not in neighbours(number, fewer)


@given(number=float32s)
def test_a_float_is_the_fewest_digits_that_parse_back(number: float) -> None:
    text = format_float(number)

    assert repr(to_float32(float(text))) == repr(number)
    assert is_laid_out_as_specified(text)
    fewer = digits_of(text) - 1
    assert fewer == 0 or number not in [
        to_float32(it) for it in neighbours(number, fewer) if abs(it) <= MAX_FLOAT32
    ]


@given(number=float32s)
def test_a_float_is_laid_out_as_the_double_of_the_same_digits(number: float) -> None:
    text = format_float(number)

    assert text == format_double(float(text))


@given(number=st.one_of(float32s, any_bits(32), around_powers_of_two(32)))
def test_a_float_has_the_digits_that_numpy_gives_it(number: float) -> None:
    assert float(format_float(number)) == float(str(np.float32(number)))


@given(number=st.floats(-MAX_FLOAT32, MAX_FLOAT32))
def test_a_float_is_rounded_to_32_bits_first(number: float) -> None:
    assert format_float(number) == format_float(to_float32(number))


@pytest.mark.parametrize("write", [format_double, format_float])
@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (10.0, "10.0"),
        (0.1, "0.1"),
        (-1.5, "-1.5"),
        (0.0001, "0.0001"),
        (1e-05, "1e-05"),
        (1.5e-07, "1.5e-07"),
        (1e13, "10000000000000.0"),
        (1e15, "1000000000000000.0"),
        (1e16, "1e+16"),
        (-1.5e20, "-1.5e+20"),
    ],
)
def test_telling_numbers(
    write: Callable[[float], str], number: float, text: str
) -> None:
    assert write(number) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (9999999999999998.0, "9999999999999998.0"),
        (0.1 + 0.2, "0.30000000000000004"),
    ],
)
def test_telling_doubles(number: float, text: str) -> None:
    assert format_double(number) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1e-45, "1e-45"),
        (MAX_FLOAT32, "3.4028235e+38"),
        (0.1 + 0.2, "0.3"),
        (2.0**24, "16777216.0"),
        (123456789.0, "123456790.0"),
        # The nearest eight digits, 1.2379400e+27, are too far below a power of two,
        # where floats lie twice as dense as above it.
        (2.0**90, "1.2379401e+27"),
        (1e-60, "0.0"),
        (-1e-60, "-0.0"),
    ],
)
def test_telling_floats(number: float, text: str) -> None:
    assert format_float(number) == text


@pytest.mark.parametrize(
    "number", [math.nan, math.inf, -math.inf, 3.5e38, -1e300, MAX_FLOAT32 * 1.00000004]
)
def test_a_number_that_is_not_finite_in_32_bits_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="not finite in 32 bits"):
        format_float(number)
