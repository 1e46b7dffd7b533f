"""Handing out finished archives."""

import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from thingport.application.ports import ArchiveStore, Clock, ControlDatabase
from thingport.domain.data_export import Archive, DataExport
from thingport.domain.download_link import DownloadLink, PresentedLink, check_link
from thingport.domain.errors import NotFound

_UNSAFE_IN_PATH = re.compile(r"[^A-Za-z0-9._-]+")
_MAX_STEM_CHARACTERS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """An archive that may be read now.

    Attributes:
        path: The file; it can vanish at any time, when the archive is deleted.
        name: What the export is called, as its owner wrote it.
    """

    path: Path
    name: str
    archive: Archive


@dataclass(frozen=True, slots=True, kw_only=True)
class Downloads:
    """Links to archives, and what is behind them.

    Attributes:
        secret: Signs links; at least 32 random bytes.
        lifetime: How long a link works.
        public_base_url: What links begin with, without a slash at its end.
    """

    control: ControlDatabase
    archives: ArchiveStore
    clock: Clock
    secret: bytes
    lifetime: timedelta
    public_base_url: str

    def link_for(self, data_export: DataExport) -> str:
        """Give a fresh link to the archive of a COMPLETED export.

        Asks nobody whether the caller may have it.

        Raises:
            NotFound: The export has no archive.
        """
        if data_export.archive is None:
            raise NotFound
        expires_at = self.clock.now() + self.lifetime
        link = DownloadLink(
            tenant_id=data_export.tenant_id,
            data_export_id=data_export.id,
            archive_sha256=data_export.archive.sha256,
            expires_at_s=int(expires_at.timestamp()),
        )
        path = "/".join(
            (
                "downloads",
                link.data_export_id,
                link.tenant_id,
                link.archive_sha256,
                str(link.expires_at_s),
                link.sign(self.secret),
                file_name_in_path(data_export.name),
            )
        )
        return f"{self.public_base_url.rstrip('/')}/{path}"

    def open_download(self, presented: PresentedLink) -> Download:
        """Give what a link leads to; the link is all the right that it takes.

        Raises:
            DownloadLinkRefused: It is altered or expired.
            NotFound: The archive is deleted.
        """
        link = check_link(presented, self.secret, now=self.clock.now())
        with self.control.for_tenant(link.tenant_id, read_only=True) as tx:
            data_export = tx.data_exports.find(link.data_export_id)
        if data_export is None or data_export.archive is None:
            raise NotFound
        path = self.archives.find_archive(link.tenant_id, link.data_export_id)
        if path is None or data_export.archive.sha256 != link.archive_sha256:
            raise NotFound
        return Download(path=path, name=data_export.name, archive=data_export.archive)


def file_name_in_path(name: str) -> str:
    """Make a file name of letters that need no escape in a path or a header."""
    stem = _UNSAFE_IN_PATH.sub("_", name)[:_MAX_STEM_CHARACTERS].strip("._")
    return f"{stem or 'data-export'}.zip"
