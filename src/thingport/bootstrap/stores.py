"""Stores of a data directory: made, brought to the newest schema, and opened."""

from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import URL

from thingport.adapters.lake.lakes import Lakes
from thingport.adapters.sql.database import SqlControlDatabase
from thingport.adapters.sql.engine import open_engine, sqlite_url
from thingport.adapters.sql.migrate import upgrade
from thingport.adapters.system.clock import SystemClock
from thingport.adapters.system.secret_files import make_secret
from thingport.application.housekeeping import Housekeeping
from thingport.domain.errors import UnusableDataDirectory
from thingport.domain.ids import TenantId
from thingport.settings import MIN_SECRET_CHARACTERS, DataDir, Settings


def prepare_data_dir(settings: Settings) -> None:
    """Make the data directory, its secrets and the newest schema.

    Raises:
        UnusableDataDirectory: It cannot be made, opened or written, or a newer
            release has used it; nothing in it was changed.
        UnusableDatabase: The same of the database on a server.
        StoreUnavailable: The database does not answer.
    """
    data_dir = DataDir(settings.data_dir)
    if data_dir.root.is_file():
        raise UnusableDataDirectory(
            str(data_dir.root), "it is a file; name a directory with --data-dir"
        )
    with _writing_in(data_dir):
        data_dir.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    # First of all: it refuses what another release or another program has made.
    engine = open_engine(control_url_of(settings))
    try:
        upgrade(engine)
    finally:
        engine.dispose()
    with _writing_in(data_dir):
        data_dir.temporary.mkdir(exist_ok=True)
        for name in ("token", "link"):
            make_secret(data_dir.secret(name))


@contextmanager
def _writing_in(data_dir: DataDir) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise UnusableDataDirectory(
            str(data_dir.root),
            f"cannot be written: {error.strerror}; give the service the right to "
            "write there, or name another directory with --data-dir",
        ) from error


def database_url_of(settings: Settings) -> str | None:
    """Give the address of the database server, if there is one."""
    url = settings.database_url
    return None if url is None else url.get_secret_value()


def control_url_of(settings: Settings) -> str | URL:
    """Give the address of the control database."""
    url = database_url_of(settings)
    return url or sqlite_url(DataDir(settings.data_dir).control_database)


def read_secret(given: SecretStr | None, path: Path) -> bytes:
    """Give a secret, from the settings or else from its file.

    Raises:
        UnusableDataDirectory: The file is not whole.
    """
    text = path.read_text() if given is None else given.get_secret_value()
    if len(text) < MIN_SECRET_CHARACTERS:
        raise UnusableDataDirectory(
            str(path.parent.parent),
            f"secrets/{path.name} is not whole; restore it from a backup, or delete it "
            "to have a new one made",
        )
    return text.encode()


@contextmanager
def opened_lakes(settings: Settings, control: SqlControlDatabase) -> Generator[Lakes]:
    """Open the lakes of all tenants for as long as the block lasts."""

    def allocate_written_seqs(tenant_id: TenantId, count: int) -> int:
        with control.for_tenant(tenant_id) as tx:
            return tx.allocate_written_seqs(count)

    data_dir = DataDir(settings.data_dir)
    lakes = Lakes(
        data_dir.lakes,
        temp_dir=data_dir.temporary,
        allocate_written_seqs=allocate_written_seqs,
        group_commit_pause=settings.group_commit_pause,
        max_file_bytes=settings.compaction_file_bytes,
        database_url=database_url_of(settings),
    )
    with closing(lakes):
        yield lakes


def housekeeping_of(
    settings: Settings, control: SqlControlDatabase, lakes: Lakes
) -> Housekeeping:
    """Give what looks after the lakes."""
    return Housekeeping(
        control=control,
        open_keeper=lakes.open_keeper,
        clock=SystemClock(),
        snapshot_retention=settings.snapshot_retention,
    )
