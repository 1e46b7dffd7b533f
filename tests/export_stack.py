"""Exports on real stores, and runners that meet with what a test wants to happen."""

import shutil
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr

from builders import a_metric, a_tenant, a_thing, a_user, an_actor, an_organization
from fakes.inline_executor import InlineExecutor
from http_service import StoppedClock
from stored_tenants import store
from thingport.adapters.archives.local import LocalArchiveStore
from thingport.application.data_exports import DataExports
from thingport.application.ports import Claim, RenderTask, SealedArchive
from thingport.application.run_data_export import LEASE, DataExportRunner
from thingport.bootstrap.runners import open_runner, render_in_worker
from thingport.bootstrap.services import Services, open_services
from thingport.domain.actor import Actor, OrganizationEntity
from thingport.domain.catalogue import ThingDefinition
from thingport.domain.data_export import (
    Archive,
    DataExport,
    DataExportRequest,
    DataExportState,
    ExportError,
)
from thingport.domain.export_plan import Chunk
from thingport.domain.ids import (
    DataExportId,
    MetricId,
    TenantId,
    ThingDefinitionId,
    ThingId,
)
from thingport.domain.metric import ValueType
from thingport.domain.reading import Reading, ReadingBatch
from thingport.domain.segment import ArchivePiece, StoredSegment
from thingport.settings import Settings

NEVER = datetime(2999, 1, 1, tzinfo=UTC)
"""When any lease has run out."""

PUMP = ThingDefinitionId("pump")

VALUE_TYPES = {
    MetricId("flow"): ValueType.DOUBLE,
    MetricId("count"): ValueType.LONG,
    MetricId("note"): ValueType.STRING,
}

THINGS = {"idle": 0, "large": 400, "small": 40}
"""Rows of each thing."""

MAX_CHUNK_COST_BYTES = 6_000
"""Cuts the large thing into several spans, and keeps the small one whole."""


class Died(BaseException):
    """The end of a runner: nothing of its own code handles it."""


class Rendering:
    """Renders chunks right here, after what a test wants to happen before.

    Attributes:
        chunks: What it was given, in order.
    """

    def __init__(
        self, settings: Settings, before: Callable[[int], object] = lambda _number: None
    ) -> None:
        self._settings = settings
        self._before = before
        self.chunks: list[Chunk] = []

    def __call__(self, task: RenderTask) -> StoredSegment:
        self.chunks.append(task.chunk)
        self._before(task.chunk.number)
        return render_in_worker(self._settings, task)

    @property
    def numbers(self) -> list[int]:
        return [it.number for it in self.chunks]


class WatchedArchiveStore(LocalArchiveStore):
    """An archive store in which something happens while an archive is sealed.

    Args:
        directory: Where it is.
        when_read: Happens when all segments are read, before the archive shows.
        when_sealed: Happens when the archive is there, before the caller knows.
    """

    def __init__(
        self,
        directory: Path,
        *,
        when_read: Callable[[], None],
        when_sealed: Callable[[], None],
    ) -> None:
        super().__init__(directory)
        self._when_read = when_read
        self._when_sealed = when_sealed

    def seal(
        self,
        tenant_id: TenantId,
        data_export_id: DataExportId,
        pieces: Iterable[ArchivePiece],
    ) -> SealedArchive:
        sealed = super().seal(tenant_id, data_export_id, self._watched(pieces))
        self._when_sealed()
        return sealed

    def _watched(self, pieces: Iterable[ArchivePiece]) -> Iterator[ArchivePiece]:
        yield from pieces
        self._when_read()


@dataclass
class Exporter:
    """A tenant with a few pumps, in a lake of its own, and somebody who may export."""

    services: Services
    data_exports: DataExports
    actor: Actor

    def schedule(self) -> DataExport:
        return self.data_exports.schedule(self.actor, DataExportRequest())

    def look(self, data_export: DataExport) -> DataExport:
        return self.data_exports.get(self.actor, data_export.id).data_export

    def archive_of(self, data_export: DataExport) -> Archive:
        found = self.look(data_export)
        assert found.state is DataExportState.COMPLETED, found
        assert found.archive is not None
        return found.archive

    def error_of(self, data_export: DataExport) -> ExportError:
        found = self.look(data_export)
        assert found.state is DataExportState.ERROR, found
        assert found.error is not None
        assert found.archive is None
        return found.error

    def write(self, things: dict[str, int]) -> None:
        """Write readings of things, half of them in each of two commits."""
        readings = [
            Reading(
                ThingId(thing),
                1_000 * step,
                {
                    MetricId("flow"): step / 7,
                    MetricId("count"): step,
                    MetricId("note"): f"{thing} at {step}",
                },
            )
            for thing, rows in things.items()
            for step in range(rows)
        ]
        writer = self.services.readings.lake_writer(self.actor.tenant_id)
        for half in (readings[::2], readings[1::2]):
            batch = ReadingBatch(
                thing_definition_id=PUMP, value_types=VALUE_TYPES, readings=half
            )
            writer.write([batch])


def exporter_of(services: Services, actor: Actor) -> Exporter:
    """Schedule for somebody, at an instant that is always the same."""
    scheduling = replace(services.data_exports, clock=StoppedClock())
    return Exporter(services, scheduling, actor)


def add_exporter(services: Services, things: dict[str, int] = THINGS) -> Exporter:
    """Add a tenant with some pumps."""
    tenant, organization = a_tenant(), an_organization()
    user = a_user(entity=OrganizationEntity(organization.id))
    with services.control.for_service() as service:
        service.tenants.add(tenant)
    metrics = [
        a_metric(id=it, thing_definition_id=PUMP, name=it, value_type=VALUE_TYPES[it])
        for it in VALUE_TYPES
    ]
    pumps = [
        a_thing(id=ThingId(it), serial_number=it, thing_definition_id=PUMP)
        for it in things
    ]
    kind = ThingDefinition(id=PUMP, name="pump")
    store(services.control, tenant.id, organization, kind, *metrics, *pumps)
    with services.control.for_tenant(tenant.id) as tx:
        tx.credentials.add_user(user)
    actor = an_actor(tenant_id=tenant.id, user_id=user.id, entity=user.entity)
    exporter = exporter_of(services, actor)
    exporter.write(things)
    return exporter


@dataclass(frozen=True, slots=True)
class Prepared:
    """A data directory with the readings of some pumps, for tests to copy.

    Attributes:
        settings: Where it is, and the database that goes with it if there is one.
        actor: Who may export them.
        undisturbed: The archive that all disturbed ones shall equal.
    """

    settings: Settings
    actor: Actor
    undisturbed: Archive


def prepare(
    directory: Path,
    things: dict[str, int] = THINGS,
    max_chunk_bytes: int = MAX_CHUNK_COST_BYTES,
    *,
    database_url: str | None = None,
) -> Prepared:
    """Make a data directory, and one archive of all that is in it."""
    settings = Settings(
        data_dir=directory,
        max_chunk_bytes=max_chunk_bytes,
        database_url=None if database_url is None else SecretStr(database_url),
    )
    with open_services(settings) as services, open_runner(settings) as runner:
        exporter = add_exporter(services, things)
        scheduled = exporter.schedule()
        claim = runner.claim()
        assert claim is not None
        replace(runner, executor=InlineExecutor(Rendering(settings))).run(claim)
        archive = exporter.archive_of(scheduled)
    assert archive.rows == sum(things.values())
    return Prepared(settings, exporter.actor, archive)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportStack:
    """The real stores, and what a test wants to reach of them.

    Everything is scheduled at one instant, so that equal data gives equal bytes.

    Attributes:
        undisturbed: The archive of what ``exporter`` schedules.
        clock: What runners go by.
    """

    settings: Settings
    services: Services
    archives: LocalArchiveStore
    exporter: Exporter
    undisturbed: Archive
    clock: StoppedClock
    _runner: DataExportRunner

    # --- runners ---

    def rendering(
        self, before: Callable[[int], object] = lambda _number: None
    ) -> Rendering:
        return Rendering(self.settings, before)

    def runner(
        self, rendering: Rendering | None = None, **others: object
    ) -> DataExportRunner:
        executor = InlineExecutor(rendering or self.rendering())
        changes = {"executor": executor, "clock": self.clock, **others}
        return replace(self._runner, **changes)  # type: ignore[arg-type]  # as told

    def claim(self) -> Claim | None:
        return self.runner().claim()

    def run(
        self, rendering: Rendering | None = None, **others: object
    ) -> DataExportRunner:
        """Claim the export that waits, and run it, as far as it gets."""
        runner = self.runner(rendering, **others)
        claim = runner.claim()
        assert claim is not None
        runner.run(claim)
        return runner

    def watched_archives(
        self,
        *,
        when_read: Callable[[], None] = lambda: None,
        when_sealed: Callable[[], None] = lambda: None,
    ) -> WatchedArchiveStore:
        return WatchedArchiveStore(
            self.settings.data_dir / "archives",
            when_read=when_read,
            when_sealed=when_sealed,
        )

    # --- what is kept ---

    def chunks_of(self, data_export: DataExport) -> Sequence[Chunk]:
        found = self.archives.find_chunks(data_export.tenant_id, data_export.id)
        assert found is not None
        return found

    def segments_of(self, data_export: DataExport) -> Sequence[StoredSegment]:
        with self.services.control.for_service(read_only=True) as tx:
            return tx.queue.list_segments(data_export.id)

    def staging_of(self, data_export: DataExport) -> Path:
        of_tenant = self.settings.data_dir / "archives" / data_export.tenant_id
        return of_tenant / "staging" / data_export.id

    def segment_files(self, data_export: DataExport, number: int) -> list[Path]:
        return sorted(self.staging_of(data_export).glob(f"{number:08d}-*.segment"))

    def archive_file(self, data_export: DataExport) -> Path | None:
        return self.archives.find_archive(data_export.tenant_id, data_export.id)

    def plan_file(self, data_export: DataExport) -> Path:
        of_tenant = self.settings.data_dir / "archives" / data_export.tenant_id
        return of_tenant / "plans" / f"{data_export.id}.json.gz"

    def lake_files(self) -> list[Path]:
        return sorted((self.settings.data_dir / "lakes").rglob("*.parquet"))


@contextmanager
def copy_of(prepared: Prepared, directory: Path) -> Generator[ExportStack]:
    """Open a copy of a data directory, for one test alone."""
    shutil.copytree(prepared.settings.data_dir, directory)
    moved = prepared.settings.model_copy(update={"data_dir": directory})
    with opened(replace(prepared, settings=moved)) as stack:
        yield stack


@contextmanager
def opened(prepared: Prepared) -> Generator[ExportStack]:
    """Open a data directory itself, where no other test has it."""
    settings = prepared.settings
    with open_services(settings) as services, open_runner(settings) as runner:
        yield ExportStack(
            settings=settings,
            services=services,
            archives=LocalArchiveStore(settings.data_dir / "archives"),
            exporter=exporter_of(services, prepared.actor),
            undisturbed=prepared.undisturbed,
            clock=StoppedClock(),
            _runner=runner,
        )


def nothing() -> None:
    """Happen, and leave everything as it is."""


def die() -> None:
    """End a runner."""
    raise Died


def raises_at(number: int, make: Callable[[], BaseException]) -> Callable[[int], None]:
    """Let something go wrong before a chunk is rendered."""

    def fail(present: int) -> None:
        if present == number:
            raise make()

    return fail


def dies_at(number: int) -> Callable[[int], None]:
    """Let a runner end before it has rendered a chunk."""
    return raises_at(number, Died)


def sealed_but_not_said(stack: ExportStack) -> DataExport:
    """Bring an export to where its archive is there, and its runner is no more."""
    scheduled = stack.exporter.schedule()
    with suppress(Died):
        stack.run(archives=stack.watched_archives(when_sealed=die))
    stack.clock.advance(LEASE)
    return scheduled


def assert_ended_with_nothing_left(stack: ExportStack, data_export: DataExport) -> None:
    """Check that a failed export keeps neither files nor its slot."""
    assert not stack.staging_of(data_export).exists()
    assert stack.archive_file(data_export) is None
    assert stack.claim() is None
    stack.exporter.schedule()


def empty(file: Path) -> None:
    """Keep a file's name alone."""
    file.write_bytes(b"")


def halve(file: Path) -> None:
    """Cut a file short."""
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def garble(file: Path) -> None:
    """Turn one bit around."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


LOSSES = [Path.unlink, empty, halve]
"""What can happen to a file, and is seen by whoever reads it."""
