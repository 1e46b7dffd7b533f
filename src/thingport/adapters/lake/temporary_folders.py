"""Folders of what engines and imports put aside, and those that nobody needs any more.

Both take their folder along when they end. A process that was killed leaves it, with
whatever readings were in it.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from socket import gethostname
from uuid import uuid4

_LONGEST_USE_S = 24 * 60 * 60.0
"""Longest time for which an engine may leave its folder as it is."""


def new_folder(temp_dir: Path) -> Path:
    """Name a folder for something of this process; makes nothing."""
    return temp_dir / f"{_machine()}-{os.getpid()}-{uuid4().hex}"


@contextmanager
def removed_at_the_end(folder: Path) -> Generator[None]:
    """Remove a folder with all that is in it when the block ends."""
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned(temp_dir: Path) -> int:
    """Remove the folders of processes that have ended; give how many there were.

    A process of another machine, or of another start of this one, cannot be looked
    for. It is taken for one that has ended when a day has passed.
    """
    abandoned = [
        it
        for it in (temp_dir.iterdir() if temp_dir.is_dir() else ())
        if it.is_dir() and _is_abandoned(it)
    ]
    for folder in abandoned:
        shutil.rmtree(folder, ignore_errors=True)
    return len(abandoned)


def _is_abandoned(folder: Path) -> bool:
    machine, _, rest = folder.name.partition("-")
    pid = rest.partition("-")[0]
    if machine == _machine() and pid.isdigit():
        return not _is_alive(int(pid))
    try:
        return time.time() - folder.stat().st_mtime > _LONGEST_USE_S
    except FileNotFoundError:
        return False


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@lru_cache(maxsize=1)
def _machine() -> str:
    """Name what process numbers mean something in: a machine, from start to stop.

    Containers have numbers of their own, and may have equal names.
    """
    parts = [gethostname()]
    for place in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        with suppress(OSError):
            path = Path(place)
            parts.append(
                str(path.readlink()) if path.is_symlink() else path.read_text()
            )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
