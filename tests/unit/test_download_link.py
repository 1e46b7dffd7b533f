"""Download links open what they were made for, and nothing else."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import NOON, an_id
from thingport.domain.download_link import (
    DownloadLink,
    DownloadLinkRefused,
    PresentedLink,
    check_link,
)
from thingport.domain.ids import DataExportId, TenantId

SECRET = b"s" * 32
FIELDS = ["tenant_id", "data_export_id", "archive_sha256", "expires_at_s", "signature"]


def a_link() -> DownloadLink:
    return DownloadLink(
        tenant_id=TenantId(an_id()),
        data_export_id=DataExportId(an_id()),
        archive_sha256="a" * 64,
        expires_at_s=int((NOON + timedelta(hours=1)).timestamp()),
    )


def presented(link: DownloadLink, secret: bytes = SECRET) -> PresentedLink:
    return PresentedLink(
        tenant_id=link.tenant_id,
        data_export_id=link.data_export_id,
        archive_sha256=link.archive_sha256,
        expires_at_s=str(link.expires_at_s),
        signature=link.sign(secret),
    )


def test_a_link_opens_what_it_was_made_for() -> None:
    link = a_link()

    assert check_link(presented(link), SECRET, now=NOON) == link


@given(field=st.sampled_from(FIELDS), text=st.text(max_size=70))
def test_a_link_with_anything_changed_is_refused(field: str, text: str) -> None:
    link = presented(a_link())
    changed = replace(link, **{field: text})
    if changed == link:
        return
    with pytest.raises(DownloadLinkRefused):
        check_link(changed, SECRET, now=NOON)


@pytest.mark.parametrize("expiry", ["", "-1", "1" * 13, "²", "1 ", "0x1", "\ud800"])
def test_an_expiry_that_is_no_number_is_refused(expiry: str) -> None:
    with pytest.raises(DownloadLinkRefused):
        check_link(replace(presented(a_link()), expires_at_s=expiry), SECRET, now=NOON)


def test_a_link_signed_with_another_secret_is_refused() -> None:
    with pytest.raises(DownloadLinkRefused):
        check_link(presented(a_link(), b"t" * 32), SECRET, now=NOON)


def test_a_link_is_dead_from_the_very_second_that_it_names() -> None:
    link = presented(a_link())
    last = NOON + timedelta(minutes=59, seconds=59, milliseconds=999)

    check_link(link, SECRET, now=last)
    with pytest.raises(DownloadLinkRefused):
        check_link(link, SECRET, now=NOON + timedelta(hours=1))


def test_text_that_no_signature_can_be_made_of_is_refused() -> None:
    with pytest.raises(DownloadLinkRefused):
        check_link(replace(presented(a_link()), tenant_id="\ud800"), SECRET, now=NOON)
