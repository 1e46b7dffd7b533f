"""Entities of one kind by their natural keys: the stored ones and the file's."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Generic, TypeVar

from thingport.domain.catalogue_document import Faults
from thingport.domain.catalogue_file import Entry

Key = tuple[str, ...]
"""A natural key: a name, or the name of an owner and a name."""

NewId = Callable[[], str]
"""Gives an id that nothing has yet."""

Id = TypeVar("Id", bound=str)
E = TypeVar("E")


class Register(Generic[Id, E]):
    """What there is of one kind, and what a file makes of it.

    Attributes:
        kind: What one of them is called.
        stored: What the catalogue has.
        updated: What the file mentions, as it shall be; in the file's order.
        entries: Where the file mentions it.
    """

    def __init__(
        self,
        kind: str,
        stored: Mapping[Id, E],
        key_of: Callable[[E], Key],
        make_id: Callable[[str], Id],
    ) -> None:
        self.kind = kind
        self.stored = stored
        self.updated: dict[Id, E] = {}
        self.entries: dict[Id, Entry] = {}
        self._make_id = make_id
        self._keys = {id_: key_of(it) for id_, it in stored.items()}
        self._ids = {key: id_ for id_, key in self._keys.items()}
        self._without_case = {id_.lower(): id_ for id_ in self._keys}
        self._new_keys: dict[Id, Key] = {}

    def find_id(self, *key: str) -> Id | None:
        """Give the id that belongs to a natural key, or ``None``."""
        return self._ids.get(key)

    def key_of(self, id_: Id) -> Key:
        """Give the natural key that belongs to an id."""
        return self._keys[id_]

    def find(self, id_: Id) -> E | None:
        """Give an entity as it shall be; ``None`` if its entry is faulty."""
        return self.updated.get(id_) or self.stored.get(id_)

    def iter_all(self) -> Iterator[tuple[Id, E]]:
        """Yield every entity as it shall be, mentioned or not."""
        yield from {**self.stored, **self.updated}.items()

    def create(self, key: Key, entity_id: str) -> Id:
        """Take a new id in for a new natural key."""
        id_ = self._make_id(entity_id)
        self._ids[key] = id_
        self._keys[id_] = key
        self._without_case[id_.lower()] = id_
        return id_

    def rename(
        self, found: Sequence[tuple[Entry, Key]], key_field: str, faults: Faults
    ) -> Sequence[tuple[Entry, Key]]:
        """Give stored entities new names, where entries name them by their ids.

        All at once, before anything else is identified: a name that one gives up
        is free, for another one or for a new entity, wherever it stands in a file.

        Returns:
            The entries that rename nothing.
        """
        others: list[tuple[Entry, Key]] = []
        for entry, key in found:
            id_ = self._find_to_rename(entry, key)
            if id_ is None:
                others.append((entry, key))
            elif id_ in self.entries:
                line = self.entries[id_].line
                reason = f"is there twice, first in line {line}"
                self._refuse(entry, "id", reason, faults)
            else:
                self.entries[id_] = entry
                self._new_keys[id_] = key
        for id_ in self._new_keys:
            del self._ids[self._keys[id_]]
        for id_, key in list(self._new_keys.items()):
            if key in self._ids:
                reason = f"is the name of {self.kind} {str(self._ids[key])!r} already"
                self._refuse(self.entries.pop(id_), key_field, reason, faults)
                del self._new_keys[id_]
            else:
                self._ids[key] = id_
                self._keys[id_] = key
        return others

    def _find_to_rename(self, entry: Entry, key: Key) -> Id | None:
        """Give what an entry renames; whom it belongs to is part of its key."""
        given = entry.find_text("id")
        if given is None or (id_ := self._make_id(given)) not in self.stored:
            return None
        stored = self._keys[id_]
        return None if stored == key or stored[:-1] != key[:-1] else id_

    def has_new_name(self, id_: Id) -> bool:
        """Whether a file gives an entity its name."""
        return id_ in self._new_keys or id_ not in self.stored

    def identify(
        self, entry: Entry, key: Key, key_field: str, faults: Faults, new_id: NewId
    ) -> None:
        """Find the entity that an entry is about, or take it in as a new one."""
        given = entry.texts.get("id")
        id_ = self._ids.get(key)
        if id_ is not None and id_ in self.entries:
            line = self.entries[id_].line
            self._refuse(
                entry, key_field, f"is there twice, first in line {line}", faults
            )
            return
        if id_ is None:
            wanted = given.text if given and given.text else new_id()
            # Ids tell files and headers apart that are equal without case.
            taken = self._without_case.get(wanted.lower())
            if taken is not None:
                reason = f"belongs to {self.kind} {self.show(taken)} already"
                self._refuse(entry, "id", reason, faults)
                return
            id_ = self.create(key, wanted)
        elif given is not None and given.text != id_:
            reason = f"{self.kind} {self.show(id_)} has the id {str(id_)!r} already"
            faults.add(given.line, f"{entry.path}.id", reason)
        self.entries[id_] = entry

    def show(self, id_: Id) -> str:
        """Name an entity to people."""
        return repr(" / ".join(self._keys[id_]))

    @staticmethod
    def _refuse(entry: Entry, field: str, reason: str, faults: Faults) -> None:
        node = entry.texts[field]
        faults.add(node.line, f"{entry.path}.{field}", f"{node.text!r} {reason}")
