"""What a large thing has in stretches of time: as fine as cutting it needs."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import duckdb

from thingport.adapters.lake.snapshot_query import SnapshotQuery
from thingport.adapters.lake.span_cutting import Stretch
from thingport.domain.chunking import row_cost_bytes
from thingport.domain.period import Period

_STRETCHES = 4_096
"""Stretches that one query asks for; it bounds the memory, whatever the thing has."""


@dataclass(frozen=True, slots=True)
class ThingStretches:
    """The stretches of one thing.

    Attributes:
        query: About that thing alone.
        max_cost_bytes: A stretch that costs more is looked at in finer ones.
    """

    cursor: duckdb.DuckDBPyConnection
    query: SnapshotQuery
    max_cost_bytes: int

    def iter_within(self, start_ms: int, end_ms: int) -> Iterator[Stretch]:
        """Yield all that have rows, ascending; one that is too dear is one instant."""
        width_ms = -(-(end_ms - start_ms) // _STRETCHES)
        for stretch in self._list_stretches(start_ms, end_ms, width_ms):
            first_ms, _, cost_bytes = stretch
            if cost_bytes <= self.max_cost_bytes or width_ms == 1:
                yield stretch
            else:
                finer_ms = first_ms - (first_ms - start_ms) % width_ms
                yield from self.iter_within(finer_ms, min(finer_ms + width_ms, end_ms))

    def _list_stretches(
        self, start_ms: int, end_ms: int, width_ms: int
    ) -> list[Stretch]:
        query = replace(self.query, period=Period(start_ms, end_ms))
        row_cost = row_cost_bytes(1, len(query.layout.columns), 0)
        asked = query.cost_by_stretch(row_cost, width_ms)
        found: list[Stretch] = self.cursor.execute(asked, query.parameters).fetchall()
        return found
