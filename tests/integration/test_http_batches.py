"""Writing readings of many things in one request."""

import asyncio
import io
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import httpx
import pyarrow as pa
import pytest

from app_client import AppClient
from builders import a_metric, a_thing, a_thing_definition
from http_service import HttpService, HttpTenant, http_service
from lake_rows import Row, read
from thingport.application import reading_batches
from thingport.domain.export_plan import PlannedColumn, PlannedLayout
from thingport.domain.metric import Metric, ValueType
from thingport.domain.permissions import Permission
from thingport.entrypoints.http.app import create_app

ARROW = {"Content-Type": "application/vnd.apache.arrow.stream"}
BATCH = "/data/values/batch"


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


@pytest.fixture
def fan(acme: HttpTenant) -> tuple[str, Metric]:
    """Give a thing of another definition, with serial number F-1, and its metric."""
    definition = a_thing_definition()
    metric = a_metric(
        thing_definition_id=definition.id, name="rpm", value_type=ValueType.LONG
    )
    thing = a_thing(thing_definition_id=definition.id, serial_number="F-1")
    with acme.service.control.for_tenant(acme.id) as tx:
        for entity in (definition, metric, thing):
            tx.catalogue.save(entity)
    return thing.id, metric


def stored(acme: HttpTenant, thing_id: str, metric: Metric) -> list[Row]:
    """Give timestamps and values of a thing, in the order of writing."""
    column = PlannedColumn(metric.id, metric.value_type, metric.name)
    layout = PlannedLayout(metric.thing_definition_id, (column,))
    with acme.service.lakes.open_reader(acme.id) as reader:
        return [(at, value) for _, at, value in read(reader, layout, [thing_id])]


def snapshot(acme: HttpTenant) -> int | None:
    with acme.service.lakes.open_reader(acme.id) as reader:
        return reader.current_snapshot()


def an_entry(thing_id: str, *readings: tuple[int, Mapping[str, object]]) -> object:
    data = [{"timestamp": at, "values": values} for at, values in readings]
    return {"thingId": thing_id, "data": data}


def a_stream(columns: Mapping[str, object]) -> bytes:
    table = pa.table(dict(columns))
    output = io.BytesIO()
    with pa.ipc.new_stream(output, table.schema) as writer:
        writer.write_table(table)
    return output.getvalue()


def send_stream(client: AppClient, content: bytes) -> httpx.Response:
    return client.post(BATCH, content=content, headers=ARROW)


def message(answer: httpx.Response) -> str:
    return str(answer.json()["message"])


def test_things_of_several_definitions_are_stored_in_one_commit(
    client: AppClient, acme: HttpTenant, fan: tuple[str, Metric]
) -> None:
    body = [
        an_entry(acme.thing_id, (5, {"temp": 1.5}), (4, {"temp": "2"})),
        an_entry(fan[0], (5, {"rpm": 2**62 + 1})),
        an_entry(acme.thing_id, (5, {"temp": None}), (5, {"temp": 3})),
    ]

    answer = client.post(BATCH, json=body)

    assert (answer.status_code, answer.content) == (201, b"")
    assert stored(acme, acme.thing_id, acme.metric) == [(4, 2.0), (5, 1.5), (5, 3.0)]
    assert stored(acme, *fan) == [(5, 2**62 + 1)]
    assert snapshot(acme) == 1


def test_an_arrow_stream_names_things_by_serial_number(
    client: AppClient, acme: HttpTenant, fan: tuple[str, Metric]
) -> None:
    with acme.service.control.for_tenant(acme.id) as tx:
        [pump] = [it for it in tx.catalogue.list_things() if it.id == acme.thing_id]
    content = a_stream(
        {
            "thing": [pump.serial_number, "F-1", pump.serial_number],
            "timestamp": [5, 5, 6],
            "temp": [1.5, None, 2.5],
            "rpm": [None, 7, None],
        }
    )

    answer = send_stream(client, content)

    assert (answer.status_code, answer.content) == (201, b"")
    assert stored(acme, acme.thing_id, acme.metric) == [(5, 1.5), (6, 2.5)]
    assert stored(acme, *fan) == [(5, 7)]
    assert snapshot(acme) == 1


def test_an_arrow_stream_may_name_things_by_id(
    client: AppClient, acme: HttpTenant, fan: tuple[str, Metric]
) -> None:
    columns = {"thingId": [fan[0]], "timestamp": [5], "rpm": [7]}
    assert send_stream(client, a_stream(columns)).status_code == 201
    assert stored(acme, *fan) == [(5, 7)]

    answer = send_stream(client, a_stream({**columns, "thingId": ["F-1"]}))
    assert message(answer) == "column 'thingId': no things with ids F-1"


def test_a_batch_without_readings_writes_nothing(
    client: AppClient, acme: HttpTenant
) -> None:
    for body in ([], [an_entry(acme.thing_id)]):
        assert client.post(BATCH, json=body).status_code == 201
    assert snapshot(acme) is None


def test_every_fault_is_told_with_its_place_and_nothing_is_stored(
    client: AppClient, acme: HttpTenant, fan: tuple[str, Metric]
) -> None:
    body = [
        an_entry(acme.thing_id, (1, {"temp": 1}), (2, {"temp": "warm"})),
        an_entry(fan[0], (1, {"temp": 1}), (2, {"rpm": 1.5})),
        an_entry("nobody", (1, {"temp": 1})),
    ]

    answer = client.post(BATCH, json=body)

    assert answer.status_code == 400
    assert message(answer).split("; ") == [
        "[0].data[1].values['temp']: not a DOUBLE: a number is due",
        "[1].data[0].values['temp']: the thing has no such metric",
        "[1].data[1].values['rpm']: not a LONG: a whole number is due",
        "[2].thingId: no such thing",
    ]
    assert snapshot(acme) is None


def test_the_faults_that_are_told_are_bounded(
    client: AppClient, acme: HttpTenant
) -> None:
    readings = [(at, {"temp": "warm"}) for at in range(5_000)]

    told = message(client.post(BATCH, json=[an_entry(acme.thing_id, *readings)]))

    assert told.count("not a DOUBLE") == reading_batches.MAX_FAULTS
    assert told.endswith(f"and {5_000 - reading_batches.MAX_FAULTS} more faults")


def test_the_faults_of_a_stream_are_told_by_row_and_column(
    client: AppClient, fan: tuple[str, Metric], acme: HttpTenant
) -> None:
    columns = {"thingId": [fan[0]] * 2, "timestamp": [1, 2], "rpm": [1.0, 1.5]}

    answer = send_stream(client, a_stream(columns))

    assert answer.status_code == 400
    assert message(answer) == (
        f"row 2 (thing {fan[0]}), column 'rpm': not a LONG: a whole number is due"
    )
    assert snapshot(acme) is None


@pytest.mark.parametrize("permission", ["WRITE_METRIC_VALUE", "READ_THING"])
def test_a_permission_is_asked_for_before_the_body_is_looked_at(
    service: HttpService, acme: HttpTenant, permission: Permission
) -> None:
    lacking = frozenset(Permission) - {permission}
    client = service.logged_in(acme, of_user=lacking)

    assert client.post(BATCH, content=b"{").status_code == 403
    assert service.client().post(BATCH, content=b"{").status_code == 400
    nobody = service.client({"X-Servitly-Tenant": acme.name})
    assert nobody.post(BATCH, content=b"{").status_code == 401


def test_a_thing_that_is_not_seen_is_one_that_does_not_exist(
    service: HttpService, acme: HttpTenant
) -> None:
    partner = service.client(acme.headers(acme.log_in(partner="Stranger")))
    stranger = service.logged_in(service.add_tenant("other"))
    columns = {"thingId": [acme.thing_id], "timestamp": [1], "temp": [0.5]}

    for client in (partner, stranger):
        as_json = client.post(BATCH, json=[an_entry(acme.thing_id, (1, {"temp": 1}))])
        assert as_json.status_code == 400
        assert message(as_json) == "[0].thingId: no such thing"
        as_arrow = send_stream(client, a_stream(columns))
        assert as_arrow.status_code == 400
        assert acme.thing_id in message(as_arrow)
    assert snapshot(acme) is None


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/csv"}, 415),
        ({"Content-Type": "application/json; charset=latin1"}, 415),
        ({"Content-Encoding": "gzip"}, 415),
        ({**ARROW, "Content-Encoding": "gzip"}, 415),
        ({"Content-Type": "application/json; charset=utf-8"}, 201),
        ({}, 201),
    ],
)
def test_a_body_is_json_or_an_arrow_stream(
    client: AppClient, headers: Mapping[str, str], status: int
) -> None:
    answer = client.post(BATCH, content=b"[]", headers=headers)

    assert answer.status_code == status
    if status == 415:
        assert "JSON in UTF-8 or application/vnd.apache.arrow" in message(answer)


@pytest.mark.parametrize("body", [b"", b"{}", b"1", b"[", b"[NaN]", b'[{"a":1,"a":2}]'])
def test_what_is_no_plain_json_array_is_refused(client: AppClient, body: bytes) -> None:
    assert client.post(BATCH, content=body).status_code == 400


def test_a_batch_has_a_limit_of_its_own(service: HttpService, acme: HttpTenant) -> None:
    service.settings = service.settings.model_copy(
        update={"max_body_bytes": 10, "max_batch_bytes": 2_000}
    )
    client = service.logged_in(acme)
    entry = an_entry(acme.thing_id, (1, {"temp": 1}))

    assert client.post(BATCH, json=[entry] * 10).status_code == 201
    assert client.post(BATCH, json=[entry] * 100).status_code == 413
    columns = {"thingId": [acme.thing_id] * 90, "timestamp": range(90)}
    assert send_stream(client, a_stream(columns)).status_code == 413


def test_so_few_values_in_so_many_columns_are_refused_in_time(
    client: AppClient, acme: HttpTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    with acme.service.control.for_tenant(acme.id) as tx:
        tx.catalogue.save(
            a_metric(thing_definition_id=acme.metric.thing_definition_id, name="other")
        )
    monkeypatch.setattr(reading_batches, "MAX_CELLS", 5)
    readings = [(1, {"temp": 1}), (2, {"other": 1}), (3, {"temp": 1})]

    assert client.post(BATCH, json=[an_entry(acme.thing_id, *readings[:2])]).is_success
    refused = client.post(BATCH, json=[an_entry(acme.thing_id, *readings)])
    assert message(refused).startswith("3 readings of 2 different metrics are too many")


def test_many_batches_at_once_are_all_stored(
    service: HttpService, acme: HttpTenant
) -> None:
    app = create_app(service)
    headers = acme.headers(acme.log_in())

    async def send(client: httpx.AsyncClient, at: int) -> int:
        columns = {"thingId": [acme.thing_id], "timestamp": [at], "temp": [0.5]}
        entry = an_entry(acme.thing_id, (at, {"temp": 0.5}))
        sent = (
            client.post(BATCH, content=a_stream(columns), headers=ARROW)
            if at % 2
            else client.post(BATCH, json=[entry])
        )
        return (await sent).status_code

    async def send_all() -> list[int]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://thingport.test", headers=headers
        ) as client:
            return await asyncio.gather(*(send(client, at) for at in range(12)))

    assert asyncio.run(send_all()) == [201] * 12
    assert [it[0] for it in stored(acme, acme.thing_id, acme.metric)] == [*range(12)]


def test_json_and_arrow_store_the_same(
    client: AppClient, acme: HttpTenant, fan: tuple[str, Metric]
) -> None:
    readings = [(at % 5, at * 2**50 - 1) for at in range(20)]
    twin = a_thing(thing_definition_id=fan[1].thing_definition_id)
    with acme.service.control.for_tenant(acme.id) as tx:
        tx.catalogue.save(replace(twin, serial_number="F-2"))
    columns = {
        "thing": ["F-2"] * 20,
        "timestamp": [at for at, _ in readings],
        "rpm": [value for _, value in readings],
    }

    as_json = [an_entry(fan[0], *((at, {"rpm": value}) for at, value in readings))]
    assert client.post(BATCH, json=as_json).status_code == 201
    assert send_stream(client, a_stream(columns)).status_code == 201

    assert stored(acme, twin.id, fan[1]) == stored(acme, *fan) != []
