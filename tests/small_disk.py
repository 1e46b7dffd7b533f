"""A disk that is small enough to fill, and that can be made read-only."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SmallDisk:
    """A file system in memory, seen by the commands that are run in it alone.

    Attributes:
        directory: Where these commands find it.
    """

    directory: Path
    _holder_pid: int

    @property
    def prefix(self) -> Sequence[str]:
        """What runs a command that sees the disk: put before it."""
        target = ["--target", str(self._holder_pid), "--user", "--mount"]
        return ["nsenter", *target, "--preserve-credentials", f"--wd={Path.cwd()}"]

    @property
    def seen_from_outside(self) -> Path:
        """Where this process finds it."""
        return Path(f"/proc/{self._holder_pid}/root{self.directory}")

    def fill(self, *, leave_bytes: int = 0) -> None:
        """Take all the room but some."""
        free = os.statvfs(self.seen_from_outside)
        size = max(free.f_bavail * free.f_frsize - leave_bytes, 0)
        with self._ballast.open("wb") as ballast:
            os.posix_fallocate(ballast.fileno(), 0, max(size, 1))

    def free(self) -> None:
        """Give the room back."""
        self._ballast.unlink()

    def remount(self, option: str) -> None:
        """Change it while it is used: ``ro`` takes no more writing, ``rw`` does."""
        options = f"remount,{option}"
        command = [*self.prefix, "mount", "--options", options, str(self.directory)]
        subprocess.run(command, check=True)

    @property
    def _ballast(self) -> Path:
        return self.seen_from_outside / "ballast"


@contextmanager
def small_disk(directory: Path, *, megabytes: int) -> Iterator[SmallDisk]:
    """Mount a disk for as long as the block lasts; needs no rights."""
    directory.mkdir()
    script = f'mount -t tmpfs -o size={megabytes}m none "$0" && echo ready && exec cat'
    unshare = ["unshare", "--user", "--map-root-user", "--mount"]
    with subprocess.Popen(
        [*unshare, "sh", "-c", script, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"ready\n"
        yield SmallDisk(directory, holder.pid)
