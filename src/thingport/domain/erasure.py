"""What an erasure did, and what was found when it was looked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from thingport.domain.ids import DataExportId, ThingId


@dataclass(frozen=True, slots=True)
class ErasedThing:
    """A thing whose readings were erased; its entry in the catalogue stays."""

    id: ThingId
    serial_number: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was looked through when all was done, and what was found there.

    Attributes:
        lake_files: Files in the folder of the lake, whatever the lake knows of them.
        rows_left: Rows in them that should be gone.
        rows_since: Rows that were written after the erasure began, which stay.
        mentions_left: Things that the lake's catalogue still names.
        unreadable: Files that could not be looked through.
        stored_exports: Exports of which the archive store has anything.
        exports_left: Those of them that should be gone.
    """

    lake_files: int = 0
    rows_left: int = 0
    rows_since: int = 0
    mentions_left: int = 0
    unreadable: Sequence[str] = ()
    stored_exports: int = 0
    exports_left: Sequence[DataExportId] = ()

    @property
    def is_clean(self) -> bool:
        """Whether everything was looked through, and nothing was found."""
        found = (
            self.rows_left,
            self.mentions_left,
            self.unreadable,
            self.exports_left,
        )
        return not any(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureRecord:
    """What one run of an erasure did; one that is run again finds less to do.

    Attributes:
        rows_removed: Rows taken out of the present state.
        files_rewritten: Files that were rewritten without them.
        views_expired: States of the past that were given up.
        leftovers_deleted: Files of processes that died.
        exports_ended: PENDING exports that had things in them; ERROR now.
        exports_cut_short: PENDING exports of other things that took too long.
        archives_removed: Exports whose archive or segments were removed.
    """

    tenant: str
    things: Sequence[ErasedThing]
    began_at: datetime
    ended_at: datetime
    rows_removed: int = 0
    files_rewritten: int = 0
    views_expired: int = 0
    leftovers_deleted: int = 0
    exports_ended: Sequence[DataExportId] = ()
    exports_cut_short: Sequence[DataExportId] = ()
    archives_removed: Sequence[DataExportId] = ()
    verification: Verification
