"""Retired metrics: nothing is written to them, by any way in, and their past stays."""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app_client import AppClient
from builders import a_metric
from http_service import HttpService, HttpTenant, http_service
from lake_rows import Row, a_lane, at_arguments, read
from thingport.adapters.lake.parquet_ingest import ingest_parquet
from thingport.domain.errors import InvalidRequest
from thingport.domain.export_plan import PlannedColumn, PlannedLayout
from thingport.domain.ids import ThingDefinitionId, ThingId

REASON = "the metric 'temp' is retired and takes no more values"
ARROW = {"Content-Type": "application/vnd.apache.arrow.stream"}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[HttpService]:
    with http_service(tmp_path) as opened:
        yield opened


@pytest.fixture
def acme(service: HttpService) -> HttpTenant:
    return service.add_tenant("acme")


@pytest.fixture
def client(service: HttpService, acme: HttpTenant) -> AppClient:
    """Give a client, once ``temp`` has values at 4 and 5 and is retired."""
    client = service.logged_in(acme)
    data = [{"timestamp": it, "values": [{"value": it}]} for it in (4, 5)]
    assert client.put(address(acme), json={"data": data}).status_code == 201
    retired = replace(acme.metric, is_retired=True)
    active = a_metric(thing_definition_id=retired.thing_definition_id, name="flow")
    with service.control.for_tenant(acme.id) as tx:
        tx.catalogue.save(retired, active)
    return client


def address(acme: HttpTenant, name: str = "temp") -> str:
    return f"/data/values?thingId={acme.thing_id}&metricName={name}"


def stored(acme: HttpTenant) -> list[Row]:
    metric = acme.metric
    column = PlannedColumn(metric.id, metric.value_type, metric.name)
    layout = PlannedLayout(metric.thing_definition_id, (column,))
    with acme.service.lakes.open_reader(acme.id) as reader:
        rows = read(reader, layout, [acme.thing_id])
    return [(timestamp_ms, value) for _, timestamp_ms, value in rows]


def a_stream(acme: HttpTenant, *, temp: float | None) -> bytes:
    table = pa.table(
        {
            "thingId": [acme.thing_id],
            "timestamp": [9],
            "temp": pa.array([temp], pa.float64()),
            "flow": [1.5],
        }
    )
    output = io.BytesIO()
    with pa.ipc.new_stream(output, table.schema) as writer:
        writer.write_table(table)
    return output.getvalue()


def test_no_value_is_put(client: AppClient, acme: HttpTenant) -> None:
    body = {"data": [{"timestamp": 9, "values": [{"value": 1}]}]}

    answer = client.put(address(acme), json=body)

    assert answer.status_code == 400
    assert answer.json() == {"message": f"metricName: {REASON}"}
    assert stored(acme) == [(4, 4.0), (5, 5.0)]


def test_a_batch_with_a_value_is_refused_whole(
    client: AppClient, acme: HttpTenant
) -> None:
    values: dict[str, object] = {"temp": 1, "flow": 2}
    body = [{"thingId": acme.thing_id, "data": [{"timestamp": 9, "values": values}]}]

    answer = client.post("/data/values/batch", json=body)

    assert answer.status_code == 400
    assert answer.json() == {"message": f"[0].data[0].values['temp']: {REASON}"}
    assert stored(acme) == [(4, 4.0), (5, 5.0)]

    values["temp"] = None
    assert client.post("/data/values/batch", json=body).status_code == 201


def test_an_arrow_stream_with_a_value_is_refused_whole(
    client: AppClient, acme: HttpTenant
) -> None:
    def send(temp: float | None) -> tuple[int, str]:
        content = a_stream(acme, temp=temp)
        answer = client.post("/data/values/batch", content=content, headers=ARROW)
        return answer.status_code, answer.text

    status, text = send(1.5)
    assert status == 400
    assert f"row 1 (thing {acme.thing_id}), column 'temp': {REASON}" in text
    assert stored(acme) == [(4, 4.0), (5, 5.0)]

    assert send(None) == (201, "")


def test_a_file_is_refused_whole_where_a_thing_has_the_metric_retired(
    tmp_path: Path,
) -> None:
    pump, fan = ThingDefinitionId("pump"), ThingDefinitionId("fan")
    things = {"P": (ThingId("p"), pump), "F": (ThingId("f"), fan)}
    metrics = {
        it: {
            "temp": a_metric(thing_definition_id=it, name="temp", is_retired=it == fan)
        }
        for it in (pump, fan)
    }
    place = at_arguments(str(tmp_path), "")
    file = tmp_path / "file.parquet"
    columns = {"thing": ["P", "F"], "timestamp": [1, 1], "temp": [0.5, 0.5]}
    pq.write_table(pa.table(columns), file)

    with pytest.raises(InvalidRequest) as refused:
        ingest_parquet(file, things, metrics, a_lane(place))
    assert refused.value.faults == (f"row 2 (thing F), column 'temp': {REASON}",)

    columns["temp"] = [0.5, None]
    pq.write_table(pa.table(columns), file)
    assert ingest_parquet(file, things, metrics, a_lane(place)).values == 1
    place.close()


def test_its_values_can_be_deleted(client: AppClient, acme: HttpTenant) -> None:
    period = "&startTimestamp=4&endTimestamp=5"
    assert client.request("DELETE", address(acme) + period).status_code == 204
    assert stored(acme) == [(5, 5.0)]
