"""Scheduling exports over HTTP, looking at them, and downloading archives."""

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app_client import AppClient
from http_service import HttpService, HttpTenant, http_service
from thingport.domain.data_export import Archive, DataExport, ExportError

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()
REPR_DIGEST = f"sha-256=:{b64encode(hashlib.sha256(CONTENT).digest()).decode()}:"


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


def finish(service: HttpService, *, failing: bool = False) -> DataExport:
    """Bring the waiting export to its end, as a runner would."""
    now = service.clock.now()
    with service.control.for_service() as tx:
        claim = tx.queue.claim("runner", now=now, lease=timedelta(minutes=1))
        assert claim is not None
        waiting = claim.data_export
        if failing:
            finished = waiting.fail(ExportError("X", "For a reason."), at=now)
        else:
            service.archives.seal(waiting.tenant_id, waiting.id, [CONTENT])
            archive = Archive(size_bytes=len(CONTENT), sha256=SHA256, things=1, rows=0)
            finished = waiting.complete(archive, at=now)
        tx.queue.finish(claim, finished)
    return finished


def archive_path(service: HttpService, data_export: DataExport) -> Path:
    found = service.archives.find_archive(data_export.tenant_id, data_export.id)
    assert found is not None
    return found


@pytest.fixture
def link(service: HttpService, client: AppClient) -> str:
    """Give the path of a link to a finished archive."""
    client.post("/data/dataExports", json={"name": "Ünïcode, 2026"})
    finished = finish(service)
    url: str = client.get(f"/data/dataExports/{finished.id}").json()["url"]
    assert url.startswith("https://data.acme.example/downloads/")
    assert url.endswith(".zip")
    return urlsplit(url).path


def test_a_scheduled_export_comes_back_as_it_was_asked_for(
    client: AppClient, acme: HttpTenant
) -> None:
    asked = {
        "name": "All temperatures",
        "thingFileName": "${thing.serialNumber}",
        "hashThingFileName": True,
        "thingId": acme.thing_id,
        "qualifiedMetricIds": [
            {
                "metricId": acme.metric.id,
                "thingDefinitionId": acme.metric.thing_definition_id,
            }
        ],
        "startTimestamp": 1_578_438_000_000,
        "endTimestamp": 1_578_438_000_001,
        "includeUnit": True,
        "timestampFormat": "EPOCH_MILLIS",
    }

    answer = client.post("/data/dataExports", json=asked)

    bean = answer.json()
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/data/dataExports/{bean['id']}"
    assert int(answer.headers["Retry-After"]) >= 1
    assert bean["state"] == "PENDING"
    assert bean["dateTime"] == 1_767_268_800_000
    assert {name: bean[name] for name in asked} == asked
    assert bean.keys() - asked.keys() == {"id", "state", "dateTime", "progress"}

    seen = client.get(f"/api/data/dataExports/{bean['id']}")
    assert seen.status_code == 200
    assert seen.json() == bean
    assert int(seen.headers["Retry-After"]) >= 1


def test_absent_fields_are_not_in_the_bean(client: AppClient) -> None:
    bean = client.post("/data/dataExports", json={}).json()

    assert bean.keys() == {
        "id",
        "name",
        "dateTime",
        "thingFileName",
        "hashThingFileName",
        "state",
        "includeUnit",
        "timestampFormat",
        "progress",
    }
    assert bean["name"] == "data-export 2026-01-01T12:00:00.000Z"


def test_a_second_export_is_refused_with_the_first_ones_id(
    service: HttpService, client: AppClient
) -> None:
    first = client.post("/data/dataExports", json={}).json()

    refused = client.post("/data/dataExports", json={})

    assert refused.status_code == 429
    assert first["id"] in refused.json()["message"]
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    finish(service, failing=True)
    assert client.post("/data/dataExports", json=first).status_code == 201


def test_who_cannot_see_the_first_export_is_not_told_its_id(
    service: HttpService, client: AppClient, acme: HttpTenant
) -> None:
    stranger = service.client(acme.headers(acme.log_in(partner="Stranger")))
    first = client.post("/data/dataExports", json={}).json()

    refused = stranger.post("/data/dataExports", json={})

    assert refused.status_code == 429
    assert "Only one data export" in refused.json()["message"]
    assert first["id"] not in refused.json()["message"]
    assert "Retry-After" in refused.headers


def test_the_body_is_checked_before_the_slot(client: AppClient) -> None:
    client.post("/data/dataExports", json={})

    assert client.post("/data/dataExports", json={"thingId": ""}).status_code == 400


def test_an_unknown_id_is_named_with_its_field(client: AppClient) -> None:
    answer = client.post("/data/dataExports", json={"thingId": "no", "customerId": "x"})

    assert answer.status_code == 400
    assert "thingId: no such thing" in answer.json()["message"]
    assert "customerId: no such customer" in answer.json()["message"]


def test_what_is_wrong_with_form_and_ids_is_told_at_once(client: AppClient) -> None:
    answer = client.post(
        "/data/dataExports",
        json={
            "thingId": "no",
            "customerId": "",
            "timestampFormat": "ISO",
            "thingFileName": "${thing.nme}",
            "qualifiedMetricIds": [{"metricId": ""}, {"metricId": "x"}],
            "foo": 1,
        },
    )

    assert answer.status_code == 400
    message = answer.json()["message"]
    for field in (
        "customerId",
        "qualifiedMetricIds[0].metricId",
        "qualifiedMetricIds[1].metricId",
        "timestampFormat",
        "thingFileName",
        "foo",
        "thingId",
    ):
        assert message.count(f"{field}: ") == 1


def test_an_export_without_things_is_seen_by_its_scheduler_alone(
    service: HttpService, client: AppClient, acme: HttpTenant
) -> None:
    scheduler = service.client(acme.headers(acme.log_in(partner="Stranger")))
    bean = scheduler.post("/data/dataExports", json={}).json()
    assert bean["progress"]["thingsTotal"] == 0

    assert client.get(f"/data/dataExports/{bean['id']}").status_code == 404
    assert bean["id"] not in client.post("/data/dataExports", json={}).text
    finish(service)
    assert client.get(f"/data/dataExports/{bean['id']}").status_code == 404
    assert "url" in scheduler.get(f"/data/dataExports/{bean['id']}").json()


def test_another_tenants_export_is_one_that_does_not_exist(
    service: HttpService, client: AppClient
) -> None:
    bean = client.post("/data/dataExports", json={}).json()
    stranger = service.logged_in(service.add_tenant("other"))

    there = stranger.get(f"/data/dataExports/{bean['id']}")
    nowhere = stranger.get(f"/data/dataExports/{'0' * 32}")

    assert there.status_code == nowhere.status_code == 404
    assert there.content == nowhere.content


def test_a_failed_export_has_its_reason_and_no_link(
    service: HttpService, client: AppClient
) -> None:
    client.post("/data/dataExports", json={})
    finished = finish(service, failing=True)

    answer = client.get(f"/data/dataExports/{finished.id}")

    assert answer.json()["state"] == "ERROR"
    assert answer.json()["error"] == {"code": "X", "message": "For a reason."}
    assert "url" not in answer.json()
    assert "Retry-After" not in answer.headers


def test_an_archive_is_downloaded_by_its_link_alone(
    service: HttpService, link: str
) -> None:
    answer = service.client().get(link)

    assert answer.status_code == 200
    assert answer.content == CONTENT
    assert answer.headers["Content-Type"] == "application/zip"
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["ETag"] == f'"{SHA256}"'
    assert answer.headers["Repr-Digest"] == REPR_DIGEST
    assert (
        "filename*=UTF-8''%C3%9Cn%C3%AFcode%2C%202026.zip"
        in answer.headers["Content-Disposition"]
    )


def test_head_tells_of_an_archive_without_sending_it(
    service: HttpService, link: str
) -> None:
    answer = service.client().request("HEAD", link)

    assert answer.status_code == 200
    assert answer.content == b""
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    assert answer.headers["Repr-Digest"] == REPR_DIGEST


@pytest.mark.parametrize(
    ("asked", "status", "content"),
    [
        ("bytes=10-19", 206, CONTENT[10:20]),
        ("bytes=-5", 206, CONTENT[-5:]),
        ("bytes=10000-", 206, CONTENT[10000:]),
        ("bytes=10000-99999", 206, CONTENT[10000:]),
        ("nonsense", 200, CONTENT),
        ("bytes=a-b", 200, CONTENT),
        ("items=0-1", 200, CONTENT),
        ("bytes=9-3", 200, CONTENT),
        ("bytes=", 200, CONTENT),
        ("bytes=0-0,9-3", 200, CONTENT),
        ("bytes=0-1, 1-3", 206, CONTENT[:4]),
    ],
)
def test_a_range_of_an_archive_can_be_had(
    service: HttpService, link: str, asked: str, status: int, content: bytes
) -> None:
    answer = service.client().get(link, headers={"Range": asked})

    assert answer.status_code == status
    assert answer.content == content
    assert answer.headers["Repr-Digest"] == REPR_DIGEST, "of the whole archive"


def test_a_range_beyond_the_end_is_refused_in_json(
    service: HttpService, link: str
) -> None:
    answer = service.client().get(link, headers={"Range": "bytes=99999-"})

    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(CONTENT)}"
    assert answer.json()["message"]


def test_a_range_of_another_archive_gives_the_whole_one(
    service: HttpService, link: str
) -> None:
    client = service.client()
    same = {"Range": "bytes=0-0", "If-Range": f'"{SHA256}"'}
    other = {"Range": "bytes=0-0", "If-Range": f'"{"0" * 64}"'}

    assert client.get(link, headers=same).status_code == 206
    assert client.get(link, headers=other).status_code == 200


def test_a_link_lives_for_a_day(service: HttpService, link: str) -> None:
    service.clock.advance(timedelta(hours=23, minutes=59))
    assert service.client().get(link).status_code == 200

    service.clock.advance(timedelta(minutes=1))
    refused = service.client().get(link)
    assert refused.status_code == 403
    assert "not valid" in refused.json()["message"]


@pytest.mark.parametrize("segment", [2, 3, 4, 5, 6])
def test_a_link_with_a_changed_part_is_refused(
    service: HttpService, link: str, segment: int
) -> None:
    parts = link.split("/")
    parts[segment] = "1" + parts[segment][1:] if parts[segment][0] != "1" else "2"

    assert service.client().get("/".join(parts)).status_code == 403


def test_the_name_in_a_link_is_for_whoever_saves_it(
    service: HttpService, link: str
) -> None:
    renamed = f"{link.rpartition('/')[0]}/mine.zip"

    assert service.client().get(renamed).status_code == 200


def test_a_link_is_dead_at_once_when_its_archive_is_deleted(
    service: HttpService, client: AppClient, link: str
) -> None:
    data_export_id = link.split("/")[2]
    bean = client.get(f"/data/dataExports/{data_export_id}")
    assert bean.json()["state"] == "COMPLETED"
    with service.control.for_tenant(service.tenant_id_of("acme")) as tx:
        data_export = tx.data_exports.find(bean.json()["id"])
    assert data_export is not None
    archive_path(service, data_export).unlink()

    answer = service.client().get(link)

    assert (answer.status_code, answer.json()) == (
        404,
        {"message": "Resource not found"},
    )
