"""Imports on which a test wants something to happen at the worst moment."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from import_stack import (
    Died,
    ImportStack,
)
from thingport.adapters.lake.lakes import Lakes
from thingport.application.import_ports import LakeImports, StagedReadings
from thingport.domain.errors import (
    StoreUnavailable,
)
from thingport.domain.ids import DataImportId, TenantId, ThingDefinitionId, ThingId
from thingport.domain.metric import Metric


@dataclass
class Watched:
    """The way into a lake, and what a test wants to happen on it.

    Args:
        in_lane: Happens when all is written, before it counts.
        when_stored: Happens when all counts, before the caller knows.
        when_asked: Happens before it is told whether something is stored.
    """

    lakes: Lakes
    in_lane: Callable[[], object] = lambda: None
    when_stored: Callable[[], object] = lambda: None
    when_asked: Callable[[], object] = lambda: None

    @contextmanager
    def open(self, tenant_id: TenantId) -> Iterator[LakeImports]:
        with self.lakes.open_imports(tenant_id) as real:
            yield _WatchedLake(real, self)


class _WatchedLake:
    def __init__(self, real: LakeImports, watched: Watched) -> None:
        self._real = real
        self._watched = watched

    def is_stored(self, data_import_id: DataImportId) -> bool:
        self._watched.when_asked()
        return self._real.is_stored(data_import_id)

    @contextmanager
    def stage(
        self,
        thing_id: ThingId,
        thing_definition_id: ThingDefinitionId,
        metrics: Sequence[Metric],
    ) -> Iterator[StagedReadings]:
        with self._real.stage(thing_id, thing_definition_id, metrics) as staged:
            yield _WatchedReadings(staged, self._watched)


class _WatchedReadings:
    def __init__(self, real: StagedReadings, watched: Watched) -> None:
        self._real = real
        self._watched = watched
        self.add = real.add

    @property
    def has_values(self) -> bool:
        return self._real.has_values

    def store(self, data_import_id: DataImportId, go_on: Callable[[], None]) -> None:
        def watched_go_on() -> None:
            self._watched.in_lane()
            go_on()

        self._real.store(data_import_id, watched_go_on)
        self._watched.when_stored()


def die() -> None:
    raise Died


def fail() -> None:
    raise StoreUnavailable("the lake", "as told")


def run_watched(stack: ImportStack, **happens: Callable[[], object]) -> None:
    watched = Watched(stack.services.lakes, **happens)
    with suppress(Died):
        stack.run(open_lake_imports=watched.open)
