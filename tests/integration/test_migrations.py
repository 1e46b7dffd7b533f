"""The schema that migrations make, and the databases that they refuse."""

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect

from thingport.adapters.sql import catalogue_tables, credential_tables, export_tables
from thingport.adapters.sql.database import SqlControlDatabase
from thingport.adapters.sql.engine import open_engine, sqlite_url
from thingport.adapters.sql.migrate import upgrade
from thingport.adapters.sql.schema import metadata
from thingport.domain.errors import StoreUnavailable, UnusableDataDirectory
from thingport.domain.ids import TenantId

_TENANT = "id, name, next_written_seq"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "control.db"


@pytest.fixture
def engine(database: Path) -> Iterator[Engine]:
    engine = open_engine(sqlite_url(database), busy_timeout=timedelta(seconds=1))
    yield engine
    engine.dispose()


def _run(database: Path, sql: str) -> None:
    connection = sqlite3.connect(database)
    with connection:
        connection.execute(sql)
    connection.close()


def test_migrations_make_the_tables_that_the_code_knows(engine: Engine) -> None:
    assert catalogue_tables.things.metadata is metadata
    assert credential_tables.users.metadata is metadata
    assert export_tables.data_exports.metadata is metadata
    upgrade(engine)

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_conditions_of_indexes_and_checks_are_the_same_in_both(
    engine: Engine, tmp_path: Path
) -> None:
    # Alembic does not compare them.
    declared = open_engine(sqlite_url(tmp_path / "declared.db"))
    metadata.create_all(declared)
    upgrade(engine)

    assert _conditions(engine) == _conditions(declared)
    declared.dispose()


def _conditions(engine: Engine) -> tuple[list[str], list[str]]:
    checks = [
        str(it["sqltext"]) for it in inspect(engine).get_check_constraints("users")
    ]
    indexes = (
        "SELECT sql FROM sqlite_master WHERE type = 'index' AND sql LIKE '%WHERE%'"
    )
    with engine.connect() as connection:
        found = connection.exec_driver_sql(indexes).scalars().all()
    assert checks
    assert found
    return checks, sorted(map(str, found))


def test_migrating_twice_changes_nothing(engine: Engine, database: Path) -> None:
    upgrade(engine)
    _run(database, f"INSERT INTO tenants ({_TENANT}) VALUES ('t', 'acme', 5)")
    upgrade(engine)

    with engine.connect() as connection:
        rows = connection.exec_driver_sql(f"SELECT {_TENANT} FROM tenants").all()
    assert [tuple(it) for it in rows] == [("t", "acme", 5)]


AN_EXPORT_OF_0001 = """
INSERT INTO data_exports (
    id, tenant_id, scheduled_by, scheduled_at, name, selection, rendition, slot,
    state, progress, fencing_token, attempt
) VALUES ('e', 't', 'u', 0, 'e', '{}', '{}', 's', 'PENDING', '{}', 0, 0)
"""


def test_an_export_scheduled_before_snapshots_were_noted_pins_all_of_them(
    engine: Engine, database: Path
) -> None:
    upgrade(engine, to="0001")
    _run(database, f"INSERT INTO tenants ({_TENANT}) VALUES ('t', 'acme', 5)")
    _run(database, AN_EXPORT_OF_0001)
    upgrade(engine)

    with SqlControlDatabase(engine).for_tenant(TenantId("t")) as tx:
        assert tx.data_exports.find_oldest_pin() == 0


def test_many_may_migrate_at_the_same_time(database: Path) -> None:
    def migrate(_: int) -> None:
        engine = open_engine(sqlite_url(database))
        upgrade(engine)
        engine.dispose()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(migrate, range(4)))


def test_a_database_of_a_newer_release_is_refused_and_left_alone(
    engine: Engine, database: Path
) -> None:
    upgrade(engine)
    engine.dispose()
    _run(database, "UPDATE alembic_version SET version_num = '9999'")
    before = database.read_bytes()

    with pytest.raises(UnusableDataDirectory, match=r"newer release.*9999") as refusal:
        upgrade(engine)
    engine.dispose()

    assert refusal.value.directory == str(database.parent)
    assert database.read_bytes() == before


def _make_text(database: Path) -> None:
    database.write_text("This is no database, but it is long enough. " * 99)


def _make_directory(database: Path) -> None:
    database.mkdir()


@pytest.mark.parametrize("spoil", [_make_text, _make_directory])
def test_what_cannot_be_opened_is_refused_with_its_directory(
    engine: Engine, database: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(database)

    with pytest.raises(UnusableDataDirectory, match="cannot be used") as refusal:
        upgrade(engine)

    assert refusal.value.directory == str(database.parent)


def test_a_busy_database_can_be_migrated_later(engine: Engine, database: Path) -> None:
    upgrade(engine)
    other = sqlite3.connect(database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreUnavailable, match="locked"):
        upgrade(engine)

    other.close()
    upgrade(engine)


def test_a_newer_database_without_a_directory_is_refused_by_its_address() -> None:
    engine = open_engine("sqlite://")
    upgrade(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(UnusableDataDirectory) as refusal:
        upgrade(engine)

    assert refusal.value.directory == "sqlite://"
    engine.dispose()
