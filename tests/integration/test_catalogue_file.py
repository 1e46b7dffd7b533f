"""Applying a catalogue file: what it changes, and what is refused."""

import itertools
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from thingport.adapters.catalogue_files.catalogue_document_reader import (
    parse_catalogue_document,
)
from thingport.adapters.sql.database import SqlControlDatabase
from thingport.adapters.sql.engine import open_engine, sqlite_url
from thingport.adapters.sql.migrate import upgrade
from thingport.application.catalogue import apply_catalogue
from thingport.application.ports import CatalogueEntity, ControlDatabase
from thingport.domain.catalogue import (
    Customer,
    Organization,
    Tenant,
    Thing,
    ThingDefinition,
)
from thingport.domain.errors import InvalidRequest
from thingport.domain.ids import TenantId, ThingDefinitionId
from thingport.domain.metric import Metric

TENANT = Tenant(id=TenantId("t1"), name="acme")

FLEET = """\
customers:
  - code: fjord
    locations:
      - name: Bergen
thingDefinitions:
  - name: station
    metrics:
      - {name: temp, unit: K, valueType: DOUBLE}
  - name: airport
    super: station
  - name: logger
productModels:
  - name: WS
    thingDefinition: airport
    parts:
      - {name: log, thingDefinition: logger}
things:
  - {id: a-1, serialNumber: A, productModel: WS, customer: fjord, location: Bergen}
  - {serialNumber: B, productModel: WS, productModelPart: log, parent: A}
"""


class Ids:
    """Counts."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def new_id(self) -> str:
        return f"id{next(self._numbers)}"


class Bench:
    """A tenant's catalogue to apply files to."""

    def __init__(self, control: ControlDatabase) -> None:
        self.control = control
        self.ids = Ids()

    def apply(self, text: str, *, is_json: bool = False) -> Sequence[str]:
        document = parse_catalogue_document(text, is_json=is_json)
        changes = apply_catalogue(self.control, TENANT, document, self.ids)
        return [str(it) for it in changes]

    def faults(self, text: str) -> Sequence[str]:
        before = self.rows()
        with pytest.raises(InvalidRequest) as refused:
            self.apply(text)
        assert self.rows() == before, "a refused file changes nothing"
        return list(refused.value.faults)

    def rows(self) -> Mapping[tuple[type, str], CatalogueEntity]:
        with self.control.for_tenant(TENANT.id, read_only=True) as tx:
            network = tx.catalogue.get_network()
            definitions = tx.catalogue.get_definitions()
            entities: list[CatalogueEntity] = [
                *network.organizations,
                *network.partners,
                *network.customers,
                *tx.catalogue.list_locations(),
                *definitions.thing_definitions.values(),
                *definitions.metrics.values(),
                *definitions.product_models.values(),
                *definitions.product_model_parts.values(),
                *tx.catalogue.list_things(),
            ]
        return {(type(it), it.id): it for it in entities}

    def thing(self, serial_number: str) -> Thing:
        with self.control.for_tenant(TENANT.id) as tx:
            things = tx.catalogue.list_things()
        return next(it for it in things if it.serial_number == serial_number)

    def customer(self) -> Customer:
        return next(it for it in self.rows().values() if isinstance(it, Customer))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a control database with the tenant in it, to be copied."""
    path = tmp_path_factory.mktemp("template") / "control.sqlite"
    engine = open_engine(sqlite_url(path))
    upgrade(engine)
    with closing(SqlControlDatabase(engine)) as control, control.for_service() as tx:
        tx.tenants.add(TENANT)
    return path


@pytest.fixture
def bench(template: Path, tmp_path: Path) -> Iterator[Bench]:
    copied = shutil.copy(template, tmp_path)
    with closing(SqlControlDatabase(sqlite_url(Path(copied)))) as control:
        yield Bench(control)


@pytest.fixture
def fleet(bench: Bench) -> Bench:
    bench.apply(FLEET)
    return bench


# --- what it changes ----------------------------------------------------------


def test_a_first_file_creates_owners_before_what_they_own(bench: Bench) -> None:
    assert bench.apply(FLEET) == [
        "created organization acme",
        "created customer fjord",
        "created location fjord / Bergen",
        "created thing definition station",
        "created thing definition airport",
        "created thing definition logger",
        "created metric station / temp",
        "created product model WS",
        "created part WS / log",
        "created thing A",
        "created thing B",
    ]


def test_applying_a_file_again_changes_nothing(fleet: Bench) -> None:
    before = fleet.rows()

    assert fleet.apply(FLEET) == []
    assert fleet.rows() == before


def test_children_may_come_before_their_parents_in_the_file(bench: Bench) -> None:
    changes = bench.apply(
        "things:\n"
        "  - {serialNumber: C, thingDefinition: d, parent: B}\n"
        "  - {serialNumber: B, thingDefinition: d, parent: A}\n"
        "  - {serialNumber: A, thingDefinition: d}\n"
        "thingDefinitions:\n"
        "  - {name: d, super: e}\n"
        "  - {name: e}\n"
    )

    assert [it.rpartition(" ")[2] for it in changes] == ["e", "d", "A", "B", "C"]


def test_fields_that_are_not_mentioned_keep_their_value(fleet: Bench) -> None:
    before = fleet.thing("A")

    assert fleet.apply("things: [{serialNumber: A, name: Runway}]") == [
        "updated thing A (name)"
    ]
    assert fleet.thing("A") == replace(before, name="Runway")


def test_null_and_empty_texts_clear_a_field(fleet: Bench) -> None:
    for nothing in ("null", "~", "", '""'):
        fleet.apply("customers: [{code: fjord, country: NO}]")
        text = f"customers:\n  - code: fjord\n    country: {nothing}\n"
        assert fleet.apply(text) == ["updated customer fjord (country)"]
        assert fleet.customer().country is None


def test_properties_are_merged_name_by_name(fleet: Bench) -> None:
    fleet.apply("things: [{serialNumber: A, properties: {a: 1, b: x, c: ''}}]")
    assert fleet.thing("A").properties == {"a": "1", "b": "x", "c": ""}

    fleet.apply("things: [{serialNumber: A, properties: {b: y, c: null}}]")
    assert fleet.thing("A").properties == {"a": "1", "b": "y"}

    fleet.apply("things: [{serialNumber: A, properties: null}]")
    assert fleet.thing("A").properties == {}


def test_a_list_of_partners_replaces_the_one_before(fleet: Bench) -> None:
    fleet.apply("partners: [{name: N}, {name: S}]")
    fleet.apply("customers: [{code: fjord, partners: [N, S]}]")
    assert len(fleet.customer().partner_ids) == 2

    fleet.apply("customers: [{code: fjord, name: Fjord}]")
    assert len(fleet.customer().partner_ids) == 2

    changes = fleet.apply("customers: [{code: fjord, partners: [S]}]")
    assert changes == ["updated customer fjord (partners)"]
    assert len(fleet.customer().partner_ids) == 1


def test_a_thing_is_unassigned_by_null(fleet: Bench) -> None:
    changes = fleet.apply("things: [{serialNumber: A, customer: null, location: null}]")

    assert changes == ["updated thing A (location)"]
    assert fleet.thing("A").location_id is None


def test_a_thing_takes_its_definition_from_its_part_or_its_model(fleet: Bench) -> None:
    names = {
        id_: it.name
        for id_, it in _definitions(fleet).items()
        if it.name in {"airport", "logger"}
    }

    assert names[fleet.thing("A").thing_definition_id] == "airport"
    assert names[fleet.thing("B").thing_definition_id] == "logger"


@pytest.mark.parametrize("text", ["00123", "no", "1e3", "1_000", "0x1F", "2013-01-01"])
def test_values_are_taken_letter_for_letter(bench: Bench, text: str) -> None:
    bench.apply(
        f"thingDefinitions: [{{name: d}}]\n"
        f"things:\n  - serialNumber: {text}\n    thingDefinition: d\n"
    )

    assert bench.thing(text).name == text


def test_numbers_of_json_are_taken_letter_for_letter(bench: Bench) -> None:
    digits = "9" * 190
    bench.apply(
        '{"thingDefinitions": [{"name": 1.50}],\r\n'
        f'\t"things": [{{"serialNumber": {digits}, "thingDefinition": 1.50}}]}}',
        is_json=True,
    )

    assert bench.thing(digits).serial_number == digits


def test_an_id_in_the_file_becomes_the_entitys_id(bench: Bench) -> None:
    bench.apply(
        "thingDefinitions: [{name: d, metrics: [{id: m-1, name: m, valueType: LONG}]}]"
    )

    assert (Metric, "m-1") in bench.rows()


def test_the_only_root_organization_is_where_customers_belong(bench: Bench) -> None:
    bench.apply(
        "organizations: [{name: Root}, {name: Branch, parent: Root}]\n"
        "customers: [{code: c}]"
    )
    owner = bench.rows()[Organization, bench.customer().organization_id]

    assert isinstance(owner, Organization)
    assert owner.name == "Root"


# --- what is refused ----------------------------------------------------------


def test_every_fault_is_told_at_once_in_the_order_of_the_file(fleet: Bench) -> None:
    assert fleet.faults(
        "customers:\n"
        "  - code: acme\n"
        "    nmae: Acme\n"
        "    timezone: europe/rome\n"
        "    partners: [X]\n"
        "things:\n"
        "  - serialNumber: [1]\n"
        "  - serialNumber: C\n"
        "    thingDefinition: airpot\n"
        "    customer: acme\n"
        "    location: Rome\n"
        "  - name: nameless\n"
    ) == [
        "line 3: customers[0].nmae: there is no such field; did you mean 'name'?",
        (
            "line 4: customers[0].timezone: 'europe/rome' is no IANA time zone; "
            "did you mean 'Europe/Rome'?"
        ),
        "line 5: customers[0].partners: there is no partner 'X'",
        "line 7: things[0].serialNumber: a text is due, not a list",
        "line 9: things[1].thingDefinition: there is no thing definition 'airpot'",
        "line 11: things[1].location: customer 'acme' has no location 'Rome'",
        "line 12: things[2].serialNumber: is required",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("thing: []", "thing: there is no such field; did you mean 'things'?"),
        ("[]", "names with values are due, not a list"),
        ("things: {}", "things: a list is due, not names with values"),
        ("things: [A]", "things[0]: names with values are due, not a single value"),
        ("things: []\nthings: []", "things: is there twice, first in line 1"),
        (
            "things: [{serialNumber: A, properties: {p: 1, p: 2}}]",
            "things[0].properties.p: is there twice, first in line 1",
        ),
        (
            "things: [{serialNumber: A, properties: {p: [1]}}]",
            "things[0].properties.p: a text is due, not a list",
        ),
        (
            "things: [{serialNumber: A}, {serialNumber: A}]",
            "things[1].serialNumber: 'A' is there twice, first in line 1",
        ),
        (
            "things: [{serialNumber: A, name: null}]",
            "things[0].name: must not be null; put it in quotes if the word is meant",
        ),
        ("things: [{serialNumber: ' '}]", "things[0].serialNumber: must not be empty"),
        (
            'things: [{serialNumber: "A\\nB"}]',
            "things[0].serialNumber: must be one line without control characters",
        ),
        (
            f"things: [{{serialNumber: {'x' * 201}}}]",
            "things[0].serialNumber: has 201 characters, but at most 200 are kept",
        ),
        (
            "things: [{serialNumber: A, id: a b}]",
            "things[0].id: must be 1 to 48 letters, digits, '_' or '-'",
        ),
        (
            "things: [{serialNumber: A, id: other}]",
            "things[0].id: thing 'A' has the id 'a-1' already",
        ),
        (
            "things: [{serialNumber: C, id: a-1, thingDefinition: logger}]",
            "things[0].id: 'a-1' belongs to thing 'A' already",
        ),
        (
            "things: [{serialNumber: C, id: A-1, thingDefinition: logger}]",
            "things[0].id: 'A-1' belongs to thing 'A' already",
        ),
        (
            "things: [{serialNumber: A, thingDefinition: logger}]",
            "things[0].thingDefinition: is 'airport' and cannot change",
        ),
        (
            "things: [{serialNumber: C, thingDefinition: logger, productModel: WS}]",
            (
                "things[0].productModel: things of it are of definition 'airport', "
                "this one is of 'logger'"
            ),
        ),
        (
            "things: [{serialNumber: C}]",
            "things[0].thingDefinition: is required without a productModel",
        ),
        (
            "things: [{serialNumber: C, productModel: WS, productModelPart: x}]",
            "things[0].productModelPart: product model 'WS' has no part 'x'",
        ),
        (
            (
                "things: [{serialNumber: C, thingDefinition: logger, "
                "productModelPart: log}]"
            ),
            "things[0].productModel: is required with a productModelPart",
        ),
        (
            "things: [{serialNumber: B, productModel: null}]",
            (
                "things[0].productModel: the thing is part 'WS / log': "
                "give its productModelPart too, or null"
            ),
        ),
        (
            "things: [{serialNumber: A, location: Bergen}]",
            "things[0].customer: is required with a location",
        ),
        (
            "things: [{serialNumber: A, customer: fjord}]",
            (
                "things[0].location: is required with a customer: "
                "a thing stands in a location"
            ),
        ),
        (
            "things: [{serialNumber: B, customer: fjord, location: Bergen}]",
            (
                "things[0].location: a sub-thing is where its parent is: "
                "its own location must be null"
            ),
        ),
        (
            "things: [{serialNumber: A, customer: null, parent: B}]",
            "things[0].parent: goes round in a circle: 'A' → 'B' → 'A'",
        ),
        (
            "things: [{serialNumber: A, customer: null, parent: A}]",
            "things[0].parent: goes round in a circle: 'A' → 'A'",
        ),
        (
            "organizations: [{name: acme, parent: b}, {name: b, parent: acme}]",
            "organizations[0].parent: goes round in a circle: 'acme' → 'b' → 'acme'",
        ),
        (
            "partners: [{name: a, parent: b}, {name: b, parent: a}]",
            "partners[0].parent: goes round in a circle: 'a' → 'b' → 'a'",
        ),
        (
            "thingDefinitions: [{name: a, super: b}, {name: b, super: a}]",
            "thingDefinitions[0].super: goes round in a circle: 'a' → 'b' → 'a'",
        ),
        (
            "productModels: [{name: WS, parts: [{name: log, parent: log}]}]",
            (
                "productModels[0].parts[0].parent: goes round in a circle: "
                "'WS / log' → 'WS / log'"
            ),
        ),
        (
            "thingDefinitions: [{name: airport, super: logger}]",
            "thingDefinitions[0].super: is 'station' and cannot change",
        ),
        (
            "thingDefinitions: [{name: station, super: logger}]",
            "thingDefinitions[0].super: is not set and cannot change",
        ),
        (
            "productModels: [{name: WS, thingDefinition: logger}]",
            "productModels[0].thingDefinition: is 'airport' and cannot change",
        ),
        (
            "productModels: [{name: W2}]",
            "productModels[0].thingDefinition: is required",
        ),
        (
            (
                "thingDefinitions: [{name: station, metrics: [{name: temp, "
                "valueType: LONG}]}]"
            ),
            "thingDefinitions[0].metrics[0].valueType: is DOUBLE and cannot change",
        ),
        (
            "thingDefinitions: [{name: station, metrics: [{name: hum}]}]",
            "thingDefinitions[0].metrics[0].valueType: is required",
        ),
        (
            (
                "thingDefinitions: [{name: station, metrics: [{name: hum, "
                "valueType: double}]}]"
            ),
            (
                "thingDefinitions[0].metrics[0].valueType: 'double' is not one of "
                "STRING, BOOLEAN, INTEGER, LONG, FLOAT, DOUBLE; did you mean 'DOUBLE'?"
            ),
        ),
        (
            (
                "thingDefinitions: [{name: airport, metrics: [{name: temp, "
                "valueType: DOUBLE}]}]"
            ),
            (
                "thingDefinitions[0].metrics[0].name: definition 'station' has a "
                "metric 'temp' already, and one of the two inherits from the other"
            ),
        ),
        (
            "organizations: [{name: b}]\ncustomers: [{code: c}]",
            (
                "customers[0].organization: is required, "
                "because there are 2 root organizations"
            ),
        ),
    ],
)
def test_a_fault_is_named_by_its_field(fleet: Bench, text: str, fault: str) -> None:
    (found,) = fleet.faults(text)

    line, _, reason = found.partition(": ")
    assert reason == fault
    assert line == f"line {text.count(chr(10)) + 1}"


def test_a_new_metric_of_a_super_may_not_be_one_of_a_sub_definition(
    fleet: Bench,
) -> None:
    metric = "metrics: [{name: visib, valueType: DOUBLE}]"
    fleet.apply(f"thingDefinitions: [{{name: airport, {metric}}}]")

    (fault,) = fleet.faults(f"thingDefinitions: [{{name: station, {metric}}}]")
    assert "definition 'airport' has a metric 'visib' already" in fault


def test_a_definition_has_at_most_4096_metrics(fleet: Bench) -> None:
    def text(count: int) -> str:
        metrics = [{"name": f"m{i}", "valueType": "LONG"} for i in range(count)]
        return json.dumps(
            {"thingDefinitions": [{"name": "airport", "metrics": metrics}]}
        )

    (fault,) = fleet.faults(text(4096))
    assert "would have 4097 metrics" in fault

    assert len(fleet.apply(text(4095))) == 4095


def test_a_customer_takes_what_a_faulty_file_says_only_whole(fleet: Bench) -> None:
    fleet.faults("customers: [{code: fjord, name: New}, {code: x, timezone: Mars}]")

    assert fleet.customer().name == "fjord"


def _definitions(bench: Bench) -> Mapping[ThingDefinitionId, ThingDefinition]:
    with bench.control.for_tenant(TENANT.id) as tx:
        return tx.catalogue.get_definitions().thing_definitions


# --- form ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "line 1: the file is empty"),
        ("# nothing\n", "line 1: the file is empty"),
        ("a: &x 1\nb: *x\n", "line 2: aliases such as *x are not taken"),
        ("a: 1\nb: !!int 3\n", "line 2: tags such as 'tag:yaml.org,2002:int'"),
        ("a: 1\n---\nb: 2\n", "line 2: a second document begins"),
        ("a: 1\nb: \x01\n", "line 2: not valid YAML: character U+0001"),
        ("a: é\nb: [1\nc: 2\n", "line 3, column 2: not valid YAML"),
        ("a: 1\n[x]: 2\n", "line 2: a name must be a single text"),
        ("[" * 100, "line 1: nested more than 16 levels deep"),
    ],
)
def test_a_text_that_is_not_plain_yaml_is_refused(text: str, fault: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_catalogue_document(text, is_json=False)

    assert str(refused.value).startswith(fault)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "line 1: not valid JSON: Expecting value"),
        ("null", "line 1: the file is empty"),
        ('{\n"a": 1\n"b": 2}', "line 3: not valid JSON"),
        ('{\n"a": NaN}', "line 2: not valid JSON: NaN"),
        ("[" * 100 + "]" * 100, "line 1: nested more than 16 levels deep"),
        ("[" * 100_000 + "]" * 100_000, "line 1: nested "),
    ],
)
def test_a_text_that_is_no_json_is_refused(text: str, fault: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_catalogue_document(text, is_json=True)

    assert str(refused.value).startswith(fault)


def test_json_with_tabs_and_escapes_has_the_lines_that_it_is_written_in(
    bench: Bench,
) -> None:
    text = '{\n\t"things": [\n\t\t{"serialNumber": "\\"1\\u00e9",\n\n"x":\n2}]}'
    with pytest.raises(InvalidRequest) as refused:
        bench.apply(text, is_json=True)

    assert refused.value.faults == (
        "line 3: things[0].thingDefinition: is required without a productModel",
        "line 5: things[0].x: there is no such field",
    )


def test_half_a_surrogate_pair_is_no_name(bench: Bench) -> None:
    with pytest.raises(InvalidRequest, match=r"line 1: things\[0\].serialNumber: must"):
        bench.apply('{"things": [{"serialNumber": "\\ud800"}]}', is_json=True)
