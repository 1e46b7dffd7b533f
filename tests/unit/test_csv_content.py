"""Whatever bytes are sent as a ZIP, they are read within bounds, or refused."""

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingport.adapters.imports.csv_content import MAX_DIRECTORY_BYTES, open_content
from thingport.adapters.imports.zip_directory import directory_bytes
from thingport.domain.data_import import ImportRefused

TEXT = b"TIMESTAMP,flow\r\n1,2\r\n" * 20


def a_zip(comment: bytes = b"", *, is_large: bool = False) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("a.csv", "w", force_zip64=is_large) as member:
            member.write(TEXT)
        archive.comment = comment
    return content.getvalue()


def read(content: bytes, max_bytes: int = 10_000) -> bytes:
    with open_content(io.BytesIO(content), max_bytes) as opened:
        assert opened.percent_read == 0
        return b"".join(opened.iter_blocks())


@pytest.mark.parametrize("is_large", [True, False])
def test_a_zip_gives_its_csv_file(*, is_large: bool) -> None:
    for content in (a_zip(is_large=is_large), TEXT):
        assert read(content) == TEXT
        with open_content(io.BytesIO(content), 10_000) as opened:
            assert [opened.percent_read for _ in opened.iter_blocks()] == [100]


@given(
    at=st.integers(0, len(a_zip()) - 1),
    garbage=st.binary(min_size=1, max_size=4),
    cut=st.none() | st.integers(0, len(a_zip())),
)
def test_a_damaged_zip_gives_its_text_or_is_refused(
    at: int, garbage: bytes, cut: int | None
) -> None:
    content = a_zip()
    damaged = content[:at] + garbage + content[at + len(garbage) :]

    try:
        found = read(damaged[:cut])
    except ImportRefused:
        return
    # What is no ZIP to us is taken for text, and what follows refuses that.
    assert found in {TEXT, damaged[:cut]}


@pytest.mark.parametrize(
    "comment", [b"", b"any", b"PK\x05\x06" + b"\0" * 30, b"x" * 65_535]
)
def test_the_list_of_members_is_measured_behind_any_comment(comment: bytes) -> None:
    content = a_zip(comment)
    with zipfile.ZipFile(io.BytesIO(a_zip())) as archive:
        real = len(a_zip()) - archive.start_dir - 22

    assert directory_bytes(io.BytesIO(content)) >= (real if len(comment) < 4 else 0)


def test_a_zip_that_claims_a_large_list_of_members_is_refused() -> None:
    content = bytearray(a_zip())
    content[-10:-6] = (MAX_DIRECTORY_BYTES + 1).to_bytes(4, "little")

    with pytest.raises(ImportRefused, match="too many files"):
        read(bytes(content))


def test_a_large_list_is_measured_in_the_record_for_large_archives() -> None:
    end = a_zip()[-22:]
    claimed = 2**40
    record = (
        b"PK\x06\x06"
        + (44).to_bytes(8, "little")
        + b"\0" * 28
        + claimed.to_bytes(8, "little")
        + b"\0" * 8
    )
    locator = b"PK\x06\x07" + b"\0" * 16

    assert directory_bytes(io.BytesIO(b"PK\x03\x04" + record + locator + end)) == (
        claimed
    )
