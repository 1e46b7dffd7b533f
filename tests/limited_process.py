"""Runs a module as ``python -m`` does, with a limit on its memory.

Usage: ``python limited_process.py MEGABYTES MODULE ARGUMENT...``
"""

import os
import resource
import runpy
import sys


def main() -> None:
    _, megabytes, module, *arguments = sys.argv
    # Libraries take memory for each processor that they see; here they see one.
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    # This one's own allocator reserves a gigabyte before the first byte.
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"
    # Rust waits for itself for ever when there is no memory to say that there is none.
    os.environ["RUST_BACKTRACE"] = "0"
    # A limit on data, not on addresses: engines map much more than they touch. It is
    # set before any of them is loaded.
    limit_bytes = int(megabytes) * 1_000_000
    resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, limit_bytes))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
