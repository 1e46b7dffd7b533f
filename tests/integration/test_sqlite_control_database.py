"""The control database in a SQLite file that several processes share."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import IntegrityError

from builders import NOON, a_data_export, an_id
from stored_tenants import store_tenant
from thingport.adapters.sql.database import SqlControlDatabase
from thingport.adapters.sql.engine import open_engine, sqlite_url
from thingport.adapters.sql.migrate import upgrade
from thingport.domain.errors import CorruptData, StoreUnavailable
from thingport.domain.ids import DataExportId, TenantId, UserId

WRITER = """
import sys
from pathlib import Path
from thingport.adapters.sql.database import SqlControlDatabase
from thingport.adapters.sql.engine import sqlite_url
control = SqlControlDatabase(sqlite_url(Path(sys.argv[1])))
for _ in range(50):
    with control.for_tenant(sys.argv[2]) as tx:
        tx.catalogue.list_things()
        print(tx.allocate_written_seqs(1))
control.close()
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "control.db"


@pytest.fixture
def engine(database: Path) -> Iterator[Engine]:
    engine = open_engine(sqlite_url(database), busy_timeout=timedelta(milliseconds=50))
    upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def control(engine: Engine) -> SqlControlDatabase:
    return SqlControlDatabase(engine)


def test_every_connection_is_durable_and_checks_references(engine: Engine) -> None:
    with engine.connect() as connection:
        found = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert found == ["wal", 2, 1]


def test_processes_that_read_and_write_never_collide(
    control: SqlControlDatabase, database: Path
) -> None:
    tenant = store_tenant(control)
    command = [sys.executable, "-c", WRITER, str(database), tenant.id]
    writers = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    printed = [it.communicate()[0] for it in writers]

    assert [it.returncode for it in writers] == [0, 0, 0]
    assert sorted(map(int, "".join(printed).split())) == list(range(1, 151))


def test_a_locked_database_is_unavailable(
    control: SqlControlDatabase, database: Path
) -> None:
    other = sqlite3.connect(database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreUnavailable, match="locked"), control.for_service():
        pytest.fail("there is no transaction")

    other.close()
    with control.for_service() as tx:
        assert tx.queue.list_segments(DataExportId("none")) == []


def test_a_database_that_cannot_be_opened_is_unavailable(tmp_path: Path) -> None:
    control = SqlControlDatabase(sqlite_url(tmp_path / "nowhere" / "control.db"))

    with pytest.raises(StoreUnavailable, match="unable to open"), control.for_service():
        pytest.fail("there is no transaction")


def test_a_file_that_is_no_database_is_damage(tmp_path: Path) -> None:
    file = tmp_path / "control.db"
    file.write_text("This is no database, but it is long enough. " * 99)
    control = SqlControlDatabase(sqlite_url(file))

    with pytest.raises(CorruptData, match="damaged"), control.for_service():
        pytest.fail("there is no transaction")


def test_what_only_a_bug_can_cause_is_not_explained_away(
    control: SqlControlDatabase,
) -> None:
    with (
        pytest.raises(IntegrityError),
        control.for_tenant(TenantId(an_id())) as tx,
    ):
        tx.credentials.add_access_token(an_id(), UserId("none"), "ci", "d", NOON)


def test_an_export_of_nobody_is_a_bug_and_not_a_conflict(
    control: SqlControlDatabase,
) -> None:
    tenant = store_tenant(control)
    with pytest.raises(IntegrityError), control.for_tenant(tenant.id) as tx:
        tx.data_exports.add(a_data_export(tenant_id=tenant.id), slot="s")


def test_a_database_whose_connections_are_all_in_use_is_unavailable(
    database: Path,
) -> None:
    engine = create_engine(
        sqlite_url(database), pool_size=1, max_overflow=0, pool_timeout=0.01
    )
    control = SqlControlDatabase(engine)

    with (
        control.for_service(),
        pytest.raises(StoreUnavailable, match="in use"),
        control.for_service(),
    ):
        pytest.fail("there is no second connection")
    control.close()
