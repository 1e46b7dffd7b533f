"""Names of the CSV files in an archive."""

import re
import unicodedata
from dataclasses import replace
from hashlib import md5

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from strategies import Catalogue, awkward_texts, catalogues, texts
from thingport.domain.catalogue import (
    Customer,
    Definitions,
    Location,
    PlacedThing,
    ProductModel,
    Thing,
    ThingDefinition,
)
from thingport.domain.ids import (
    CustomerId,
    LocationId,
    OrganizationId,
    ProductModelId,
    ThingDefinitionId,
    ThingId,
)
from thingport.domain.thing_file_name import (
    KNOWN_PLACEHOLDERS,
    check_mask,
    file_names,
)

placeholders = st.sampled_from(
    [f"${{{it.replace('.X', '.plant')}}}" for it in KNOWN_PLACEHOLDERS]
)
masks = st.lists(placeholders | awkward_texts.filter(lambda it: "${" not in it)).map(
    "".join
)

DEVICES = (
    {"con", "prn", "aux", "nul", "conin$", "conout$"}
    | {f"com{it}" for it in "0123456789¹²³"}
    | {f"lpt{it}" for it in "0123456789¹²³"}
)

DEFINITION = ThingDefinition(
    id=ThingDefinitionId("d1"), name="pump", properties={"plant": "P"}
)
MODEL = ProductModel(
    id=ProductModelId("m1"), name="P100", thing_definition_id=DEFINITION.id
)
DEFINITIONS = Definitions(thing_definitions=[DEFINITION], product_models=[MODEL])
CUSTOMER = Customer(
    id=CustomerId("c1"),
    code="C",
    name="Acme",
    organization_id=OrganizationId("o1"),
    properties={"plant": "Q"},
)
LOCATION = Location(
    id=LocationId("l1"),
    customer_id=CUSTOMER.id,
    name="Roma",
    properties={"plant": "R"},
)
PLACED = PlacedThing(
    thing=Thing(
        id=ThingId("t1"),
        serial_number="SN1",
        name="first",
        thing_definition_id=DEFINITION.id,
        product_model_id=MODEL.id,
        location_id=LOCATION.id,
        properties={"plant": "S", "x y": "T"},
    ),
    root_id=ThingId("t1"),
    ancestor_ids=(ThingId("t1"),),
    location=LOCATION,
    customer=CUSTOMER,
)
BARE = replace(
    PLACED,
    thing=replace(PLACED.thing, product_model_id=None, properties={}),
    location=None,
    customer=None,
)


def named(mask: str, *names: str) -> list[str]:
    """Name things with these names, whose ids are t0, t1 and so on."""
    things = [
        replace(PLACED, thing=replace(PLACED.thing, id=ThingId(f"t{n}"), name=name))
        for n, name in enumerate(names)
    ]
    return file_names(mask, things, DEFINITIONS, hashed=False)


def as_a_file_system_sees_it(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def is_safe(stem: str) -> bool:
    base = stem.partition(".")[0].rstrip().lower()
    return (
        stem != ""
        and not re.search(r'[<>:"/\\|?*]', stem)
        and not any(unicodedata.category(it) in {"Cc", "Zl", "Zp"} for it in stem)
        and stem == stem.strip().strip(".")
        and base not in DEVICES
    )


@given(catalogue=catalogues(), mask=masks)
def test_names_are_always_safe_and_never_too_long(
    catalogue: Catalogue, mask: str
) -> None:
    things = catalogue.placed_things

    for name, thing in zip(
        file_names(mask, things, catalogue.definitions, hashed=False),
        things,
        strict=True,
    ):
        assert name.endswith(".csv")
        stem = name.removesuffix(".csv")
        assert is_safe(stem)
        while stem.endswith(f"_{thing.thing.id}"):
            stem = stem.removesuffix(f"_{thing.thing.id}")
        assert len(stem.encode()) <= 200


@given(catalogue=catalogues(), mask=masks, hashed=st.booleans())
def test_names_always_differ_without_case(
    catalogue: Catalogue, mask: str, *, hashed: bool
) -> None:
    made = file_names(
        mask, catalogue.placed_things, catalogue.definitions, hashed=hashed
    )

    assert len({as_a_file_system_sees_it(it) for it in made}) == len(made)


@given(catalogue=catalogues(), mask=masks, data=st.data())
def test_a_name_does_not_depend_on_the_order_of_the_things(
    catalogue: Catalogue, mask: str, data: DataObject
) -> None:
    things = catalogue.placed_things
    shuffled = data.draw(st.permutations(things))

    made = file_names(mask, shuffled, catalogue.definitions, hashed=False)

    by_thing = dict(zip((it.thing.id for it in shuffled), made, strict=True))
    assert [by_thing[it.thing.id] for it in things] == file_names(
        mask, things, catalogue.definitions, hashed=False
    )


@given(catalogue=catalogues(), mask=masks)
def test_a_hash_is_the_md5_of_the_name_that_it_stands_for(
    catalogue: Catalogue, mask: str
) -> None:
    things, definitions = catalogue.placed_things, catalogue.definitions

    plain = file_names(mask, things, definitions, hashed=False)

    assert file_names(mask, things, definitions, hashed=True) == [
        md5(it.removesuffix(".csv").encode()).hexdigest() + ".csv" for it in plain
    ]


@given(names=st.lists(st.sampled_from(["x", "X", "x_t0", "x_t1", "x_t1_t2", "y"])))
def test_names_differ_even_where_a_name_looks_like_a_suffixed_one(
    names: list[str],
) -> None:
    made = named("${thing.name}", *names)

    assert len({it.casefold() for it in made}) == len(names)


@given(name=texts.filter(lambda it: "${" not in it))
def test_a_value_that_looks_like_a_placeholder_is_left_alone(name: str) -> None:
    assert named("${thing.name}", f"${{thing.id}}{name}")[0].startswith("${thing.id}")


@given(mask=masks)
def test_known_placeholders_are_no_fault(mask: str) -> None:
    assert check_mask(mask) == []


@pytest.mark.parametrize(
    ("placeholder", "expected"),
    [
        ("thing.id", "t1"),
        ("thing.name", "first"),
        ("thing.serialNumber", "SN1"),
        ("thing.properties.plant", "S"),
        ("thing.properties.x y", "T"),
        ("thingDefinition.id", "d1"),
        ("thingDefinition.name", "pump"),
        ("thingDefinition.properties.plant", "P"),
        ("productModel.id", "m1"),
        ("productModel.name", "P100"),
        ("customer.id", "c1"),
        ("customer.name", "Acme"),
        ("customer.properties.plant", "Q"),
        ("location.id", "l1"),
        ("location.name", "Roma"),
        ("location.properties.plant", "R"),
    ],
)
def test_a_placeholder_is_filled_in(placeholder: str, expected: str) -> None:
    mask = f"<${{{placeholder}}}>"

    assert check_mask(mask) == []
    assert file_names(mask, [PLACED], DEFINITIONS, hashed=False) == [
        f"_{expected}_.csv"
    ]


@pytest.mark.parametrize(
    "placeholder",
    [
        "thing.properties.absent",
        "productModel.id",
        "productModel.name",
        "customer.id",
        "customer.name",
        "customer.properties.plant",
        "location.id",
        "location.name",
        "location.properties.plant",
    ],
)
def test_an_absent_value_is_empty(placeholder: str) -> None:
    mask = f"a${{{placeholder}}}b"

    assert file_names(mask, [BARE], DEFINITIONS, hashed=False) == ["ab.csv"]


@pytest.mark.parametrize(
    "placeholder",
    [
        "",
        "thing",
        "thing.",
        "thing.serial",
        "thing.properties",
        "thing.properties.",
        "Thing.id",
        "thing.id ",
        "productModel.properties.plant",
        "partner.id",
    ],
)
def test_an_unknown_placeholder_is_a_fault_that_lists_the_known(
    placeholder: str,
) -> None:
    [fault] = check_mask(f"a${{{placeholder}}}b${{{placeholder}}}${{thing.id}}")

    assert fault.startswith(f"thingFileName: unknown placeholder ${{{placeholder}}};")
    assert all(f"${{{it}}}" in fault for it in KNOWN_PLACEHOLDERS)


def test_a_placeholder_that_is_not_closed_is_a_fault() -> None:
    assert check_mask("a_${thing.id") == [
        "thingFileName: a placeholder is not closed by }"
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a/b\\c", "a_b_c"),
        ("../../etc/passwd", "_.._etc_passwd"),
        (".", "t0"),
        ("..", "t0"),
        (" . ", "t0"),
        ("", "t0"),
        ("\x00\x1f\x7f\x85", "_"),
        ("a\nb", "a_b"),
        (" a. ", "a"),
        (".hidden", "hidden"),
        ("CON", "_CON"),
        ("con.txt", "_con.txt"),
        ("con .txt", "_con .txt"),
        ("LPT²", "_LPT²"),
        ("COM0", "_COM0"),
        ("console", "console"),
        ("con" + " " * 300 + "x", "_con"),
        ("è" * 101, "è" * 100),
        ("a" + "è" * 100, "a" + "è" * 99),
        ("a" * 199 + ".b", "a" * 199),
        ("invoice\u202evsc", "invoice_vsc"),
        ("温度 🌡", "温度 🌡"),
    ],
)
def test_a_name_is_made_safe(name: str, expected: str) -> None:
    assert named("${thing.name}", name) == [f"{expected}.csv"]


def test_every_one_of_several_equal_names_gets_its_id() -> None:
    assert named("${thing.name}", "a", "b", "A") == ["a_t0.csv", "b.csv", "A_t2.csv"]


def test_names_that_differ_only_in_how_an_accent_is_composed_are_equal() -> None:
    assert named("${thing.name}", "città", "citta\u0300") == [
        "città_t0.csv",
        "citta\u0300_t1.csv",
    ]


def test_the_suffix_comes_after_the_longest_name() -> None:
    made = named("${thing.name}", "a" * 300, "a" * 301)

    assert made == ["a" * 200 + "_t0.csv", "a" * 200 + "_t1.csv"]


def test_the_id_that_stands_for_an_empty_name_is_no_device_either() -> None:
    thing = replace(PLACED, thing=replace(PLACED.thing, id=ThingId("aux"), name=" "))

    assert file_names("${thing.name}", [thing], DEFINITIONS, hashed=False) == [
        "_aux.csv"
    ]


def test_equal_names_of_any_length_fit_a_file_system_with_the_longest_ids() -> None:
    things = [
        replace(PLACED, thing=replace(PLACED.thing, id=ThingId(it * 48))) for it in "ab"
    ]

    names = file_names("x" * 500, things, DEFINITIONS, hashed=False)

    assert max(len(it.encode()) for it in names) <= 255
