"""A real server in processes of its own, for tests from outside."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from thingport_client import Client

THINGPORT = [sys.executable, "-m", "thingport.entrypoints.cli"]
TENANT = "acme"


def thingport(data_dir: Path, *words: str, status: int = 0) -> str:
    """Run a command on a data directory; give all that it printed."""
    done = subprocess.run(
        [*THINGPORT, *words, "--data-dir", str(data_dir)],
        check=False,
        capture_output=True,
        text=True,
    )
    printed = done.stdout + done.stderr
    assert done.returncode == status, printed
    return printed


def find_secret(printed: str) -> str:
    """Find the secret in what a command printed."""
    found = re.search(r"\btp_[a-z]+_\S+", printed)
    assert found, printed
    return found.group()


@dataclass(frozen=True)
class Credentials:
    """What a client logs in with."""

    api_key: str
    pat: str


@dataclass(frozen=True)
class Server:
    """A running server."""

    base_url: str
    pid: int
    data_dir: Path

    def client(self, credentials: Credentials, tenant: str = TENANT) -> Client:
        """Open a client of it."""
        return Client(
            self.base_url,
            tenant=tenant,
            api_key=credentials.api_key,
            pat=credentials.pat,
        )


@contextmanager
def serving(data_dir: Path) -> Iterator[Server]:
    """Run a server for as long as the block lasts."""
    command = [*THINGPORT, "serve", "--port", "0", "--data-dir", str(data_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            first_line = process.stdout.readline()
            found = re.search(r"http://\S+", first_line)
            assert found, first_line
            yield Server(found.group(), process.pid, data_dir)
        finally:
            process.terminate()
            process.wait(timeout=60)


def add_user(
    data_dir: Path, email: str, *words: str, tenant: str = TENANT
) -> Credentials:
    """Add a user with a key and a token of its own."""
    of_tenant = ("--tenant", tenant)
    thingport(data_dir, "user", "add", email, *words, *of_tenant)
    key = thingport(data_dir, "key", "add", f"key of {email}", *of_tenant)
    token = thingport(data_dir, "token", "add", email, *of_tenant)
    return Credentials(find_secret(key), find_secret(token))
