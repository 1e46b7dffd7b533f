"""Running a data import: read, check, store at once, and say how it went."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain

from thingport.application.import_failures import explain_import
from thingport.application.import_ports import (
    CsvContent,
    ImportClaim,
    ImportDraft,
    ImportFiles,
    OpenLakeImports,
    StagedReadings,
)
from thingport.application.keep_alive import keep_alive
from thingport.application.ports import Clock, ControlDatabase, OpenLake
from thingport.domain.csv_rows import CsvSlice, iter_slices
from thingport.domain.data_import import (
    MAX_TOLD_REJECTIONS,
    DataImport,
    ImportFault,
    ImportPhase,
    ImportProgress,
    ImportRefused,
    ImportReport,
    RejectedRow,
)
from thingport.domain.errors import (
    CorruptData,
    ImportersDied,
    ImportInterrupted,
    ImportLeaseLost,
    NotFound,
    ThingportError,
    TransientError,
)
from thingport.domain.ids import MetricId, ThingDefinitionId
from thingport.domain.import_header import read_header
from thingport.domain.import_rows import ImportedRows, ImportRowReader
from thingport.domain.metric import Metric

LEASE = timedelta(seconds=15)
"""How long a runner may be silent before another one takes its import over."""

MAX_ATTEMPTS = 3
"""How often an import is tried when something passing stands in its way."""

MAX_CLAIMS = 10
"""How often an import is claimed: something in it ends its runners without a word."""

RETRY_PAUSE = timedelta(seconds=2)
"""Pause before the second try; doubled for each one after it."""

_LOOK_PAUSE_S = 0.5
"""How often progress is stored while a file is read."""

_READING_PERCENT = 80
"""What reading is of the whole work, about."""


@dataclass(frozen=True, slots=True)
class ImportLimits:
    """How much one import may bring.

    Attributes:
        max_csv_bytes: Bytes of CSV text, out of a ZIP as well.
        max_rows: Rows, the rejected ones included.
    """

    max_csv_bytes: int
    max_rows: int


@dataclass(slots=True)
class _Tally:
    accepted: int = 0
    rejected: int = 0
    told: list[RejectedRow] = field(default_factory=list[RejectedRow])

    def add(self, rows: ImportedRows) -> None:
        self.accepted += len(rows.timestamps_ms)
        self.rejected += len(rows.rejected)
        self.told += rows.rejected[: MAX_TOLD_REJECTIONS - len(self.told)]

    @property
    def rows(self) -> int:
        return self.accepted + self.rejected

    def report(self) -> ImportReport:
        return ImportReport(
            rows_accepted=self.accepted,
            rows_rejected=self.rejected,
            rejected_rows=tuple(self.told),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DataImportRunner:
    """Takes waiting imports and brings each to its end.

    Wherever the process dies, an import is stored once, or not at all: the lake
    itself says whether it is, in the very commit that stores it.

    Attributes:
        is_stopping: Asked between two steps: whether to give the import back.
    """

    name: str
    control: ControlDatabase
    open_lake: OpenLake
    open_lake_imports: OpenLakeImports
    files: ImportFiles
    clock: Clock
    limits: ImportLimits
    is_stopping: Callable[[], bool] = lambda: False

    def claim(self) -> ImportClaim | None:
        """Take the longest waiting import; ``None`` if there is none."""
        with self.control.for_service() as tx:
            return tx.import_queue.claim(self.name, now=self.clock.now(), lease=LEASE)

    def run(self, claim: ImportClaim) -> ThingportError | None:
        """Bring an import to its end, or give it back to be tried again.

        Returns:
            What kept it from being COMPLETED; ``None`` if nothing.

        Raises:
            ImportLeaseLost: Another runner took it over; nothing more was changed.
        """
        try:
            with keep_alive(self.control, self.clock, LEASE, claim):
                if claim.attempt > MAX_CLAIMS:
                    raise ImportersDied(claim.data_import.id)
                report = self._bring_in(claim)
        except ImportInterrupted as stopping:
            with self.control.for_service() as tx:
                tx.import_queue.release(
                    claim, retry_at=self.clock.now(), is_attempt=False
                )
            return stopping
        except ImportLeaseLost:
            raise
        except ThingportError as error:
            if isinstance(error, TransientError) and claim.attempt < MAX_ATTEMPTS:
                self._try_later(claim)
                return error
            return self.fail(claim, error)
        self._finish(claim, claim.data_import.complete(report, at=self.clock.now()))
        return None

    def fail(
        self, claim: ImportClaim, error: ThingportError | Exception
    ) -> ThingportError | None:
        """End an import with a reason, unless it turns out to be stored.

        Returns:
            What it ended with; ``None`` if it is COMPLETED.

        Raises:
            ImportLeaseLost: Another runner took it over; nothing was changed.
        """
        data_import, at = claim.data_import, self.clock.now()
        try:
            stored = self._find_stored(claim)
        except (TransientError, CorruptData) as unknown:
            # Neither end may be told before it is known which one it is.
            self._try_later(claim)
            return unknown
        if stored is not None:
            self._finish(claim, data_import.complete(stored, at=at))
            return None
        self._finish(claim, data_import.fail(explain_import(error), at=at))
        return error if isinstance(error, ThingportError) else None

    def _finish(self, claim: ImportClaim, ended: DataImport) -> None:
        with self.control.for_service() as tx:
            tx.import_queue.finish(claim, ended)
        self.files.discard(ended.tenant_id, ended.id)

    def _try_later(self, claim: ImportClaim) -> None:
        pause = RETRY_PAUSE * 2 ** (min(claim.attempt, MAX_ATTEMPTS) - 1)
        with self.control.for_service() as tx:
            tx.import_queue.release(claim, retry_at=self.clock.now() + pause)

    def _find_stored(self, claim: ImportClaim) -> ImportReport | None:
        """Give the report of what an earlier try has stored, if it has."""
        with self.control.for_service(read_only=True) as tx:
            draft = tx.import_queue.find_draft(claim)
        if draft is None:
            return None
        data_import = claim.data_import
        with self.open_lake_imports(data_import.tenant_id) as lake:
            return draft.report if lake.is_stored(data_import.id) else None

    def _bring_in(self, claim: ImportClaim) -> ImportReport:
        stored = self._find_stored(claim)
        if stored is not None:
            return stored
        data_import = claim.data_import
        definition, known = self._look_up(data_import)
        with (
            self.open_lake_imports(data_import.tenant_id) as lake,
            self.files.open_csv(
                data_import.tenant_id,
                data_import.id,
                max_bytes=self.limits.max_csv_bytes,
            ) as csv,
        ):
            slices = iter_slices(csv.iter_blocks(), first_line=data_import.header_line)
            first, header = _take_header(slices, data_import.header_line)
            metrics = read_header(header, known, data_import.text_guard)
            reader = ImportRowReader(metrics, data_import.text_guard)
            with lake.stage(data_import.thing_id, definition, metrics) as staged:
                tally = _Tally()
                looked_at_s = 0.0
                for found in chain([first], slices):
                    rows = reader.read(found)
                    staged.add(rows)
                    self._count(tally, rows)
                    if time.monotonic() - looked_at_s >= _LOOK_PAUSE_S:
                        self._tell(claim, csv, tally)
                        looked_at_s = time.monotonic()
                self._store(claim, staged, tally)
        return tally.report()

    def _look_up(
        self, data_import: DataImport
    ) -> tuple[ThingDefinitionId, Mapping[MetricId, Metric]]:
        with self.control.for_tenant(data_import.tenant_id, read_only=True) as tx:
            placed = tx.catalogue.find_thing(data_import.thing_id)
            if placed is None:
                raise NotFound
            definition = placed.thing.thing_definition_id
            return definition, tx.catalogue.get_definitions().metrics_of(definition)

    def _count(self, tally: _Tally, rows: ImportedRows) -> None:
        tally.add(rows)
        if tally.rows > self.limits.max_rows:
            raise ImportRefused(
                ImportFault.FILE_TOO_LARGE,
                f"the file has more than {self.limits.max_rows} rows, which is the "
                "most that is taken at a time; cut it into several",
            )

    def _tell(self, claim: ImportClaim, csv: CsvContent, tally: _Tally) -> None:
        progress = ImportProgress(
            phase=ImportPhase.READING,
            rows_read=tally.rows,
            percent=_READING_PERCENT * csv.percent_read // 100,
        )
        with self.control.for_service() as tx:
            tx.import_queue.save_progress(claim, progress)
        self._go_on(claim)

    def _store(self, claim: ImportClaim, staged: StagedReadings, tally: _Tally) -> None:
        if not staged.has_values:
            return
        data_import = claim.data_import
        with self.open_lake(data_import.tenant_id) as lake:
            snapshot = lake.current_snapshot()
        progress = ImportProgress(
            phase=ImportPhase.STORING, rows_read=tally.rows, percent=_READING_PERCENT
        )
        with self.control.for_service() as tx:
            tx.import_queue.save_progress(claim, progress)
            tx.import_queue.save_draft(
                claim, ImportDraft(tally.report(), snapshot or 0)
            )
        # Asked last in the lane too: whoever ends the import looks there first, so
        # nothing can be stored of one that has ended.
        staged.store(data_import.id, lambda: self._go_on(claim))

    def _go_on(self, claim: ImportClaim) -> None:
        """Do nothing, unless the runner shall end or has lost the import.

        Raises:
            ImportInterrupted: It shall end.
            ImportLeaseLost: Another one has it.
        """
        if self.is_stopping():
            raise ImportInterrupted(claim.data_import.id)
        with self.control.for_service() as tx:
            tx.import_queue.heartbeat(claim, until=self.clock.now() + LEASE)


def _take_header(
    slices: Iterator[CsvSlice], line: int
) -> tuple[CsvSlice, tuple[str | None, ...]]:
    """Give the cells of the header, and the rest of the slice that it is in."""
    for found in slices:
        if found.rejected and found.rejected[0].line == line:
            raise ImportRefused(
                ImportFault.HEADER_NOT_VALID, f"line {line}: {found.rejected[0].reason}"
            )
        if found.rows and found.rows[0].line == line:
            header = tuple(found.rows.pop(0).cells)
            return found, header
        if found.rows or found.rejected:
            break
    raise ImportRefused(
        ImportFault.HEADER_NOT_VALID,
        f"line {line} is to be the header (csvHeaderRow), but it is empty or missing",
    )
