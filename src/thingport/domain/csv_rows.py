"""Reading CSV as RFC 4180 has it: rows with their lines, in slices of a file.

What `csv` of the standard library loses is kept: whether an empty cell was quoted,
and on which line a row begins. What is malformed is told, and never guessed at.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from thingport.domain.data_import import ImportFault, ImportRefused, RejectedRow

MAX_ROW_BYTES = 16 * 1024 * 1024
"""Longest row. It bounds the memory of reading, and how much a quote that is never
closed can swallow."""

Cells = Sequence[str | None]
"""The cells of a row: ``None`` for nothing at all, an empty text where it is quoted."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MARKS_OF_OTHERS = (b"\xff\xfe", b"\xfe\xff")

_QUOTED = r'"(?:[^"]++|"")*+"'
_PLAIN = r'[^",\r\n]*+'
_CELL = re.compile(rf"({_QUOTED}|{_PLAIN})(,|\Z)")
_OPEN_ROW = re.compile(rf'(?:(?:{_QUOTED}|{_PLAIN}),)*+"(?:[^"]++|"")*+')
"""A line of which the last cell goes on in the next one."""

_UNDECODABLE = re.compile(r"[\udc80-\udcff]")

_STRAY_QUOTE = (
    "a quote within a cell: quote the whole cell, and double the quotes in it"
)
_STRAY_RETURN = "a carriage return within a cell: quote the whole cell"
_NO_UTF_8 = "it is not UTF-8"


@dataclass(frozen=True, slots=True)
class CsvRow:
    """A well-formed row, and the line that it begins on."""

    line: int
    cells: Cells


@dataclass(slots=True)
class CsvSlice:
    """Successive rows. Blank lines are none.

    Attributes:
        rejected: Those that are malformed.
        size_bytes: What they took in the file.
    """

    rows: list[CsvRow] = field(default_factory=list["CsvRow"])
    rejected: list[RejectedRow] = field(default_factory=list["RejectedRow"])
    size_bytes: int = 0


def iter_slices(
    blocks: Iterable[bytes], *, first_line: int = 1, max_row_bytes: int = MAX_ROW_BYTES
) -> Iterator[CsvSlice]:
    """Read rows from the bytes of a file, from a line on.

    Holds one block, the rows in it, and the beginning of a row. Lines end in LF or
    CRLF. A byte-order mark is skipped; so are the lines before ``first_line``,
    whatever they are.

    Raises:
        ImportRefused: A row is too long, a quote is never closed, or the file is in
            another encoding.
    """
    line, pending = first_line, b""
    for block in _from_line(_without_mark(blocks), first_line):
        pending += block
        cut = pending.rfind(b"\n") + 1
        found, rest, line = _Reading(line).read(pending[:cut], is_last=False)
        found.size_bytes = len(block)
        pending = rest + pending[cut:]
        if len(pending) > max_row_bytes:
            raise ImportRefused(
                ImportFault.FILE_NOT_READABLE,
                f"line {line}: a row of more than {max_row_bytes} bytes; is a quote "
                "not closed?",
            )
        yield found
    found, _, _ = _Reading(line).read(pending, is_last=True)
    yield found


def _without_mark(blocks: Iterable[bytes]) -> Iterator[bytes]:
    first = b""
    for block in blocks:
        if len(first) < len(_BYTE_ORDER_MARK):
            first += block
            if len(first) < len(_BYTE_ORDER_MARK):
                continue
            if first.startswith(_MARKS_OF_OTHERS):
                raise ImportRefused(
                    ImportFault.FILE_NOT_READABLE,
                    "the file is in UTF-16; save it as CSV in UTF-8",
                )
            yield first.removeprefix(_BYTE_ORDER_MARK)
        else:
            yield block
    if len(first) < len(_BYTE_ORDER_MARK):
        yield first


def _from_line(blocks: Iterable[bytes], first_line: int) -> Iterator[bytes]:
    to_skip = first_line - 1
    for block in blocks:
        start = 0
        while to_skip and (end := block.find(b"\n", start)) >= 0:
            start, to_skip = end + 1, to_skip - 1
        if not to_skip:
            yield block[start:]


class _Reading:
    """Reads whole lines, and leaves a row that goes on after them."""

    def __init__(self, line: int) -> None:
        self._line = line
        self._found = CsvSlice()
        self._is_utf_8 = True

    def read(self, content: bytes, *, is_last: bool) -> tuple[CsvSlice, bytes, int]:
        """Give the rows, the bytes of the row that goes on, and its line."""
        lines = self._decode(content).split("\n")
        if not lines[-1]:
            lines.pop()
        at, first_line = 0, self._line
        while at < len(lines):
            self._line = first_line + at
            if '"' not in lines[at]:
                self._take_plain(lines[at])
                at += 1
                continue
            end = _end_of_row(lines, at)
            if end > len(lines):
                if is_last:
                    raise ImportRefused(
                        ImportFault.FILE_NOT_READABLE,
                        f"line {self._line}: a quote is opened here, or a little "
                        "further, and never closed",
                    )
                rest = "".join(f"{it}\n" for it in lines[at:])
                return self._found, _encode(rest), self._line
            self._take_quoted("\n".join(lines[at:end]))
            at = end
        return self._found, b"", first_line + len(lines)

    def _decode(self, content: bytes) -> str:
        try:
            return content.decode()
        except UnicodeDecodeError:
            self._is_utf_8 = False
            return content.decode(errors="surrogateescape")

    def _take_plain(self, text: str) -> None:
        text = text.removesuffix("\r")
        if "\r" in text:
            self._reject(_STRAY_RETURN)
        elif text and self._is_decoded(text):
            cells = [it or None for it in text.split(",")]
            self._found.rows.append(CsvRow(self._line, cells))

    def _take_quoted(self, text: str) -> None:
        text = text.removesuffix("\r")
        cells: list[str | None] = []
        at = 0
        while at <= len(text):
            cell = _CELL.match(text, at)
            if cell is None:
                self._reject(_STRAY_QUOTE)
                return
            cells.append(_content_of(cell[1]))
            if not cell[2]:
                break
            at = cell.end()
        if self._is_decoded(text):
            self._found.rows.append(CsvRow(self._line, cells))

    def _is_decoded(self, text: str) -> bool:
        if self._is_utf_8 or not _UNDECODABLE.search(text):
            return True
        self._reject(_NO_UTF_8)
        return False

    def _reject(self, reason: str) -> None:
        self._found.rejected.append(RejectedRow(self._line, reason))


def _end_of_row(lines: Sequence[str], start: int) -> int:
    """Say after which line a row ends that has quotes; beyond all if it goes on."""
    if lines[start].count('"') % 2 == 0:
        return start + 1
    if not _OPEN_ROW.fullmatch(lines[start]):
        # The quote does not open a cell, so the line is malformed, and it alone.
        return start + 1
    for at in range(start + 1, len(lines)):
        if lines[at].count('"') % 2:
            return at + 1
    return len(lines) + 1


def _content_of(cell: str) -> str | None:
    if cell.startswith('"'):
        return cell[1:-1].replace('""', '"')
    return cell or None


def _encode(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
