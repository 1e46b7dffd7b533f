"""Values, read by the type of their metric."""

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingport.domain.csv_format import format_float
from thingport.domain.metric import (
    END_OF_FLOAT32,
    MAX_FLOAT32,
    MAX_TEXT_BYTES,
    ValueDoesNotFit,
    ValueType,
    parse_value,
)

int64s = st.integers(-(2**63), 2**63 - 1)

finite = st.floats(allow_nan=False, allow_infinity=False)

whole_types = pytest.mark.parametrize("value_type", [ValueType.INTEGER, ValueType.LONG])
decimal_types = pytest.mark.parametrize(
    "value_type", [ValueType.FLOAT, ValueType.DOUBLE]
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2)
    ),
    max_leaves=3,
)


@given(value_type=st.sampled_from(list(ValueType)), given_value=json_values)
def test_whatever_is_given_is_read_as_its_type_or_refused(
    value_type: ValueType, given_value: object
) -> None:
    try:
        value = parse_value(value_type, given_value)
    except ValueDoesNotFit:
        return
    match value_type:
        case ValueType.STRING:
            assert type(value) is str
        case ValueType.BOOLEAN:
            assert type(value) is bool
        case ValueType.INTEGER | ValueType.LONG:
            assert type(value) is int
            assert -(2**63) <= value < 2**63
        case ValueType.FLOAT | ValueType.DOUBLE:
            assert type(value) is float
            assert math.isfinite(value)


@whole_types
@given(number=int64s)
def test_a_64_bit_integer_keeps_every_digit(value_type: ValueType, number: int) -> None:
    assert parse_value(value_type, number) == number
    assert parse_value(value_type, str(number)) == number


@given(number=finite)
def test_a_double_is_kept_to_the_last_bit(number: float) -> None:
    for form in (number, repr(number)):
        value = parse_value(ValueType.DOUBLE, form)
        assert struct.pack("<d", value) == struct.pack("<d", number)


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_a_text_is_kept_as_it_is(text: str) -> None:
    assert parse_value(ValueType.STRING, text) == text


@whole_types
@pytest.mark.parametrize(
    "given_value",
    [2**63, -(2**63) - 1, str(2**63), "9" * 5_000, 1.0, "1.0", "", "x", " 1", "1_0"],
)
def test_what_is_no_64_bit_integer_is_refused(
    value_type: ValueType, given_value: object
) -> None:
    with pytest.raises(ValueDoesNotFit):
        parse_value(value_type, given_value)


@whole_types
@pytest.mark.parametrize(
    ("text", "expected"),
    [("+7", 7), ("-0", 0), ("0" * 30 + "7", 7), ("-" + "0" * 5_000 + "7", -7)],
)
def test_signs_and_leading_zeros_of_an_integer_are_read(
    value_type: ValueType, text: str, expected: int
) -> None:
    assert parse_value(value_type, text) == expected


@decimal_types
@pytest.mark.parametrize(
    "given_value",
    [math.nan, math.inf, -math.inf, "NaN", "inf", "1e999", 10**400, "", "0x1", "1_0"],
)
def test_what_is_no_finite_number_is_refused(
    value_type: ValueType, given_value: object
) -> None:
    with pytest.raises(ValueDoesNotFit):
        parse_value(value_type, given_value)


@decimal_types
@pytest.mark.parametrize(
    ("given_value", "expected"), [(1, 1.0), ("1", 1.0), (".5", 0.5), ("1.e2", 100.0)]
)
def test_a_number_is_read_in_every_form(
    value_type: ValueType, given_value: object, expected: float
) -> None:
    value = parse_value(value_type, given_value)

    assert type(value) is float
    assert value == expected


def test_a_float_takes_what_fits_32_bits_and_a_double_takes_more() -> None:
    beyond = math.nextafter(END_OF_FLOAT32, math.inf)

    assert parse_value(ValueType.FLOAT, MAX_FLOAT32) == MAX_FLOAT32
    as_written = parse_value(ValueType.FLOAT, format_float(MAX_FLOAT32))
    assert struct.unpack("<f", struct.pack("<f", as_written)) == (MAX_FLOAT32,)
    assert parse_value(ValueType.DOUBLE, beyond) == beyond
    with pytest.raises(ValueDoesNotFit, match="it does not fit 32 bits"):
        parse_value(ValueType.FLOAT, -beyond)


@pytest.mark.parametrize("given_value", [1, 0, "TRUE", "1", "", None, 1.0, [], {}])
def test_what_is_neither_true_nor_false_is_refused(given_value: object) -> None:
    with pytest.raises(ValueDoesNotFit):
        parse_value(ValueType.BOOLEAN, given_value)


@pytest.mark.parametrize(
    ("given_value", "expected"),
    [(True, True), (False, False), ("true", True), ("false", False)],
)
def test_true_and_false_are_read(given_value: object, *, expected: bool) -> None:
    assert parse_value(ValueType.BOOLEAN, given_value) is expected


@pytest.mark.parametrize("value_type", set(ValueType) - {ValueType.BOOLEAN})
def test_a_boolean_is_no_number_and_no_text(value_type: ValueType) -> None:
    with pytest.raises(ValueDoesNotFit):
        parse_value(value_type, given=True)


def test_a_refusal_says_what_was_due() -> None:
    with pytest.raises(ValueDoesNotFit) as refusal:
        parse_value(ValueType.LONG, "x")

    assert str(refusal.value) == "not a LONG: a whole number is due"
    assert refusal.value.value_type is ValueType.LONG


def test_a_text_is_limited_in_bytes() -> None:
    longest = "è" * (MAX_TEXT_BYTES // 2)

    assert parse_value(ValueType.STRING, longest) == longest
    with pytest.raises(ValueDoesNotFit, match=f"at most {MAX_TEXT_BYTES} are kept"):
        parse_value(ValueType.STRING, f"{longest}a")


def test_half_of_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(ValueDoesNotFit, match="surrogate"):
        parse_value(ValueType.STRING, "a\ud800")
