"""Imports a file of so many rows, and prints the most memory that it took, in KB.

Usage: ``python import_peak.py DIRECTORY ROWS TEXT_BYTES``
"""

import resource
import sys
from pathlib import Path

from import_stack import HEADER, THING, import_stack
from thingport.application.data_imports import DataImportRequest
from thingport.domain.data_import import DataImportState


def main() -> None:
    _, directory, rows, text_bytes = sys.argv
    with import_stack(Path(directory)) as stack:
        imports = stack.services.data_imports
        upload = imports.begin(stack.actor, DataImportRequest(thing_id=THING))
        upload.file.write(f"{HEADER}\n".encode())
        for at in range(int(rows)):
            # Neither numbers nor texts are like one another.
            number = at * 0x9E3779B97F4A7C15 % 2**64
            text = f"{number:x}" * (int(text_bytes) // 16)
            row = f"{at * 1000},{number / 2**40!r},{number >> 1},true,{at}.5,{text}\n"
            upload.file.write(row.encode())
        scheduled = imports.schedule(upload)
        stack.run()
        ended = stack.look(scheduled)
        assert ended.state is DataImportState.COMPLETED, ended.error
    sys.stdout.write(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))


if __name__ == "__main__":
    main()
