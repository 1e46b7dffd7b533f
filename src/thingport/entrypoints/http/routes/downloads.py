"""``/downloads``: archives, for whoever holds a link."""

import re
from base64 import b64encode
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from starlette.datastructures import MutableHeaders
from starlette.responses import FileResponse

from thingport.application.downloads import file_name_in_path
from thingport.domain.download_link import PresentedLink
from thingport.domain.errors import NotFound
from thingport.entrypoints.http.schemas import ERRORS
from thingport.entrypoints.http.services import Services

_UNSAFE_IN_FILE_NAME = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f-\x9f]')

_RANGE = re.compile(r"([0-9]{1,18})-([0-9]{1,18})?|-[0-9]{1,18}")
"""One range of bytes: from a first one, to a last one, or the last so many."""

_PATH = (
    "/downloads/{data_export_id}/{tenant_id}/{archive_sha256}/{expires_at_s}"
    "/{signature}/{file_name}"
)

router = APIRouter(tags=["Data exports"])


async def _presented_link(
    data_export_id: str,
    tenant_id: str,
    archive_sha256: str,
    expires_at_s: str,
    signature: str,
) -> PresentedLink:
    return PresentedLink(
        tenant_id=tenant_id,
        data_export_id=data_export_id,
        archive_sha256=archive_sha256,
        expires_at_s=expires_at_s,
        signature=signature,
    )


@router.get(
    _PATH,
    response_class=FileResponse,
    responses={
        200: {"content": {"application/zip": {}}, "description": "The archive."},
        **ERRORS,
    },
    summary="Gets the archive of a data-export",
)
@router.head(_PATH, include_in_schema=False)
def download(
    request: Request,
    services: Services,
    link: Annotated[PresentedLink, Depends(_presented_link)],
    file_name: str,  # noqa: ARG001  # it is there for who saves the file under it
) -> FileResponse:
    """Read an archive, or a range of it; the link is all the right that it takes."""
    found = services.downloads.open_download(link)
    _ignore_bad_range(request)
    try:
        # Looked at here, so that an archive deleted by now is 404 and not 500.
        stat = Path(found.path).stat()
    except FileNotFoundError:
        raise NotFound from None
    return FileResponse(
        found.path,
        stat_result=stat,
        media_type="application/zip",
        headers={
            "Content-Disposition": content_disposition(found.name),
            "ETag": f'"{found.archive.sha256}"',
            "Repr-Digest": repr_digest(found.archive.sha256),
            "Cache-Control": "private",
        },
    )


def repr_digest(sha256: str) -> str:
    """Give the header by which a whole download is verified, however it came.

    Source: RFC 9530, §3.
    """
    return f"sha-256=:{b64encode(bytes.fromhex(sha256)).decode()}:"


def content_disposition(name: str) -> str:
    """Give the header that names a saved file after its export.

    Source: RFC 6266, §4.3 and its appendix D.
    """
    full = _UNSAFE_IN_FILE_NAME.sub("_", name)
    return (
        f'attachment; filename="{file_name_in_path(name)}"; '
        f"filename*=UTF-8''{quote(full, safe='')}.zip"
    )


def _ignore_bad_range(request: Request) -> None:
    """Take away a range that cannot be understood: the whole archive is sent then.

    Source: RFC 9110, §14.2.
    """
    headers = MutableHeaders(scope=request.scope)
    unit, _, ranges = headers.get("range", "").partition("=")
    is_good = unit.strip().lower() == "bytes" and all(
        _is_range(it.strip()) for it in ranges.split(",")
    )
    if not is_good:
        del headers["range"]


def _is_range(text: str) -> bool:
    found = _RANGE.fullmatch(text)
    if found is None:
        return False
    first, last = found.groups()
    return last is None or int(first) <= int(last)
