"""Reading the fields of JSON objects, and gathering all that is wrong with them."""

import difflib
import json
import re
from collections.abc import Collection, Iterator, Sequence
from enum import StrEnum
from typing import TypeVar, cast

from thingport.domain.errors import InvalidRequest
from thingport.domain.period import is_valid_timestamp
from thingport.entrypoints.http.json_body import JsonObject

_Choice = TypeVar("_Choice", bound=StrEnum)

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")

_MAX_FAULTS = 1000
"""Most faults that are told; a body of nothing but faults must not grow tenfold."""

_MAX_SUGGESTIONS = 20
"""Most unknown fields that a near name is looked for; each look takes a while."""


class Faults:
    """Everything that is wrong with a body, to be told at once."""

    def __init__(self) -> None:
        self._faults: list[str] = []
        self._more = 0
        self._suggestions = 0

    def add(self, path: str, reason: str) -> None:
        """Note what is wrong with a field, such as ``data[3].timestamp``."""
        if len(self._faults) < _MAX_FAULTS:
            self._faults.append(f"{path}: {reason}")
        else:
            self._more += 1

    def add_unknown(self, path: str, name: str, known: Collection[str]) -> None:
        """Note a field that there is not, and the known one that is most like it."""
        shown = name if _PLAIN_NAME.fullmatch(name) else json.dumps(name[:64])
        reason = "unknown field"
        if self._suggestions < _MAX_SUGGESTIONS:
            self._suggestions += 1
            reason += f"; the nearest known one is {_nearest(name, known)}"
        self.add(f"{path}{shown}", reason)

    @property
    def sentences(self) -> Sequence[str]:
        """All that is wrong, in the order of reading."""
        more = [f"and {self._more} more faults"] if self._more else []
        return [*self._faults, *more]

    def refuse_if_any(self) -> None:
        """Refuse the body if anything is wrong with it.

        Raises:
            InvalidRequest: With every fault.
        """
        if self._faults:
            raise InvalidRequest(*self.sentences)


class ObjectReader:
    """Reads one JSON object; ``null`` and absent are the same.

    A field that is faulty is noted, and reads as if it were absent.
    """

    def __init__(self, content: JsonObject, faults: Faults, path: str = "") -> None:
        self._content = content
        self._faults = faults
        self._path = path
        self._known: list[str] = []

    def path_of(self, name: str) -> str:
        """Name a field of this object from the top of the body."""
        return f"{self._path}{name}"

    def add_fault(self, name: str, reason: str) -> None:
        """Note what is wrong with a field."""
        self._faults.add(self.path_of(name), reason)

    def find(self, name: str) -> object:
        """Give a field as it is, or ``None``."""
        self._known.append(name)
        return self._content.get(name)

    def find_text(self, name: str, *, least: int = 0, most: int) -> str | None:
        """Give a text of so many characters."""
        found = self.find(name)
        if found is None:
            return None
        if not isinstance(found, str):
            self.add_fault(name, "must be a text in quotes")
        elif not least <= len(found) <= most:
            self.add_fault(name, f"must have {least} to {most} characters")
        else:
            return found
        return None

    def find_id(self, name: str) -> str | None:
        """Give an identifier; an empty one is a fault, never "no filter"."""
        found = self.find(name)
        if found is None:
            return None
        if not isinstance(found, str):
            self.add_fault(name, "must be an id, a text in quotes")
        elif not found:
            self.add_fault(name, "must not be empty; leave the field out instead")
        else:
            return found
        return None

    def get_flag(self, name: str) -> bool:
        """Give a truth value; ``False`` if it is absent."""
        found = self.find(name)
        if found is None or isinstance(found, bool):
            return bool(found)
        self.add_fault(name, "must be true or false")
        return False

    def find_timestamp(self, name: str) -> int | None:
        """Give UTC milliseconds since the Unix epoch."""
        found = self.find(name)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int):
            self.add_fault(name, "must be a whole number of UTC milliseconds")
        elif not is_valid_timestamp(found):
            self.add_fault(name, "must be within the years 1900 to 9999, in UTC ms")
        else:
            return found
        return None

    def get_choice(self, name: str, default: _Choice) -> _Choice:
        """Give one of the values of an enumeration."""
        found = self.find(name)
        if found is None:
            return default
        choices = {str(it): it for it in type(default)}
        if isinstance(found, str) and found in choices:
            return choices[found]
        self.add_fault(name, f"must be one of {', '.join(choices)}")
        return default

    def iter_objects(
        self, name: str, *, most: int | None = None
    ) -> "Iterator[ObjectReader]":
        """Yield a reader for each object of a list; nothing if it is absent."""
        found = self.find(name)
        if found is None:
            return
        if not isinstance(found, list):
            self.add_fault(name, "must be a list of objects")
            return
        items = cast("list[object]", found)
        if most is not None and len(items) > most:
            self.add_fault(name, f"has {len(items)} entries, but at most {most} fit")
            return
        for index, item in enumerate(items):
            where = f"{name}[{index}]"
            if isinstance(item, dict):
                content = cast("JsonObject", item)
                yield ObjectReader(content, self._faults, f"{self.path_of(where)}.")
            else:
                self.add_fault(where, "must be an object")

    def refuse_unknown(self, *, ignored: Collection[str] = ()) -> None:
        """Note every field that nobody asked for and that is not to be ignored."""
        for name in self._content:
            if name not in self._known and name not in ignored:
                self._faults.add_unknown(self._path, name, self._known)


def _nearest(name: str, known: Collection[str]) -> str:
    by_lower_case = {it.lower(): it for it in known}
    found = difflib.get_close_matches(name[:64].lower(), by_lower_case, 1, 0.0)
    return by_lower_case[found[0]]
