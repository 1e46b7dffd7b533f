"""The wheel is whole, and runs where there is no checkout."""

import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src"
PACKAGES = ("thingport", "thingport_client")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("dist")
    options = ("--wheel", "--no-isolation", "--outdir", str(directory))
    run(sys.executable, "-m", "build", *options, str(ROOT), cwd=directory)
    [built] = directory.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> "Installed":
    directory = tmp_path_factory.mktemp("elsewhere")
    venv.create(directory / "venv", symlinks=True)
    found = Installed(directory)
    options = ("--offline", "--no-cache", "--no-deps", "--python", str(found.python))
    run(
        *(sys.executable, "-m", "uv", "pip", "install", *options, str(wheel)),
        cwd=directory,
    )
    # Folders that such a file names are searched, but what stands in files like it
    # there is not looked at: the dependencies are found, and the checkout is not.
    dependencies = {sysconfig.get_path(it) for it in ("purelib", "platlib")}
    (found.site_packages / "dependencies.pth").write_text("\n".join(dependencies))
    return found


@dataclass(frozen=True, slots=True)
class Installed:
    """An environment with the wheel in it, away from the checkout."""

    directory: Path

    @property
    def python(self) -> Path:
        return self.directory / "venv" / "bin" / "python"

    @property
    def site_packages(self) -> Path:
        base = str(self.directory / "venv")
        return Path(sysconfig.get_path("purelib", "venv", {"base": base}))

    def thingport(self, *words: str) -> str:
        return run(*self.command(*words), cwd=self.directory)

    def command(self, *words: str) -> list[str]:
        return [str(self.python.with_name("thingport")), *words]

    @contextmanager
    def serving(self, data_dir: Path) -> Iterator[str]:
        """Run a server for as long as the block lasts; give its address."""
        command = self.command("serve", "--port", "0", "--data-dir", str(data_dir))
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, cwd=self.directory, env={}
        ) as process:
            try:
                assert process.stdout is not None
                first_line = process.stdout.readline()
                found = re.search(r"http://\S+", first_line)
                assert found, first_line
                yield found.group()
            finally:
                process.terminate()
                process.wait(timeout=60)


def run(*command: str, cwd: Path) -> str:
    """Run a program with an empty environment; give what it printed."""
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=cwd, env={}
    )
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed
    return printed


# --- what is in it -------------------------------------------------------------


def test_it_holds_every_file_of_the_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        found = {it for it in opened.namelist() if ".dist-info/" not in it}

    assert found == {
        path.relative_to(SOURCES).as_posix()
        for package in PACKAGES
        for path in (SOURCES / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {f"{it}/py.typed" for it in PACKAGES} <= found
    migration = "versions/r0001_control_database.py"
    assert f"thingport/adapters/sql/migrations/{migration}" in found


def test_its_metadata_name_the_licence_and_the_command(wheel: Path) -> None:
    [found] = distributions(path=[str(wheel)])

    assert found.metadata["Name"] == "thingport"
    assert found.metadata["Requires-Python"] == ">=3.11"
    assert found.metadata["License-Expression"] == "Apache-2.0"
    assert found.read_text("licenses/LICENSE") == (ROOT / "LICENSE").read_text()
    assert [(it.group, it.name, it.value) for it in found.entry_points] == [
        ("console_scripts", "thingport", "thingport.entrypoints.cli.main:main")
    ]


# --- what it does --------------------------------------------------------------


@pytest.mark.parametrize("package", PACKAGES)
def test_it_is_not_the_checkout_that_runs(installed: Installed, package: str) -> None:
    code = f"import {package}; print({package}.__file__)"

    printed = run(str(installed.python), "-c", code, cwd=installed.directory)

    assert Path(printed.strip()) == installed.site_packages / package / "__init__.py"


def test_its_command_lists_the_settings(installed: Installed) -> None:
    assert "THINGPORT_DATA_DIR" in installed.thingport("settings")


def test_it_makes_a_data_directory_and_serves_it(
    installed: Installed, tmp_path: Path
) -> None:
    data_dir = tmp_path / "data"
    added = installed.thingport("tenant", "add", "acme", "--data-dir", str(data_dir))
    assert "Tenant acme is added." in added

    with installed.serving(data_dir) as address:
        answer = httpx.get(f"{address}/health/ready", trust_env=False)

    assert (answer.status_code, answer.json()) == (200, {"status": "UP"})
