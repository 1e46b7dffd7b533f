"""What becomes of exports whose readings are taken away."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from thingport.application.erasure_ports import StoredExport
from thingport.application.export_failures import CUT_SHORT, DATA_ERASED
from thingport.application.ports import ArchiveStore, Clock, ControlDatabase
from thingport.application.run_data_export import LEASE
from thingport.domain.data_export import DataExport, DataExportState, ExportError
from thingport.domain.errors import CorruptData
from thingport.domain.export_plan import ExportPlan
from thingport.domain.ids import DataExportId, TenantId, ThingId

PAUSE = timedelta(milliseconds=200)
"""How often is looked whether something that is waited for has happened."""

Pause = Callable[[timedelta], None]
"""Waits for some time."""

Tell = Callable[[str], None]
"""Takes a sentence that says how far something has got."""


@dataclass(frozen=True, slots=True)
class Erased:
    """What no export may show any more.

    Attributes:
        thing_ids: Whose readings.
        snapshot: The first view without them.
    """

    thing_ids: Collection[ThingId]
    snapshot: int

    def is_in(self, plan: ExportPlan | None) -> bool:
        """Whether an export may show some of it; one whose plan is gone may."""
        if plan is None:
            return True
        if plan.snapshot is None or plan.snapshot >= self.snapshot:
            return False
        return any(file.thing_id in self.thing_ids for file in plan.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasedExports:
    """Ends exports of one tenant and removes what was made of them.

    Each step finds out anew what there is to do, so it may be done again.

    Attributes:
        pause: Waits for some time.
        tell: Takes sentences on how far it has got.
    """

    tenant_id: TenantId
    control: ControlDatabase
    archives: ArchiveStore
    clock: Clock
    pause: Pause
    tell: Tell

    def end_those_with(self, erased: Erased) -> Sequence[DataExportId]:
        """End the PENDING exports that may show something erased; give which."""
        with self.control.for_tenant(self.tenant_id, read_only=True) as tx:
            pending = tx.data_exports.list_pending()
        showing = [it for it in pending if erased.is_in(self._find_plan(it))]
        return self._end(showing, DATA_ERASED)

    def end_all(self) -> Sequence[DataExportId]:
        """End every PENDING export; give which."""
        with self.control.for_tenant(self.tenant_id, read_only=True) as tx:
            pending = tx.data_exports.list_pending()
        return self._end(pending, DATA_ERASED)

    def forbid_older_than(self, snapshot: int) -> None:
        """Let no export be stored any more that would read at an older view."""
        with self.control.for_tenant(self.tenant_id) as tx:
            tx.upkeep.raise_oldest_snapshot(snapshot)

    def wait_for_older_than(
        self, snapshot: int, *, until: datetime
    ) -> Sequence[DataExportId]:
        """Return when no PENDING export reads at an older view than this.

        Those that take longer than until an instant are ended; give which.
        """
        is_told = False
        while older := self._list_older(snapshot):
            if self.clock.now() >= until:
                return self._end(older, CUT_SHORT)
            if not is_told:
                ids = ", ".join(it.id for it in older)
                self.tell(f"Waiting for exports of other things to end: {ids}")
                is_told = True
            self.pause(PAUSE)
        return ()

    def wait_until_withdrawn(self) -> None:
        """Return when no runner is at work on an export that has ended.

        One that has died says nothing, but its lease ends.
        """
        while self._is_any_held():
            self.pause(PAUSE)

    def discard(self, erased: Erased) -> Sequence[DataExportId]:
        """Remove archives that show something erased, and what is left of dead ones."""
        discarded: list[DataExportId] = []
        for stored in self.list_left(erased):
            self.archives.discard_staging(self.tenant_id, stored.id)
            if stored.has_archive:
                self.archives.discard_archive(self.tenant_id, stored.id)
            with self.control.for_tenant(self.tenant_id) as tx:
                tx.data_exports.forget_segments(stored.id)
            discarded.append(stored.id)
        return discarded

    def list_left(self, erased: Erased) -> Sequence[StoredExport]:
        """Give what the archive store has of exports and should not have any more."""
        left: list[StoredExport] = []
        for stored in self.archives.list_stored(self.tenant_id):
            with self.control.for_tenant(self.tenant_id, read_only=True) as tx:
                data_export = tx.data_exports.find(stored.id)
            if self._is_left(data_export, erased):
                left.append(stored)
        return left

    def _is_left(self, data_export: DataExport | None, erased: Erased) -> bool:
        if data_export is None:
            return True
        is_dead = data_export.state is DataExportState.ERROR
        return is_dead or erased.is_in(self._find_plan(data_export))

    def _list_older(self, snapshot: int) -> Sequence[DataExport]:
        with self.control.for_tenant(self.tenant_id, read_only=True) as tx:
            pending = tx.data_exports.list_pending()
        return [it for it in pending if _is_older(self._find_plan(it), snapshot)]

    def _end(
        self, data_exports: Sequence[DataExport], error: ExportError
    ) -> Sequence[DataExportId]:
        ended: list[DataExportId] = []
        for data_export in data_exports:
            failed = data_export.fail(error, at=self.clock.now())
            with self.control.for_tenant(self.tenant_id) as tx:
                if tx.data_exports.end(failed):
                    ended.append(failed.id)
        return ended

    def _find_plan(self, data_export: DataExport) -> ExportPlan | None:
        try:
            return self.archives.load_plan(self.tenant_id, data_export.id)
        except CorruptData:
            return None

    def _is_any_held(self) -> bool:
        with self.control.for_tenant(self.tenant_id, read_only=True) as tx:
            return tx.data_exports.is_any_held(now=self.clock.now(), lease=LEASE)


def _is_older(plan: ExportPlan | None, snapshot: int) -> bool:
    if plan is None:
        return True
    return plan.snapshot is not None and plan.snapshot < snapshot
