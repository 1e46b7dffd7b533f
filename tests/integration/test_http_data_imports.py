"""Sending files over HTTP, and looking at what became of them."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from app_client import AppClient
from builders import ALL_PERMISSIONS, NOON
from http_service import HttpService, HttpTenant, http_service
from thingport.domain.data_import import ImportFailure, ImportReport, RejectedRow
from thingport.domain.period import epoch_ms
from thingport.domain.permissions import Permission

CSV = b"TIMESTAMP,temp\n1000,1.5\n"
FORM = "multipart/form-data; boundary=xyz"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[HttpService]:
    with http_service(tmp_path) as opened:
        yield opened


@pytest.fixture
def acme(service: HttpService) -> HttpTenant:
    return service.add_tenant("acme")


@pytest.fixture
def client(service: HttpService, acme: HttpTenant) -> AppClient:
    return service.logged_in(acme)


def part(content: bytes, name: str = "file") -> bytes:
    return (
        f'--xyz\r\nContent-Disposition: form-data; name="{name}"; filename="a.csv"\r\n'
        "Content-Type: text/csv\r\n\r\n"
    ).encode() + content


def form(*parts: bytes) -> bytes:
    return b"\r\n".join((*parts, b"--xyz--\r\n"))


def send(
    client: AppClient,
    acme: HttpTenant,
    content: bytes | AsyncIterator[bytes] | None = None,
    query: str = "",
    kind: str = FORM,
) -> httpx.Response:
    return client.post(
        f"/data/dataImports?thingId={acme.thing_id}{query}",
        content=form(part(CSV)) if content is None else content,
        headers={"Content-Type": kind},
    )


def kept(service: HttpService) -> list[bytes]:
    folder = service.settings.data_dir / "imports"
    return [it.read_bytes() for it in sorted(folder.rglob("*.*"))]


def finish(service: HttpService, outcome: ImportReport | ImportFailure) -> None:
    with service.control.for_service() as tx:
        claim = tx.import_queue.claim("r", now=NOON, lease=NOON - NOON)
        assert claim is not None
        data_import = claim.data_import
        ended = (
            data_import.complete(outcome, at=NOON)
            if isinstance(outcome, ImportReport)
            else data_import.fail(outcome, at=NOON)
        )
        tx.import_queue.finish(claim, ended)


def test_a_file_is_kept_as_it_was_sent_and_its_import_is_pending(
    service: HttpService, client: AppClient, acme: HttpTenant
) -> None:
    answer = send(client, acme, query="&csvHeaderRow=3&textGuard=FORMULA")

    assert answer.status_code == 201
    bean = answer.json()
    assert bean == {
        "id": bean["id"],
        "dateTime": epoch_ms(NOON),
        "state": "PENDING",
        "thingId": acme.thing_id,
        "csvHeaderRow": 3,
        "textGuard": "FORMULA",
        "progress": {"phase": "QUEUED", "rowsRead": 0, "percent": 0},
    }
    assert answer.headers["Location"] == f"/data/dataImports/{bean['id']}"
    assert answer.headers["Retry-After"] == "1"
    assert kept(service) == [CSV]
    looked_at = client.get(answer.headers["Location"])
    assert (looked_at.status_code, looked_at.json()) == (200, bean)
    assert looked_at.headers["Retry-After"] == "1"


def test_a_completed_import_tells_what_became_of_its_rows(
    service: HttpService, client: AppClient, acme: HttpTenant
) -> None:
    place = send(client, acme).headers["Location"]
    report = ImportReport(
        rows_accepted=5, rows_rejected=1, rejected_rows=(RejectedRow(3, "why"),)
    )
    finish(service, report)

    answer = client.get(place)

    told = {
        "state": "COMPLETED",
        "completedAt": epoch_ms(NOON),
        "rowsAccepted": 5,
        "rowsRejected": 1,
        "rejectedRows": [{"line": 3, "reason": "why"}],
        "progress": {"phase": "DONE", "rowsRead": 6, "percent": 100},
    }
    assert told.items() <= answer.json().items()
    assert "error" not in answer.json()
    assert "Retry-After" not in answer.headers


def test_a_failed_import_tells_why(
    service: HttpService, client: AppClient, acme: HttpTenant
) -> None:
    place = send(client, acme).headers["Location"]
    finish(service, ImportFailure("HEADER_NOT_VALID", "Nothing was imported: why"))

    bean = client.get(place).json()

    assert bean["state"] == "ERROR"
    assert bean["error"] == {
        "code": "HEADER_NOT_VALID",
        "message": "Nothing was imported: why",
    }
    assert "rowsAccepted" not in bean


async def in_pieces(content: bytes) -> AsyncIterator[bytes]:
    for byte in content:
        yield bytes([byte])


def test_a_file_is_taken_out_of_a_form_in_whatever_pieces_it_arrives(
    service: HttpService, client: AppClient, acme: HttpTenant
) -> None:
    awkward = b"TIMESTAMP,temp\r\n--xyz\r\r\n--xy\n\r\n--x"
    content = form(part(b"x", "comment"), part(awkward), part(b"y", "other"))

    assert send(client, acme, in_pieces(content)).status_code == 201

    assert kept(service) == [awkward]


def test_a_second_import_of_a_thing_is_refused_with_the_first_ones_id(
    service: HttpService, client: AppClient, acme: HttpTenant
) -> None:
    first = send(client, acme).json()

    answer = send(client, acme)

    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "5"
    assert first["id"] in answer.json()["message"]
    assert kept(service) == [CSV]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (form(), "file: is required: a CSV file, or a ZIP of one"),
        (form(part(CSV, "data")), "file: is required: a CSV file, or a ZIP of one"),
        (form(part(b"")), "file: it is empty"),
        (form(part(CSV), part(CSV)), "file: only one can be imported at a time"),
        (form(part(CSV))[:-9], "The form is broken off before its end"),
        (b"", "The form is broken off before its end"),
        (CSV, "The form cannot be read: "),
        (b"--xyz\r\n" + b"A: b\r\n" * 9 + b"\r\n", "The form cannot be read: "),
    ],
)
def test_a_wrong_form_is_refused_and_nothing_is_kept(
    service: HttpService,
    client: AppClient,
    acme: HttpTenant,
    content: bytes,
    message: str,
) -> None:
    answer = send(client, acme, content)

    assert answer.status_code == 400
    assert answer.json()["message"].startswith(message)
    assert kept(service) == []
    assert send(client, acme).status_code == 201


@pytest.mark.parametrize(
    "kind",
    [
        "text/csv",
        "application/json",
        "multipart/form-data",
        "multipart/mixed; boundary=xyz",
        f"multipart/form-data; boundary={'x' * 300}",
    ],
)
def test_what_is_no_form_is_refused(
    client: AppClient, acme: HttpTenant, kind: str
) -> None:
    answer = send(client, acme, kind=kind)

    assert answer.status_code == (400 if "xxx" in kind else 415)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("&csvHeaderRow=0", "csvHeaderRow: must be the number of a line, from 1"),
        ("&csvHeaderRow=x", "csvHeaderRow: must be the number of a line, from 1"),
        ("&textGuard=formula", "textGuard: must be one of NONE, FORMULA"),
        ("&textGard=FORMULA", "textGard: unknown parameter; known are thingId, "),
    ],
)
def test_a_wrong_query_is_refused(
    client: AppClient, acme: HttpTenant, query: str, message: str
) -> None:
    answer = send(client, acme, query=query)

    assert answer.status_code == 400
    assert answer.json()["message"].startswith(message)


def test_the_thing_is_required(client: AppClient) -> None:
    answer = client.post("/data/dataImports", content=form(part(CSV)))

    assert answer.status_code == 400
    assert answer.json()["message"] == "thingId: is required: the id of a thing"


def test_a_file_of_the_limit_is_taken_and_one_byte_more_is_not(
    service: HttpService, acme: HttpTenant
) -> None:
    service.settings = service.settings.model_copy(
        update={"max_import_bytes": len(CSV)}
    )
    client = service.logged_in(acme)

    # As it streams in, with no length announced.
    too_large = send(client, acme, in_pieces(form(part(CSV + b"\n"))))
    assert too_large.status_code == 413
    assert too_large.json()["message"] == (
        f"The body is too large: at most {len(CSV)} bytes are taken"
    )
    announced = send(client, acme, form(part(b"x" * 200_000)))
    assert (announced.status_code, announced.json()) == (413, too_large.json())
    assert kept(service) == []
    assert send(client, acme).status_code == 201


def test_importing_needs_its_permission_of_user_and_key(
    service: HttpService, acme: HttpTenant, client: AppClient
) -> None:
    place = send(client, acme).headers["Location"]
    less = ALL_PERMISSIONS - {Permission.IMPORT_DATA}
    alone = frozenset({Permission.IMPORT_DATA})

    for weak in (
        service.logged_in(acme, of_user=less),
        service.logged_in(acme, of_key=less),
    ):
        # Before anything is said of the body.
        for answer in (send(weak, acme, b""), weak.get(place)):
            assert answer.status_code == 403
            assert answer.json() == {"message": "User not authorized"}
    able = service.logged_in(acme, of_user=alone, of_key=alone)
    assert able.get(place).status_code == 200


def test_who_does_not_see_the_thing_sees_no_import_and_makes_none(
    service: HttpService, acme: HttpTenant, client: AppClient
) -> None:
    place = send(client, acme).headers["Location"]
    blind = service.client(acme.headers(acme.log_in(partner="Stranger")))
    other = service.add_tenant("other")
    stranger = service.logged_in(other)
    missing = client.get("/data/dataImports/nothing")

    assert missing.status_code == 404
    for one in (blind, stranger):
        refused = send(one, acme)
        assert (refused.status_code, refused.json()) == (404, missing.json())
        looked_at = one.get(place)
        assert (looked_at.status_code, looked_at.json()) == (404, missing.json())
    unknown = replace(acme, thing_id="nothing")
    assert send(client, unknown).status_code == 404
    assert kept(service) == [CSV]


def test_an_import_without_session_is_refused(
    service: HttpService, acme: HttpTenant
) -> None:
    anonymous = service.client({"X-Servitly-Tenant": "acme"})

    assert send(anonymous, acme, b"").status_code == 401
