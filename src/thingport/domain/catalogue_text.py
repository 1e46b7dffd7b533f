"""What texts of a catalogue file may be: each rule gives what is wrong, or nothing."""

import difflib
import re
import zoneinfo
from collections.abc import Callable, Iterable
from functools import lru_cache

from thingport.domain.metric import MetricType, ValueType

TextRule = Callable[[str], str | None]
"""Gives what is wrong with a text, or ``None``."""

MAX_NAME_CHARACTERS = 200
"""Longest name, code, serial number or unit; more is a mistake, and fits no column."""

MAX_NOTE_CHARACTERS = 4000
"""Longest description and longest value of a property."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,48}")
"""Short enough to follow the longest name of a file, in what file systems take."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")
_CONTROL_BUT_LINES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def check_name(text: str) -> str | None:
    """One line that can be seen."""
    if not text.strip():
        return "must not be empty"
    if _CONTROL.search(text):
        return "must be one line without control characters"
    return _check_length(text, MAX_NAME_CHARACTERS)


def check_note(text: str) -> str | None:
    """Text that may have several lines, or be empty."""
    if _CONTROL_BUT_LINES.search(text):
        return "must have no control characters"
    return _check_length(text, MAX_NOTE_CHARACTERS)


def check_id(text: str) -> str | None:
    """An id that the tenant chose."""
    if _ID.fullmatch(text):
        return None
    return "must be 1 to 48 letters, digits, '_' or '-'"


def check_timezone(text: str) -> str | None:
    """A zone of the IANA time zone database."""
    zones = _timezones()
    if text in zones:
        return None
    return f"{text!r} is no IANA time zone{nearest(text, zones)}"


def check_value_type(text: str) -> str | None:
    """The type of a metric's values."""
    return _check_choice(text, [str(it) for it in ValueType])


def check_truth_value(text: str) -> str | None:
    """Yes or no, in the words of YAML and JSON."""
    return _check_choice(text, ["true", "false"])


def check_metric_type(text: str) -> str | None:
    """Where a metric's values come from."""
    return _check_choice(text, [str(it) for it in MetricType])


def nearest(text: str, known: Iterable[str]) -> str:
    """Suggest the known word that looks most like a text; empty if none does."""
    by_lower_case = {word.lower(): word for word in known}
    found = difflib.get_close_matches(text[:64].lower(), by_lower_case, n=1)
    return f"; did you mean {by_lower_case[found[0]]!r}?" if found else ""


@lru_cache(maxsize=1)
def _timezones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def _check_length(text: str, most: int) -> str | None:
    if len(text) > most:
        return f"has {len(text)} characters, but at most {most} are kept"
    return None


def _check_choice(text: str, choices: list[str]) -> str | None:
    if text in choices:
        return None
    due = ", ".join(choices)
    return f"{text[:64]!r} is not one of {due}{nearest(text, choices)}"
