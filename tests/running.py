"""A real server in processes of its own, for tests from outside."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from thingport.entrypoints.cli.main import app
from thingport_client import Client

THINGPORT = [sys.executable, "-m", "thingport.entrypoints.cli"]
TENANT = "acme"

PATIENCE_S = 60
"""How long anything is waited for before a test gives up."""


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something to become true."""
    give_up_at = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up_at, f"waited in vain: {what}"
        time.sleep(0.02)


@dataclass(frozen=True)
class Process:
    """A process, and never another one that gets its number later."""

    pid: int
    started_at: str

    @property
    def is_alive(self) -> bool:
        """Whether it runs or is stopped; a zombie does neither."""
        return self._state not in {"", "Z", "X"}

    @property
    def is_stopped(self) -> bool:
        """Whether it stands still until it is told to go on."""
        return self._state == "T"

    @property
    def command(self) -> str:
        """Its command line."""
        try:
            content = Path(f"/proc/{self.pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            return ""
        return content.replace(b"\0", b" ").decode()

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.is_alive:
            os.kill(self.pid, number)

    @property
    def _state(self) -> str:
        stat = _read_stat(self.pid)
        return stat.state if stat and stat.process == self else ""


@dataclass(frozen=True)
class _Stat:
    process: Process
    parent_pid: int
    state: str


def _read_stat(pid: int) -> _Stat | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name before the last parenthesis may have blanks in it.
    fields = text.rpartition(")")[2].split()
    return _Stat(Process(pid, fields[19]), int(fields[1]), fields[0])


def list_family(pid: int) -> list[Process]:
    """Give a process and all that descend from it, the eldest first."""
    pids = [int(it.name) for it in Path("/proc").iterdir() if it.name.isdigit()]
    stats = [it for it in map(_read_stat, pids) if it is not None]
    family = [it.process for it in stats if it.process.pid == pid]
    for member in family:
        # What is found here is looked at by this loop too.
        family += [it.process for it in stats if it.parent_pid == member.pid]
    return family


@dataclass(frozen=True)
class Credentials:
    """What a client logs in with."""

    api_key: str
    pat: str


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        log: All that it and its runner print.
    """

    base_url: str
    popen: subprocess.Popen[bytes]
    data_dir: Path
    log: Path

    def client(self, credentials: Credentials, tenant: str = TENANT) -> Client:
        """Open a client of it."""
        return Client(
            self.base_url,
            tenant=tenant,
            api_key=credentials.api_key,
            pat=credentials.pat,
        )

    def list_processes(self) -> list[Process]:
        """Give its process, its runner's, and those of the runner's workers."""
        return list_family(self.popen.pid)

    def get_runner(self) -> Process:
        """Give the process of its runner, which is started beside it."""
        wait_until(lambda: len(self._list_runners()) == 1, "a runner")
        return self._list_runners()[0]

    @contextmanager
    def paused_runner(self) -> Iterator[None]:
        """Hold the runner still: what is scheduled meanwhile stays PENDING."""
        runner = self.get_runner()
        try:
            wait_until(lambda: self._pause(runner), "the runner to stand still")
            yield
        finally:
            runner.send(signal.SIGCONT)

    def kill_all(self) -> None:
        """End every process at once, as a power failure does."""
        processes = self.list_processes()
        # None may notice the end of another and act on it.
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for process in processes:
                process.send(number)
        self.popen.wait()
        wait_until(
            lambda: not any(it.is_alive for it in processes), "the end of all processes"
        )

    def _list_runners(self) -> list[Process]:
        name = "thingport.entrypoints.runner"
        return [it for it in self.list_processes() if name in it.command]

    def _pause(self, runner: Process) -> bool:
        """Stop the runner; ``False`` if it stands in the way of others like this."""
        runner.send(signal.SIGSTOP)
        wait_until(lambda: runner.is_stopped, "the runner to stop")
        if not _is_locked(self.data_dir / "control.sqlite"):
            return True
        runner.send(signal.SIGCONT)
        return False


def _is_locked(database: Path) -> bool:
    with closing(sqlite3.connect(database, timeout=0, isolation_level=None)) as opened:
        try:
            opened.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
        opened.execute("ROLLBACK")
        return False


def environment(**settings: object) -> dict[str, str]:
    """Give an environment with these settings alone."""
    inherited = {it: os.environ[it] for it in os.environ if "THINGPORT_" not in it}
    return inherited | {f"THINGPORT_{it}": str(settings[it]) for it in settings}


@contextmanager
def serving(
    data_dir: Path, prefix: Sequence[str] = (), /, **settings: object
) -> Iterator[Server]:
    """Run a server for as long as the block lasts; nothing of it stays.

    Args:
        data_dir: What it serves.
        prefix: What its command is run by.
        settings: Its settings, without their prefix.
    """
    log = data_dir.with_name(f"{data_dir.name}.log")
    serve = [*THINGPORT, "serve", "--port", "0", "--data-dir", str(data_dir)]
    command = [*prefix, *serve]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment(**settings),
            # In a session of its own it can be found whole, whatever is left of it.
            start_new_session=True,
        ) as popen,
    ):
        try:
            wait_until(
                lambda: popen.poll() is not None or find_address(log) is not None,
                "the server to listen",
            )
            address = find_address(log)
            assert address is not None, log.read_text()
            yield Server(address, popen, data_dir, log)
        finally:
            popen.terminate()
            popen.wait(timeout=PATIENCE_S)
            with suppress(ProcessLookupError):
                os.killpg(popen.pid, signal.SIGKILL)


def refused(
    data_dir: Path, *words: str, prefix: Sequence[str] = (), **settings: str
) -> str:
    """Try to serve in vain; give the one sentence that says why."""
    serve = [*THINGPORT, "serve", "--port", "0", "--data-dir", str(data_dir)]
    done = subprocess.run(
        [*prefix, *serve, *words],
        env=environment(**settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    sentence = re.fullmatch(r"thingport: (.+)\n", done.stderr)
    assert sentence, done.stderr
    return sentence[1]


def find_address(log: Path) -> str | None:
    """Find in a server's log where it listens."""
    found = re.search(r"^Thingport is at (http://\S+)\n", log.read_text(), re.MULTILINE)
    return found and found[1]


def thingport(data_dir: Path, *words: str) -> str:
    """Run a command on a data directory; give what it printed.

    In this process: tests have many commands, and each start would take seconds.
    """
    done = CliRunner().invoke(app, [*words, "--data-dir", str(data_dir)])
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def find_secret(printed: str) -> str:
    """Find the secret in what a command printed."""
    found = re.search(r"\btp_[a-z]+_\S+", printed)
    assert found, printed
    return found.group()


def add_tenant(data_dir: Path, catalogue: str, tenant: str = TENANT) -> None:
    """Add a tenant with what a catalogue file says."""
    file = data_dir.with_name(f"{tenant}.yaml")
    file.write_text(catalogue)
    thingport(data_dir, "tenant", "add", tenant)
    thingport(data_dir, "catalogue", "apply", str(file), "--tenant", tenant)


def add_user(
    data_dir: Path, email: str, *words: str, tenant: str = TENANT
) -> Credentials:
    """Add a user with a key and a token of its own."""
    of_tenant = ("--tenant", tenant)
    thingport(data_dir, "user", "add", email, *words, *of_tenant)
    key = thingport(data_dir, "key", "add", f"key of {email}", *of_tenant)
    token = thingport(data_dir, "token", "add", email, *of_tenant)
    return Credentials(find_secret(key), find_secret(token))


def export(client: Client, request: dict[str, Any], path: Path) -> dict[str, bytes]:
    """Have an archive made and saved; give the files in it."""
    return download(client, client.schedule(request)["id"], path)


def download(client: Client, data_export_id: str, path: Path) -> dict[str, bytes]:
    """Wait for an archive and save it; give the files in it."""
    *_, bean = client.iter_progress(data_export_id, pause_s=0.05)
    client.download(bean, path)
    with zipfile.ZipFile(path) as archive:
        return {it: archive.read(it) for it in archive.namelist()}
