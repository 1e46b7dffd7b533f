"""How large the list of members of a ZIP is: asked before all of it is read.

Source: PKWARE, *APPNOTE.TXT*, sections 4.3.14 to 4.3.16.
"""

import struct
from typing import IO

_END = struct.Struct("<4s4H2LH")
_END_SIGNATURE = b"PK\x05\x06"
_MAX_COMMENT_BYTES = 65535
_LOCATOR = struct.Struct("<4sLQL")
_LOCATOR_SIGNATURE = b"PK\x06\x07"
_END_64 = struct.Struct("<4sQ2H2L4Q")
_SIZE_AT = 5
_SIZE_AT_64 = 8


def directory_bytes(file: IO[bytes]) -> int:
    """Give how many bytes a reader will read as the list of members.

    The larger number, where a ZIP gives two; 0 where there is none to be found, as
    a reader finds none either.
    """
    file.seek(0, 2)
    size = file.tell()
    tail_at = max(0, size - _END.size - _MAX_COMMENT_BYTES)
    file.seek(tail_at)
    tail = file.read()
    found = [0]
    # A reader takes the record at the very end, or else the last one that there is:
    # a comment may come after it, and look like one.
    for at in {tail.rfind(_END_SIGNATURE), len(tail) - _END.size}:
        is_whole = 0 <= at <= len(tail) - _END.size
        if is_whole and tail.startswith(_END_SIGNATURE, at):
            found.append(_END.unpack_from(tail, at)[_SIZE_AT])
            found.append(_size_64(file, tail_at + at))
    return max(found)


def _size_64(file: IO[bytes], end_at: int) -> int:
    """Give what the record for large archives says, if there is one."""
    if end_at < _LOCATOR.size + _END_64.size:
        return 0
    file.seek(end_at - _LOCATOR.size)
    if file.read(4) != _LOCATOR_SIGNATURE:
        return 0
    file.seek(end_at - _LOCATOR.size - _END_64.size)
    content = file.read(_END_64.size)
    return int(_END_64.unpack(content)[_SIZE_AT_64])
