"""Keeping the lakes quick to read and their past no longer than it is needed.

Why no snapshot expires that an export reads: only what ceased to be the present state
longer than ``snapshot_retention`` ago is given up, and only what is older than the
snapshot of every PENDING export. An export that is being scheduled is not known yet;
but it refuses to be stored once ``MAX_SCHEDULING`` has passed since it looked up the
present state. So it is stored either before the pins are looked up, and is among them;
or later, and then its snapshot was the present state until less than ``MAX_SCHEDULING``
before that, and is not due: the retention is longer, by more than clocks differ.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from thingport.application.ports import Clock, ControlDatabase
from thingport.application.upkeep_ports import LakeKeeper, LakeSize, OpenLakeKeeper
from thingport.domain.catalogue import Tenant
from thingport.domain.ids import TenantId
from thingport.domain.retention import retention_start_ms

MIN_SNAPSHOT_RETENTION = timedelta(minutes=30)
"""Shortest time for which a bygone state stays: three times what scheduling may take,
so that clocks may differ by minutes."""


@dataclass(frozen=True, slots=True)
class UpkeepStep:
    """What was done in one step of looking after a lake.

    Attributes:
        merged_files: Files that became one.
        expired_snapshots: States of the past that were given up.
        deleted_files: Leftovers of processes that died.
        outdated_files: Files that became one without what is too old.
    """

    merged_files: int = 0
    expired_snapshots: int = 0
    deleted_files: int = 0
    outdated_files: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Housekeeping:
    """Looks after the lakes of all tenants, in steps that keep nobody waiting.

    Wherever it is broken off, lakes are right, and the next time goes on.

    Attributes:
        snapshot_retention: How long a bygone state of a lake stays; more than
            ``MAX_SCHEDULING``.
    """

    control: ControlDatabase
    open_keeper: OpenLakeKeeper
    clock: Clock
    snapshot_retention: timedelta

    def list_tenants(self) -> Sequence[Tenant]:
        """Give all tenants whose lakes there are to look after."""
        with self.control.for_service(read_only=True) as tx:
            return tx.tenants.list_all()

    def measure(self, tenant_id: TenantId) -> LakeSize:
        """Say what a tenant's lake takes."""
        with self.open_keeper(tenant_id) as keeper:
            return keeper.measure()

    def iter_steps(
        self, tenant_id: TenantId, *, is_thorough: bool = False
    ) -> Generator[UpkeepStep]:
        """Do what is due for one tenant, and tell of each step when it is done.

        What merging puts out of use is deleted when its snapshots expire: later.

        Args:
            tenant_id: Whose lake it is.
            is_thorough: Whether to merge all files that can be one.

        Raises:
            StoreUnavailable: The lake or the control database is away.
            CorruptData: The lake is damaged.
        """
        with self.open_keeper(tenant_id) as keeper:
            while expired := self._expire(tenant_id, keeper):
                yield UpkeepStep(expired_snapshots=expired)
            before = self.clock.now() - self.snapshot_retention
            if deleted := keeper.delete_leftovers(before=before):
                yield UpkeepStep(deleted_files=deleted)
            while outdated := self._drop_outdated(tenant_id, keeper):
                yield UpkeepStep(outdated_files=outdated)
            while merged := keeper.compact(is_thorough=is_thorough):
                yield UpkeepStep(merged_files=merged)

    def _drop_outdated(self, tenant_id: TenantId, keeper: LakeKeeper) -> int:
        with self.control.for_tenant(tenant_id, read_only=True) as tx:
            months = tx.upkeep.get_retention_months()
        if months is None:
            return 0
        return keeper.drop_before(retention_start_ms(self.clock.now(), months))

    def _expire(self, tenant_id: TenantId, keeper: LakeKeeper) -> int:
        # The time is taken before the pins are; see the argument above.
        before = self.clock.now() - self.snapshot_retention
        # Not read-only, though it writes nothing: so it waits for an export that
        # is being stored, where it would not see it otherwise.
        with self.control.for_tenant(tenant_id) as tx:
            # An import is looked for in the snapshots since it began to be stored.
            pins = (
                tx.data_exports.find_oldest_pin(),
                tx.data_imports.find_oldest_pin(),
            )
        oldest_pin = min((it for it in pins if it is not None), default=None)
        return keeper.expire(before=before, oldest_pin=oldest_pin)
