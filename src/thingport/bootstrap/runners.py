"""What runs in the background, and what worker processes are given to do."""

import os
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing, contextmanager
from functools import lru_cache, partial
from pathlib import Path
from socket import gethostname

from thingport.adapters.archives.local import LocalArchiveStore
from thingport.adapters.executors.local import LocalExecutor
from thingport.adapters.imports.local import LocalImportFiles
from thingport.adapters.lake.reader import DuckLakeReader
from thingport.adapters.render.chunk_renderer import CsvZipRenderer
from thingport.adapters.sql.database import SqlControlDatabase
from thingport.adapters.system.clock import SystemClock
from thingport.application.housekeeping import Housekeeping
from thingport.application.import_upkeep import ImportUpkeep
from thingport.application.ports import RenderTask
from thingport.application.render_chunk import render_chunk
from thingport.application.run_data_export import DataExportRunner
from thingport.application.run_data_import import DataImportRunner, ImportLimits
from thingport.bootstrap.stores import (
    control_url_of,
    database_url_of,
    housekeeping_of,
    opened_lakes,
    prepare_data_dir,
)
from thingport.domain.export_plan import ExportPlan
from thingport.domain.ids import DataExportId, TenantId
from thingport.domain.segment import StoredSegment
from thingport.settings import DataDir, Settings


@contextmanager
def open_housekeeping(settings: Settings) -> Generator[Housekeeping]:
    """Open what looks after the lakes of a data directory, for a runner.

    Raises:
        UnusableDataDirectory: It cannot be used; nothing in it was changed.
    """
    prepare_data_dir(settings)
    control = SqlControlDatabase(control_url_of(settings))
    with closing(control), opened_lakes(settings, control) as lakes:
        yield housekeeping_of(settings, control, lakes)


@contextmanager
def open_runner(
    settings: Settings, *, is_stopping: Callable[[], bool] = lambda: False
) -> Generator[DataExportRunner]:
    """Open a runner on a data directory for as long as the block lasts.

    Args:
        settings: Where the directory is, and how much to render at a time.
        is_stopping: Asked by the runner: whether to give back what it works on.

    Raises:
        UnusableDataDirectory: It cannot be used; nothing in it was changed.
    """
    prepare_data_dir(settings)
    data_dir = DataDir(settings.data_dir)
    with ExitStack() as stack:
        control = SqlControlDatabase(control_url_of(settings))
        stack.callback(control.close)
        lakes = stack.enter_context(opened_lakes(settings, control))
        executor = LocalExecutor(
            partial(render_in_worker, settings),
            settings.workers,
            settings.worker_niceness,
        )
        stack.callback(executor.close)
        yield DataExportRunner(
            name=f"{gethostname()}-{os.getpid()}",
            control=control,
            open_lake=lakes.open_reader,
            archives=LocalArchiveStore(data_dir.archives),
            renderer=CsvZipRenderer(),
            executor=executor,
            clock=SystemClock(),
            max_chunk_cost_bytes=settings.max_chunk_bytes,
            is_stopping=is_stopping,
        )


@contextmanager
def open_import_runner(
    settings: Settings, *, is_stopping: Callable[[], bool] = lambda: False
) -> Generator[tuple[DataImportRunner, ImportUpkeep]]:
    """Open a runner of imports, and what looks after them, as ``open_runner`` does."""
    prepare_data_dir(settings)
    data_dir = DataDir(settings.data_dir)
    files, clock = LocalImportFiles(data_dir.imports), SystemClock()
    with ExitStack() as stack:
        control = SqlControlDatabase(control_url_of(settings))
        stack.callback(control.close)
        lakes = stack.enter_context(opened_lakes(settings, control))
        runner = DataImportRunner(
            name=f"{gethostname()}-{os.getpid()}",
            control=control,
            open_lake=lakes.open_reader,
            open_lake_imports=lakes.open_imports,
            files=files,
            clock=clock,
            limits=ImportLimits(
                max_csv_bytes=settings.max_import_csv_bytes,
                max_rows=settings.max_import_rows,
            ),
            is_stopping=is_stopping,
        )
        upkeep = ImportUpkeep(
            control=control,
            files=files,
            clock=clock,
            retention=settings.import_retention,
        )
        yield runner, upkeep


def render_in_worker(settings: Settings, task: RenderTask) -> StoredSegment:
    """Render one chunk; what a worker process is given to do.

    Plan and lake of the last export stay open for its next chunk.
    """
    archives = LocalArchiveStore(DataDir(settings.data_dir).archives)
    plan = _load_plan(settings.data_dir, task.tenant_id, task.data_export_id)
    lake = _worker_lake(
        settings.data_dir,
        settings.worker_memory_mb,
        database_url_of(settings),
        task.tenant_id,
    )
    return render_chunk(task, plan, lake, CsvZipRenderer(), archives)


@lru_cache(maxsize=1)
def _worker_lake(
    root: Path, memory_mb: int, database_url: str | None, tenant_id: TenantId
) -> DuckLakeReader:
    data_dir = DataDir(root)
    return DuckLakeReader(
        data_dir.lakes,
        tenant_id,
        temp_dir=data_dir.temporary,
        memory_mb=memory_mb,
        database_url=database_url,
    )


@lru_cache(maxsize=1)
def _load_plan(
    root: Path, tenant_id: TenantId, data_export_id: DataExportId
) -> ExportPlan:
    return LocalArchiveStore(DataDir(root).archives).load_plan(
        tenant_id, data_export_id
    )
