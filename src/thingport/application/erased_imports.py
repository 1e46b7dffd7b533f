"""What becomes of imports whose thing is erased."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from thingport.application.erased_exports import PAUSE, Pause
from thingport.application.import_failures import DATA_ERASED
from thingport.application.import_ports import ImportFiles
from thingport.application.ports import Clock, ControlDatabase, TenantTransaction
from thingport.application.run_data_import import LEASE
from thingport.domain.data_import import DataImport
from thingport.domain.errors import StoreUnavailable
from thingport.domain.ids import TenantId, ThingId


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasedImports:
    """Ends imports of one tenant, and removes their files and reports.

    Each step finds out anew what there is to do, so it may be done again.

    Attributes:
        pause: Waits for some time.
    """

    tenant_id: TenantId
    control: ControlDatabase
    files: ImportFiles
    clock: Clock
    pause: Pause

    def end_those_of(self, thing_ids: Collection[ThingId]) -> int:
        """End the PENDING imports of things, and forget the others; give how many.

        Who runs one that is ended stores nothing of it from then on. What was
        reported of a file may quote it.
        """
        with self.control.for_tenant(self.tenant_id) as tx:
            imports = tx.data_imports.list_of(thing_ids)
            for data_import in imports:
                if not (data_import.is_active and self._end(tx, data_import)):
                    tx.data_imports.remove(data_import.id)
        for data_import in imports:
            self.files.discard(self.tenant_id, data_import.id)
        return len(imports)

    def end_all(self) -> int:
        """End every PENDING import; give how many."""
        with self.control.for_tenant(self.tenant_id) as tx:
            pending = tx.data_imports.list_pending()
            for data_import in pending:
                self._end(tx, data_import)
        return len(pending)

    def wait_until_withdrawn(self) -> None:
        """Return when no runner reads the file of an import that was ended.

        By the end of its lease it has noticed, or died.
        """
        while self._is_any_held():
            self.pause(PAUSE)

    def wait_for_older_than(self, snapshot: int, *, until: datetime) -> None:
        """Return when no PENDING import has to be looked for in an older view.

        It is by its view that a runner knows whether another one has stored it.

        Raises:
            StoreUnavailable: One takes longer than until an instant.
        """
        while True:
            with self.control.for_tenant(self.tenant_id, read_only=True) as tx:
                oldest = tx.data_imports.find_oldest_pin()
            if oldest is None or oldest >= snapshot:
                return
            if self.clock.now() >= until:
                raise StoreUnavailable("the lake", "an import is being stored for long")
            self.pause(PAUSE)

    def _is_any_held(self) -> bool:
        with self.control.for_tenant(self.tenant_id, read_only=True) as tx:
            return tx.data_imports.is_any_held(now=self.clock.now(), lease=LEASE)

    def _end(self, tx: TenantTransaction, data_import: DataImport) -> bool:
        ended = data_import.fail(DATA_ERASED, at=self.clock.now())
        return tx.data_imports.end(ended)
