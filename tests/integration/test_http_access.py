"""Who gets in, and what is looked at first."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from http_service import HttpService, HttpTenant, http_service
from thingport.domain.permissions import Permission

NO_PERMISSIONS = frozenset[Permission]()

GUARDED = [
    ("POST", "/data/dataExports"),
    ("GET", "/data/dataExports/0123"),
    ("PUT", "/data/values?thingId=1&metricName=temp"),
]
"""Every route that somebody must be known for."""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[HttpService]:
    with http_service(tmp_path) as opened:
        yield opened


@pytest.fixture
def acme(service: HttpService) -> HttpTenant:
    return service.add_tenant("acme")


@pytest.mark.parametrize(("method", "path"), GUARDED)
@pytest.mark.parametrize("base_path", ["", "/api"])
def test_each_check_comes_before_the_next_one(
    service: HttpService, acme: HttpTenant, method: str, path: str, base_path: str
) -> None:
    client = service.client()
    token = acme.log_in(of_user=NO_PERMISSIONS)

    def ask(headers: dict[str, str]) -> tuple[int, str]:
        answer = client.request(
            method,
            base_path + path,
            headers={"Content-Type": "text/csv", **headers},
            content=b"{broken",
        )
        return answer.status_code, answer.json()["message"]

    bearer = {"Authorization": f"Bearer {token}"}
    tenant = {"X-Servitly-Tenant": "acme"}
    assert ask({}) == (400, "X-Servitly-Tenant header is required")
    assert ask(bearer) == (400, "X-Servitly-Tenant header is required")
    assert ask(tenant) == (401, "User not authenticated")
    assert ask(tenant | bearer) == (403, "User not authorized")


@pytest.mark.parametrize(("method", "path"), [GUARDED[0], GUARDED[2]])
def test_a_body_is_looked_at_only_for_who_may_send_it(
    service: HttpService, acme: HttpTenant, method: str, path: str
) -> None:
    client = service.logged_in(acme)

    answer = client.request(method, path, content=b"{broken")

    assert answer.status_code == 400
    assert "not JSON" in answer.json()["message"]


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Bearer a.b.c",
        "Basic YTpi",
        "bearer",
        "Bearer " + "x" * 10_000,
    ],
)
def test_what_is_no_token_of_ours_proves_nothing(
    service: HttpService, acme: HttpTenant, authorization: str
) -> None:
    answer = service.client().get(
        "/data/dataExports/1",
        headers={"X-Servitly-Tenant": acme.name, "Authorization": authorization},
    )

    assert answer.status_code == 401
    assert answer.json() == {"message": "User not authenticated"}
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_token_opens_no_other_tenant(service: HttpService, acme: HttpTenant) -> None:
    other = service.add_tenant("other")
    token = acme.log_in()

    for name in (other.name, "nobody", "ACME"):
        answer = service.client().get(
            "/data/dataExports/1",
            headers={"X-Servitly-Tenant": name, "Authorization": f"Bearer {token}"},
        )
        assert answer.status_code == 401


@pytest.mark.parametrize("header", ["X-Semioty-Tenant", "x-servitly-tenant"])
def test_both_tenant_headers_are_taken_in_any_case(
    service: HttpService, acme: HttpTenant, header: str
) -> None:
    answer = service.client().get(
        "/data/dataExports/1",
        headers={header: acme.name, "Authorization": f"Bearer {acme.log_in()}"},
    )

    assert answer.status_code == 404


def test_a_token_works_until_its_time_is_over(
    service: HttpService, acme: HttpTenant
) -> None:
    client = service.logged_in(acme)
    service.clock.advance(timedelta(minutes=59, seconds=59))
    assert client.get("/data/dataExports/1").status_code == 404

    service.clock.advance(timedelta(seconds=1))
    assert client.get("/data/dataExports/1").status_code == 401


@pytest.mark.parametrize(
    ("of_user", "of_key"),
    [
        (NO_PERMISSIONS, frozenset(Permission)),
        (frozenset(Permission), NO_PERMISSIONS),
        (
            frozenset({Permission.EXPORT_DATA}),
            frozenset({Permission.WRITE_METRIC_VALUE, Permission.READ_THING}),
        ),
    ],
)
def test_user_and_key_must_both_allow_it(
    service: HttpService,
    acme: HttpTenant,
    of_user: frozenset[Permission],
    of_key: frozenset[Permission],
) -> None:
    client = service.logged_in(acme, of_user=of_user, of_key=of_key)

    assert client.get("/data/dataExports/1").status_code == 403
    assert client.put("/data/values").status_code == 403


def test_logging_in_gives_a_token_that_opens(
    service: HttpService, acme: HttpTenant
) -> None:
    api_key, pat = acme.add_credentials()
    client = service.client({"X-Servitly-Tenant": acme.name})

    answer = client.post(
        "/identity/users/patLogin", json={"apiKey": api_key, "pat": pat}
    )

    assert answer.status_code == 200
    session = answer.json()
    assert session.keys() == {
        "token",
        "tokenExpirationTimestamp",
        "refreshToken",
        "userId",
        "tenantId",
    }
    assert session["tokenExpirationTimestamp"] == 1_767_272_400_000
    opened = client.get(
        "/data/dataExports/1", headers={"Authorization": f"Bearer {session['token']}"}
    )
    assert opened.status_code == 404


def test_wrong_credentials_all_get_the_same_answer(
    service: HttpService, acme: HttpTenant
) -> None:
    api_key, pat = acme.add_credentials()
    service.add_tenant("other")
    for tenant, wrong_key, wrong_pat in (
        ("acme", api_key, "tp_pat_no"),
        ("acme", "tp_key_no", pat),
        ("acme", pat, api_key),
        ("other", api_key, pat),
        ("nobody", api_key, pat),
    ):
        answer = service.client({"X-Servitly-Tenant": tenant}).post(
            "/identity/users/patLogin", json={"apiKey": wrong_key, "pat": wrong_pat}
        )
        assert (answer.status_code, answer.json()) == (
            401,
            {"message": "Invalid credentials"},
        )


def test_a_login_names_everything_that_is_missing(
    service: HttpService, acme: HttpTenant
) -> None:
    answer = service.client({"X-Servitly-Tenant": acme.name}).post(
        "/identity/users/patLogin", json={"apikey": "x"}
    )

    assert answer.status_code == 400
    message = answer.json()["message"]
    assert "apiKey: is required" in message
    assert "pat: is required" in message
    assert "apikey: unknown field; the nearest known one is apiKey" in message


def test_secrets_are_recognised_by_their_beginning(acme: HttpTenant) -> None:
    api_key, pat = acme.add_credentials()

    assert api_key.startswith("tp_key_")
    assert pat.startswith("tp_pat_")
    assert len(pat) >= 7 + 43


def test_no_secret_is_stored(
    service: HttpService, acme: HttpTenant, tmp_path: Path
) -> None:
    api_key, pat = acme.add_credentials()
    session = service.identity.log_in_with_token(acme.name, api_key, pat)

    stored = b"".join(it.read_bytes() for it in tmp_path.iterdir() if it.is_file())

    for secret in (api_key, pat, session.refresh_token, session.token):
        assert secret.encode() not in stored
