"""Download links: a right to read one archive, for a time, and nothing else."""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime

from thingport.domain.errors import CallerError
from thingport.domain.ids import DataExportId, TenantId

_PURPOSE = "thingport download link 1"
"""Stands first in what is signed, so that no signature serves another purpose."""

_MAX_EXPIRY_DIGITS = 12
"""Enough for seconds until beyond the year 9999."""


class DownloadLinkRefused(CallerError):
    """A download link was altered, or its time is over; nothing was read."""

    def __init__(self) -> None:
        super().__init__(
            "The download link is not valid, or not any more; get the data export "
            "again for a new one"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadLink:
    """What a link lets its holder read, and until when.

    Attributes:
        archive_sha256: Of the archive's bytes; a link never opens another archive.
        expires_at_s: Seconds since the Unix epoch; the link is dead from then on.
    """

    tenant_id: TenantId
    data_export_id: DataExportId
    archive_sha256: str
    expires_at_s: int

    def sign(self, secret: bytes) -> str:
        """Give the signature: lower-case hex, safe in a path.

        Source: HMAC: RFC 2104, with SHA-256.
        """
        signed = "\n".join(
            (
                _PURPOSE,
                self.tenant_id,
                self.data_export_id,
                self.archive_sha256,
                str(self.expires_at_s),
            )
        )
        return hmac.new(secret, signed.encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentedLink:
    """A link as somebody presents it: texts that prove nothing yet."""

    tenant_id: str
    data_export_id: str
    archive_sha256: str
    expires_at_s: str
    signature: str


def check_link(
    presented: PresentedLink, secret: bytes, *, now: datetime
) -> DownloadLink:
    """Give what a presented link lets its holder read.

    Takes the same time wherever a signature goes wrong. Says nothing of whether
    the archive is still there.

    Raises:
        DownloadLinkRefused: It is altered or expired; which one is not said.
    """
    expiry = presented.expires_at_s
    if not (
        expiry.isascii() and expiry.isdigit() and len(expiry) <= _MAX_EXPIRY_DIGITS
    ):
        raise DownloadLinkRefused
    link = DownloadLink(
        tenant_id=TenantId(presented.tenant_id),
        data_export_id=DataExportId(presented.data_export_id),
        archive_sha256=presented.archive_sha256,
        expires_at_s=int(expiry),
    )
    try:
        due = link.sign(secret)
    except UnicodeEncodeError:
        raise DownloadLinkRefused from None
    given = presented.signature.encode(errors="replace")
    if not hmac.compare_digest(due.encode(), given):
        raise DownloadLinkRefused
    if now.timestamp() >= link.expires_at_s:
        raise DownloadLinkRefused
    return link
