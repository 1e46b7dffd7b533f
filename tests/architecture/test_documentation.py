"""The documentation says what there is, and nothing that there is not."""

import importlib
import os
import pkgutil
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from typer.core import TyperArgument, TyperGroup, TyperOption
from typer.main import get_command

from documentation import PAGES, ROOT, Page, code_spans, page
from http_service import http_service
from thingport.application import export_failures
from thingport.application.import_failures import EXPLAINED
from thingport.domain.catalogue_format import SECTIONS, Section
from thingport.domain.data_export import ExportError
from thingport.domain.data_import import ImportFault
from thingport.domain.permissions import Permission
from thingport.domain.thing_file_name import KNOWN_PLACEHOLDERS, check_mask
from thingport.entrypoints.cli.main import app
from thingport.entrypoints.http import routes
from thingport.entrypoints.http.app import BASE_PATHS
from thingport.entrypoints.http.data_export_request import RESPONSE_ONLY_FIELDS
from thingport.entrypoints.http.errors import STATUS_OF
from thingport.entrypoints.http.schemas import DataExportBean
from thingport.settings import Settings

API = page("docs/reference/api.md")
CATALOGUE_FILE = page("docs/reference/catalogue-file.md")
COMMANDS = page("docs/reference/commands.md")
OPERATE = page("docs/how-to/operate.md")
SETTINGS = page("docs/reference/settings.md")

name_of_page = pytest.mark.parametrize("one", PAGES, ids=lambda it: it.name)


# --- settings -----------------------------------------------------------------

DEFAULTS_THAT_DEPEND = {
    "database_url": "SQLite files in the data directory",
    "public_base_url": "the address served at",
    "token_secret": "made in the data directory",
    "link_secret": "made in the data directory",
    "workers": "number of cores",
}


def default_in_words(name: str, field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if name in DEFAULTS_THAT_DEPEND:
        return DEFAULTS_THAT_DEPEND[name]
    default = field.default
    if not isinstance(default, timedelta):
        return str(default)
    for unit in ("hours", "minutes"):
        count = default / timedelta(**{unit: 1})
        if count >= 1:
            return f"{count:.0f} {unit if count != 1 else unit[:-1]}"
    return f"{default / timedelta(milliseconds=1):.0f} ms"


def gist(meaning: str) -> str:
    """Give what a description begins with, without punctuation."""
    plain = " ".join(meaning.replace("`", "").split())
    return re.split(r"[.;](?:\s|$)", plain)[0].lower()


def test_every_setting_is_documented_with_its_default_and_meaning() -> None:
    documented = [
        (name.strip("`"), default, gist(meaning))
        for name, default, meaning in SETTINGS.rows("setting")
    ]

    assert documented == [
        (
            f"THINGPORT_{name.upper()}",
            default_in_words(name, field),
            gist(field.description or ""),
        )
        for name, field in Settings.model_fields.items()
    ]


def test_a_default_that_depends_on_the_machine_does() -> None:
    defaults = {it: Settings.model_fields[it].default for it in DEFAULTS_THAT_DEPEND}

    assert defaults == {
        "database_url": None,
        "public_base_url": "http://127.0.0.1:8080",
        "token_secret": None,
        "link_secret": None,
        "workers": os.cpu_count(),
    }


@name_of_page
def test_a_page_names_no_unknown_variable_of_the_environment(one: Page) -> None:
    known = {f"THINGPORT_{it.upper()}" for it in Settings.model_fields}
    for command in COMMAND_LINE:
        known |= {str(it.envvar) for it in command.options.values() if it.envvar}

    assert set(re.findall(r"THINGPORT_\w+", one.text)) <= known


# --- commands -----------------------------------------------------------------


@dataclass(frozen=True)
class DocumentedCommand:
    """A command, as the program itself knows it."""

    words: str
    arguments: Sequence[str]
    options: Mapping[str, TyperOption]

    @property
    def usage(self) -> str:
        return " ".join(("thingport", self.words, *self.arguments))


def iter_commands(of: object, *words: str) -> Iterator[DocumentedCommand]:
    if isinstance(of, TyperGroup):
        for name, command in of.commands.items():
            yield from iter_commands(command, *words, name)
        return
    params = getattr(of, "params", [])
    yield DocumentedCommand(
        " ".join(words),
        [str(it.name).upper() for it in params if isinstance(it, TyperArgument)],
        {it.opts[0]: it for it in params if isinstance(it, TyperOption)},
    )


COMMAND_LINE = list(iter_commands(get_command(app)))


def test_every_command_is_documented_and_no_other() -> None:
    documented = [cells[0].strip("`") for cells in COMMANDS.rows("command")]

    assert sorted(documented) == sorted(it.usage for it in COMMAND_LINE)


def test_every_option_of_a_command_is_documented_with_it_and_no_other() -> None:
    documented = {
        usage.strip("`"): set(re.findall(r"--[\w-]+", does))
        for usage, does in COMMANDS.rows("command")
    }

    # What nearly every command takes stands above the table.
    assert documented == {
        it.usage: set(it.options) - {"--data-dir"} for it in COMMAND_LINE
    }


def test_the_page_of_commands_says_what_nearly_all_of_them_take() -> None:
    without = [it.words for it in COMMAND_LINE if "--data-dir" not in it.options]
    variables = {
        str(option.envvar)
        for command in COMMAND_LINE
        for option in command.options.values()
        if option.envvar
    }

    assert sorted(without) == ["import", "settings"]
    assert re.search(
        r"Each but `thingport import` and\s+`thingport settings` takes `--data-dir",
        COMMANDS.text,
    )
    assert variables <= set(COMMANDS.code_spans)


def test_the_defaults_of_options_are_documented() -> None:
    does = {usage.strip("`"): text for usage, text in COMMANDS.rows("command")}
    permissions = ",".join(Permission)
    for command in COMMAND_LINE:
        for name, option in command.options.items():
            if option.default == permissions:
                assert set(Permission) <= set(COMMANDS.code_spans)
            elif option.default is not None and not option.is_flag:
                assert f"`{name}` ({option.default}" in does[command.usage]


@name_of_page
def test_a_page_names_no_unknown_command_and_no_unknown_option(one: Page) -> None:
    known = {it.words: set(it.options) | {"--help"} for it in COMMAND_LINE}
    lines = [
        *one.code_spans,
        *(line for block in one.blocks for line in block.text.splitlines()),
    ]
    for line in lines:
        command = re.match(r"(?:\w+=\S+ )*thingport((?: [a-z]+)+)", line)
        if command:
            found = next(
                (it for it in known if f"{command[1]} ".startswith(f" {it} ")), None
            )
            assert found is not None, line
            assert set(re.findall(r" (--[\w-]+)", line)) <= known[found], line
        elif line.startswith("--"):
            assert any(line.split()[0] in options for options in known.values()), line


# --- the wire -----------------------------------------------------------------


def iter_routes() -> Iterator[tuple[str, str]]:
    """Yield method and path of every route, with the names of the wire."""
    for module in pkgutil.iter_modules(routes.__path__, f"{routes.__name__}."):
        router = importlib.import_module(module.name).router
        for route in router.routes:
            path = re.sub(r"{(\w+)}", lambda it: f"{{{to_camel(it[1])}}}", route.path)
            for method in route.methods:
                yield method, path
    yield "GET", "/openapi.json"


ROUTES = sorted(iter_routes())

DOWNLOAD = next(path for _, path in ROUTES if path.startswith("/downloads/"))
"""The address of an archive: clients are given it, and are not to make it."""


def about(path: str) -> str:
    """Give all that the page says under headings with a path, or one like it."""
    stem = "/".join(path.split("/")[:3])
    return "\n".join(text for heading, text in API.sections.items() if stem in heading)


@pytest.fixture(scope="module")
def openapi(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    with http_service(tmp_path_factory.mktemp("routes")) as service:
        document: Mapping[str, Any] = service.client().get("/openapi.json").json()
    return document


def names_in(schema: object, openapi: Mapping[str, Any]) -> set[str]:
    """Gather the fields and the choices of a schema, and of all it is made of."""
    match schema:
        case {"$ref": str(reference)}:
            bean = reference.rpartition("/")[2]
            return names_in(openapi["components"]["schemas"][bean], openapi)
        case {"properties": dict(properties)}:
            return set(properties) | names_in(list(properties.values()), openapi)
        case {"enum": list(choices)}:
            return set(choices)
        case dict():
            return names_in(list(schema.values()), openapi)
        case list():
            return {name for it in schema for name in names_in(it, openapi)}
        case _:
            return set()


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_is_documented(method: str, path: str) -> None:
    if path == DOWNLOAD:
        assert f"`{method}`" in " ".join(about("/data/dataExports").split())
        assert "`url`" in about("/data/dataExports")
    elif method == "HEAD":
        assert "`HEAD` too" in about(path)
    else:
        headings = [it for heading in API.sections for it in heading.split(", ")]
        assert f"{method} {path}" in [*headings, *API.code_spans]


@name_of_page
def test_a_page_names_no_unknown_route(one: Page) -> None:
    named = re.findall(r"\b(GET|HEAD|POST|PUT|PATCH|DELETE) (/[\w/{}.]*)", one.text)

    assert set(named) <= set(ROUTES)


def test_the_places_where_every_route_is_are_documented() -> None:
    places = " and at ".join(f"`{it}/…`" for it in BASE_PATHS)

    assert f"Every route is served at {places}." in API.text


def test_every_field_and_choice_of_a_bean_is_documented_with_its_route(
    openapi: Mapping[str, Any],
) -> None:
    for path, methods in openapi["paths"].items():
        if path.startswith("/downloads/"):
            continue
        documented = set(re.findall(r"\w+", " ".join(code_spans(about(path)))))
        for operation in methods.values():
            beans = {
                status: answer.get("content")
                for status, answer in operation["responses"].items()
                if status != "default"
            }
            expected = names_in([operation.get("requestBody"), beans], openapi)
            assert expected - documented == set(), path


def test_every_field_of_an_error_is_documented(openapi: Mapping[str, Any]) -> None:
    documented = re.findall(r"\w+", " ".join(code_spans(API.sections["Errors"])))
    error = openapi["components"]["schemas"]["ErrorBean"]

    assert names_in(error, openapi) <= set(documented)


def test_every_parameter_of_a_route_is_documented(openapi: Mapping[str, Any]) -> None:
    introduction = API.text.partition("\n## ")[0]
    for path, methods in openapi["paths"].items():
        for operation in methods.values():
            for parameter in operation.get("parameters", []):
                place = {"header": introduction, "query": about(path)}
                text = place.get(parameter["in"])
                assert text is None or f"`{parameter['name']}`" in text


def test_every_status_of_a_success_is_documented(openapi: Mapping[str, Any]) -> None:
    for path, methods in openapi["paths"].items():
        for operation in methods.values():
            unusual = set(operation["responses"]) - {"default", "200"}
            assert unusual <= set(re.findall(r"Answers (\d+)", about(path))), path


def test_the_table_of_a_request_has_what_can_be_asked_for_and_nothing_else() -> None:
    named = {field for cells in API.rows("field") for field in code_spans(cells[0])}
    beans = {to_camel(it) for it in DataExportBean.model_fields}

    assert named == beans - RESPONSE_ONLY_FIELDS


def test_every_status_of_an_error_is_documented_and_no_other() -> None:
    documented = {
        int(status) for cells in API.rows("status") for status in cells[0].split(", ")
    }
    # The framework itself refuses a wrong method, and a range beyond the end.
    assert documented == {*STATUS_OF.values(), 405, 416}


def test_every_permission_is_documented() -> None:
    assert set(Permission) <= set(API.code_spans)


def test_every_placeholder_of_a_file_name_is_documented() -> None:
    documented = {
        it[2:-1] for it in API.code_spans if it.startswith("${") and it.count("$") == 1
    }

    assert documented == set(KNOWN_PLACEHOLDERS)


@name_of_page
def test_a_page_names_no_unknown_placeholder(one: Page) -> None:
    assert [fault for it in one.code_spans for fault in check_mask(it)] == []


# --- what goes wrong ----------------------------------------------------------


def test_every_reason_of_a_failed_export_is_documented_and_no_other() -> None:
    code = re.compile(r"[A-Z]+(_[A-Z]+)+")
    explained = {
        it.code for it in vars(export_failures).values() if isinstance(it, ExportError)
    }
    assert {it.code for it in EXPLAINED} <= explained
    documented = {
        span
        for cells in OPERATE.rows("what you see")
        for span in code_spans(cells[0])
        if code.fullmatch(span)
    }

    assert "INTERNAL_ERROR" in explained
    assert documented == explained


def test_every_fault_of_a_file_is_documented_and_no_other() -> None:
    documented = {cells[0].strip("`") for cells in API.rows("code")}

    assert documented == set(ImportFault)


# --- the catalogue file -------------------------------------------------------


def iter_sections(
    of: Sequence[Section], within: str = ""
) -> Iterator[tuple[str, Section]]:
    for section in of:
        yield f"{within}{section.name}", section
        if section.nested:
            yield from iter_sections([section.nested], f"{section.name}[].")


def test_every_field_of_a_catalogue_file_is_documented_and_no_other() -> None:
    def names(fields: str) -> set[str]:
        without_remarks = re.sub(r"\([^)]*\)", "", fields)
        return set(code_spans(without_remarks))

    documented = {
        section.strip("`"): names(fields)
        for section, fields in CATALOGUE_FILE.rows("section")
    }

    assert documented == {
        name: set(section.iter_known()) for name, section in iter_sections(SECTIONS)
    }


# --- the pages among themselves -----------------------------------------------


def target_of(link: str, one: Page) -> tuple[Path, str]:
    path, _, anchor = link.partition("#")
    return (one.path.parent / path).resolve() if path else one.path, anchor


def relative_links(one: Page) -> Sequence[str]:
    return [it for it in one.links if not it.startswith("https://")]


@name_of_page
def test_every_link_leads_somewhere(one: Page) -> None:
    for link in relative_links(one):
        path, anchor = target_of(link, one)
        assert path.exists(), link
        assert path.is_relative_to(ROOT), link
        assert not anchor or anchor in Page(path).anchors, link


def test_every_page_can_be_reached_from_the_first_one() -> None:
    reached: set[Path] = set()
    waiting = [page("README.md")]
    while waiting:
        one = waiting.pop()
        if one.path in reached:
            continue
        reached.add(one.path)
        for link in relative_links(one):
            path, _ = target_of(link, one)
            # A forge shows what a folder has in it.
            pages = sorted(path.glob("*.md")) if path.is_dir() else [path]
            waiting += [Page(it) for it in pages if it.suffix == ".md"]

    assert reached == {it.path for it in PAGES}


@name_of_page
def test_every_file_that_a_page_names_is_there(one: Page) -> None:
    made_at_run_time = {"demo/weather.zip"}
    places = [ROOT, ROOT / "src" / "thingport"]
    tops = {it.name for place in places for it in place.iterdir() if it.is_dir()}
    for span in one.code_spans:
        top, slash, _ = span.partition("/")
        if slash and top in tops and span not in made_at_run_time:
            assert any(list(it.glob(span)) for it in places), span


@name_of_page
def test_everything_that_a_page_makes_can_be_made(one: Page) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    code = "\n".join([*one.code_spans, *(it.text for it in one.blocks)])

    assert set(re.findall(r"\bmake ([a-z-]+)", code)) <= targets


@name_of_page
def test_every_block_says_what_it_is_in(one: Page) -> None:
    languages = {it.language for it in one.blocks}

    assert languages <= {"json", "sh", "text", "yaml"}
