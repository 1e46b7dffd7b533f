"""A control database in memory; so far it keeps catalogues only."""

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar, get_args

from thingport.application.ports import (
    CatalogueEntity,
    CredentialRepository,
    DataExportRepository,
    ServiceTransaction,
)
from thingport.domain.catalogue import (
    Customer,
    Definitions,
    Location,
    Organization,
    Partner,
    PlacedThing,
    ProductModel,
    ProductModelPart,
    Thing,
    ThingDefinition,
)
from thingport.domain.ids import CustomerId, LocationId, TenantId, ThingId
from thingport.domain.metric import Metric
from thingport.domain.visibility import Network

E = TypeVar("E", bound=CatalogueEntity)

Rows = dict[tuple[type, str], CatalogueEntity]


class FakeCatalogueRepository:
    """The catalogue of one tenant, in a dict.

    Attributes:
        saves: How many entities were saved, ever.
    """

    def __init__(self) -> None:
        self.rows: Rows = {}
        self.saves = 0

    def get_definitions(self) -> Definitions:
        return Definitions(
            thing_definitions=self._all(ThingDefinition),
            metrics=self._all(Metric),
            product_models=self._all(ProductModel),
            product_model_parts=self._all(ProductModelPart),
        )

    def get_network(self) -> Network:
        return Network(
            organizations=self._all(Organization),
            partners=self._all(Partner),
            customers=self._all(Customer),
        )

    def list_locations(self) -> list[Location]:
        return self._all(Location)

    def list_things(self) -> list[Thing]:
        return self._all(Thing)

    def find_customer(self, customer_id: CustomerId) -> Customer | None:
        return self._find(Customer, customer_id)

    def find_location(self, location_id: LocationId) -> Location | None:
        return self._find(Location, location_id)

    def find_thing(self, thing_id: ThingId) -> PlacedThing | None:
        thing = self._find(Thing, thing_id)
        return None if thing is None else self._place(thing)

    def iter_placed_things(
        self,
        *,
        customer_id: CustomerId | None = None,
        location_id: LocationId | None = None,
        thing_id: ThingId | None = None,
    ) -> Iterator[PlacedThing]:
        for thing in sorted(self.list_things(), key=lambda it: it.id):
            placed = self._place(thing)
            location, customer = placed.location, placed.customer
            if (
                (customer_id is None or (customer and customer.id == customer_id))
                and (location_id is None or (location and location.id == location_id))
                and (thing_id is None or thing_id in placed.ancestor_ids)
            ):
                yield placed

    def save(self, entity: CatalogueEntity) -> None:
        for owner in _owners_of(entity):
            stored = any(
                (kind, owner) in self.rows for kind in get_args(CatalogueEntity)
            )
            assert stored, f"{owner} is not stored"
        self.rows[type(entity), entity.id] = entity
        self.saves += 1

    def _all(self, kind: type[E]) -> list[E]:
        return [it for it in self.rows.values() if isinstance(it, kind)]

    def _find(self, kind: type[E], id_: str) -> E | None:
        found = self.rows.get((kind, id_))
        return found if isinstance(found, kind) else None

    def _place(self, thing: Thing) -> PlacedThing:
        ancestors = [thing]
        while (above := ancestors[-1].parent_thing_id) is not None:
            parent = self._find(Thing, above)
            assert parent is not None
            ancestors.append(parent)
        root = ancestors[-1]
        location = self._find(Location, root.location_id or "")
        customer = self._find(Customer, location.customer_id if location else "")
        return PlacedThing(
            thing=thing,
            root_id=root.id,
            ancestor_ids=tuple(it.id for it in ancestors),
            location=location,
            customer=customer,
        )


class FakeTenantTransaction:
    """A transaction that reaches a catalogue."""

    def __init__(self, catalogue: FakeCatalogueRepository) -> None:
        self.catalogue = catalogue

    @property
    def data_exports(self) -> DataExportRepository:
        raise NotImplementedError

    @property
    def credentials(self) -> CredentialRepository:
        raise NotImplementedError

    def allocate_written_seqs(self, count: int) -> int:
        raise NotImplementedError


class FakeControlDatabase:
    """Catalogues by tenant; a transaction that fails leaves no trace."""

    def __init__(self) -> None:
        self.catalogues: dict[TenantId, FakeCatalogueRepository] = {}

    @contextmanager
    def for_tenant(
        self, tenant_id: TenantId, *, read_only: bool = False
    ) -> Generator[FakeTenantTransaction]:
        catalogue = self.catalogues.setdefault(tenant_id, FakeCatalogueRepository())
        before = dict(catalogue.rows)
        try:
            yield FakeTenantTransaction(catalogue)
        except BaseException:
            catalogue.rows = before
            raise
        assert not read_only or catalogue.rows == before

    @contextmanager
    def for_service(self) -> Generator[ServiceTransaction]:
        raise NotImplementedError
        yield


def _owners_of(entity: CatalogueEntity) -> Iterable[str]:
    """Give what a real database's foreign keys would want to be there."""
    names = (
        "organization_id",
        "parent_organization_id",
        "parent_partner_id",
        "customer_id",
        "super_thing_definition_id",
        "thing_definition_id",
        "product_model_id",
        "product_model_part_id",
        "parent_product_model_part_id",
        "location_id",
        "parent_thing_id",
    )
    found = (getattr(entity, name, None) for name in names)
    return [it for it in found if isinstance(it, str)]
