"""The command line: what it prints, what it refuses, and what it leaves behind."""

import os
import re
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
import structlog
from typer.core import TyperArgument, TyperGroup, TyperOption
from typer.main import get_command

from documentation import page
from running import THINGPORT, find_secret
from thingport.bootstrap.services import Services, open_services
from thingport.domain.actor import (
    Actor,
    CustomerEntity,
    LocationEntity,
    OrganizationEntity,
    PartnerEntity,
)
from thingport.domain.ids import CustomerId, LocationId, OrganizationId, PartnerId
from thingport.domain.permissions import Permission
from thingport.entrypoints.cli.main import app, main
from thingport.settings import Settings

CATALOGUE = """\
organizations:
  - {id: maker, name: Maker}
partners:
  - {id: dealer, name: Dealer}
customers:
  - id: fjord
    code: F-1
    name: Fjord Air
    locations:
      - {id: bergen, name: Bergen}
thingDefinitions:
  - name: station
    metrics:
      - {name: temp, valueType: DOUBLE}
      - {name: rain, valueType: INTEGER}
things:
  - {serialNumber: A, thingDefinition: station, customer: F-1, location: Bergen}
  - {serialNumber: B, thingDefinition: station}
"""

FAULTY_CATALOGUE = """\
organizations:
  - {name: Maker}
customers:
  - code: F-1
    timezone: Mars
things:
  - {serialNumber: A, thingDefinition: station}
  - {serialNumbr: B}
"""

EVERY_PERMISSION = (
    "EXPORT_DATA, IMPORT_DATA, READ_THING, WRITE_METRIC_VALUE, DELETE_METRIC_VALUE"
)


@dataclass(frozen=True)
class Printed:
    """How a command ended, and what it printed."""

    status: int
    out: str
    err: str

    @property
    def faults(self) -> Sequence[str]:
        """What it refused: nothing but whole sentences, one a line."""
        assert self.status == 1, self
        assert self.out == ""
        lines = self.err.splitlines()
        assert all(it.startswith("thingport: ") for it in lines), self.err
        return [it.removeprefix("thingport: ") for it in lines]

    @property
    def complaint(self) -> str:
        """What it could not read on its command line."""
        assert self.status == 2, self
        assert self.out == ""
        assert "Traceback" not in self.err
        return " ".join(re.sub("[│╭╮╰╯─]", " ", self.err).split())


@dataclass(frozen=True)
class CommandLine:
    """The command, run in this process, on one data directory."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    def type(self, *words: str) -> Printed:
        """Run exactly these words."""
        self.monkeypatch.setattr(sys, "argv", ["thingport", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = self.capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Printed(ended.value.code, out, err)

    def run(self, *words: str) -> Printed:
        return self.type(*words, "--data-dir", str(self.data_dir))

    def of_acme(self, *words: str) -> Printed:
        return self.run(*words, "--tenant", "acme")

    def write(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def write_readings(self, **columns: Sequence[object]) -> str:
        path = self.folder / "readings.parquet"
        pl.DataFrame(columns).write_parquet(path)
        return str(path)

    @contextmanager
    def services(self) -> Iterator[Services]:
        with open_services(Settings(data_dir=self.data_dir)) as services:
            yield services

    def log_in(self, api_key: str, pat: str) -> Actor:
        with self.services() as services:
            session = services.identity.log_in_with_token("acme", api_key, pat)
            return services.identity.authenticate("acme", session.token)

    def is_anything_stored(self) -> bool:
        """Say whether the tenant has readings."""
        with self.services() as services:
            tenant = services.get_tenant("acme")
            with services.lakes.open_reader(tenant.id) as lake:
                return lake.current_snapshot() is not None


@pytest.fixture
def command_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[CommandLine]:
    for name in os.environ:
        if name.startswith("THINGPORT_"):
            monkeypatch.delenv(name)
    # The command sends logs to a standard error that ends with this test.
    configuration = structlog.get_config()
    yield CommandLine(tmp_path, monkeypatch, capsys)
    structlog.configure(**configuration)


@pytest.fixture
def acme(command_line: CommandLine) -> CommandLine:
    """Give a command line whose data directory has a tenant with a catalogue."""
    assert command_line.run("tenant", "add", "acme").status == 0
    catalogue = command_line.write("catalogue.yaml", CATALOGUE)
    assert command_line.of_acme("catalogue", "apply", catalogue).status == 0
    return command_line


# --- tenants, users, keys and tokens ------------------------------------------


def test_a_tenant_is_added_once(command_line: CommandLine) -> None:
    added = command_line.run("tenant", "add", "acme")
    again = command_line.run("tenant", "add", "acme")

    assert added == Printed(0, "Tenant acme is added.\n", "")
    assert again.faults == ["name: there is a tenant 'acme' already"]


def test_a_name_that_fits_in_no_header_is_no_tenants_name(
    command_line: CommandLine,
) -> None:
    assert command_line.run("tenant", "add", "a b").faults == [
        (
            "name: must be 1 to 64 letters, digits, '.', '_' or '-', and begin with a "
            "letter or digit"
        )
    ]


@pytest.mark.parametrize(
    ("words", "entity"),
    [
        (["--organization", "Maker"], OrganizationEntity(OrganizationId("maker"))),
        (["--partner", "Dealer"], PartnerEntity(PartnerId("dealer"))),
        (["--customer", "F-1"], CustomerEntity(CustomerId("fjord"))),
        (
            ["--customer", "F-1", "--location", "Bergen"],
            LocationEntity(LocationId("bergen")),
        ),
    ],
)
def test_a_user_with_a_key_and_a_token_logs_in(
    acme: CommandLine, words: Sequence[str], entity: object
) -> None:
    rights = ("--permissions", " EXPORT_DATA, READ_THING ")
    added = acme.of_acme("user", "add", "ada@acme.example", *words, *rights)
    key = acme.of_acme("key", "add", "back-end")
    token = acme.of_acme("token", "add", "ada@acme.example", "--name", "nightly")

    assert added == Printed(0, "User ada@acme.example is added.\n", "")
    actor = acme.log_in(find_secret(key.out), find_secret(token.out))
    assert actor.entity == entity
    assert actor.permissions == {Permission.EXPORT_DATA, Permission.READ_THING}


def test_a_secret_is_printed_once_and_stored_nowhere(acme: CommandLine) -> None:
    acme.of_acme("user", "add", "ada@acme.example", "--organization", "Maker")
    key = acme.of_acme("key", "add", "back-end")
    token = acme.of_acme("token", "add", "ada@acme.example")

    stored = [it.read_bytes() for it in acme.data_dir.rglob("*") if it.is_file()]
    assert stored
    for printed, what in ((key, "API key"), (token, "Personal access token")):
        secret = find_secret(printed.out)
        assert printed == Printed(0, f"{what}, shown this once:\n{secret}\n", "")
        assert not any(secret.encode() in content for content in stored)
        assert not any(secret[7:].encode() in content for content in stored)


def test_each_key_has_a_secret_of_its_own(acme: CommandLine) -> None:
    first, second = (acme.of_acme("key", "add", "back-end") for _ in range(2))

    assert find_secret(first.out) != find_secret(second.out)


@pytest.mark.parametrize(
    "words",
    [
        ["user", "add", "ada@acme.example", "--organization", "Maker"],
        ["key", "add", "back-end"],
    ],
)
def test_an_unknown_permission_is_refused_with_the_known_ones(
    acme: CommandLine, words: Sequence[str]
) -> None:
    refused = acme.of_acme(*words, "--permissions", "EXPORT_DATA,EXPORT,read_thing")

    assert refused.faults == [
        f"--permissions: EXPORT, read_thing unknown; known are {EVERY_PERMISSION}"
    ]
    assert acme.of_acme(*words).status == 0, "nothing was added before"


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["--organization", "Other"], "organization: there is none called 'Other'"),
        (["--partner", "Other"], "partner: there is none called 'Other'"),
        (["--customer", "Fjord Air"], "customer: there is none called 'Fjord Air'"),
        (
            ["--customer", "F-1", "--location", "Oslo"],
            "location: there is none called 'Oslo'",
        ),
    ],
)
def test_a_user_of_an_unknown_entity_is_refused(
    acme: CommandLine, words: Sequence[str], fault: str
) -> None:
    assert acme.of_acme("user", "add", "ada@acme.example", *words).faults == [fault]


def test_a_location_is_named_with_its_customer(acme: CommandLine) -> None:
    named = acme.of_acme("user", "add", "ada@acme.example", "--location", "Bergen")

    assert named.faults == ["location: name its customer too"]


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--organization", "Maker", "--partner", "Dealer"],
        ["--organization", "Maker", "--location", "Bergen"],
    ],
)
def test_a_user_belongs_to_exactly_one_entity(
    acme: CommandLine, words: Sequence[str]
) -> None:
    assert acme.of_acme("user", "add", "ada@acme.example", *words).faults == [
        (
            "a user belongs to one organization, one partner, one customer, or one "
            "location of a customer; name exactly one"
        )
    ]


def test_a_user_is_added_once(acme: CommandLine) -> None:
    words = ("user", "add", "ada@acme.example", "--organization", "Maker")
    acme.of_acme(*words)

    assert acme.of_acme(*words).faults == [
        "email: another user has this e-mail address"
    ]


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["user", "add", "ada"], "email: must be an e-mail address"),
        (
            ["token", "add", "ada@acme.example"],
            "email: there is no user 'ada@acme.example'",
        ),
        (["token", "add", "x@y", "--name", ""], "name: must have 1 to 200 characters"),
        (["key", "add", " "], "name: must have 1 to 200 characters"),
    ],
)
def test_what_names_nobody_is_refused(
    acme: CommandLine, words: Sequence[str], fault: str
) -> None:
    assert acme.of_acme(*words).faults == [fault]


@pytest.mark.parametrize(
    "words",
    [
        ["user", "add", "ada@acme.example", "--organization", "Maker"],
        ["key", "add", "back-end"],
        ["token", "add", "ada@acme.example"],
        ["catalogue", "apply", "catalogue.yaml"],
        ["ingest", "catalogue.yaml"],
    ],
    ids=" ".join,
)
def test_an_unknown_tenant_is_refused_by_every_command(
    acme: CommandLine, words: Sequence[str]
) -> None:
    acme.monkeypatch.chdir(acme.folder)

    assert acme.run(*words, "--tenant", "other").faults == [
        "tenant: there is none called 'other'"
    ]


# --- catalogue and readings ---------------------------------------------------


def test_applying_a_catalogue_prints_what_changed(command_line: CommandLine) -> None:
    catalogue = command_line.write("catalogue.yaml", CATALOGUE)
    changed = command_line.write("changed.yaml", "partners: [{name: Other}, {name: X}]")
    command_line.run("tenant", "add", "acme")

    first = command_line.of_acme("catalogue", "apply", catalogue)
    second = command_line.of_acme("catalogue", "apply", catalogue)
    third = command_line.of_acme("catalogue", "apply", changed)

    assert first == Printed(
        0,
        "created organization Maker\n"
        "created partner Dealer\n"
        "created customer F-1\n"
        "created location F-1 / Bergen\n"
        "created thing definition station\n"
        "created metric station / temp\n"
        "created metric station / rain\n"
        "created thing A\n"
        "created thing B\n"
        "9 changes.\n",
        "",
    )
    assert second == Printed(0, "0 changes.\n", "")
    assert third.out == "created partner Other\ncreated partner X\n2 changes.\n"


def test_a_faulty_catalogue_is_refused_whole_with_line_and_field(
    command_line: CommandLine,
) -> None:
    faulty = command_line.write("faulty.yaml", FAULTY_CATALOGUE)
    good = command_line.write("catalogue.yaml", CATALOGUE)
    command_line.run("tenant", "add", "acme")

    refused = command_line.of_acme("catalogue", "apply", faulty)

    assert refused.faults == [
        "line 5: customers[0].timezone: 'Mars' is no IANA time zone",
        "line 7: things[0].thingDefinition: there is no thing definition 'station'",
        (
            "line 8: things[1].serialNumbr: there is no such field; did you mean "
            "'serialNumber'?"
        ),
        "line 8: things[1].serialNumber: is required",
    ]
    applied = command_line.of_acme("catalogue", "apply", good)
    assert applied.out.endswith("\n9 changes.\n"), "nothing was applied before"


def test_ingesting_says_what_is_stored(acme: CommandLine) -> None:
    readings = acme.write_readings(
        thing=["A", "B", "A"],
        timestamp=[1, 1, 2],
        temp=[1.5, None, 2.5],
        rain=[1, 2, 3],
    )

    ingested = acme.of_acme("ingest", readings)

    stored = "Stored 3 rows with 5 values of 2 things.\n"
    assert ingested == Printed(0, stored, "")
    assert acme.is_anything_stored()


def test_faulty_readings_are_refused_whole_with_column_and_row(
    acme: CommandLine,
) -> None:
    readings = acme.write_readings(
        thing=["A", "B"], timestamp=[1, 1], temp=[1.5, float("nan")], rain=[1, 2**63]
    )

    first, second = acme.of_acme("ingest", readings).faults

    assert first.startswith("row 2 (thing B), column 'temp': ")
    assert second.startswith("row 2 (thing B), column 'rain': ")
    assert not acme.is_anything_stored()


def test_a_file_of_another_kind_is_no_readings(acme: CommandLine) -> None:
    (fault,) = acme.of_acme("ingest", str(acme.folder / "catalogue.yaml")).faults

    assert "catalogue.yaml: it is no readable Parquet file" in fault
    assert not acme.is_anything_stored()


@pytest.mark.parametrize("words", [["catalogue", "apply"], ["ingest"]], ids=" ".join)
def test_a_file_that_is_not_there_is_named(
    acme: CommandLine, words: Sequence[str]
) -> None:
    complaint = acme.of_acme(*words, "nowhere.file").complaint

    assert "'nowhere.file' does not exist" in complaint


# --- the command line itself --------------------------------------------------


def test_tenant_and_data_directory_can_come_from_the_environment(
    acme: CommandLine,
) -> None:
    acme.monkeypatch.setenv("THINGPORT_DATA_DIR", str(acme.data_dir))
    acme.monkeypatch.setenv("THINGPORT_TENANT", "acme")

    assert acme.type("key", "add", "back-end").out.startswith("API key")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("tenant add acme", "Missing option '--data-dir'"),
        ("key add back-end --data-dir d", "Missing option '--tenant'"),
        ("tenant add --data-dir d", "Missing argument 'name'"),
        ("tenant rename acme", "No such command 'rename'"),
        ("export", "No such command 'export'"),
        ("settings --all", "No such option: --all"),
        ("serve --port http --data-dir d", "Invalid value for '--port'"),
        ("serve --port 65536 --data-dir d", "Invalid value for '--port'"),
        ("serve --port -1 --data-dir d", "Invalid value for '--port'"),
    ],
)
def test_a_command_line_that_cannot_be_read_is_refused_with_a_way_to_help(
    command_line: CommandLine, words: str, complaint: str
) -> None:
    command_line.monkeypatch.chdir(command_line.folder)

    refused = command_line.type(*words.split()).complaint

    assert complaint in refused
    assert re.search(r"Try '.*thingport[a-z ]* --help' for help", refused)
    assert list(command_line.folder.iterdir()) == [], "nothing was made"


def test_a_file_is_no_data_directory(command_line: CommandLine) -> None:
    command_line.data_dir.touch()

    [fault] = command_line.run("tenant", "add", "acme").faults

    assert fault.endswith("it is a file; name a directory with --data-dir")


def iter_commands(of: object, *words: str) -> Iterator[tuple[str, object]]:
    yield " ".join(words), of
    if isinstance(of, TyperGroup):
        for name, command in of.commands.items():
            yield from iter_commands(command, *words, name)


COMMANDS = dict(iter_commands(get_command(app)))


@pytest.mark.parametrize("words", COMMANDS)
def test_help_says_what_a_command_does_and_takes(
    command_line: CommandLine, words: str
) -> None:
    command = COMMANDS[words]

    helped = command_line.type(*words.split(), "--help")

    assert (helped.status, helped.err) == (0, "")
    told = " ".join(re.sub("[│╭╮╰╯─]", " ", helped.out).split())
    first_line = str(getattr(command, "help", "")).partition("\n")[0]
    assert first_line.endswith(".")
    assert first_line in told
    for param in getattr(command, "params", []):
        name = param.opts[0]
        assert name in told
        assert isinstance(param, TyperArgument | TyperOption)
        assert param.help, f"{name} does not say what it is"


def test_nothing_typed_is_answered_with_all_commands(
    command_line: CommandLine,
) -> None:
    answered = command_line.type()

    assert answered.status == 2
    for words in COMMANDS:
        assert words.partition(" ")[0] in answered.out + answered.err


def test_every_setting_is_listed_in_full() -> None:
    done = subprocess.run(
        [*THINGPORT, "settings"],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "80"},
    )

    listed = " ".join(re.sub("[│┃]", " ", done.stdout).split())
    for name, setting in Settings.model_fields.items():
        assert f" THINGPORT_{name.upper()} " in listed
        for word in (setting.description or "").split():
            assert word in listed


# --- a data directory, or a setting, that will not do -------------------------


def spoil_by_a_file(data_dir: Path) -> Path:
    data_dir.write_text("a file where a folder should be")
    return data_dir / "below"


def spoil_by_garbage(data_dir: Path) -> Path:
    data_dir.mkdir()
    (data_dir / "control.sqlite").write_text("no database, whatever its name is")
    return data_dir


def spoil_by_a_newer_release(data_dir: Path) -> Path:
    with open_services(Settings(data_dir=data_dir)):
        pass
    with closing(sqlite3.connect(data_dir / "control.sqlite")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'r9999'")
        connection.commit()
    return data_dir


SPOILED: dict[str, Callable[[Path], Path]] = {
    "cannot be written: …": spoil_by_a_file,
    "the control database cannot be used: …": spoil_by_garbage,
    "a newer release of Thingport made it …": spoil_by_a_newer_release,
}


@pytest.mark.parametrize("reason", SPOILED)
def test_a_data_directory_that_will_not_do_is_named_with_the_reason(
    command_line: CommandLine, reason: str
) -> None:
    data_dir = SPOILED[reason](command_line.data_dir)
    words = ("tenant", "add", "acme", "--data-dir", str(data_dir))

    (fault,) = command_line.type(*words).faults

    assert fault.startswith(f"data directory {data_dir}: {reason.rstrip('…')}")
    documented = page("docs/how-to/operate.md").rows("what you see")
    assert f"`data directory DIR: {reason}`" in [cells[0] for cells in documented]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("THINGPORT_WORKERS", "0"),
        ("THINGPORT_LINK_LIFETIME", "a day"),
        ("THINGPORT_MAX_BODY_BYTES", "1 MB"),
    ],
)
def test_a_setting_that_cannot_be_is_named(
    command_line: CommandLine, name: str, value: str
) -> None:
    command_line.monkeypatch.setenv(name, value)

    (fault,) = command_line.run("tenant", "add", "acme").faults

    assert fault.startswith(f"{name}: ")
    assert not command_line.data_dir.exists()


def run_service(*words: str, **environment: str) -> Printed:
    """Run a command that replaces its process, or that would not end."""
    done = subprocess.run(
        [*THINGPORT, *words],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=60,
    )
    return Printed(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("words", [["serve", "--port", "0"], ["runner"]], ids=" ".join)
def test_what_runs_for_long_refuses_a_data_directory_like_the_others(
    tmp_path: Path, words: Sequence[str]
) -> None:
    data_dir = spoil_by_a_file(tmp_path / "data")

    (fault,) = run_service(*words, "--data-dir", str(data_dir)).faults

    assert fault.startswith(f"data directory {data_dir}: cannot be written: ")


def test_a_runner_refuses_a_setting_that_cannot_be(tmp_path: Path) -> None:
    words = ("runner", "--data-dir", str(tmp_path))

    (fault,) = run_service(*words, THINGPORT_WORKERS="0").faults

    assert fault.startswith("THINGPORT_WORKERS: ")


def test_an_address_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words = ("serve", "--port", str(port), "--data-dir", str(tmp_path / "data"))
        (fault,) = run_service(*words).faults

    seen = (
        r"cannot listen on 127\.0\.0\.1:\d+ .*; name another one with --host and --port"
    )
    assert re.fullmatch(seen, fault)
    assert not (tmp_path / "data").exists()
    documented = page("docs/how-to/operate.md").rows("what you see")
    shown = "`cannot listen on …; name another one with --host and --port`"
    assert shown in [cells[0] for cells in documented]
