"""Things with their places, in a fixed number of queries."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Select, and_, select

from thingport.adapters.sql.catalogue_rows import to_thing
from thingport.adapters.sql.catalogue_tables import locations, things
from thingport.adapters.sql.places import load_customers, load_locations
from thingport.domain.catalogue import PlacedThing, Thing, ThingKey
from thingport.domain.errors import CorruptData
from thingport.domain.ids import CustomerId, LocationId, TenantId, ThingId

_MAX_LISTED = 1_000
"""Most keys in one query; engines take some ten thousand parameters at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedThingQuery:
    """Which things of a tenant are wanted; each filter narrows."""

    tenant_id: TenantId
    customer_id: CustomerId | None = None
    location_id: LocationId | None = None
    thing_id: ThingId | None = None

    def iter_from(self, connection: Connection) -> Iterator[PlacedThing]:
        """Yield them by id.

        Holds all the rows that it needs from the first item on.

        Raises:
            CorruptData: A thing is a part of itself.
        """
        for placed in _iter_placed(connection, self.tenant_id, self._needed_ids()):
            if self._wants(placed):
                yield placed

    def _needed_ids(self) -> Select[str] | None:
        """Select the things that are wanted and all that say where they stand."""
        if self.thing_id is not None:
            seed = things.c.id == self.thing_id
            below = _walk(self.tenant_id, seed, upwards=False)
            return (
                below.union(_walk(self.tenant_id, seed, upwards=True))
                .subquery()
                .select()
            )
        if self.location_id is not None or self.customer_id is not None:
            seed = and_(
                things.c.parent_thing_id.is_(None),
                things.c.location_id.in_(self._root_location_ids()),
            )
            return _walk(self.tenant_id, seed, upwards=False)
        return None

    def _root_location_ids(self) -> Select[str]:
        ids = select(locations.c.id).where(locations.c.tenant_id == self.tenant_id)
        if self.location_id is not None:
            ids = ids.where(locations.c.id == self.location_id)
        if self.customer_id is not None:
            ids = ids.where(locations.c.customer_id == self.customer_id)
        return ids

    def _wants(self, placed: PlacedThing) -> bool:
        place = placed.location
        return (
            self.thing_id in {None, *placed.ancestor_ids}
            and self.location_id in {None, place and place.id}
            and self.customer_id in {None, place and place.customer_id}
        )


def find_placed_thing(
    connection: Connection, tenant_id: TenantId, thing_id: ThingId
) -> PlacedThing | None:
    """Give one thing with its place, or ``None``.

    Raises:
        CorruptData: It is a part of itself.
    """
    above = _walk(tenant_id, things.c.id == thing_id, upwards=True)
    for placed in _iter_placed(connection, tenant_id, above):
        if placed.thing.id == thing_id:
            return placed
    return None


def find_placed_things(
    connection: Connection, tenant_id: TenantId, keys: Collection[str], by: ThingKey
) -> Mapping[str, PlacedThing]:
    """Give those of some things that there are, with their places, by key.

    Raises:
        CorruptData: One is a part of itself.
    """
    column = things.c.id if by is ThingKey.ID else things.c.serial_number
    wanted = sorted(set(keys))
    found: dict[str, PlacedThing] = {}
    for first in range(0, len(wanted), _MAX_LISTED):
        listed = wanted[first : first + _MAX_LISTED]
        above = _walk(tenant_id, column.in_(listed), upwards=True)
        placed = _iter_placed(connection, tenant_id, above)
        found |= {by.of(it.thing): it for it in placed}
    # Those above what was asked for have come along.
    return {it: found[it] for it in wanted if it in found}


def _walk(
    tenant_id: TenantId, seed: ColumnElement[bool], *, upwards: bool
) -> Select[str]:
    """Select things and all that are part of them, or all that they are part of.

    Ends in a circle of parents as well: what was found is not followed again.
    """
    step = select(things.c.id, things.c.parent_thing_id).where(
        things.c.tenant_id == tenant_id
    )
    found = step.where(seed).cte("above" if upwards else "below", recursive=True)
    is_next = (
        things.c.id == found.c.parent_thing_id
        if upwards
        else things.c.parent_thing_id == found.c.id
    )
    return select(found.union(step.where(is_next)).c.id)


def _iter_placed(
    connection: Connection, tenant_id: TenantId, ids: Select[str] | None
) -> Iterator[PlacedThing]:
    mine = things.c.tenant_id == tenant_id
    rows = select(things).where(mine)
    location_ids = customer_ids = None
    if ids is not None:
        rows = rows.where(things.c.id.in_(ids))
        location_ids = select(things.c.location_id).where(mine, things.c.id.in_(ids))
        customer_ids = select(locations.c.customer_id).where(
            locations.c.tenant_id == tenant_id, locations.c.id.in_(location_ids)
        )
    customers = load_customers(connection, tenant_id, customer_ids)
    places = load_locations(connection, tenant_id, location_ids)
    found: Mapping[ThingId, Thing] = {
        row.id: to_thing(row) for row in connection.execute(rows.order_by(things.c.id))
    }
    lineages = _Lineages(found)
    for thing in found.values():
        lineage = lineages.of(thing.id)
        root = found[lineage[-1]]
        location = places[root.location_id] if root.location_id else None
        yield PlacedThing(
            thing=thing,
            root_id=root.id,
            ancestor_ids=lineage,
            location=location,
            customer=customers[location.customer_id] if location else None,
        )


class _Lineages:
    """What each thing is a part of, each looked up once."""

    def __init__(self, found: Mapping[ThingId, Thing]) -> None:
        self._found = found
        self._known: dict[ThingId, tuple[ThingId, ...]] = {}

    def of(self, thing_id: ThingId) -> tuple[ThingId, ...]:
        path: dict[ThingId, None] = {}
        following: ThingId | None = thing_id
        while following is not None and following not in self._known:
            if following in path:
                raise CorruptData(f"thing {following} is a part of itself")
            path[following] = None
            following = self._found[following].parent_thing_id
        lineage = self._known[following] if following is not None else ()
        for one in reversed(path):
            lineage = (one, *lineage)
            self._known[one] = lineage
        return lineage
