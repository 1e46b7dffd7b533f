"""Raw deflate streams in pieces."""

import random
import zlib

from hypothesis import given
from hypothesis import strategies as st

from thingport.adapters.render.deflate import deflate, joined_crc32

texts = st.one_of(
    st.binary(max_size=200),
    # What repeats over more than the window of 32 KiB, or does not repeat at all.
    st.builds(bytes.__mul__, st.binary(max_size=50), st.integers(0, 5_000)),
    st.builds(
        lambda seed, size: random.Random(seed).randbytes(size),
        st.integers(0, 2**32),
        st.integers(0, 200_000),
    ),
)

crcs = st.integers(0, 2**32 - 1)

sizes = st.integers(0, 2**40)
"""Texts of more than 4 GiB too, which need not be there to be counted."""


def inflate(stream: bytes) -> bytes:
    """Read a stream to its end, which is where the bytes end as well."""
    reader = zlib.decompressobj(-zlib.MAX_WBITS)
    text = reader.decompress(stream) + reader.flush()
    assert reader.eof
    assert reader.unused_data == b""
    return text


@given(text=texts)
def test_a_whole_text_is_one_stream(text: bytes) -> None:
    deflated = deflate(text, ends_stream=True)

    assert inflate(deflated.content) == text
    assert deflated.crc32 == zlib.crc32(text)


@given(pieces=st.lists(texts, min_size=1, max_size=5))
def test_pieces_that_do_not_know_each_other_make_one_stream(
    pieces: list[bytes],
) -> None:
    *inner, last = pieces
    deflated = [
        *(deflate(it, ends_stream=False) for it in inner),
        deflate(last, ends_stream=True),
    ]

    assert inflate(b"".join(it.content for it in deflated)) == b"".join(pieces)


@given(text=texts, earlier=texts)
def test_a_piece_that_does_not_end_the_stream_ends_on_a_whole_byte(
    text: bytes, earlier: bytes
) -> None:
    reader = zlib.decompressobj(-zlib.MAX_WBITS)
    for piece in (earlier, text):
        content = deflate(piece, ends_stream=False).content
        # An empty stored block: all before it is out, and nothing is begun.
        assert content.endswith(b"\x00\x00\xff\xff")
        assert reader.decompress(content) == piece
        assert not reader.eof


@given(pieces=st.lists(texts, max_size=5))
def test_a_joined_crc_is_that_of_the_joined_text(pieces: list[bytes]) -> None:
    crc32 = 0
    for piece in pieces:
        crc32 = joined_crc32(crc32, deflate(piece, ends_stream=False).crc32, len(piece))

    assert crc32 == zlib.crc32(b"".join(pieces))


@given(first=crcs, second=crcs, third=crcs, sizes=st.tuples(sizes, sizes))
def test_crcs_are_joined_in_any_grouping_whatever_the_sizes(
    first: int, second: int, third: int, sizes: tuple[int, int]
) -> None:
    second_bytes, third_bytes = sizes

    one_by_one = joined_crc32(
        joined_crc32(first, second, second_bytes), third, third_bytes
    )

    later_ones = joined_crc32(second, third, third_bytes)
    assert joined_crc32(first, later_ones, sum(sizes)) == one_by_one


@given(text=texts, other=texts, ends_stream=st.booleans())
def test_equal_texts_give_equal_bytes(
    text: bytes, other: bytes, *, ends_stream: bool
) -> None:
    first = deflate(text, ends_stream=ends_stream)
    deflate(other, ends_stream=not ends_stream)

    assert deflate(bytes(bytearray(text)), ends_stream=ends_stream) == first


def test_a_text_that_repeats_becomes_much_smaller() -> None:
    text = b"2020-03-01T00:00:00.000Z,10.0,true\r\n" * 10_000

    assert len(deflate(text, ends_stream=True).content) < len(text) / 20
