"""A tenant's catalogue, and what a file makes of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from thingport.domain.catalogue import (
    Customer,
    Definitions,
    Location,
    Organization,
    Partner,
    ProductModel,
    ProductModelPart,
    Thing,
    ThingDefinition,
)
from thingport.domain.catalogue_document import Faults
from thingport.domain.catalogue_file import Entry
from thingport.domain.catalogue_register import E, Id, Key, NewId, Register
from thingport.domain.ids import (
    CustomerId,
    LocationId,
    MetricId,
    OrganizationId,
    PartnerId,
    ProductModelId,
    ProductModelPartId,
    ThingDefinitionId,
    ThingId,
)
from thingport.domain.metric import Metric
from thingport.domain.visibility import Network


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCatalogue:
    """Everything that a tenant's catalogue has."""

    network: Network
    definitions: Definitions
    locations: Iterable[Location]
    things: Iterable[Thing]


class CatalogueUpdate:
    """All entities of a tenant by their natural keys, and how a file changes them."""

    def __init__(self, stored: StoredCatalogue, faults: Faults) -> None:
        self.faults = faults
        network, definitions = stored.network, stored.definitions
        self.organizations = Register[OrganizationId, Organization](
            "organization",
            {it.id: it for it in network.organizations},
            lambda it: (it.name,),
            OrganizationId,
        )
        self.partners = Register[PartnerId, Partner](
            "partner",
            {it.id: it for it in network.partners},
            lambda it: (it.name,),
            PartnerId,
        )
        self.customers = Register[CustomerId, Customer](
            "customer",
            {it.id: it for it in network.customers},
            lambda it: (it.code,),
            CustomerId,
        )
        self.locations = Register[LocationId, Location](
            "location",
            {it.id: it for it in stored.locations},
            lambda it: (*self.customers.key_of(it.customer_id), it.name),
            LocationId,
        )
        self._register_definitions(definitions)
        self.things = Register[ThingId, Thing](
            "thing",
            {it.id: it for it in stored.things},
            lambda it: (it.serial_number,),
            ThingId,
        )

    def _register_definitions(self, definitions: Definitions) -> None:
        self.thing_definitions = Register[ThingDefinitionId, ThingDefinition](
            "thing definition",
            definitions.thing_definitions,
            lambda it: (it.name,),
            ThingDefinitionId,
        )
        self.metrics = Register[MetricId, Metric](
            "metric",
            definitions.metrics,
            lambda it: (
                *self.thing_definitions.key_of(it.thing_definition_id),
                it.name,
            ),
            MetricId,
        )
        self.product_models = Register[ProductModelId, ProductModel](
            "product model",
            definitions.product_models,
            lambda it: (it.name,),
            ProductModelId,
        )
        self.parts = Register[ProductModelPartId, ProductModelPart](
            "part",
            definitions.product_model_parts,
            lambda it: (*self.product_models.key_of(it.product_model_id), it.name),
            ProductModelPartId,
        )

    def identify(self, entries: Mapping[str, Sequence[Entry]], new_id: NewId) -> None:
        """Find or take in what every entry is about, so that all can be referred to."""
        self._identify(self.organizations, entries["organizations"], "name", new_id)
        self._identify(self.partners, entries["partners"], "name", new_id)
        self._identify(self.customers, entries["customers"], "code", new_id)
        self._identify(
            self.thing_definitions, entries["thingDefinitions"], "name", new_id
        )
        self._identify(self.product_models, entries["productModels"], "name", new_id)
        self._identify(self.things, entries["things"], "serialNumber", new_id)
        self._identify_nested(self.locations, entries["customers"], "code", new_id)
        self._identify_metrics(entries["thingDefinitions"], new_id)
        self._identify_nested(self.parts, entries["productModels"], "name", new_id)

    def _identify_metrics(self, definitions: Iterable[Entry], new_id: NewId) -> None:
        found: list[tuple[Entry, Key]] = [
            (entry, (definition, name))
            for owner in definitions
            if (definition := owner.find_text("name"))
            for entry in owner.nested
            if (name := entry.find_text("name"))
        ]
        for entry, key in self.metrics.rename(found, "name", self.faults):
            self.metrics.identify(entry, key, "name", self.faults, new_id)

    def _identify_nested(
        self,
        register: Register[Id, E],
        owners: Iterable[Entry],
        owner_key: str,
        new_id: NewId,
    ) -> None:
        for owner in owners:
            if owner_name := owner.find_text(owner_key):
                self._identify(register, owner.nested, "name", new_id, owner_name)

    def _identify(
        self,
        register: Register[Id, E],
        entries: Iterable[Entry],
        key_field: str,
        new_id: NewId,
        *owner: str,
    ) -> None:
        for entry in entries:
            if name := entry.find_text(key_field):
                key: Key = (*owner, name)
                register.identify(entry, key, key_field, self.faults, new_id)

    def refer(
        self,
        entry: Entry,
        field: str,
        register: Register[Id, E],
        stored: Id | None,
        owner: str | None = None,
    ) -> Id | None:
        """Follow a reference; what is not mentioned stays as it is stored."""
        given = entry.texts.get(field)
        if given is None:
            return stored
        if given.text is None:
            return None
        key = (given.text,) if owner is None else (owner, given.text)
        found = register.find_id(*key)
        if found is None:
            reason = f"there is no {register.kind} {given.text!r}"
            self.refuse(entry, field, reason)
        return found

    def refuse(self, entry: Entry, field: str, reason: str) -> None:
        """Note what is wrong with a field, in its line, or the entry's without it."""
        given = entry.texts.get(field)
        line = entry.line if given is None else given.line
        self.faults.add(line, f"{entry.path}.{field}", reason)

    def require(self, entry: Entry, field: str, reason: str = "is required") -> None:
        """Note that a field is missing, unless it is there and faulty."""
        if self.is_missing(entry, field):
            self.refuse(entry, field, reason)

    @staticmethod
    def is_missing(entry: Entry, field: str) -> bool:
        """Whether a field is not mentioned, or null."""
        if field in entry.texts:
            return entry.texts[field].text is None
        return field not in entry.mentioned
