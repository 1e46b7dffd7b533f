"""The CSV dialect of the archive, to the letter: the written specification.

RFC 4180: comma, CRLF, UTF-8 without byte-order mark, quotes only where a field needs
them. What writes many rows at once is tested against these functions.
"""

import math
import re
import struct
from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, ROUND_UP, Context, Decimal

from thingport.domain.data_export import TimestampFormat
from thingport.domain.period import instant_of

LINE_END = "\r\n"

FORMULA_STARTS = "=+-@'\t\r"
"""Characters that a guarded text starts with. Spreadsheets take a text for a formula
by all but the quote, which is among them so that the guard can be undone exactly.

Source: OWASP, *CSV Injection*; CWE-1236.
"""

NUMBER_PATTERN = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
"""A text that is a number as a whole is no formula, and needs no guard."""

_NUMBER = re.compile(NUMBER_PATTERN)
_NEEDS_QUOTES = re.compile(r'[,"\r\n]')
_FLOAT32 = struct.Struct("<f")
_MAX_FLOAT32_DIGITS = 9
"""Significant digits that name any 32-bit float (IEEE 754-2019, table 3.6)."""


def quote(field: str) -> str:
    """Give a text as a field: quoted where it must be, and where it is empty.

    A missing value is no text: it is written as nothing at all.

    Source: RFC 4180, section 2.
    """
    if field and not _NEEDS_QUOTES.search(field):
        return field
    doubled = field.replace('"', '""')
    return f'"{doubled}"'


def format_line(fields: Iterable[str]) -> str:
    """Give texts as one line, with its end."""
    return ",".join(map(quote, fields)) + LINE_END


def guard_text(text: str) -> str:
    """Keep spreadsheets from taking a text for a formula.

    Puts one ``'`` before a text that starts with any of :data:`FORMULA_STARTS`,
    unless all of it is a number. Taking one leading ``'`` away undoes it exactly.
    """
    if text.startswith(tuple(FORMULA_STARTS)) and not _NUMBER.fullmatch(text):
        return f"'{text}"
    return text


def unguard_text(text: str) -> str:
    """Undo :func:`guard_text`, whatever the text was."""
    return text.removeprefix("'")


def format_timestamp(timestamp_ms: int, timestamp_format: TimestampFormat) -> str:
    """Give an instant between the years 1900 and 9999, in UTC."""
    match timestamp_format:
        case TimestampFormat.EPOCH_MILLIS:
            return str(timestamp_ms)
        case TimestampFormat.ISO_8601:
            text = instant_of(timestamp_ms).isoformat(timespec="milliseconds")
            return text.replace("+00:00", "Z")


def format_boolean(value: bool) -> str:  # noqa: FBT001  # it is the value itself
    """Give ``true`` or ``false``."""
    return "true" if value else "false"


def format_integer(value: int) -> str:
    """Give a 64-bit integer in decimal."""
    return str(value)


def format_double(value: float) -> str:
    """Give the fewest digits that parse back to the same 64-bit float.

    Positional for ``1e-4 <= |value| < 1e16``, with at least one decimal; otherwise
    scientific, with at least two digits of exponent.
    """
    return repr(value)


def format_float(value: float) -> str:
    """Give the fewest digits that parse back to the same 32-bit float.

    Laid out as :func:`format_double` does. ``value`` is rounded to 32 bits first.

    Raises:
        ValueError: The value is not finite in 32 bits.
    """
    single = _to_float32(value)
    if not math.isfinite(single):
        raise ValueError(f"{value} is not finite in 32 bits")
    exact = Decimal(single)
    for digits in range(1, _MAX_FLOAT32_DIGITS):
        # Above a power of two floats lie twice as far apart as below it: digits
        # that are not the nearest can still parse back where the nearest do not.
        for rounding in (ROUND_HALF_EVEN, ROUND_UP):
            rounded = float(Context(digits, rounding).create_decimal(exact))
            if _to_float32(rounded) == single:
                return repr(rounded)
    return repr(float(Context(_MAX_FLOAT32_DIGITS).create_decimal(exact)))


def _to_float32(value: float) -> float:
    try:
        (single,) = _FLOAT32.unpack(_FLOAT32.pack(value))
    except OverflowError:
        return math.inf
    return float(single)
