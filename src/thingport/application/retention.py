"""For how long the readings of tenants are kept."""

from dataclasses import dataclass

from thingport.application.ports import ControlDatabase
from thingport.domain.catalogue import Tenant
from thingport.domain.retention import check_months


@dataclass(frozen=True, slots=True)
class Retention:
    """Says and settles for how long readings are kept; housekeeping sees to it."""

    control: ControlDatabase

    def get_months(self, tenant: Tenant) -> int | None:
        """Give for how many months a tenant's readings are kept; ``None`` for ever."""
        with self.control.for_tenant(tenant.id, read_only=True) as tx:
            return tx.upkeep.get_retention_months()

    def set_months(self, tenant: Tenant, months: int | None) -> None:
        """Keep a tenant's readings for some months, or for ever.

        Raises:
            InvalidRequest: They cannot be kept for so many.
        """
        if months is not None:
            check_months(months)
        with self.control.for_tenant(tenant.id) as tx:
            tx.upkeep.set_retention_months(months)
