"""Secrets in files that only the service may read."""

import os
import secrets
from pathlib import Path

_SECRET_BYTES = 32
"""As many as what is signed with them has (HMAC-SHA256)."""


def make_secret(path: Path) -> None:
    """Make a random secret, unless the file is there; it appears whole or not at all.

    Raises:
        OSError: Its folder cannot be written.
    """
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
