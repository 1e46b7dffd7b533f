"""What every answer has, whatever was asked."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from starlette.responses import PlainTextResponse
from structlog.testing import capture_logs

from app_client import AppClient
from http_service import HttpService, http_service
from thingport.domain.errors import CorruptData, StoreUnavailable
from thingport.entrypoints.http.app import create_app
from thingport.entrypoints.http.data_export_request import RESPONSE_ONLY_FIELDS
from thingport.entrypoints.http.schemas import DataExportBean


@pytest.fixture
def service(tmp_path: Path) -> Iterator[HttpService]:
    with http_service(tmp_path) as opened:
        yield opened


@pytest.fixture
def client(service: HttpService) -> AppClient:
    """Give a client that may do everything."""
    return service.logged_in(service.add_tenant("acme"))


@pytest.mark.parametrize("base_path", ["", "/api"])
@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_health_needs_no_tenant_and_no_token(
    service: HttpService, base_path: str, path: str, method: str
) -> None:
    assert service.client().request(method, base_path + path).status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/nothing", "/api", "/docs", "/data/dataExports/", "/data//values"]
)
def test_an_unknown_route_is_404_in_json(service: HttpService, path: str) -> None:
    answer = service.client().get(path)

    assert answer.status_code == 404
    assert answer.json().keys() == {"message"}


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/data/dataExports", "POST"),
        ("PATCH", "/api/data/dataExports/1", "GET"),
        ("DELETE", "/data/dataExports/1", "GET"),
        ("POST", "/data/values", "PUT, DELETE"),
        ("POST", "/health/live", "GET, HEAD"),
        ("POST", "/downloads/1/2/3/4/5/6.zip", "GET, HEAD"),
        ("PUT", "/openapi.json", "GET"),
    ],
)
def test_a_wrong_method_is_405_and_says_which_are_right(
    service: HttpService, method: str, path: str, allowed: str
) -> None:
    answer = service.client().request(method, path)

    assert answer.status_code == 405
    assert answer.headers["Allow"] == allowed
    assert allowed in answer.json()["message"]


@pytest.mark.parametrize("path", ["/health/live", "/nothing", "/data/dataExports/1"])
def test_every_answer_has_a_request_id_and_is_not_kept(
    service: HttpService, path: str
) -> None:
    client = service.client()

    given = client.get(path, headers={"X-Request-Id": "a-Z_0.9"})
    assert given.headers["X-Request-Id"] == "a-Z_0.9"
    assert given.headers["Cache-Control"] == "no-store"
    for insane in (b"", b"a b", b"x" * 65, b"\xc3\xa9", b"<a>"):
        ours = client.get(path, headers=[(b"X-Request-Id", insane)])
        assert ours.headers["X-Request-Id"].encode() != insane
        assert len(ours.headers["X-Request-Id"]) == 32


def test_an_error_is_a_problem_for_who_asks_for_one(client: AppClient) -> None:
    problem = {"Accept": "application/problem+json, application/json"}

    answer = client.get("/data/dataExports/1", headers=problem)

    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "Resource not found",
        "message": "Resource not found",
    }


def test_a_body_of_one_mebibyte_is_taken_and_one_byte_more_is_not(
    client: AppClient,
) -> None:
    limit = 1024 * 1024

    taken = client.post("/data/dataExports", content=b" " * (limit - 2) + b"{}")
    refused = client.post("/data/dataExports", content=b" " * (limit - 1) + b"{}")

    assert taken.status_code == 201
    assert refused.status_code == 413
    assert "at most 1048576 bytes" in refused.json()["message"]


def test_a_body_that_does_not_say_its_size_is_bounded_too(client: AppClient) -> None:
    async def blocks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 100_000

    answer = client.post("/data/dataExports", content=blocks())

    assert answer.status_code == 413


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/csv"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
def test_a_body_that_is_no_plain_json_is_415(
    client: AppClient, headers: dict[str, str]
) -> None:
    answer = client.post("/data/dataExports", content=b"{}", headers=headers)

    assert answer.status_code == 415
    assert answer.json()["message"]


@pytest.mark.parametrize(
    "kind",
    ["application/json", "Application/JSON; Charset=UTF-8", "application/merge+json"],
)
def test_json_is_recognised_by_its_type(client: AppClient, kind: str) -> None:
    answer = client.post(
        "/data/dataExports", content=b"{}", headers={"Content-Type": kind}
    )

    assert answer.status_code == 201


def app_with(service: HttpService, error: Exception) -> AppClient:
    app = create_app(service)

    def fail() -> None:
        raise error

    app.add_api_route("/fail", fail)
    return AppClient(app)


def test_a_bug_is_500_with_its_traceback_in_the_log_only(service: HttpService) -> None:
    with capture_logs() as logs:
        answer = app_with(service, ZeroDivisionError("secret")).get(
            "/fail", headers={"X-Request-Id": "r-1"}
        )

    assert answer.status_code == 500
    assert answer.json() == {"message": "Internal Server Error"}
    assert answer.headers["X-Request-Id"] == "r-1"
    (entry,) = logs
    assert (entry["log_level"], entry["exc_info"]) == ("error", True)
    assert (entry["request_id"], entry["route"]) == ("r-1", "/fail")


def test_damaged_data_is_500_with_the_place_in_the_log_only(
    service: HttpService,
) -> None:
    with capture_logs() as logs:
        answer = app_with(service, CorruptData("secret")).get("/fail")

    assert answer.status_code == 500
    assert "damaged or gone; tell the operator" in answer.json()["message"]
    assert "secret" not in answer.text
    assert [it["log_level"] for it in logs] == ["error"]


def test_a_store_that_is_away_is_503_with_a_time_to_try_again(
    service: HttpService,
) -> None:
    with capture_logs() as logs:
        answer = app_with(service, StoreUnavailable("it", "secret")).get("/fail")

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert "secret" not in answer.text
    assert [it["log_level"] for it in logs] == ["warning"]


def test_what_the_framework_refuses_in_plain_text_becomes_json(
    service: HttpService,
) -> None:
    app = create_app(service)

    def refuse() -> PlainTextResponse:
        return PlainTextResponse("no", 416, {"Content-Range": "bytes */7"})

    app.add_api_route("/refuse", refuse, response_model=None)
    answer = AppClient(app).get("/refuse")

    assert answer.json() == {"message": "Requested Range Not Satisfiable"}
    assert answer.headers["Content-Range"] == "bytes */7"
    assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("path", ["/openapi.json", "/api/openapi.json"])
def test_the_openapi_document_holds_together(service: HttpService, path: str) -> None:
    document = service.client().get(path).json()

    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) >= {
        "/data/dataExports",
        "/data/dataExports/{data_export_id}",
        "/identity/users/patLogin",
        "/data/values",
        "/data/values/batch",
        "/health/live",
        "/health/ready",
    }
    text = json.dumps(document)
    assert "422" not in text
    schemas = document["components"]["schemas"]
    for part in text.split('"#/components/schemas/')[1:]:
        assert part.partition('"')[0] in schemas


def test_the_documented_bean_has_the_fields_that_are_read(client: AppClient) -> None:
    documented = {it.alias for it in DataExportBean.model_fields.values()}
    unknown = client.post("/data/dataExports", json=dict.fromkeys(documented, ()))
    message = unknown.json()["message"]

    assert "unknown field" not in message
    assert documented - RESPONSE_ONLY_FIELDS == {
        "name",
        "thingFileName",
        "hashThingFileName",
        "customerId",
        "locationId",
        "thingId",
        "qualifiedMetricIds",
        "startTimestamp",
        "endTimestamp",
        "includeUnit",
        "timestampFormat",
    }
