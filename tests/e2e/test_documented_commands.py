"""Every command that a page shows is run, and prints what the page shows."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

import httpx
import polars as pl
import pytest

from documentation import PAGES, ROOT, Page, page
from thingport.bootstrap.services import open_services
from thingport.domain.data_export import DataExportRequest, DataExportState
from thingport.settings import Settings

BIN = Path(sys.executable).parent
CATALOGUE_FILE = page("docs/reference/catalogue-file.md")
OPERATE = page("docs/how-to/operate.md")
README = page("README.md")

LONGEST_S = 120
"""Far longer than any command takes; what takes longer hangs."""

ASIDE = {
    "make setup": "it makes what these tests run in",
    "make demo": "it is a test of its own, below",
    "make serve": "it ends only when somebody ends it; it is the demo's script, too",
    "make test": "it is what runs this test",
    "make check": "it runs this test, among others",
    "make test-slow": "it takes minutes, and is run before every change",
    "make bench": "it takes minutes, and is about speed",
    "make lock": "it asks a registry",
}
"""What is not run as it stands, and why; each must at least be possible."""


@dataclass(frozen=True)
class Step:
    """Commands that stand together on a page, and what it says that they print."""

    commands: Sequence[str]
    shown: str | None


def iter_steps(one: Page) -> Iterator[Step]:
    blocks = one.blocks
    for block, following in zip_longest(blocks, blocks[1:]):
        if block.language == "sh":
            whole_lines = block.text.replace("\\\n", " ").splitlines()
            is_output = following is not None and following.language == "text"
            yield Step(
                [it for it in whole_lines if it.strip()],
                following.text if following and is_output else None,
            )


def words_of(command: str) -> str:
    """Give a command without its arguments: ``thingport tenant add``."""
    found = re.match(r"(?:\w+=\S+ )*(thingport(?: [a-z]+)?)((?: add| apply)?)", command)
    return "".join(found.groups()) if found else command


STEPS = {it.name: list(iter_steps(it)) for it in PAGES}
SHOWN = {
    words_of(command)
    for steps in STEPS.values()
    for step in steps
    for command in step.commands
}


@dataclass
class Workshop:
    """A folder in which the commands of one page are typed, one after the other."""

    folder: Path
    printed: list[str] = field(default_factory=list)

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    def run(self, command: str) -> int:
        """Run a command to its end; give its status, and note what it printed."""
        if command.startswith("make"):
            return self._make(command)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self._in_place(command)],
            cwd=self.folder,
            env=self._environment(),
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LONGEST_S,
        )
        self.printed.append(done.stdout)
        return done.returncode

    @contextmanager
    def running(self, command: str) -> Iterator[subprocess.Popen[str]]:
        """Run a command until the block ends; it must end in peace then."""
        words = shlex.split(self._in_place(command))
        environment = self._environment()
        while "=" in words[0]:
            name, _, value = words.pop(0).partition("=")
            environment[name] = value
        with subprocess.Popen(
            words,
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.terminate()
                process.wait(timeout=LONGEST_S)
        assert process.returncode in {0, -signal.SIGTERM}

    def secret(self, kind: str) -> str:
        """Find a secret among what was printed."""
        (secret,) = re.findall(rf"\btp_{kind}_\S+", "".join(self.printed))
        return str(secret)

    def _make(self, command: str) -> int:
        """Make something in a copy of the checkout, with the set-up of this test."""
        checkout = self.folder / "checkout"
        if not checkout.exists():
            no_cache = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / "src", checkout / "src", ignore=no_cache)
            for name in ("Makefile", "pyproject.toml", "README.md", "LICENSE"):
                shutil.copy(ROOT / name, checkout)
        options = f"--directory checkout --old-file .venv/.set-up BIN={BIN}"
        return self.run(f"command make {options} {command.removeprefix('make')}")

    def _in_place(self, command: str) -> str:
        return re.sub(r"\bDIR\b", shlex.quote(str(self.data_dir)), command)

    def _environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("THINGPORT_", "MAKE"))
        }
        return {**kept, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}


# --- what pages take for granted ----------------------------------------------


def write_catalogue(workshop: Workshop) -> None:
    example, *_ = (it.text for it in CATALOGUE_FILE.blocks if it.language == "yaml")
    faulty = example.replace("location: Bergen\n", "location: Rome\n").replace(
        "serialNumber: 00123-L", "serialNumbr: 00123-L"
    )
    (workshop.folder / "catalogue.yaml").write_text(example)
    (workshop.folder / "faulty.yaml").write_text(faulty)


def write_readings(workshop: Workshop) -> None:
    pl.DataFrame(
        {
            "thing": ["00123", "00123-L", "00123"],
            "timestamp": [1000, 1000, 2000],
            "temp": [3.5, None, 4.0],
            "battery": [None, 3.25, None],
        }
    ).write_parquet(workshop.folder / "readings.parquet")


def prepare_catalogue_file(workshop: Workshop) -> None:
    write_catalogue(workshop)
    assert workshop.run("thingport tenant add acme --data-dir DIR") == 0


def prepare_operate(workshop: Workshop) -> None:
    write_catalogue(workshop)
    write_readings(workshop)


PREPARE: Mapping[str, Callable[[Workshop], None]] = {
    CATALOGUE_FILE.name: prepare_catalogue_file,
    OPERATE.name: prepare_operate,
}


# --- what does not end by itself ----------------------------------------------


def check_serve(workshop: Workshop, command: str) -> None:
    with workshop.running(f"{command} --port 0") as process:
        assert process.stdout is not None
        first_line = process.stdout.readline()
        workshop.printed.append(first_line)
        address = first_line.split()[-1]
        assert httpx.get(f"{address}/health/ready", timeout=LONGEST_S).is_success


def check_import(workshop: Workshop, command: str) -> None:
    """Send a file to a server, which is the only thing that such a command needs."""
    with open_services(Settings(data_dir=workshop.data_dir)) as services:
        tenant = services.get_tenant("acme")
        with services.control.for_tenant(tenant.id, read_only=True) as tx:
            things = {it.serial_number: it.id for it in tx.catalogue.list_things()}
    # The same readings as were loaded before.
    content = "TIMESTAMP,temp\n1000,3.5\n2000,4\n"
    (workshop.folder / "station.csv").write_text(content)
    for word, meant in {
        "KEY": workshop.secret("key"),
        "TOKEN": workshop.secret("pat"),
        "THING": things["00123"],
    }.items():
        command = re.sub(rf"(?<= ){word}\b", meant, command)
    serve = f"thingport serve --data-dir {workshop.data_dir} --port 0"
    with workshop.running(serve) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split()[-1]
        assert workshop.run(f"THINGPORT_URL={address} {command}") == 0


def check_runner(workshop: Workshop, command: str) -> None:
    """Let a runner render what the page has loaded, with nothing else running."""
    with open_services(Settings(data_dir=workshop.data_dir)) as services:
        session = services.identity.log_in_with_token(
            "acme", workshop.secret("key"), workshop.secret("pat")
        )
        actor = services.identity.authenticate("acme", session.token)
        scheduled = services.data_exports.schedule(actor, DataExportRequest())
        give_up_at = time.monotonic() + LONGEST_S
        state = scheduled.state
        with workshop.running(command):
            while state is DataExportState.PENDING and time.monotonic() < give_up_at:
                time.sleep(0.1)
                found = services.data_exports.get(actor, scheduled.id).data_export
                state = found.state
        assert state is DataExportState.COMPLETED
        archives = services.data_exports.archives
        archive = archives.find_archive(session.tenant_id, scheduled.id)
    assert archive is not None
    with zipfile.ZipFile(archive) as opened:
        texts = {name: opened.read(name).decode() for name in opened.namelist()}
    assert texts == {
        "00123_weather-station.csv": (
            "TIMESTAMP,temp,wind_dir\r\n"
            "1970-01-01T00:00:01.000Z,3.5,\r\n"
            "1970-01-01T00:00:02.000Z,4.0,\r\n"
        ),
        "00123-L_logger.csv": (
            "TIMESTAMP,battery\r\n1970-01-01T00:00:01.000Z,3.25\r\n"
        ),
    }


BACKGROUND: Mapping[str, Callable[[Workshop, str], None]] = {
    "thingport import": check_import,
    "thingport serve": check_serve,
    "thingport runner": check_runner,
}


# --- the tests ----------------------------------------------------------------


def plain(text: str) -> str:
    """Give a text regardless of its lines, and of the port of a server."""
    return re.sub(r"(127\.0\.0\.1):\d+", r"\1:PORT", " ".join(text.split()))


def assert_shown(shown: str, printed: str) -> None:
    """Compare what a page shows; it leaves out whatever is ``…`` there."""
    expected = ".*?".join(map(re.escape, map(str.strip, plain(shown).split("…"))))
    assert re.fullmatch(expected, plain(printed)), printed


@pytest.mark.parametrize("name", [name for name, steps in STEPS.items() if steps])
def test_the_commands_of_a_page_do_what_it_shows(name: str, tmp_path: Path) -> None:
    workshop = Workshop(tmp_path)
    if prepare := PREPARE.get(name):
        prepare(workshop)
    for step in STEPS[name]:
        before = len(workshop.printed)
        for command in step.commands:
            if command in ASIDE:
                continue
            if check := BACKGROUND.get(words_of(command)):
                check(workshop, command)
                continue
            assert words_of(command).split()[0] in {"make", "thingport"}, command
            is_refused = (step.shown or "").startswith("thingport: ")
            assert workshop.run(command) == is_refused, workshop.printed[-1]
        if step.shown and not set(step.commands) & set(ASIDE):
            assert_shown(step.shown, "".join(workshop.printed[before:]))


@pytest.mark.parametrize("one", PAGES, ids=lambda it: it.name)
def test_every_command_that_a_page_names_is_run_somewhere(one: Page) -> None:
    named = {
        words_of(it) for it in one.code_spans if re.match(r"(make|thingport)\b", it)
    }

    assert named - {"make"} <= SHOWN | set(ASIDE)


def test_make_alone_lists_what_can_be_made(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path)

    assert workshop.run("make") == 0
    listed = set(re.findall(r"^  make (\S+) +\w", workshop.printed[0], re.MULTILINE))
    assert {"help", "demo", "test", "check", "wheel"} <= listed


@pytest.mark.parametrize("command", ASIDE)
def test_what_is_set_aside_can_be_made(command: str, tmp_path: Path) -> None:
    assert Workshop(tmp_path).run(f"{command} --dry-run") == 0


@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_the_demo_prints_what_the_first_page_shows(tmp_path: Path) -> None:
    (shown,) = (it.shown for it in STEPS[README.name] if it.commands == ["make demo"])
    assert shown is not None
    workshop = Workshop(tmp_path)
    script = shlex.quote(str(ROOT / "demo" / "weather.py"))

    assert workshop.run(f"python {script} --output demo/weather.zip") == 0
    assert_shown(shown, workshop.printed[0])
