"""The oracle of archives, against texts that were written by hand."""

import pytest

from oracle.archive import expected_files, float32_text, guard, timestamp_text
from strategies import Catalogue
from thingport.domain.actor import Entity, OrganizationEntity
from thingport.domain.catalogue import Organization, Thing, ThingDefinition
from thingport.domain.data_export import (
    DataExportRequest,
    Rendition,
    Selection,
    TimestampFormat,
)
from thingport.domain.ids import (
    MetricId,
    OrganizationId,
    ThingDefinitionId,
    ThingId,
)
from thingport.domain.metric import Metric, MetricAnywhere, ValueType
from thingport.domain.period import MAX_TIMESTAMP_MS, MIN_TIMESTAMP_MS, Period
from thingport.domain.reading import Reading

MAKER: Entity = OrganizationEntity(OrganizationId("maker"))
PUMP = ThingDefinitionId("pump")
TEMP, NOTE, OPEN, FLOW, COUNT = map(MetricId, ["temp", "note", "open", "flow", "count"])

CATALOGUE = Catalogue(
    organizations=[Organization(id=OrganizationId("maker"), name="Maker")],
    partners=[],
    customers=[],
    locations=[],
    thing_definitions=[ThingDefinition(id=PUMP, name="Pump/1")],
    metrics=[
        Metric(id=it, thing_definition_id=PUMP, name=name, unit=unit, value_type=kind)
        for it, name, unit, kind in (
            (TEMP, "Temp, inside", "°C", ValueType.DOUBLE),
            (NOTE, "=note", None, ValueType.STRING),
            (OPEN, "timestamp", None, ValueType.BOOLEAN),
            (FLOW, "flow", "l/s", ValueType.FLOAT),
            (COUNT, "FLOW", "l/s", ValueType.LONG),
        )
    ],
    product_models=[],
    product_model_parts=[],
    things=[
        Thing(id=ThingId(it), serial_number=serial, name=it, thing_definition_id=PUMP)
        for it, serial in (("t1", "SN 1"), ("t2", "con"), ("t3", "CON"))
    ],
)


def test_a_whole_export_by_hand() -> None:
    readings = [
        Reading(ThingId("t1"), 2, {TEMP: 1e16, NOTE: "", OPEN: True}),
        Reading(ThingId("t2"), 1, {COUNT: 2**63 - 1, FLOW: 0.1}),
        Reading(ThingId("t1"), 1, {TEMP: 10.0, NOTE: 'say "a"\r\n'}),
        Reading(ThingId("t1"), 2, {NOTE: "=1,2", FLOW: 1e-4}),
        Reading(ThingId("t1"), 3, {TEMP: 1.0}),
    ]
    request = DataExportRequest(
        selection=Selection(period=Period(1, 3)),
        rendition=Rendition(include_unit=True),
    )

    header = (
        'TIMESTAMP,\'=note,FLOW [l/s] (count),"Temp, inside [°C]",'
        "flow [l/s] (flow),timestamp (open)\r\n"
    )
    assert expected_files(CATALOGUE, MAKER, readings, request) == {
        "SN 1_Pump_1.csv": header
        + '1970-01-01T00:00:00.001Z,"say ""a""\r\n",,10.0,,\r\n'
        + '1970-01-01T00:00:00.002Z,"\'=1,2",,1e+16,0.0001,true\r\n',
        "con_Pump_1_t2.csv": header
        + "1970-01-01T00:00:00.001Z,,9223372036854775807,,0.1,\r\n",
        "CON_Pump_1_t3.csv": header,
    }


def test_a_chosen_column_alone_by_hand() -> None:
    readings = [
        Reading(ThingId("t1"), 1, {TEMP: -0.0}),
        Reading(ThingId("t1"), 0, {OPEN: False}),
        Reading(ThingId("t1"), -1, {OPEN: False, TEMP: 1.0}),
    ]
    request = DataExportRequest(
        selection=Selection(
            thing_id=ThingId("t1"), qualified_metrics=(MetricAnywhere(OPEN),)
        ),
        rendition=Rendition(
            thing_file_name="${thing.properties.none}",
            hash_thing_file_name=True,
            timestamp_format=TimestampFormat.EPOCH_MILLIS,
        ),
    )

    assert expected_files(CATALOGUE, MAKER, readings, request) == {
        # The MD5 of "t1".
        "83f1535f99ab0bf4e9d02dfd85d3e3f7.csv": "TIMESTAMP,timestamp (open)\r\n"
        "-1,false\r\n"
        "0,false\r\n"
    }


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0.0"),
        (-0.0, "0.0"),
        (0.1, "0.1"),
        (10.0, "10.0"),
        (1e-4, "0.0001"),
        (9.9e-5, "9.9e-05"),
        (2.0**24, "16777216.0"),
        (123456789.0, "123456790.0"),
        (9.9e15, "9900000000000000.0"),
        (1e16, "1e+16"),
        (1e-45, "1e-45"),
        (3.4028234663852886e38, "3.4028235e+38"),
    ],
)
def test_a_float32_has_its_own_shortest_digits_in_the_layout_of_repr(
    number: float, text: str
) -> None:
    assert float32_text(number) == text


@pytest.mark.parametrize(
    ("text", "guarded"),
    [
        ("a=1", "a=1"),
        ("", ""),
        ("=1", "'=1"),
        ("@a", "'@a"),
        ("'a", "''a"),
        ("\ta", "'\ta"),
        ("\ra", "'\ra"),
        ("\na", "\na"),
        ("-1", "-1"),
        ("+1.5E-3", "+1.5E-3"),
        ("-.5", "-.5"),
        ("-5.", "-5."),
        ("-", "'-"),
        ("-1\n", "'-1\n"),
        ("-1+2", "'-1+2"),
        ("-٣", "'-٣"),
    ],
)
def test_what_a_spreadsheet_could_run_is_guarded(text: str, guarded: str) -> None:
    assert guard(text) == guarded


@pytest.mark.parametrize(
    ("timestamp_ms", "text"),
    [
        (MIN_TIMESTAMP_MS, "1900-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (1_583_020_800_000, "2020-03-01T00:00:00.000Z"),
        (MAX_TIMESTAMP_MS, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_an_instant_has_milliseconds_and_a_z(timestamp_ms: int, text: str) -> None:
    assert timestamp_text(timestamp_ms, TimestampFormat.ISO_8601) == text
    assert timestamp_text(timestamp_ms, TimestampFormat.EPOCH_MILLIS) == str(
        timestamp_ms
    )
