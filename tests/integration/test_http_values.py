"""Writing values over HTTP."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app_client import AppClient
from http_service import HttpService, HttpTenant, http_service
from lake_rows import Row, read
from thingport.domain.export_plan import PlannedColumn, PlannedLayout
from thingport.domain.period import MAX_TIMESTAMP_MS, MIN_TIMESTAMP_MS
from thingport.domain.permissions import Permission


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


def stored(acme: HttpTenant) -> list[Row]:
    """Give timestamps and values in the lake, in the order of writing."""
    metric = acme.metric
    column = PlannedColumn(metric.id, metric.value_type, metric.name)
    layout = PlannedLayout(metric.thing_definition_id, (column,))
    with acme.service.lakes.open_reader(acme.id) as reader:
        rows = read(reader, layout, [acme.thing_id])
    return [(timestamp_ms, value) for _, timestamp_ms, value in rows]


def address(acme: HttpTenant, metric_name: str = "temp") -> str:
    return f"/data/values?thingId={acme.thing_id}&metricName={metric_name}"


def test_values_are_stored_in_their_order_from_json_and_from_text(
    client: AppClient, acme: HttpTenant
) -> None:
    body = {
        "data": [
            {"timestamp": 5, "values": [{"value": "1.5"}, {"value": 2}]},
            {"timestamp": 4, "values": [{"value": 1e-5}]},
        ]
    }

    answer = client.put(address(acme), json=body)

    assert answer.status_code == 201
    assert stored(acme) == [(4, 1e-5), (5, 1.5), (5, 2.0)]


def test_one_faulty_value_stores_nothing_of_the_request(
    client: AppClient, acme: HttpTenant
) -> None:
    body = {
        "data": [
            {"timestamp": 5, "values": [{"value": 1}]},
            {"timestamp": 6, "values": [{"value": "warm"}]},
        ]
    }

    answer = client.put(address(acme), json=body)

    assert answer.status_code == 400
    message = answer.json()["message"]
    assert message.startswith("data[1].values[0].value: not a DOUBLE")
    assert stored(acme) == []


@pytest.mark.parametrize("token", [b"NaN", b"Infinity", b"1e999", b'"nan"', b"true"])
def test_what_is_no_finite_number_is_refused(
    client: AppClient, acme: HttpTenant, token: bytes
) -> None:
    body = b'{"data": [{"timestamp": 5, "values": [{"value": %s}]}]}' % token

    answer = client.put(address(acme), content=body)

    assert answer.status_code == 400
    assert stored(acme) == []


def test_a_body_is_checked_before_the_thing_is_looked_up(
    client: AppClient, acme: HttpTenant
) -> None:
    nowhere = "/data/values?thingId=0&metricName=temp"

    assert client.put(nowhere, json={}).status_code == 400
    assert client.put(nowhere, json={"data": []}).status_code == 404
    assert client.put(address(acme, "no"), json={"data": []}).status_code == 400


def test_another_tenants_thing_is_one_that_does_not_exist(
    service: HttpService, acme: HttpTenant
) -> None:
    stranger = service.logged_in(service.add_tenant("other"))
    body = {"data": [{"timestamp": 5, "values": [{"value": 1}]}]}

    there = stranger.put(address(acme), json=body)
    nowhere = stranger.put("/data/values?thingId=0&metricName=temp", json=body)

    assert there.status_code == nowhere.status_code == 404
    assert there.content == nowhere.content


def deletion_address(acme: HttpTenant, start: object = 4, end: object = 6) -> str:
    return f"{address(acme)}&startTimestamp={start}&endTimestamp={end}"


def write(client: AppClient, acme: HttpTenant, *instants: int) -> None:
    data = [{"timestamp": it, "values": [{"value": it}]} for it in instants]
    assert client.put(address(acme), json={"data": data}).status_code == 201


def test_deleted_values_are_gone_and_their_instants_can_be_written_again(
    client: AppClient, acme: HttpTenant
) -> None:
    write(client, acme, 3, 4, 5, 6)

    answer = client.request("DELETE", deletion_address(acme))

    assert (answer.status_code, answer.content) == (204, b"")
    assert stored(acme) == [(3, 3.0), (6, 6.0)]
    write(client, acme, 5)
    assert stored(acme) == [(3, 3.0), (5, 5.0), (6, 6.0)]


def test_the_first_and_the_last_instant_of_all_can_be_deleted(
    client: AppClient, acme: HttpTenant
) -> None:
    write(client, acme, MIN_TIMESTAMP_MS, MAX_TIMESTAMP_MS)

    everything = deletion_address(acme, MIN_TIMESTAMP_MS, MAX_TIMESTAMP_MS + 1)
    assert client.request("DELETE", everything).status_code == 204

    assert stored(acme) == []


@pytest.mark.parametrize(
    ("start", "end", "fault"),
    [
        ("", 6, "startTimestamp: exactly one must be in the query"),
        (4, "6&endTimestamp=7", "endTimestamp: exactly one must be in the query"),
        (4, 4, "startTimestamp: must be before endTimestamp"),
        (4.5, 6, "startTimestamp: must be a whole number"),
        ("\u0664", 6, "startTimestamp: must be a whole number"),
        (4, MAX_TIMESTAMP_MS + 2, "endTimestamp: must be within the years"),
        (MIN_TIMESTAMP_MS - 1, 6, "startTimestamp: must be within the years"),
    ],
)
def test_a_period_that_is_not_clear_deletes_nothing(
    client: AppClient, acme: HttpTenant, start: object, end: object, fault: str
) -> None:
    write(client, acme, 4, 5)

    answer = client.request("DELETE", deletion_address(acme, start, end))

    assert answer.status_code == 400
    assert answer.json()["message"].startswith(fault)
    assert len(stored(acme)) == 2


def test_deleting_needs_its_own_permission(
    service: HttpService, acme: HttpTenant
) -> None:
    write(service.logged_in(acme), acme, 5)
    for permission in (Permission.DELETE_METRIC_VALUE, Permission.READ_THING):
        lacking = frozenset(Permission) - {permission}
        client = service.logged_in(acme, of_user=lacking)
        answer = client.request("DELETE", deletion_address(acme, start=""))
        assert answer.status_code == 403, "it must be asked for before the query"
    assert stored(acme) == [(5, 5.0)]


def test_nothing_is_deleted_of_a_thing_that_is_not_seen(
    service: HttpService, acme: HttpTenant
) -> None:
    write(service.logged_in(acme), acme, 5)
    partner = service.client(acme.headers(acme.log_in(partner="Stranger")))
    stranger = service.logged_in(service.add_tenant("other"))

    unseen = partner.request("DELETE", deletion_address(acme))
    elsewhere = stranger.request("DELETE", deletion_address(acme))

    assert unseen.status_code == elsewhere.status_code == 404
    assert unseen.content == elsewhere.content
    assert stored(acme) == [(5, 5.0)]
