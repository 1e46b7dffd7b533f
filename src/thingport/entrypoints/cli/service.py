"""Running the service, and its settings."""

import os
import signal
import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Annotated

import typer
import uvicorn
from rich.console import Console
from rich.table import Table

from thingport.bootstrap.stores import prepare_data_dir
from thingport.domain.errors import ThingportError
from thingport.entrypoints.cli.embedded_runner import RUNNER, runner_beside
from thingport.entrypoints.cli.options import DataDir
from thingport.settings import Settings, read_settings

_console = Console(highlight=False, soft_wrap=True)

_BACKLOG = 2048
"""Callers that may wait to be connected, as uvicorn has it."""

_ACCEPTED_AT_ONCE = 64
"""Connections that the event loop takes in a row; as many complaints it logs, each
time, while it has no file left to take them with."""


class CannotListen(ThingportError):
    """The address to serve at is taken or not ours; nothing was started."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(
            f"cannot listen on {host}:{port} ({reason}); name another one with "
            "--host and --port"
        )
        self.host = host
        self.port = port


def serve(
    data_dir: DataDir,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")
    ] = 8080,
) -> None:
    """Serve the API, with one runner that renders exports."""
    # The server raises these again when it has ended; then all is to end in peace.
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    with _listen(host, port) as listening:
        address = _address(host, listening.getsockname()[1])
        os.environ["THINGPORT_DATA_DIR"] = str(data_dir.absolute())
        os.environ.setdefault("THINGPORT_PUBLIC_BASE_URL", address)
        prepare_data_dir(read_settings())  # pyright: ignore[reportCallIssue]  # fields come from the environment
        with runner_beside():
            _console.print(f"Thingport is at {address}", markup=False)
            sys.stdout.flush()
            config = uvicorn.Config(
                "thingport.entrypoints.http.main:create",
                factory=True,
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=10,
                backlog=_ACCEPTED_AT_ONCE,
            )
            uvicorn.Server(config).run(sockets=[listening])


def _address(host: str, port: int) -> str:
    """Give an address at which callers on this machine reach the service."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # it is looked for, not bound
    return f"http://{f'[{reachable}]' if ':' in reachable else reachable}:{port}"


def _end(_signal: int, _frame: object) -> None:
    sys.exit(0)


def runner(data_dir: DataDir) -> None:
    """Run one more runner, until interrupted."""
    os.environ["THINGPORT_DATA_DIR"] = str(data_dir.absolute())
    prepare_data_dir(read_settings())
    os.execv(sys.executable, RUNNER)  # noqa: S606  # our own command, no shell


def show_settings() -> None:
    """List every setting: its environment variable, default and meaning."""
    table = Table(show_lines=True)
    table.add_column("setting", no_wrap=True)
    table.add_column("default")
    table.add_column("meaning")
    for name, field in Settings.model_fields.items():
        default = "required" if field.is_required() else _shown(field.default)
        meaning = " ".join((field.description or "").split())
        table.add_row(f"THINGPORT_{name.upper()}", default, meaning)
    _console.print(table)


def _shown(default: object) -> str:
    match default:
        case None:
            return "none"
        case timedelta():
            return f"{default.total_seconds():g} s"
        case _:
            return str(default)


@contextmanager
def _listen(host: str, port: int) -> Generator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named, because the event loop sends small answers at once only
    # on sockets that say that they are TCP.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
            # From here on callers may connect; they are answered once all is open.
            listening.listen(_BACKLOG)
        except OSError as error:
            raise CannotListen(host, port, error.strerror or str(error)) from error
        yield listening
