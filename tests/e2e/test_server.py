"""A real server over real HTTP: whatever is written comes home as it was asked for."""

import hashlib
import os
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from oracle.rfc4180 import parse
from running import (
    TENANT,
    Credentials,
    Server,
    add_tenant,
    add_user,
    download,
    export,
    serving,
)
from thingport_client import Client, ExportFailed, Refused

MARCH_2020 = 1_583_020_800_000

CATALOGUE = """\
organizations:
  - {name: Maker}
partners:
  - {name: Nordic Service, organization: Maker}
customers:
  - id: fjord
    code: fjord-air
    name: Fjord Air
    partners: [Nordic Service]
    locations:
      - {id: bergen, name: Bergen, properties: {mast: 10 m}}
      - {id: oslo, name: Oslo}
  - id: delta
    code: delta-water
    name: Delta Water
    locations:
      - {id: rhine, name: Rhine}
thingDefinitions:
  - id: sensor
    name: Sensor
    metrics:
      - {id: temp, name: temperature, unit: °C, valueType: DOUBLE}
      - {id: note, name: note, valueType: STRING}
  - id: pump
    name: Pump
    super: Sensor
    metrics:
      - {id: running, name: running, valueType: BOOLEAN}
      - {id: strokes, name: strokes, valueType: INTEGER}
      - {id: total, name: total, unit: l, valueType: LONG}
      - {id: pressure, name: pressure, unit: bar, valueType: FLOAT}
  - id: logger
    name: Logger
    super: Sensor
    metrics:
      - {id: battery, name: battery, unit: V, valueType: FLOAT}
productModels:
  - id: p-100
    name: P-100
    thingDefinition: Pump
    parts:
      - {id: p-100-logger, name: logger, thingDefinition: Logger}
things:
  - id: pump-1
    serialNumber: P1
    name: "Pump: one"
    productModel: P-100
    customer: fjord-air
    location: Bergen
  - id: logger-1
    serialNumber: L1
    productModel: P-100
    productModelPart: logger
    parent: P1
  - id: pump-2
    serialNumber: P2
    productModel: P-100
    customer: fjord-air
    location: Oslo
  - id: pump-3
    serialNumber: P3
    thingDefinition: Pump
    customer: delta-water
    location: Rhine
  - id: sensor-1
    serialNumber: S1
    thingDefinition: Sensor
    customer: delta-water
    location: Rhine
  - id: logger-2
    serialNumber: L2
    thingDefinition: Logger
    customer: delta-water
    location: Rhine
  - {id: pump-4, serialNumber: P4, thingDefinition: Pump}
"""

OF_P1: Mapping[str, Sequence[tuple[int, object]]] = {
    "temperature": [(0, 21.5), (1, "-0.50"), (1000, 1e22), (2000, 1), (2000, "5E-324")],
    "note": [(0, "plain"), (1, ""), (1000, 'say "hi",\r\ntwice 🙂'), (2000, "=1+1")],
    "running": [(0, True), (1, "false")],
    "strokes": [(0, 42), (1, "-7")],
    "total": [(0, 2**63 - 1), (1, "-9223372036854775808")],
    "pressure": [(0, 0.1), (1, "16777217")],
}
"""Values of every type, as JSON has them and as texts; the last of two counts."""

P1 = (
    "TIMESTAMP,note,pressure,running,strokes,temperature,total\r\n"
    "2020-03-01T00:00:00.000Z,plain,0.1,true,42,21.5,9223372036854775807\r\n"
    '2020-03-01T00:00:00.001Z,"",16777216.0,false,-7,-0.5,-9223372036854775808\r\n'
    '2020-03-01T00:00:01.000Z,"say ""hi"",\r\ntwice 🙂",,,,1e+22,\r\n'
    "2020-03-01T00:00:02.000Z,'=1+1,,,,5e-324,\r\n"
)

PUMP_HEADER = P1.partition("\r\n")[0]

ONE_TEMPERATURE = f"{PUMP_HEADER}\r\n2020-03-01T00:00:00.000Z,,,,,2.5,\r\n"

EVERYTHING = {
    "P1.csv": P1,
    "P2.csv": ONE_TEMPERATURE,
    "P3.csv": f"{PUMP_HEADER}\r\n",
    "P4.csv": ONE_TEMPERATURE,
    "S1.csv": "TIMESTAMP,note,temperature\r\n2020-03-01T00:00:00.000Z,,2.5\r\n",
    "L1.csv": (
        "TIMESTAMP,battery,note,temperature\r\n2020-03-01T00:00:00.000Z,3.5,,\r\n"
    ),
    "L2.csv": "TIMESTAMP,battery,note,temperature\r\n",
}

OTHER_TENANT = "globex"

OTHER_CATALOGUE = """\
organizations:
  - {name: Globex}
thingDefinitions:
  - id: meter
    name: Meter
    metrics:
      - {id: power, name: power, valueType: DOUBLE}
things:
  - {id: meter-1, serialNumber: M1, thingDefinition: Meter}
  - {id: meter-2, serialNumber: M2, thingDefinition: Meter}
"""

NOBODYS_ID = "0" * 32


@dataclass(frozen=True)
class World:
    """A server with two tenants, and a client of a user of each kind.

    Attributes:
        credentials: Those of the maker.
        maker: Of the organization above all; wrote all that is in its tenant.
        partner: Of the partner that one of two customers is entrusted to.
        customer: Of the other customer.
        location: Of the second location of the first customer.
        stranger: Of the other tenant, in which tests may write.
    """

    server: Server
    credentials: Credentials
    maker: Client
    partner: Client
    customer: Client
    location: Client
    stranger: Client

    def request(
        self,
        method: str,
        path: str,
        *,
        tenant: str = TENANT,
        token: str | None = None,
        json: object = None,
    ) -> httpx.Response:
        """Call the server as no well-behaved client would."""
        headers = {"X-Servitly-Tenant": tenant}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        url = self.server.base_url + path
        return httpx.request(method, url, headers=headers, json=json)

    def log_in(self, *, tenant: str = TENANT) -> httpx.Response:
        """Log in with the maker's secrets."""
        secrets = {"apiKey": self.credentials.api_key, "pat": self.credentials.pat}
        path = "/identity/users/patLogin"
        return self.request("POST", path, tenant=tenant, json=secrets)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    data_dir = tmp_path_factory.mktemp("server") / "data"
    add_tenant(data_dir, CATALOGUE)
    add_tenant(data_dir, OTHER_CATALOGUE, OTHER_TENANT)
    maker = add_user(data_dir, "m@acme.example", "--organization", "Maker")
    partner = add_user(data_dir, "p@acme.example", "--partner", "Nordic Service")
    customer = add_user(data_dir, "c@acme.example", "--customer", "delta-water")
    oslo = ("--customer", "fjord-air", "--location", "Oslo")
    location = add_user(data_dir, "l@acme.example", *oslo)
    globex = ("--organization", "Globex")
    stranger = add_user(data_dir, "s@globex.example", *globex, tenant=OTHER_TENANT)
    with serving(data_dir) as server, ExitStack() as stack:

        def client(credentials: Credentials, tenant: str = TENANT) -> Client:
            return stack.enter_context(server.client(credentials, tenant))

        opened = World(
            server=server,
            credentials=maker,
            maker=client(maker),
            partner=client(partner),
            customer=client(customer),
            location=client(location),
            stranger=client(stranger, OTHER_TENANT),
        )
        write_readings(opened.maker)
        yield opened


def write_readings(client: Client) -> None:
    for metric, values in OF_P1.items():
        at_instants = [(MARCH_2020 + at_ms, value) for at_ms, value in values]
        client.put_values("pump-1", metric, at_instants)
    for thing in ("pump-2", "sensor-1", "pump-4"):
        client.put_values(thing, "temperature", [(MARCH_2020, 2.5)])
    client.put_values("logger-1", "battery", [(MARCH_2020, 3.5)])


Read = Callable[..., dict[str, str]]


@pytest.fixture
def read(world: World, tmp_path: Path) -> Read:
    """Give what has an archive made, and reads the files in it."""

    def read(*, by: Client | None = None, **request: object) -> dict[str, str]:
        asked = {"thingFileName": "${thing.serialNumber}", **request}
        files = export(by or world.maker, asked, tmp_path / "archive.zip")
        return {name: content.decode() for name, content in files.items()}

    return read


def headers_of(files: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removesuffix(".csv"): text.partition("\r\n")[0]
        for name, text in files.items()
    }


def names_of(files: Mapping[str, str]) -> set[str]:
    return {name.removesuffix(".csv") for name in files}


def stamps_of(text: str) -> list[str]:
    return [row[0].text for row in parse(text)[1:]]


def test_whatever_was_written_comes_home_to_the_byte(read: Read) -> None:
    assert read() == EVERYTHING


def test_progress_is_told_until_the_archive_is_there(world: World) -> None:
    scheduled = world.maker.schedule({"name": "All"})
    beans = list(world.maker.iter_progress(scheduled["id"], pause_s=0.01))

    assert scheduled["state"] == "PENDING"
    assert {(it["id"], it["name"]) for it in beans} == {(scheduled["id"], "All")}
    assert {it["progress"]["thingsTotal"] for it in beans} == {len(EVERYTHING)}
    percents = [it["progress"]["percent"] for it in beans]
    assert percents == sorted(percents)
    assert beans[-1]["state"] == "COMPLETED"
    assert (
        beans[-1]["progress"].items()
        >= {
            "phase": "DONE",
            "thingsDone": len(EVERYTHING),
            "percent": 100,
        }.items()
    )


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({"customerId": "fjord"}, {"P1", "L1", "P2"}),
        ({"customerId": "delta"}, {"P3", "S1", "L2"}),
        ({"locationId": "bergen"}, {"P1", "L1"}),
        ({"customerId": "fjord", "locationId": "oslo"}, {"P2"}),
        ({"thingId": "pump-1"}, {"P1", "L1"}),
        ({"thingId": "logger-1"}, {"L1"}),
    ],
)
def test_each_filter_narrows_the_export(
    read: Read, filters: dict[str, str], names: set[str]
) -> None:
    assert names_of(read(**filters)) == names


@pytest.mark.parametrize(
    ("metrics", "headers"),
    [
        (
            [{"metricId": "temp", "thingDefinitionId": "sensor"}],
            dict.fromkeys(
                ("P1", "P2", "P3", "P4", "S1", "L1", "L2"), "TIMESTAMP,temperature"
            ),
        ),
        (
            [{"metricId": "temp", "thingDefinitionId": "pump"}],
            dict.fromkeys(("P1", "P2", "P3", "P4"), "TIMESTAMP,temperature"),
        ),
        (
            [{"metricId": "temp", "productModelId": "p-100"}],
            dict.fromkeys(("P1", "P2"), "TIMESTAMP,temperature"),
        ),
        (
            [
                {
                    "metricId": "temp",
                    "productModelId": "p-100",
                    "productModelPartId": "p-100-logger",
                }
            ],
            {"L1": "TIMESTAMP,temperature"},
        ),
        (
            [{"metricId": "battery"}],
            dict.fromkeys(("L1", "L2"), "TIMESTAMP,battery"),
        ),
        (
            [
                {"metricId": "total"},
                {"metricId": "note"},
                {"metricId": "temp", "productModelId": "p-100"},
                {"metricId": "total", "thingDefinitionId": "pump"},
            ],
            {
                **dict.fromkeys(("P1", "P2"), "TIMESTAMP,total,note,temperature"),
                **dict.fromkeys(("P3", "P4"), "TIMESTAMP,total,note"),
                **dict.fromkeys(("S1", "L1", "L2"), "TIMESTAMP,note"),
            },
        ),
    ],
    ids=["definition", "heir", "model", "part", "anywhere", "order"],
)
def test_metrics_come_from_where_they_are_asked_for_and_in_that_order(
    read: Read, metrics: list[dict[str, str]], headers: dict[str, str]
) -> None:
    assert headers_of(read(qualifiedMetricIds=metrics)) == headers


def test_a_row_has_a_value_of_a_metric_that_was_asked_for(read: Read) -> None:
    files = read(thingId="pump-1", qualifiedMetricIds=[{"metricId": "strokes"}])

    assert files == {
        "P1.csv": "TIMESTAMP,strokes\r\n"
        "2020-03-01T00:00:00.000Z,42\r\n"
        "2020-03-01T00:00:00.001Z,-7\r\n"
    }


@pytest.mark.parametrize(
    ("start", "end", "instants"),
    [
        (None, 1000, [0, 1]),
        (1, 1000, [1]),
        (1, 1001, [1, 1000]),
        (1000, None, [1000, 2000]),
        (2001, None, []),
    ],
)
def test_a_period_has_its_start_and_not_its_end(
    read: Read, start: int | None, end: int | None, instants: list[int]
) -> None:
    files = read(
        thingId="pump-1",
        startTimestamp=None if start is None else MARCH_2020 + start,
        endTimestamp=None if end is None else MARCH_2020 + end,
        timestampFormat="EPOCH_MILLIS",
    )

    assert stamps_of(files["P1.csv"]) == [str(MARCH_2020 + it) for it in instants]


def test_the_mask_names_files_after_what_the_thing_is_and_where(read: Read) -> None:
    mask = (
        "${customer.name} ${location.properties.mast} ${location.id}"
        "_${thing.name}_${productModel.name}"
    )

    files = read(thingFileName=mask, customerId="fjord")

    assert names_of(files) == {
        "Fjord Air 10 m bergen_Pump_ one_P-100",
        "Fjord Air 10 m bergen_L1_P-100",
        "Fjord Air  oslo_P2_P-100",
    }


def test_names_that_are_equal_get_the_ids_of_their_things(read: Read) -> None:
    files = read(thingFileName="${thingDefinition.name}", customerId="fjord")

    assert names_of(files) == {"Pump_pump-1", "Pump_pump-2", "Logger"}


def test_hashed_names_stand_for_the_same_files(read: Read) -> None:
    plain = read(customerId="fjord")
    hashed = read(customerId="fjord", hashThingFileName=True)

    assert hashed == {
        f"{hashlib.md5(name.removesuffix('.csv').encode()).hexdigest()}.csv": content
        for name, content in plain.items()
    }


def test_units_stand_behind_the_names_that_have_one(read: Read) -> None:
    files = read(thingId="pump-1", includeUnit=True)

    header = "TIMESTAMP,note,pressure [bar],running,strokes,temperature [°C],total [l]"
    assert files == {
        "P1.csv": P1.replace(PUMP_HEADER, header),
        "L1.csv": EVERYTHING["L1.csv"].replace(
            "battery,note,temperature", "battery [V],note,temperature [°C]"
        ),
    }


def test_timestamps_can_be_milliseconds(read: Read) -> None:
    files = read(thingId="logger-1", timestampFormat="EPOCH_MILLIS")

    iso = "2020-03-01T00:00:00.000Z"
    assert files == {"L1.csv": EVERYTHING["L1.csv"].replace(iso, str(MARCH_2020))}


def test_what_is_written_after_scheduling_is_not_in_the_archive(
    world: World, tmp_path: Path
) -> None:
    client, archive = world.stranger, tmp_path / "archive.zip"
    client.put_values("meter-1", "power", [(MARCH_2020, 1.5)])

    with world.server.paused_runner():
        scheduled = client.schedule({"thingId": "meter-1"})
        client.put_values("meter-1", "power", [(MARCH_2020, 9), (MARCH_2020 + 1, 9)])

    at_scheduling = b"TIMESTAMP,power\r\n2020-03-01T00:00:00.000Z,1.5\r\n"
    since_then = (
        b"TIMESTAMP,power\r\n"
        b"2020-03-01T00:00:00.000Z,9.0\r\n2020-03-01T00:00:00.001Z,9.0\r\n"
    )
    found = download(client, scheduled["id"], archive)
    assert found == {"M1_Meter.csv": at_scheduling}
    found = export(client, {"thingId": "meter-1"}, archive)
    assert found == {"M1_Meter.csv": since_then}


def test_one_export_at_a_time_is_made_for_each_tenant(
    world: World, tmp_path: Path
) -> None:
    with world.server.paused_runner():
        first = world.maker.schedule({})
        with pytest.raises(Refused) as refused:
            world.maker.schedule({})
        others = world.stranger.schedule({})

    assert refused.value.status == 429
    assert first["id"] in refused.value.message
    assert refused.value.retry_after_s in range(1, 61)
    download(world.maker, first["id"], tmp_path / "first.zip")
    download(world.stranger, others["id"], tmp_path / "others.zip")
    again = export(world.maker, {}, tmp_path / "second.zip")
    assert len(again) == len(EVERYTHING)


@pytest.mark.parametrize(
    ("kind", "names", "unseen"),
    [
        ("maker", {"P1", "L1", "P2", "P3", "S1", "L2", "P4"}, NOBODYS_ID),
        ("partner", {"P1", "L1", "P2"}, "pump-3"),
        ("customer", {"P3", "S1", "L2"}, "pump-1"),
        ("location", {"P2"}, "logger-1"),
    ],
)
def test_a_user_gets_the_things_of_its_entity_alone(
    world: World, read: Read, kind: str, names: set[str], unseen: str
) -> None:
    client: Client = getattr(world, kind)

    assert names_of(read(by=client)) == names
    with refusal(400, "thingId: no such thing"):
        client.schedule({"thingId": unseen})
    with refusal(404, "Resource not found"):
        client.put_values(unseen, "temperature", [(MARCH_2020, 0)])


def test_an_export_is_seen_by_who_sees_all_in_it(world: World, tmp_path: Path) -> None:
    data_export_id = world.maker.schedule({"customerId": "delta"})["id"]
    download(world.maker, data_export_id, tmp_path / "archive.zip")

    assert world.customer.get(data_export_id)["url"].endswith(".zip")
    for client in (world.partner, world.location, world.stranger):
        with refusal(404, "Resource not found"):
            client.get(data_export_id)


def test_for_another_tenant_nothing_of_this_one_exists(
    world: World, tmp_path: Path
) -> None:
    theirs = world.maker.schedule({})["id"]
    download(world.maker, theirs, tmp_path / "archive.zip")

    for data_export_id in (theirs, NOBODYS_ID):
        with refusal(404, "Resource not found"):
            world.stranger.get(data_export_id)
    for thing_id in ("pump-1", NOBODYS_ID):
        with refusal(404, "Resource not found"):
            world.stranger.put_values(thing_id, "temperature", [(MARCH_2020, 0)])
    for name, known in (
        ("customerId", "fjord"),
        ("locationId", "bergen"),
        ("thingId", "pump-1"),
    ):
        for asked in (known, NOBODYS_ID):
            with refusal(400, f"{name}: no such {name.removesuffix('Id')}"):
                world.stranger.schedule({name: asked})
    for metric_id in ("temp", NOBODYS_ID):
        with refusal(400, "qualifiedMetricIds[0].metricId: no such metric"):
            world.stranger.schedule({"qualifiedMetricIds": [{"metricId": metric_id}]})


def test_a_token_and_its_secrets_are_worth_nothing_at_another_tenant(
    world: World,
) -> None:
    token = world.log_in().json()["token"]

    assert world.log_in(tenant=OTHER_TENANT).status_code == 401
    for tenant in (OTHER_TENANT, "nobody"):
        refused = world.request("POST", "/data/dataExports", tenant=tenant, token=token)
        assert refused.status_code == 401
        assert refused.json() == {"message": "User not authenticated"}


def test_a_damaged_lake_ends_the_export_with_its_reason(
    world: World, tmp_path: Path
) -> None:
    client, request = world.stranger, {"thingId": "meter-2"}
    client.put_values("meter-2", "power", [(MARCH_2020, 2.5)])
    files = world.server.data_dir.glob("lakes/*/data/main/d_meter/*.parquet")
    with truncated(files):
        data_export_id = client.schedule(request)["id"]
        with pytest.raises(ExportFailed):
            download(client, data_export_id, tmp_path / "archive.zip")

    bean = client.get(data_export_id)
    assert bean["state"] == "ERROR"
    assert bean["error"]["code"] == "CORRUPT_DATA"
    assert bean["error"]["message"].startswith("The archive could not be made: ")
    assert str(world.server.data_dir) not in bean["error"]["message"]
    assert "url" not in bean
    assert list(tmp_path.iterdir()) == []
    # The slot is free, and a lake that was restored is as good as before.
    assert export(client, request, tmp_path / "archive.zip") == {
        "M2_Meter.csv": b"TIMESTAMP,power\r\n2020-03-01T00:00:00.000Z,2.5\r\n"
    }


def test_a_link_needs_no_client_and_a_download_can_be_resumed(
    world: World, tmp_path: Path
) -> None:
    saved = tmp_path / "archive.zip"
    scheduled = world.maker.schedule({})
    download(world.maker, scheduled["id"], saved)
    url = world.maker.get(scheduled["id"])["url"]

    with urllib.request.urlopen(url) as response:
        assert response.headers["Content-Type"] == "application/zip"
        etag = response.headers["ETag"]
        beginning = response.read(100)
    rest = {"Range": f"bytes={len(beginning)}-", "If-Range": etag}
    with urllib.request.urlopen(urllib.request.Request(url, headers=rest)) as response:
        assert response.status == 206
        resumed = beginning + response.read()

    assert resumed == saved.read_bytes()
    assert etag == f'"{hashlib.sha256(resumed).hexdigest()}"'


@contextmanager
def refusal(status: int, message: str) -> Iterator[None]:
    """Expect the server to say no with these words and no others."""
    with pytest.raises(Refused) as refused:
        yield
    assert (refused.value.status, refused.value.message) == (status, message)


@contextmanager
def truncated(files: Iterable[Path]) -> Iterator[None]:
    """Cut files in half for as long as the block lasts."""
    whole = {it: it.read_bytes() for it in files}
    assert whole
    for file, content in whole.items():
        os.truncate(file, len(content) // 2)
    try:
        yield
    finally:
        for file, content in whole.items():
            file.write_bytes(content)
