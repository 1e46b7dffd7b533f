"""The schema that migrations make, and the databases that they refuse."""

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect, text

from postgres_server import PostgresServer
from thingport.adapters.sql import (
    catalogue_tables,
    credential_tables,
    export_tables,
    import_tables,
)
from thingport.adapters.sql.database import SqlControlDatabase
from thingport.adapters.sql.engine import open_engine, sqlite_url
from thingport.adapters.sql.migrate import upgrade
from thingport.adapters.sql.schema import metadata
from thingport.domain.errors import (
    StoreUnavailable,
    UnusableDatabase,
    UnusableDataDirectory,
)
from thingport.domain.ids import TenantId

A_SECOND = timedelta(seconds=1)
_TENANT = "id, name, next_written_seq"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "control.db"


@pytest.fixture
def in_a_file(database: Path) -> Iterator[Engine]:
    engine = open_engine(sqlite_url(database), busy_timeout=A_SECOND)
    yield engine
    engine.dispose()


@pytest.fixture
def on_a_server(empty_postgres_url: str) -> Iterator[Engine]:
    engine = open_engine(empty_postgres_url, busy_timeout=A_SECOND)
    yield engine
    engine.dispose()


@pytest.fixture(params=["in_a_file", "on_a_server"])
def engine(request: pytest.FixtureRequest) -> Engine:
    engine: Engine = request.getfixturevalue(request.param)
    return engine


def _run(engine: Engine, sql: str) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(sql)


def test_migrations_make_the_tables_that_the_code_knows(engine: Engine) -> None:
    assert catalogue_tables.things.metadata is metadata
    assert credential_tables.users.metadata is metadata
    assert export_tables.data_exports.metadata is metadata
    assert import_tables.data_imports.metadata is metadata
    upgrade(engine)

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_conditions_of_indexes_and_checks_are_the_same_in_both(
    in_a_file: Engine, tmp_path: Path
) -> None:
    # Alembic does not compare them.
    declared = open_engine(sqlite_url(tmp_path / "declared.db"))
    metadata.create_all(declared)
    upgrade(in_a_file)

    indexes = (
        "SELECT sql FROM sqlite_master WHERE type = 'index' AND sql LIKE '%WHERE%'"
    )
    assert _conditions(in_a_file, indexes) == _conditions(declared, indexes)
    declared.dispose()


def test_conditions_of_indexes_and_checks_are_the_same_in_both_on_a_server(
    on_a_server: Engine, postgres: PostgresServer
) -> None:
    upgrade(on_a_server)

    indexes = "SELECT indexdef FROM pg_indexes WHERE indexdef LIKE '%WHERE%'"
    with postgres.fresh_database("template1") as url:
        declared = open_engine(url)
        metadata.create_all(declared)
        assert _conditions(on_a_server, indexes) == _conditions(declared, indexes)
        declared.dispose()


def _conditions(engine: Engine, indexes: str) -> tuple[list[str], list[str]]:
    checks = [
        str(it["sqltext"]) for it in inspect(engine).get_check_constraints("users")
    ]
    with engine.connect() as connection:
        found = connection.execute(text(indexes)).scalars().all()
    assert checks
    assert found
    return checks, sorted(map(str, found))


def test_migrating_twice_changes_nothing(engine: Engine) -> None:
    upgrade(engine)
    _run(engine, f"INSERT INTO tenants ({_TENANT}) VALUES ('t', 'acme', 5)")
    upgrade(engine)

    with engine.connect() as connection:
        rows = connection.exec_driver_sql(f"SELECT {_TENANT} FROM tenants").all()
    assert [tuple(it) for it in rows] == [("t", "acme", 5)]


AN_ORGANIZATION_OF_0001 = (
    "INSERT INTO organizations (tenant_id, id, name) VALUES ('t', 'o', 'Acme')"
)
A_USER_OF_0001 = """
INSERT INTO users (tenant_id, id, email, email_key, organization_id, permissions)
VALUES ('t', 'u', 'a@b', 'a@b', 'o', '[]')
"""
AN_EXPORT_OF_0001 = """
INSERT INTO data_exports (
    id, tenant_id, scheduled_by, scheduled_at, name, selection, rendition, slot,
    state, progress, fencing_token, attempt
) VALUES ('e', 't', 'u', 0, 'e', '{}', '{}', 's', 'PENDING', '{}', 0, 0)
"""


def test_an_export_scheduled_before_snapshots_were_noted_pins_all_of_them(
    engine: Engine,
) -> None:
    upgrade(engine, to="0001")
    _run(engine, f"INSERT INTO tenants ({_TENANT}) VALUES ('t', 'acme', 5)")
    _run(engine, AN_ORGANIZATION_OF_0001)
    _run(engine, A_USER_OF_0001)
    _run(engine, AN_EXPORT_OF_0001)
    upgrade(engine)

    with SqlControlDatabase(engine).for_tenant(TenantId("t")) as tx:
        assert tx.data_exports.find_oldest_pin() == 0


def test_many_may_migrate_at_the_same_time(engine: Engine) -> None:
    def migrate(_: int) -> None:
        another = open_engine(engine.url)
        upgrade(another)
        another.dispose()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(migrate, range(4)))


def test_a_newer_release_is_refused_and_what_it_keeps_left_alone(
    engine: Engine,
) -> None:
    upgrade(engine)
    _run(engine, "UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(
        (UnusableDataDirectory, UnusableDatabase), match=r"newer release.*9999"
    ):
        upgrade(engine)

    with engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT version_num FROM alembic_version")
        assert found.scalars().all() == ["9999"]


def test_a_file_of_a_newer_release_keeps_every_byte(
    in_a_file: Engine, database: Path
) -> None:
    upgrade(in_a_file)
    _run(in_a_file, "UPDATE alembic_version SET version_num = '9999'")
    in_a_file.dispose()
    before = database.read_bytes()

    with pytest.raises(UnusableDataDirectory, match="newer release") as refusal:
        upgrade(in_a_file)
    in_a_file.dispose()

    assert refusal.value.directory == str(database.parent)
    assert database.read_bytes() == before


def _make_text(database: Path) -> None:
    database.write_text("This is no database, but it is long enough. " * 99)


def _make_directory(database: Path) -> None:
    database.mkdir()


@pytest.mark.parametrize("spoil", [_make_text, _make_directory])
def test_what_cannot_be_opened_is_refused_with_its_directory(
    in_a_file: Engine, database: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(database)

    with pytest.raises(UnusableDataDirectory, match="cannot be used") as refusal:
        upgrade(in_a_file)

    assert refusal.value.directory == str(database.parent)


def test_a_busy_file_can_be_migrated_later(in_a_file: Engine, database: Path) -> None:
    upgrade(in_a_file)
    other = sqlite3.connect(database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreUnavailable, match="locked"):
        upgrade(in_a_file)

    other.close()
    upgrade(in_a_file)


def test_a_busy_server_can_be_migrated_later(
    on_a_server: Engine, empty_postgres_url: str
) -> None:
    upgrade(on_a_server)
    with psycopg.connect(empty_postgres_url) as other:
        other.execute("LOCK TABLE alembic_version")
        with pytest.raises(StoreUnavailable, match="lock timeout"):
            upgrade(on_a_server)

    upgrade(on_a_server)


def test_who_migrates_on_a_server_waits_for_who_is_at_it(
    on_a_server: Engine, empty_postgres_url: str
) -> None:
    with psycopg.connect(empty_postgres_url) as other:
        other.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('thingport migration', 0))"
        )
        with pytest.raises(StoreUnavailable, match="lock timeout"):
            upgrade(on_a_server)
        assert inspect(on_a_server).get_table_names() == []

    upgrade(on_a_server)


def test_a_migration_that_breaks_off_on_a_server_leaves_nothing(
    on_a_server: Engine,
) -> None:
    # The last table of the first migration is there, and is somebody else's.
    _run(on_a_server, "CREATE TABLE export_segments (a INTEGER)")

    with pytest.raises(UnusableDatabase, match="already exists"):
        upgrade(on_a_server)

    assert inspect(on_a_server).get_table_names() == ["export_segments"]


def test_a_server_is_named_without_its_password(
    on_a_server: Engine, empty_postgres_url: str
) -> None:
    upgrade(on_a_server)
    _run(on_a_server, "UPDATE alembic_version SET version_num = '9999'")
    address = empty_postgres_url.replace("postgres@", "postgres:s3cret@")
    engine = open_engine(f"{address}&password=s3cret")

    with pytest.raises(UnusableDatabase, match="postgresql://postgres@") as refusal:
        upgrade(engine)

    assert "s3cret" not in str(refusal.value)
    engine.dispose()


def test_a_server_that_answers_before_all_is_on_disk_is_refused(
    on_a_server: Engine,
) -> None:
    name = on_a_server.url.database
    _run(on_a_server, f"ALTER DATABASE {name} SET synchronous_commit = off")
    on_a_server.dispose()

    with pytest.raises(UnusableDatabase, match="synchronous_commit is off"):
        upgrade(on_a_server)

    assert inspect(on_a_server).get_table_names() == []


def test_a_server_that_is_away_may_come_back(tmp_path: Path) -> None:
    engine = open_engine(f"postgresql://postgres@/control?host={tmp_path}")

    with pytest.raises(StoreUnavailable, match="connection to server"):
        upgrade(engine)


def test_a_newer_database_in_memory_is_refused_by_its_address() -> None:
    engine = open_engine("sqlite://")
    upgrade(engine)
    _run(engine, "UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(UnusableDatabase) as refusal:
        upgrade(engine)

    assert refusal.value.database == "sqlite://"
    engine.dispose()
