"""From entries of a file to organizations, partners, customers and locations."""

from collections.abc import Mapping

from thingport.domain.catalogue import Customer, Location, Organization, Partner
from thingport.domain.catalogue_file import Entry
from thingport.domain.catalogue_register import NewId
from thingport.domain.catalogue_update import CatalogueUpdate
from thingport.domain.ids import OrganizationId, PartnerId


def build_network(update: CatalogueUpdate, tenant_name: str, new_id: NewId) -> None:
    """Make what a file says of a tenant's business entities.

    A partner or customer that names no organization belongs to the tenant's
    only root organization. A tenant without any gets one of its own name.
    """
    _build_organizations(update)
    default = _DefaultOrganization(update, tenant_name, new_id)
    _build_partners(update, default)
    _build_customers(update, default)
    _build_locations(update)


def properties_of(entry: Entry, stored: Mapping[str, str]) -> Mapping[str, str]:
    """Merge an entry's properties into the stored ones."""
    merged = {} if entry.clears_properties else dict(stored)
    for name, value in entry.properties.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = value
    return merged


class _DefaultOrganization:
    """Where partners and customers belong that name no organization."""

    def __init__(
        self, update: CatalogueUpdate, tenant_name: str, new_id: NewId
    ) -> None:
        self._update = update
        self._tenant_name = tenant_name
        self._new_id = new_id

    def find(self, entry: Entry) -> OrganizationId | None:
        """Give its id, or refuse the entry because there are several."""
        organizations = self._update.organizations
        roots = [
            id_
            for id_, it in organizations.iter_all()
            if it.parent_organization_id is None
        ]
        if len(roots) == 1:
            return roots[0]
        if roots:
            reason = f"is required, because there are {len(roots)} root organizations"
            self._update.require(entry, "organization", reason)
            return None
        if organizations.entries:  # All of them are faulty, which is said already.
            return None
        id_ = organizations.create((self._tenant_name,), self._new_id())
        organizations.updated[id_] = Organization(id=id_, name=self._tenant_name)
        return id_


def _build_organizations(update: CatalogueUpdate) -> None:
    register = update.organizations
    for id_, entry in register.entries.items():
        stored = register.stored.get(id_)
        parent_id = update.refer(
            entry, "parent", register, stored.parent_organization_id if stored else None
        )
        if parent_id is not None or not entry.find_text("parent"):
            register.updated[id_] = Organization(
                id=id_,
                name=register.key_of(id_)[0],
                parent_organization_id=parent_id,
            )


def _build_partners(update: CatalogueUpdate, default: _DefaultOrganization) -> None:
    register = update.partners
    for id_, entry in register.entries.items():
        stored = register.stored.get(id_)
        organization_id = _organization_of(
            update, entry, stored.organization_id if stored else None, default
        )
        parent_id = update.refer(
            entry, "parent", register, stored.parent_partner_id if stored else None
        )
        if organization_id is not None:
            register.updated[id_] = Partner(
                id=id_,
                name=register.key_of(id_)[0],
                organization_id=organization_id,
                parent_partner_id=parent_id,
            )


def _build_customers(update: CatalogueUpdate, default: _DefaultOrganization) -> None:
    register = update.customers
    for id_, entry in register.entries.items():
        stored = register.stored.get(id_)
        organization_id = _organization_of(
            update, entry, stored.organization_id if stored else None, default
        )
        partner_ids = _partners_of(update, entry, stored)
        code = register.key_of(id_)[0]
        if organization_id is not None:
            register.updated[id_] = Customer(
                id=id_,
                code=code,
                name=entry.text_or("name", stored.name if stored else None) or code,
                organization_id=organization_id,
                partner_ids=partner_ids,
                country=entry.text_or("country", stored.country if stored else None),
                timezone=entry.text_or("timezone", stored.timezone if stored else None),
                properties=properties_of(entry, stored.properties if stored else {}),
            )


def _build_locations(update: CatalogueUpdate) -> None:
    register = update.locations
    for id_, entry in register.entries.items():
        stored = register.stored.get(id_)
        code, name = register.key_of(id_)
        customer_id = update.customers.find_id(code)
        if customer_id is not None:
            register.updated[id_] = Location(
                id=id_,
                customer_id=customer_id,
                name=name,
                country=entry.text_or("country", stored.country if stored else None),
                timezone=entry.text_or("timezone", stored.timezone if stored else None),
                properties=properties_of(entry, stored.properties if stored else {}),
            )


def _organization_of(
    update: CatalogueUpdate,
    entry: Entry,
    stored: OrganizationId | None,
    default: _DefaultOrganization,
) -> OrganizationId | None:
    if stored is None and "organization" not in entry.mentioned:
        return default.find(entry)
    return update.refer(entry, "organization", update.organizations, stored)


def _partners_of(
    update: CatalogueUpdate, entry: Entry, stored: Customer | None
) -> frozenset[PartnerId]:
    given = entry.lists.get("partners")
    if given is None:
        return stored.partner_ids if stored else frozenset()
    found: set[PartnerId] = set()
    for node in given:
        partner_id = update.partners.find_id(node.text or "")
        if partner_id is None:
            reason = f"there is no partner {node.text!r}"
            update.faults.add(node.line, f"{entry.path}.partners", reason)
        else:
            found.add(partner_id)
    return frozenset(found)
