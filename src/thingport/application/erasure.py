"""Erasing the readings of things, from everywhere, and proving it.

The order is what makes it hold. First the rows leave the present state, at one instant
of the writer lane: what was written before it is erased, what comes after it stays.
Then exports that may show them are ended. Then files are rewritten without them, and
from the view after that on nothing on the disk shows them. No export may be stored any
more that reads at an older view, and those that do are waited for, or ended; so the
older views can be given up, and all that only they needed.

Nothing notes how far an erasure has got: each step finds out what there is to do. One
that was broken off anywhere is simply run again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from thingport.application.erased_exports import Erased, ErasedExports, Pause, Tell
from thingport.application.erased_imports import ErasedImports
from thingport.application.erasure_ports import ErasedRows, LakeEraser, OpenLakeEraser
from thingport.application.import_ports import ImportFiles
from thingport.application.ports import (
    ArchiveStore,
    CatalogueRepository,
    Clock,
    ControlDatabase,
)
from thingport.domain.catalogue import Tenant, Thing
from thingport.domain.erasure import ErasedThing, ErasureRecord, Verification
from thingport.domain.errors import InvalidRequest, StoreUnavailable
from thingport.domain.ids import CustomerId, DataExportId, ThingId

DEFAULT_WITHIN = timedelta(hours=1)
"""How long exports of other things are waited for, if nothing else is said."""

MAX_VAIN_TRIES = 100
"""How often rewriting is tried while others are in the way each time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """Erases the readings of things; their entries in the catalogue stay.

    Attributes:
        pause: Waits for some time.
    """

    control: ControlDatabase
    open_eraser: OpenLakeEraser
    archives: ArchiveStore
    import_files: ImportFiles
    clock: Clock
    pause: Pause

    def find_things(
        self, tenant: Tenant, things: Sequence[str], customer: str | None
    ) -> Sequence[ErasedThing]:
        """Give the things that are meant, each with its sub-things, by id.

        Args:
            tenant: Whose things they are.
            things: Serial numbers or ids.
            customer: Code or id of a customer: all that stands at its locations.

        Raises:
            InvalidRequest: Something is unknown or ambiguous, or nothing is named.
        """
        if not things and customer is None:
            raise InvalidRequest("name what to erase, by --thing or by --customer")
        with self.control.for_tenant(tenant.id, read_only=True) as tx:
            catalogue = tx.catalogue
            found: dict[ThingId, Thing] = {}
            for name in things:
                for placed in catalogue.iter_placed_things(
                    thing_id=_find_thing(catalogue, name)
                ):
                    found[placed.thing.id] = placed.thing
            if customer is not None:
                customer_id = _find_customer(catalogue, customer)
                for placed in catalogue.iter_placed_things(customer_id=customer_id):
                    found[placed.thing.id] = placed.thing
        return [ErasedThing(it, found[it].serial_number) for it in sorted(found)]

    def erase(
        self,
        tenant: Tenant,
        things: Sequence[ErasedThing],
        *,
        within: timedelta = DEFAULT_WITHIN,
        tell: Tell = lambda _sentence: None,
    ) -> ErasureRecord:
        """Erase all readings of things, and look whether anything of them is left.

        Args:
            tenant: Whose things they are.
            things: Which ones.
            within: How long exports of other things may go on reading files with
                erased rows in them; then they are ended.
            tell: Takes sentences on how far it has got.

        Raises:
            StoreUnavailable: A store is away or busy; it is to be run again.
            CorruptData: The lake is damaged; it is to be mended, and this run again.
        """
        began_at = self.clock.now()
        thing_ids = [it.id for it in things]
        exports = self._exports_of(tenant, tell)
        imports = self._imports_of(tenant)
        with self.open_eraser(tenant.id) as eraser:
            # Before the rows go: what one of them has stored by then is among these.
            tell(f"{imports.end_those_of(thing_ids):,} imports ended and forgotten.")
            imports.wait_until_withdrawn()
            rows = eraser.delete_things(thing_ids)
            tell(f"{rows.rows:,} rows removed from the present state.")
            erased = Erased({*thing_ids}, rows.snapshot or 0)
            run = _Run(exports, imports, eraser, tell, erased)
            if rows.snapshot is not None:
                run.remove_everywhere(until=began_at + within)
            self.control.forget_deleted_bytes()
            verification = run.verify(thing_ids, rows)
        return ErasureRecord(
            tenant=tenant.name,
            things=things,
            began_at=began_at,
            ended_at=self.clock.now(),
            rows_removed=rows.rows,
            files_rewritten=run.files_rewritten,
            views_expired=run.views_expired,
            leftovers_deleted=run.leftovers_deleted,
            exports_ended=run.exports_ended,
            exports_cut_short=run.exports_cut_short,
            archives_removed=run.archives_removed,
            verification=verification,
        )

    def _exports_of(self, tenant: Tenant, tell: Tell) -> ErasedExports:
        return ErasedExports(
            tenant_id=tenant.id,
            control=self.control,
            archives=self.archives,
            clock=self.clock,
            pause=self.pause,
            tell=tell,
        )

    def _imports_of(self, tenant: Tenant) -> ErasedImports:
        return ErasedImports(
            tenant_id=tenant.id,
            control=self.control,
            files=self.import_files,
            clock=self.clock,
            pause=self.pause,
        )


@dataclass(slots=True)
class _Run:
    """One run of an erasure, and what it has done so far."""

    exports: ErasedExports
    imports: ErasedImports
    eraser: LakeEraser
    tell: Tell
    erased: Erased
    files_rewritten: int = 0
    views_expired: int = 0
    leftovers_deleted: int = 0
    exports_ended: Sequence[DataExportId] = ()
    exports_cut_short: Sequence[DataExportId] = ()
    archives_removed: Sequence[DataExportId] = ()

    def remove_everywhere(self, *, until: datetime) -> None:
        """Remove what is gone from the present state from everything else too."""
        exports, eraser, erased = self.exports, self.eraser, self.erased
        ended = exports.end_those_with(erased)
        snapshot = self._rewrite()
        self.tell(f"{self.files_rewritten:,} files rewritten without them.")
        # From here on none can be stored that shows them, so this finds the last.
        exports.forbid_older_than(snapshot)
        self.exports_ended = [*ended, *exports.end_those_with(erased)]
        self.exports_cut_short = exports.wait_for_older_than(snapshot, until=until)
        exports.wait_until_withdrawn()
        self.archives_removed = exports.discard(erased)
        self.tell(f"{len(self.archives_removed):,} archives removed.")
        self.imports.wait_for_older_than(snapshot, until=until)
        while expired := eraser.expire_before(snapshot):
            self.views_expired += expired
        self.leftovers_deleted = eraser.delete_leftovers()
        eraser.scrub_catalogue()
        self.tell(f"{self.views_expired:,} views of the past given up.")

    def verify(self, thing_ids: Sequence[ThingId], rows: ErasedRows) -> Verification:
        """Look whether anything is left, wherever it may be."""
        found = self.eraser.inspect(thing_ids, rows.end_seq)
        stored = self.exports.archives.list_stored(self.exports.tenant_id)
        left = self.exports.list_left(self.erased)
        return Verification(
            lake_files=found.files,
            rows_left=found.rows,
            rows_since=found.rows_since,
            mentions_left=found.mentions,
            unreadable=found.unreadable,
            stored_exports=len(stored),
            exports_left=[it.id for it in left],
        )

    def _rewrite(self) -> int:
        """Rewrite all files with deleted rows; give a view that needs no old ones."""
        vain_tries = 0
        while (snapshot := self.eraser.find_rewritten()) is None:
            rewritten = self.eraser.rewrite()
            self.files_rewritten += rewritten
            vain_tries = 0 if rewritten else vain_tries + 1
            if vain_tries == MAX_VAIN_TRIES:
                raise StoreUnavailable("the lake", "others are in the way each time")
        return snapshot


def _find_thing(catalogue: CatalogueRepository, name: str) -> ThingId:
    things = catalogue.list_things()
    found = [it.id for it in things if name in {it.id, it.serial_number}]
    _require_one("--thing", name, found)
    return found[0]


def _find_customer(catalogue: CatalogueRepository, name: str) -> CustomerId:
    customers = catalogue.get_network().customers
    found = [it.id for it in customers if name in {it.id, it.code}]
    _require_one("--customer", name, found)
    return found[0]


def _require_one(option: str, name: str, found: Sequence[str]) -> None:
    if not found:
        raise InvalidRequest(f"{option}: there is none called {name!r}")
    if len(found) > 1:
        raise InvalidRequest(f"{option}: {name!r} is one's name and another's id")
