"""Runs the longest waiting export, all of it in this process.

Usage: ``python -m inline_runner``, with the service's settings in the environment.
Prints the most memory that the process ever had in use, in megabytes.
"""

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from fakes.inline_executor import InlineExecutor
from thingport.bootstrap.runners import open_runner, render_in_worker
from thingport.settings import read_settings


def main() -> None:
    settings = read_settings()
    executor = InlineExecutor(partial(render_in_worker, settings))
    with open_runner(settings) as runner:
        inline = replace(runner, executor=executor)
        claim = inline.claim()
        if claim is None:
            sys.exit("no export is waiting")
        inline.run(claim)
    print(_peak_mb())  # noqa: T201  # what the caller reads


def _peak_mb() -> float:
    # Not by getrusage(): a new process begins with what its parent has in use.
    status = Path("/proc/self/status").read_text()
    [line] = [it for it in status.splitlines() if it.startswith("VmHWM:")]
    return int(line.split()[1]) / 1_000


if __name__ == "__main__":
    main()
