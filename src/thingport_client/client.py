"""A synchronous client: log in, schedule an export, wait for it, download it."""

import io
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import httpx

from thingport_client.errors import BrokenDownload, ExportFailed, ImportFailed, Refused

Bean = dict[str, Any]
"""A data export as the wire has it; see the API reference."""

_LONGEST_PAUSE_S = 5.0
"""Longest pause between two looks at a running export."""

_PASSING = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
"""What the service answers while it cannot look."""


class Client:
    """One user of one tenant, over HTTP.

    Logs in at the first call. Not safe to share between threads.
    """

    def __init__(self, base_url: str, *, tenant: str, api_key: str, pat: str) -> None:
        self._credentials = {"apiKey": api_key, "pat": pat}
        self._http = httpx.Client(
            base_url=base_url,
            headers={"X-Servitly-Tenant": tenant},
            timeout=httpx.Timeout(60.0),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def schedule(self, request: Bean) -> Bean:
        """Schedule an export; give it as it was stored.

        Raises:
            Refused: The service said no; nothing was scheduled.
        """
        return self._call("POST", "/data/dataExports", request)

    def get(self, data_export_id: str) -> Bean:
        """Look at an export.

        Raises:
            Refused: There is none that this user can see.
        """
        return self._call("GET", f"/data/dataExports/{data_export_id}")

    def iter_progress(
        self, data_export_id: str, *, pause_s: float = 0.2
    ) -> Iterator[Bean]:
        """Yield an export, again and again, until it is COMPLETED.

        The pause grows while nothing ends, to a few seconds at most. A service that
        is away for a moment is asked again.

        Raises:
            ExportFailed: It ended in ERROR.
            Refused: There is none that this user can see.
        """
        for bean in self._iter_until_end(lambda: self.get(data_export_id), pause_s):
            if bean["state"] not in {"PENDING", "COMPLETED"}:
                raise ExportFailed(data_export_id, _reason_of(bean))
            yield bean

    def download(
        self,
        bean: Bean,
        path: Path,
        *,
        on_bytes: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> None:
        """Save the archive of a COMPLETED export; it appears whole or not at all.

        Args:
            bean: The export, fresh from :meth:`get`: its link is valid for a time.
            path: Where to; an existing file is replaced.
            on_bytes: Called with bytes done and in all, after each block.

        Raises:
            Refused: The link is not valid any more.
            BrokenDownload: There is no link, or the connection ended early.
        """
        if "url" not in bean:
            raise BrokenDownload("the data export has no archive for this user")
        partial = path.with_name(f"{path.name}.part")
        try:
            _save(bean["url"], partial, on_bytes)
            partial.replace(path)
        except httpx.TransportError as error:
            raise BrokenDownload(f"the connection ended: {error}") from error
        finally:
            partial.unlink(missing_ok=True)

    def import_data(
        self,
        thing_id: str,
        path: Path,
        *,
        header_row: int = 1,
        text_guard: str = "NONE",
        on_bytes: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> Bean:
        """Send a file of a thing's readings; give the import as it was scheduled.

        Args:
            thing_id: Whose readings they are.
            path: A CSV file, or a ZIP of one.
            header_row: The line of the header, from 1.
            text_guard: ``FORMULA`` for a file that was exported with its texts
                guarded; each loses the one ``'`` that was put before it.
            on_bytes: Called with bytes sent and in all, after each block.

        Raises:
            Refused: The service said no; nothing was scheduled.
        """
        with _WatchedFile(path, on_bytes) as file:
            return self._call(
                "POST",
                "/data/dataImports",
                params={
                    "thingId": thing_id,
                    "csvHeaderRow": str(header_row),
                    "textGuard": text_guard,
                },
                files={"file": (path.name, file, "application/octet-stream")},
            )

    def data_import(self, data_import_id: str) -> Bean:
        """Look at an import.

        Raises:
            Refused: There is none that this user can see.
        """
        return self._call("GET", f"/data/dataImports/{data_import_id}")

    def iter_import(
        self, data_import_id: str, *, pause_s: float = 0.2
    ) -> Iterator[Bean]:
        """Yield an import, again and again, until it is COMPLETED.

        Raises:
            ImportFailed: It ended in ERROR.
            Refused: There is none that this user can see.
        """
        look = partial(self.data_import, data_import_id)
        for bean in self._iter_until_end(look, pause_s):
            if bean["state"] not in {"PENDING", "COMPLETED"}:
                raise ImportFailed(data_import_id, _reason_of(bean))
            yield bean

    def put_values(
        self, thing_id: str, metric_name: str, values: list[tuple[int, object]]
    ) -> None:
        """Write values of one metric; returns when they are durable.

        Args:
            thing_id: The thing that they belong to.
            metric_name: The metric, by its name.
            values: Timestamps in UTC milliseconds, with their values.

        Raises:
            Refused: Nothing was written.
        """
        data = [{"timestamp": at, "values": [{"value": value}]} for at, value in values]
        self._call(
            "PUT",
            "/data/values",
            {"data": data},
            params={"thingId": thing_id, "metricName": metric_name},
        )

    def put_batch(self, readings: Sequence[Bean] | bytes) -> None:
        """Write readings of many things; returns when all of them are durable.

        Args:
            readings: For each thing ``thingId`` and ``data``: a list of
                ``timestamp`` (UTC ms) and ``values`` (by metric name). Or the bytes
                of an Arrow IPC stream; see the API reference.

        Raises:
            Refused: Nothing was written.
        """
        path = "/data/values/batch"
        if isinstance(readings, bytes):
            headers = {"Content-Type": "application/vnd.apache.arrow.stream"}
            self._call("POST", path, content=readings, headers=headers)
        else:
            self._call("POST", path, list(readings))

    def delete_values(
        self, thing_id: str, metric_name: str, start_ms: int, end_ms: int
    ) -> None:
        """Delete the values of one metric in ``[start_ms, end_ms)``, for good.

        Raises:
            Refused: Nothing was deleted.
        """
        params = {
            "thingId": thing_id,
            "metricName": metric_name,
            "startTimestamp": str(start_ms),
            "endTimestamp": str(end_ms),
        }
        self._call("DELETE", "/data/values", params=params)

    def _iter_until_end(
        self, look: Callable[[], Bean], pause_s: float
    ) -> Iterator[Bean]:
        """Yield what is looked at until it is PENDING no more."""
        while True:
            try:
                bean = look()
            except Refused as refusal:
                if refusal.status not in _PASSING:
                    raise
                time.sleep(refusal.retry_after_s or _LONGEST_PAUSE_S)
                continue
            yield bean
            if bean["state"] != "PENDING":
                return
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.2, _LONGEST_PAUSE_S)

    def _call(  # noqa: PLR0913  # what a request may have
        self,
        method: str,
        path: str,
        body: Bean | list[Bean] | None = None,
        *,
        params: dict[str, str] | None = None,
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
        files: Mapping[str, tuple[str, io.FileIO, str]] | None = None,
    ) -> Bean:
        is_fresh = "Authorization" not in self._http.headers
        if is_fresh:
            self._log_in()
        request = partial(
            self._http.request,
            method,
            path,
            json=body,
            params=params,
            content=content,
            headers=headers,
            files=files,
        )
        response = request()
        if response.status_code == HTTPStatus.UNAUTHORIZED and not is_fresh:
            # The session is over; long exports outlive it.
            self._log_in()
            response = request()
        _raise_if_refused(response)
        return cast("Bean", response.json()) if response.content else {}

    def _log_in(self) -> None:
        self._http.headers.pop("Authorization", None)
        response = self._http.post("/identity/users/patLogin", json=self._credentials)
        _raise_if_refused(response)
        self._http.headers["Authorization"] = f"Bearer {response.json()['token']}"


class _WatchedFile(io.FileIO):
    """A file that tells how far it has been read."""

    def __init__(self, path: Path, on_bytes: Callable[[int, int], None]) -> None:
        super().__init__(path)
        self._total = path.stat().st_size
        self._on_bytes = on_bytes

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(size)
        self._on_bytes(self.tell(), self._total)
        return content


def _reason_of(bean: Bean) -> str:
    return str(bean.get("error", {}).get("message", bean["state"]))


def _save(url: str, path: Path, on_bytes: Callable[[int, int], None]) -> None:
    with httpx.stream("GET", url, timeout=60.0) as response:
        _raise_if_refused(response)
        total = int(response.headers["Content-Length"])
        done = 0
        with path.open("wb") as file:
            for block in response.iter_bytes():
                file.write(block)
                done += len(block)
                on_bytes(done, total)
    if done != total:
        raise BrokenDownload(f"{done} of {total} bytes arrived")


def _raise_if_refused(response: httpx.Response) -> None:
    if response.is_success:
        return
    response.read()
    try:
        message = str(response.json()["message"])
    except (ValueError, KeyError, TypeError):
        message = response.text
    retry_after = response.headers.get("Retry-After", "")
    raise Refused(
        response.status_code,
        message,
        int(retry_after) if retry_after.isdigit() else None,
    )
