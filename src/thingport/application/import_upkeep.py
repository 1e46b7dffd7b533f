"""Forgetting imports that ended long ago, and files that nobody waits for."""

from dataclasses import dataclass
from datetime import timedelta

from thingport.application.import_ports import ImportFiles
from thingport.application.ports import Clock, ControlDatabase
from thingport.domain.ids import TenantId

_LEFT_AFTER = timedelta(hours=1)
"""A file that was not written for so long is not being received any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportUpkeep:
    """Looks after the imports of all tenants.

    Attributes:
        retention: How long an import is kept after its end.
    """

    control: ControlDatabase
    files: ImportFiles
    clock: Clock
    retention: timedelta

    def look_after_all(self) -> int:
        """Forget what has passed, of every tenant; give how much it was."""
        with self.control.for_service(read_only=True) as tx:
            tenants = tx.tenants.list_all()
        return sum(self._look_after(it.id) for it in tenants)

    def _look_after(self, tenant_id: TenantId) -> int:
        now = self.clock.now()
        left = self.files.list_older(tenant_id, before=now - _LEFT_AFTER)
        with self.control.for_tenant(tenant_id) as tx:
            forgotten = tx.data_imports.forget_ended(before=now - self.retention)
            found = {it: tx.data_imports.find(it) for it in left}
        unwanted = [
            it
            for it, found_import in found.items()
            if found_import is None or not found_import.is_active
        ]
        for it in unwanted:
            self.files.discard(tenant_id, it)
        return forgotten + len(unwanted)
