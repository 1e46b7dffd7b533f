"""Secrets of a service, each in a file of its own."""

import os
import secrets
from pathlib import Path

_SECRET_BYTES = 32


def make_secret(path: Path) -> None:
    """Make a secret, unless it is there already; the file is for its owner alone."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if path.exists():
        return
    # Two processes may start at once: the first link wins, whole.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    temporary.touch(mode=0o600)
    with temporary.open("w") as file:
        file.write(secrets.token_hex(_SECRET_BYTES))
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
