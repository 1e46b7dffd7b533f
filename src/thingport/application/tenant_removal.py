"""Removing a tenant, so that nothing of it is left.

First nobody finds the tenant any more: callers are not let in, links lead nowhere,
runners do not look after its lake, and writers get no numbers for readings, so they
store nothing. What is under way ends. Then all goes, the tenant's own row last: as long
as that is there, a removal that was broken off is simply run again.
"""

from collections.abc import Callable
from dataclasses import dataclass

from thingport.application.erased_exports import ErasedExports, Pause, Tell
from thingport.application.erased_imports import ErasedImports
from thingport.application.import_ports import ImportFiles
from thingport.application.ports import ArchiveStore, Clock, ControlDatabase
from thingport.domain.catalogue import Tenant
from thingport.domain.errors import InvalidRequest
from thingport.domain.ids import TenantId

RemoveLake = Callable[[TenantId], None]
"""Removes all that there is of a tenant's lake, if there is anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantRemoval:
    """Removes tenants.

    Attributes:
        pause: Waits for some time.
    """

    control: ControlDatabase
    remove_lake: RemoveLake
    archives: ArchiveStore
    import_files: ImportFiles
    clock: Clock
    pause: Pause

    def remove(self, name: str, tell: Tell = lambda _sentence: None) -> Tenant:
        """Remove a tenant and all that is kept of it; give what it was.

        Args:
            name: The tenant's exact name.
            tell: Takes sentences on how far it has got.

        Raises:
            InvalidRequest: There is no such tenant.
            StoreUnavailable: A store is away or busy; it is to be run again.
        """
        with self.control.for_service() as tx:
            tenant = tx.tenants.begin_removal(name, at=self.clock.now())
        if tenant is None:
            raise InvalidRequest(f"tenant: there is none called {name!r}")
        exports = ErasedExports(
            tenant_id=tenant.id,
            control=self.control,
            archives=self.archives,
            clock=self.clock,
            pause=self.pause,
            tell=tell,
        )
        imports = ErasedImports(
            tenant_id=tenant.id,
            control=self.control,
            files=self.import_files,
            clock=self.clock,
            pause=self.pause,
        )
        imports.end_all()
        ended = exports.end_all()
        tell(f"{len(ended):,} exports ended.")
        exports.wait_until_withdrawn()
        imports.wait_until_withdrawn()
        self._remove_files(tenant.id)
        tell("Readings and archives removed.")
        with self.control.for_service() as tx:
            tx.tenants.remove_rows(tenant.id)
        # Once more: what was under way when it began may have come late.
        self._remove_files(tenant.id)
        self.control.forget_deleted_bytes()
        with self.control.for_service() as tx:
            tx.tenants.remove(tenant.id)
        self.control.forget_deleted_bytes()
        return tenant

    def _remove_files(self, tenant_id: TenantId) -> None:
        self.remove_lake(tenant_id)
        self.archives.discard_tenant(tenant_id)
        self.import_files.discard_tenant(tenant_id)
