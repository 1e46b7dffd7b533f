"""The house rules, held by tests."""

import ast
import importlib
import pkgutil
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import thingport
from thingport.domain.errors import ThingportError

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
FORBIDDEN_NAMES = {"utils", "helpers", "common", "base", "misc", "manager"}
BROAD = re.compile(r"except\s*(BaseException|Exception)?\s*(as \w+)?:")
MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 45


def _tracked() -> list[str]:
    done = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return done.stdout.splitlines()


def _functions(path: Path) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            yield node


def _code_lines(function: ast.FunctionDef) -> int:
    docstring = ast.get_docstring(function, clean=False) or ""
    assert function.end_lineno is not None
    return function.end_lineno - function.lineno + 1 - docstring.count("\n")


@pytest.mark.parametrize("path", SOURCES, ids=lambda it: str(it.relative_to(ROOT)))
def test_modules_and_functions_stay_small(path: Path) -> None:
    limit = MAX_MODULE_LINES if path.name != "ports.py" else 2 * MAX_MODULE_LINES
    assert len(path.read_text().splitlines()) <= limit

    long = [it.name for it in _functions(path) if _code_lines(it) > MAX_FUNCTION_LINES]
    assert long == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda it: str(it.relative_to(ROOT)))
def test_no_module_has_a_name_that_says_nothing(path: Path) -> None:
    assert path.stem not in FORBIDDEN_NAMES


@pytest.mark.parametrize(
    "path",
    [it for it in SOURCES if it.name == "__init__.py"],
    ids=lambda it: str(it.relative_to(ROOT)),
)
def test_packages_hold_a_docstring_and_no_code(path: Path) -> None:
    docstring, *rest = ast.parse(path.read_text()).body
    assert isinstance(docstring, ast.Expr)
    if "thingport_client" not in path.parts:
        assert rest == []


def test_nothing_broad_is_caught_but_in_the_outermost_frames() -> None:
    broad = [
        str(path.relative_to(ROOT / "src"))
        for path in SOURCES
        if BROAD.search(path.read_text())
    ]
    assert set(broad) <= {
        "thingport/entrypoints/http/app.py",
        "thingport/entrypoints/http/errors.py",
        "thingport/entrypoints/runner/imports.py",
        "thingport/entrypoints/runner/main.py",
    }


def test_every_error_says_in_its_docstring_what_happened() -> None:
    for module in pkgutil.walk_packages(thingport.__path__, "thingport."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)

    def iter_subclasses(of: type[Exception]) -> Iterator[type[Exception]]:
        for one in of.__subclasses__():
            yield one
            yield from iter_subclasses(one)

    silent = [it.__name__ for it in iter_subclasses(ThingportError) if not it.__doc__]
    assert silent == []


def test_no_tracked_file_names_a_machine_or_a_registry() -> None:
    forbidden = re.compile(
        r"(^|[^\w.])/(work|root|home)/[A-Za-z.]|index-url|files\.pythonhosted",
        re.MULTILINE,
    )
    this = str(Path(__file__).relative_to(ROOT))
    found = [
        name
        for name in _tracked()
        if name != this
        and (ROOT / name).suffix != ".png"
        and (ROOT / name).is_file()
        and forbidden.search((ROOT / name).read_text())
    ]
    assert found == []


def test_no_generated_archive_or_lock_with_addresses_is_tracked() -> None:
    generated = re.compile(r"\.(zip|parquet|whl|sqlite)$|(^|/)uv\.lock$")
    assert [it for it in _tracked() if generated.search(it)] == []


def test_every_decision_record_says_why() -> None:
    records = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    assert records
    for record in records:
        text = record.read_text()
        for part in ("## Context", "## Decision", "## Consequences", "## Alternatives"):
            assert part in text, f"{record.name} has no {part}"
