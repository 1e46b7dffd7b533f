"""How fast a lake is read: as ninety daily commits left it, merged, loaded at once.

    python benchmarks/compaction.py [--things N] [--rounds N]

Prints a table and exits with 1 if the merged lake is read at less than four fifths
of the speed of one that was loaded at once, sorted.
"""

import argparse
import sys
import tempfile
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import cast

from thingport.adapters.lake.keeper import DuckLakeKeeper
from thingport.adapters.lake.lake_transaction import LakeTransaction
from thingport.adapters.lake.reader import DuckLakeReader
from thingport.adapters.lake.writer_lane import WriterLane
from thingport.domain.compaction import MIN_MERGED_FILES
from thingport.domain.export_plan import PlannedColumn, PlannedLayout
from thingport.domain.ids import MetricId, TenantId, ThingDefinitionId, ThingId
from thingport.domain.metric import ValueType
from thingport.domain.period import ALL_TIME

DAYS = 90
ROWS_A_DAY = 96
"""Rows of one thing in one day: one each quarter of an hour."""

THINGS_AT_A_TIME = 20
TENANT = TenantId("bench")
METER, OTHER = ThingDefinitionId("meter"), ThingDefinitionId("other")
METRICS = {MetricId(f"v{it}"): ValueType.DOUBLE for it in range(8)}
LAYOUT = PlannedLayout(
    METER, tuple(PlannedColumn(it, METRICS[it], it) for it in METRICS)
)
GOAL = 0.8


@dataclass(frozen=True, slots=True)
class Result:
    """What one state of the lake gave."""

    state: str
    files: int
    rows_a_second: float


def rows_of(days: range, things: int, metrics: int = len(METRICS)) -> str:
    """Give the query for the rows of some days, the same each time."""
    values = ", ".join(
        f"round(100 * sin(i * {it + 1}), 2) AS m_v{it}" for it in range(metrics)
    )
    a_day = things * ROWS_A_DAY
    return (
        f"SELECT 'thing' || lpad((i % {things})::VARCHAR, 6, '0') AS thing,"
        f" i // {things} * 900000 AS ts, i AS written_seq, {values}"
        f" FROM range({days.start * a_day}, {days.stop * a_day}) numbers(i)"
    )


def open_lane(directory: Path) -> WriterLane:
    """Open the way into the lake; numbers of writing are in the rows already."""
    return WriterLane(
        directory, TENANT, lambda _: 1, temp_dir=directory / "tmp", memory_mb=1_024
    )


def load(directory: Path, things: int, days_at_a_time: int) -> None:
    """Write all days, some in each commit."""
    with closing(open_lane(directory)) as lane:
        for first in range(0, DAYS, days_at_a_time):
            query = rows_of(range(first, first + days_at_a_time), things)

            def store(transaction: LakeTransaction, query: str = query) -> None:
                transaction.insert(METER, METRICS, query, {})

            lane.commit(store)


def measure(state: str, directory: Path, things: int, rounds: int) -> Result:
    """Read everything some times, some things at a time; the best round counts."""
    ids = [ThingId(f"thing{it:06}") for it in range(things)]
    with (
        closing(DuckLakeReader(directory, TENANT, temp_dir=directory / "tmp")) as lake,
        closing(open_keeper(directory)) as keeper,
    ):
        snapshot, best_s = lake.current_snapshot(), float("inf")
        for _ in range(rounds):
            rows, began_at_s = 0, time.monotonic()
            for first in range(0, things, THINGS_AT_A_TIME):
                some = ids[first : first + THINGS_AT_A_TIME]
                for batch in lake.iter_rows(snapshot, LAYOUT, some, ALL_TIME):
                    rows += cast("int", batch.num_rows)  # type: ignore[attr-defined]  # an Arrow batch
            best_s = min(best_s, time.monotonic() - began_at_s)
        assert rows == things * ROWS_A_DAY * DAYS
        return Result(state, keeper.measure().files, rows / best_s)


def open_keeper(directory: Path) -> DuckLakeKeeper:
    """Open what merges, as a runner has it."""
    return DuckLakeKeeper(
        directory, TENANT, open_lane(directory), temp_dir=directory / "tmp"
    )


def compact_beside_a_writer(directory: Path) -> tuple[float, float]:
    """Merge all; give how long it took, and the longest that a small write took."""
    is_over, waits_s = threading.Event(), [0.0]

    def write() -> None:
        with closing(open_lane(directory)) as lane:
            for number in count():
                if is_over.is_set():
                    return
                query = rows_of(range(number, number + 1), 1, 1)
                began_at_s = time.monotonic()
                lane.commit(
                    lambda it, query=query: it.insert(  # type: ignore[misc]
                        OTHER, {MetricId("v0"): ValueType.DOUBLE}, query, {}
                    )
                )
                waits_s.append(time.monotonic() - began_at_s)
                is_over.wait(0.05)

    writing = threading.Thread(target=write)
    writing.start()
    began_at_s = time.monotonic()
    with closing(open_keeper(directory)) as keeper:
        while keeper.compact(is_thorough=True) > MIN_MERGED_FILES:
            pass
        took_s = time.monotonic() - began_at_s
        is_over.set()
        writing.join()
        while keeper.compact(is_thorough=True):
            pass
    return took_s, max(waits_s[2:], default=0.0)


def main() -> int:
    """Load, read, merge, read; give the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--things", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        daily, fresh = Path(name) / "daily", Path(name) / "fresh"
        load(daily, given.things, 1)
        load(fresh, given.things, DAYS)
        before = measure(f"{DAYS} daily commits", daily, given.things, 1)
        took_s, wait_s = compact_beside_a_writer(daily)
        after = measure("merged", daily, given.things, given.rounds)
        best = measure("loaded at once", fresh, given.things, given.rounds)
    print(f"{'state':<18} {'files':>6} {'rows/s':>12} {'of loaded at once':>18}")
    for it in (before, after, best):
        share = it.rows_a_second / best.rows_a_second
        print(f"{it.state:<18} {it.files:>6} {it.rows_a_second:>12,.0f} {share:>17.0%}")
    print("One file of the merged lake is that of the small writes.")
    print(
        f"merging took {took_s:.1f} s; a small write beside it, {wait_s:.2f} s at most"
    )
    return 0 if after.rows_a_second >= GOAL * best.rows_a_second else 1


if __name__ == "__main__":
    sys.exit(main())
