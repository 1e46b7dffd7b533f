"""JSON is read strictly, or refused with a sentence."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingport.domain.errors import InvalidRequest
from thingport.entrypoints.http.json_body import parse_object

characters = st.characters(exclude_categories=["Cs"])
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(characters),
    lambda it: (
        st.lists(it, max_size=3) | st.dictionaries(st.text(characters), it, max_size=3)
    ),
    max_leaves=10,
)


@given(
    content=st.dictionaries(st.text(characters), json_values, max_size=4),
    is_escaped=st.booleans(),
)
def test_every_json_object_is_read_as_it_is(
    content: dict[str, object], *, is_escaped: bool
) -> None:
    assert parse_object(json.dumps(content, ensure_ascii=is_escaped).encode()) == (
        content
    )


@given(body=st.binary(max_size=40))
def test_bytes_are_read_or_refused_and_never_anything_else(body: bytes) -> None:
    with suppress(InvalidRequest):
        assert isinstance(parse_object(body), dict)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON: Expecting property name"),
        (b'{"a": 1,}', "not JSON"),
        (b'{"a": 1} x', "not JSON: Extra data at line 1, column 10"),
        (b"[]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
        (b'{"a": NaN}', "NaN is no number"),
        (b'{"a": -Infinity}', "-Infinity is no number"),
        (b'{"a": 1, "a": 1}', 'names "a" more than once'),
        (b'{"b": {"a": 1, "\\u0061": 2}}', 'names "a" more than once'),
        (b'{"a": "\xff"}', "not UTF-8, from byte 7 on"),
        (b'{"a": "\\ud800"}', "half of a surrogate pair"),
        (b'{"\\udc00": 1}', "half of a surrogate pair"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b'{"a":' + b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}", "too many digits"),
        ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
    ],
)
def test_what_readers_of_json_differ_about_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(InvalidRequest, match="The body") as raised:
        parse_object(body)

    assert reason in str(raised.value)


def test_a_whole_surrogate_pair_is_a_character() -> None:
    assert parse_object(b'{"a": "\\ud83d\\ude00"}') == {"a": "\U0001f600"}
