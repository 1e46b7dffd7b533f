"""What the use cases need from the world outside.

Adapters implement these protocols; a contract test in ``tests/contract`` holds
each implementation to its port.
"""

from collections.abc import (
    Callable,
    Collection,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from thingport.application.erasure_ports import StoredExport
from thingport.application.import_ports import DataImportRepository, ImportQueue
from thingport.application.upkeep_ports import UpkeepRepository
from thingport.domain.actor import Entity
from thingport.domain.catalogue import (
    Customer,
    Definitions,
    Location,
    Organization,
    Partner,
    PlacedThing,
    ProductModel,
    ProductModelPart,
    Tenant,
    Thing,
    ThingDefinition,
    ThingKey,
)
from thingport.domain.data_export import DataExport, Progress
from thingport.domain.export_plan import (
    Chunk,
    ExportPlan,
    PlannedLayout,
    SurveyedSpan,
    ThingSurvey,
)
from thingport.domain.ids import (
    ApiKeyId,
    CustomerId,
    DataExportId,
    LocationId,
    MetricId,
    TenantId,
    ThingDefinitionId,
    ThingId,
    UserId,
)
from thingport.domain.metric import Metric, ValueType
from thingport.domain.period import Period
from thingport.domain.permissions import Permission
from thingport.domain.reading import ReadingBatch, ValueDeletion
from thingport.domain.segment import (
    ArchivePiece,
    Segment,
    StoredSegment,
)
from thingport.domain.visibility import Network

# --- time, ids, secrets -------------------------------------------------------


class Clock(Protocol):
    """The time."""

    def now(self) -> datetime:
        """Give the present instant, in UTC, cut to whole milliseconds."""
        ...


class IdSource(Protocol):
    """New identifiers."""

    def new_id(self) -> str:
        """Give a new id: a UUIDv7 as 32 lower-case hex digits."""
        ...


# --- control database ---------------------------------------------------------

CatalogueEntity = (
    Organization
    | Partner
    | Customer
    | Location
    | ThingDefinition
    | Metric
    | ProductModel
    | ProductModelPart
    | Thing
)
"""Whatever a catalogue is made of."""


class CatalogueRepository(Protocol):
    """The catalogue of one tenant."""

    def get_definitions(self) -> Definitions:
        """Give all kinds of things, models, parts and metrics."""
        ...

    def get_network(self) -> Network:
        """Give all organizations, partners and customers."""
        ...

    def list_locations(self) -> Sequence[Location]:
        """Give all locations."""
        ...

    def list_things(self) -> Sequence[Thing]:
        """Give all things, sub-things too."""
        ...

    def find_customer(self, customer_id: CustomerId) -> Customer | None:
        """Give a customer, or ``None``."""
        ...

    def find_location(self, location_id: LocationId) -> Location | None:
        """Give a location, or ``None``."""
        ...

    def find_thing(self, thing_id: ThingId) -> PlacedThing | None:
        """Give a thing with its place, or ``None``."""
        ...

    def find_things(
        self, keys: Collection[str], by: ThingKey
    ) -> Mapping[str, PlacedThing]:
        """Give those of some things that there are, with their places, by key."""
        ...

    def iter_placed_things(
        self,
        *,
        customer_id: CustomerId | None = None,
        location_id: LocationId | None = None,
        thing_id: ThingId | None = None,
    ) -> Iterator[PlacedThing]:
        """Yield things with their places, by id.

        Each filter narrows. ``thing_id`` keeps that thing and all its sub-things;
        the other two look at where the thing's root stands.
        """
        ...

    def save(self, *entities: CatalogueEntity) -> None:
        """Insert entities, or replace those with their ids.

        Entities of one kind stand together; what they refer to comes before them.
        """
        ...


class DataExportRepository(Protocol):
    """The data exports of one tenant."""

    def add(self, data_export: DataExport, *, slot: str) -> None:
        """Store a new PENDING one.

        Raises:
            ExportAlreadyActive: Another one holds the slot; nothing was stored.
                Its ``active_id`` is set; ``retry_after`` is a few seconds.
        """
        ...

    def find(self, data_export_id: DataExportId) -> DataExport | None:
        """Give a data export, or ``None``."""
        ...

    def find_oldest_pin(self) -> int | None:
        """Give the oldest snapshot that a PENDING one reads at; ``None`` if none is.

        A PENDING one that names no snapshot counts as if it read at the very first.
        """
        ...

    def list_pending(self) -> Sequence[DataExport]:
        """Give those that are PENDING, the oldest first."""
        ...

    def end(self, data_export: DataExport) -> bool:
        """Store one that is ERROR now, whoever runs it; ``False`` if it had ended.

        Its slot is free. A runner that has it finds out at its next step, and says
        so by ``ExportQueue.let_go`` when it has withdrawn.
        """
        ...

    def is_any_held(self, *, now: datetime, lease: timedelta) -> bool:
        """Whether a runner may still be at work on one that has ended.

        A lease that ends later than one begun now counts for nothing, as in
        ``ExportQueue.claim``.
        """
        ...

    def forget_segments(self, data_export_id: DataExportId) -> None:
        """Forget what came out of the chunks of one that has ended."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who may log in."""

    id: UserId
    email: str
    entity: Entity
    permissions: frozenset[Permission]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A client application. ``permissions`` restrict every user of it."""

    id: ApiKeyId
    name: str
    permissions: frozenset[Permission]


class CredentialRepository(Protocol):
    """Users, API keys and personal access tokens of one tenant.

    Secrets arrive here as digests only.
    """

    def add_user(self, user: User) -> None:
        """Store a user.

        Raises:
            InvalidRequest: The e-mail address is taken, or its entity unknown.
        """
        ...

    def find_user(self, user_id: UserId) -> User | None:
        """Give a user, or ``None``."""
        ...

    def find_user_by_email(self, email: str) -> User | None:
        """Give a user by e-mail address, compared without case, or ``None``."""
        ...

    def add_api_key(self, api_key: ApiKey, digest: str) -> None:
        """Store an API key under the digest of its secret."""
        ...

    def find_api_key(self, api_key_id: ApiKeyId) -> ApiKey | None:
        """Give an API key, or ``None``."""
        ...

    def find_api_key_by_digest(self, digest: str) -> ApiKey | None:
        """Give the API key whose secret has this digest, or ``None``."""
        ...

    def add_access_token(
        self, token_id: str, user_id: UserId, name: str, digest: str, at: datetime
    ) -> None:
        """Store a personal access token under the digest of its secret."""
        ...

    def find_user_by_token_digest(self, digest: str) -> User | None:
        """Give the user whose personal access token has this digest, or ``None``."""
        ...

    def add_refresh_token(
        self, user_id: UserId, api_key_id: ApiKeyId, digest: str, at: datetime
    ) -> None:
        """Store the digest of a refresh token."""
        ...


class TenantTransaction(Protocol):
    """One transaction that can reach one tenant's rows, and no others'."""

    @property
    def catalogue(self) -> CatalogueRepository:
        """Its catalogue."""
        ...

    @property
    def data_exports(self) -> DataExportRepository:
        """Its data exports."""
        ...

    @property
    def data_imports(self) -> DataImportRepository:
        """Its data imports."""
        ...

    @property
    def credentials(self) -> CredentialRepository:
        """Its users and keys."""
        ...

    @property
    def upkeep(self) -> UpkeepRepository:
        """How long its readings are kept."""
        ...

    def allocate_written_seqs(self, count: int) -> int:
        """Reserve ``count`` successive numbers; give the first.

        They are reserved when the transaction is committed: use them after it.
        Later calls give larger numbers, whatever happens in between.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A runner's right to run one export until a time.

    Attributes:
        fencing_token: Grows with every claim of the export; what is done under
            an older one takes no effect.
        attempt: How often it was claimed, this time included; from 1.
    """

    data_export: DataExport
    fencing_token: int
    attempt: int


class ExportQueue(Protocol):
    """PENDING exports of all tenants, for runners.

    Every method that takes a claim raises ``LeaseLost``, and changes nothing,
    when the export has ended or was claimed again since.
    """

    def claim(self, runner: str, *, now: datetime, lease: timedelta) -> Claim | None:
        """Take the longest waiting export that nobody holds, or ``None``.

        A lease that ends later than one begun now would was given by a clock that
        was wrong; it is over. Fencing tokens make that safe.
        """
        ...

    def heartbeat(self, claim: Claim, *, until: datetime) -> None:
        """Prolong the lease."""
        ...

    def release(
        self, claim: Claim, *, retry_at: datetime, is_attempt: bool = True
    ) -> None:
        """Give the export back, to be claimed again at ``retry_at`` or later.

        ``is_attempt`` says whether the claim counts as one in later ones. A time
        further away than a lease is a clock's mistake, and not waited for.
        """
        ...

    def save_progress(self, claim: Claim, progress: Progress) -> None:
        """Store how far the export has got."""
        ...

    def commit_segment(self, claim: Claim, segment: StoredSegment) -> bool:
        """Store what came out of a chunk; ``False`` if the chunk had one already."""
        ...

    def forget_segment(self, claim: Claim, chunk_number: int) -> None:
        """Forget a segment that turned out to be damaged."""
        ...

    def list_segments(self, data_export_id: DataExportId) -> Sequence[StoredSegment]:
        """Give the committed segments of an export, by chunk number."""
        ...

    def finish(self, claim: Claim, data_export: DataExport) -> None:
        """Store an export that is COMPLETED or ERROR now; frees its slot."""
        ...

    def let_go(self, claim: Claim) -> None:
        """Say that nothing more is done under a claim of an export that has ended.

        Never raises ``LeaseLost``; does nothing for a claim that is not the last one.
        """
        ...


class TenantRepository(Protocol):
    """All tenants."""

    def add(self, tenant: Tenant) -> None:
        """Store a tenant.

        Raises:
            InvalidRequest: The name is taken.
        """
        ...

    def find_by_name(self, name: str) -> Tenant | None:
        """Give a tenant by its exact name, or ``None``."""
        ...

    def list_all(self) -> Sequence[Tenant]:
        """Give all tenants, by name."""
        ...

    def begin_removal(self, name: str, *, at: datetime) -> Tenant | None:
        """Let nobody find a tenant any more; gives one whose removal began as well.

        No method but those for its removal knows of it then, numbers are allocated
        to it no more, and its name is taken until it is removed.
        """
        ...

    def remove_rows(self, tenant_id: TenantId) -> None:
        """Remove all that is kept of a tenant, but its name."""
        ...

    def remove(self, tenant_id: TenantId) -> None:
        """Remove a tenant of which nothing is kept but its name."""
        ...


class ServiceTransaction(Protocol):
    """One transaction of the service itself, over all tenants."""

    @property
    def tenants(self) -> TenantRepository:
        """All tenants."""
        ...

    @property
    def queue(self) -> ExportQueue:
        """What runners work on."""
        ...

    @property
    def import_queue(self) -> ImportQueue:
        """What else they work on."""
        ...


class ControlDatabase(Protocol):
    """Where everything but readings and archives is kept.

    A transaction is committed when its block ends, and rolled back when the
    block raises. A database that does not answer raises ``StoreUnavailable``.
    """

    def for_tenant(
        self, tenant_id: TenantId, *, read_only: bool = False
    ) -> AbstractContextManager[TenantTransaction]:
        """Begin a transaction for one tenant.

        Args:
            tenant_id: Whose rows it reaches.
            read_only: Promise to write nothing; such a transaction neither waits
                for others nor keeps them waiting.
        """
        ...

    def for_service(
        self, *, read_only: bool = False
    ) -> AbstractContextManager[ServiceTransaction]:
        """Begin a transaction of the service itself; ``read_only`` as above."""
        ...

    def forget_deleted_bytes(self) -> None:
        """Take what was deleted out of the files of the database too.

        Others go on meanwhile.
        """
        ...


# --- readings -----------------------------------------------------------------


class RowBatch(Protocol):
    """Some rows in columns, as the Arrow C data interface hands them over."""

    def __arrow_c_array__(
        self, requested_schema: object | None = None
    ) -> tuple[object, object]:
        """Give schema and array capsules."""
        ...


class LakeReader(Protocol):
    """The readings of one tenant, as they were at a snapshot."""

    def current_snapshot(self) -> int | None:
        """Name the present state; ``None`` if nothing was ever written."""
        ...

    def survey(
        self,
        snapshot: int | None,
        layout: PlannedLayout,
        thing_ids: Sequence[ThingId],
        period: Period,
    ) -> Mapping[ThingId, ThingSurvey]:
        """Count what things have; a thing without any rows may be absent."""
        ...

    def cut_thing(
        self,
        snapshot: int | None,
        layout: PlannedLayout,
        thing_id: ThingId,
        period: Period,
        max_cost_bytes: int,
    ) -> Sequence[SurveyedSpan]:
        """Cut a thing into successive spans that tile the period.

        Each costs at most ``max_cost_bytes`` (see ``domain.chunking``), or is
        a single timestamp. Depends on the data at the snapshot alone.
        """
        ...

    def iter_rows(
        self,
        snapshot: int | None,
        layout: PlannedLayout,
        thing_ids: Sequence[ThingId],
        period: Period,
    ) -> Iterator[RowBatch]:
        """Yield stored rows by thing, timestamp and order of writing.

        Where one instant of one thing is all there is, its rows come as one: the last
        value of each metric.

        Columns: ``thing`` (text), ``ts`` (64-bit UTC ms), then one for each
        planned column, in their order, named ``m_<metric id>``.
        Lazy; a batch has at most some ten thousand rows.

        Raises:
            CorruptData: A file of the lake is damaged or gone.
        """
        ...


OpenLake = Callable[[TenantId], AbstractContextManager[LakeReader]]
"""Opens a tenant's lake for reading, for as long as the block lasts."""


class ColumnTable(Protocol):
    """Rows in columns, as the Arrow C stream interface hands them over."""

    @property
    def num_rows(self) -> int:
        """How many rows it has."""
        ...

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Give a stream capsule."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingColumns:
    """Checked readings of things of one definition, in the order of sending.

    Attributes:
        value_types: The type of every metric that has a column.
        table: Columns ``thing`` (text), ``ts`` (64-bit UTC ms), then one for each
            metric, in the order and of the type of ``value_types``.
    """

    thing_definition_id: ThingDefinitionId
    value_types: Mapping[MetricId, ValueType]
    table: ColumnTable


class ReadingTable(Protocol):
    """Readings of many things in columns, as a caller sent them; not checked yet."""

    @property
    def key(self) -> ThingKey:
        """By what it names the things."""
        ...

    def list_things(self) -> Sequence[str]:
        """Name each thing once."""
        ...

    def check(
        self,
        things: Mapping[str, tuple[ThingId, ThingDefinitionId]],
        metrics: Mapping[ThingDefinitionId, Mapping[str, Metric]],
    ) -> Sequence[ReadingColumns]:
        """Give what can be stored; rows without any value are left out.

        Args:
            things: Id and definition of each thing that may be written, by key.
            metrics: The metrics of each of those definitions, by name.

        Raises:
            InvalidRequest: With the row and the column of each fault, of the first
                of each kind; there are a few dozen kinds at most.
        """
        ...


OpenReadingTable = Callable[[bytes], AbstractContextManager[ReadingTable]]
"""Reads a table from an Arrow IPC stream; it lasts as long as the block.

Raises ``InvalidRequest`` for bytes that are no stream, or not of readings.
"""


class LakeWriter(Protocol):
    """The way in for one tenant's readings."""

    def write(self, batches: Sequence[ReadingBatch | ReadingColumns]) -> None:
        """Store readings; returns when they are durable, all or none of them.

        A later reading of the same thing and timestamp wins over an earlier one,
        metric by metric, within the call too.

        Raises:
            StoreUnavailable: Nothing was stored.
        """
        ...

    def delete(self, deletion: ValueDeletion) -> None:
        """Remove values; returns when it is durable that they are gone.

        Reaches every value whose write was answered before the call, and none
        that is written after it, at the same instants either. Snapshots from
        before keep what they show. A reading whose last value goes is gone.

        Raises:
            StoreUnavailable: Nothing was removed.
        """
        ...


# --- rendering ----------------------------------------------------------------


class ChunkRenderer(Protocol):
    """From rows to finished bytes."""

    def render(
        self, plan: ExportPlan, chunk: Chunk, batches: Iterable[RowBatch]
    ) -> Segment:
        """Render a chunk from its rows, which come as ``LakeReader`` orders them.

        Pure: equal arguments give equal bytes. A file without rows gets its
        header. Holds the chunk's CSV text and one batch in memory.

        Raises:
            CorruptData: Rows are out of order or of a thing not in the chunk.
        """
        ...

    def iter_archive(
        self,
        plan: ExportPlan,
        chunks: Sequence[Chunk],
        segments: Sequence[StoredSegment],
    ) -> Iterator[ArchivePiece]:
        """Yield the archive in order, the central directory last.

        Args:
            plan: What was planned.
            chunks: How it was cut.
            segments: One for each chunk, in the same order.
        """
        ...


@dataclass(frozen=True, slots=True)
class SealedArchive:
    """A finished archive in its store."""

    size_bytes: int
    sha256: str


class ArchiveStore(Protocol):
    """Plans, segments and archives. Every key has the tenant in it."""

    def save_plan(self, data_export_id: DataExportId, plan: ExportPlan) -> None:
        """Keep a plan; replaces an older one whole."""
        ...

    def load_plan(
        self, tenant_id: TenantId, data_export_id: DataExportId
    ) -> ExportPlan:
        """Give a plan back.

        Raises:
            CorruptData: There is none, or it is damaged.
        """
        ...

    def discard_plan(self, tenant_id: TenantId, data_export_id: DataExportId) -> None:
        """Remove the plan of an export that was never stored."""
        ...

    def save_chunks(
        self, tenant_id: TenantId, data_export_id: DataExportId, chunks: Sequence[Chunk]
    ) -> Sequence[Chunk]:
        """Keep how an export was cut, unless that is kept already; give what is kept.

        The first one wins: segments were made after it.
        """
        ...

    def find_chunks(
        self, tenant_id: TenantId, data_export_id: DataExportId
    ) -> Sequence[Chunk] | None:
        """Give back how an export was cut; ``None`` if it was not yet."""
        ...

    def put_segment(
        self, tenant_id: TenantId, data_export_id: DataExportId, segment: Segment
    ) -> StoredSegment:
        """Stage a segment under a key of its own; returns when it is durable."""
        ...

    def seal(
        self,
        tenant_id: TenantId,
        data_export_id: DataExportId,
        pieces: Iterable[ArchivePiece],
    ) -> SealedArchive:
        """Write an archive from its pieces, in constant memory.

        It appears whole under its final name, or not at all; sealing again
        replaces it.

        Raises:
            CorruptSegment: A segment is not what its index says.
        """
        ...

    def discard_staging(
        self, tenant_id: TenantId, data_export_id: DataExportId
    ) -> None:
        """Remove the segments and chunks of an export; plan and archive stay."""
        ...

    def discard_archive(
        self, tenant_id: TenantId, data_export_id: DataExportId
    ) -> None:
        """Remove the archive of an export, if there is one."""
        ...

    def discard_tenant(self, tenant_id: TenantId) -> None:
        """Remove all that is kept of a tenant, if there is anything."""
        ...

    def list_stored(self, tenant_id: TenantId) -> Sequence[StoredExport]:
        """Give all exports of which segments, chunks or an archive are kept."""
        ...

    def find_archive(
        self, tenant_id: TenantId, data_export_id: DataExportId
    ) -> Path | None:
        """Give the file of a finished archive, or ``None``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderTask:
    """Everything that a worker process needs to render one chunk."""

    tenant_id: TenantId
    data_export_id: DataExportId
    chunk: Chunk


class Executor(Protocol):
    """Where chunks are rendered."""

    def run(self, tasks: Iterable[RenderTask]) -> Generator[StoredSegment]:
        """Render chunks, some at the same time; yield them as they come.

        Takes tasks only as fast as it can work on them. Closing the generator
        stops what is under way.

        Raises:
            WorkerDied: A worker process ended in the middle of a chunk.
            ThingportError: Whatever rendering raised.
        """
        ...
