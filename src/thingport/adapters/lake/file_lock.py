"""Taking turns over threads and processes, by a lock on a file."""

import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from thingport.adapters.lake.failures import STORE
from thingport.domain.errors import StoreUnavailable

_PAUSE_S = 0.005
"""How often a waiting process looks whether it is its turn."""


@contextmanager
def locked_file(path: Path, *, patience_s: float, holder: str) -> Generator[None]:
    """Hold a lock while the block runs; it ends with its process, however that ends.

    Args:
        path: The file, made if missing; nothing is in it, and it stays.
        patience_s: How long to wait for one's turn.
        holder: What the one who has the lock is doing, for the error.

    Raises:
        StoreUnavailable: It was not our turn for too long; the block was not run.
    """
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _wait_for(lock, patience_s, holder)
        yield
    finally:
        os.close(lock)


def _wait_for(lock: int, patience_s: float, holder: str) -> None:
    give_up_at = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= give_up_at:
                raise StoreUnavailable(STORE, f"another process is {holder}") from None
            time.sleep(_PAUSE_S)
        else:
            return
