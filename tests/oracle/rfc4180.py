"""A strict reader of RFC 4180: refuses whatever a lenient one would let pass."""

from collections.abc import Iterator
from dataclasses import dataclass

_SPECIAL = ',"\r\n'


class NotStrict(ValueError):
    """A text is not CSV as RFC 4180 has it, or has quotes that nobody needs."""

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(f"at character {position}: {reason}")
        self.position = position


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell; an empty text is quoted, and a missing value is not.

    Attributes:
        text: What it says, without the quotes around it and with those in it single.
    """

    text: str
    quoted: bool = False


def parse(text: str) -> list[list[Cell]]:
    """Read a whole file.

    Every row ends with CRLF, the last one too, and all have as many cells as the
    first. Quotes stand only around a cell that is empty or has a comma, a quote, CR
    or LF in it.

    Raises:
        NotStrict: With the first place where it is otherwise.

    Source: RFC 4180, section 2.
    """
    rows: list[list[Cell]] = []
    position = 0
    while position < len(text):
        start = position
        row: list[Cell] = []
        ends_row = False
        while not ends_row:
            cell, position = _read_cell(text, position)
            row.append(cell)
            ends_row = text[position] != ","
            position += 2 if ends_row else 1
        if rows and len(row) != len(rows[0]):
            raise NotStrict(start, f"{len(row)} cells, where {len(rows[0])} are due")
        rows.append(row)
    return rows


def write(rows: list[list[Cell]]) -> str:
    """Write rows so that :func:`parse` gives them back."""
    return "".join(f"{','.join(_write_cells(row))}\r\n" for row in rows)


def _write_cells(row: list[Cell]) -> Iterator[str]:
    for cell in row:
        doubled = cell.text.replace('"', '""')
        yield f'"{doubled}"' if cell.quoted else cell.text


def _read_cell(text: str, start: int) -> tuple[Cell, int]:
    """Read a cell; give it, and the position of the comma or CRLF after it."""
    is_quoted = text[start : start + 1] == '"'
    cell, end = (_read_quoted if is_quoted else _read_bare)(text, start)
    if text[end : end + 1] != "," and text[end : end + 2] != "\r\n":
        raise NotStrict(end, "a comma or CRLF is due")
    return cell, end


def _read_bare(text: str, start: int) -> tuple[Cell, int]:
    end = start
    while end < len(text) and text[end] not in _SPECIAL:
        end += 1
    return Cell(text[start:end]), end


def _read_quoted(text: str, start: int) -> tuple[Cell, int]:
    characters: list[str] = []
    position = start + 1
    while True:
        if position >= len(text):
            raise NotStrict(start, "the quote is not closed")
        if text[position] != '"':
            characters.append(text[position])
            position += 1
        elif text[position + 1 : position + 2] == '"':
            characters.append('"')
            position += 2
        else:
            break
    if characters and not any(it in _SPECIAL for it in characters):
        raise NotStrict(start, "the quotes are not needed")
    return Cell("".join(characters), quoted=True), position + 1
