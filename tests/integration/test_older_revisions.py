"""Databases of earlier revisions, and code of earlier releases on the newest schema.

Two things hold of every migration: what is stored survives it, and processes of the
release before go on beside it until they are stopped. What earlier code stored is
kept in ``tests/revisions``; see CONTRIBUTING for how a revision is added.
"""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect

from builders import NOON
from recorded_revisions import (
    ACME,
    COMPLETED,
    PENDING,
    RecordedRow,
    find_revision,
    list_revisions,
    read_rows,
)
from thingport.adapters.sql import migrate
from thingport.adapters.sql.database import SqlControlDatabase
from thingport.adapters.sql.engine import open_engine, sqlite_url
from thingport.adapters.sql.migrate import upgrade
from thingport.domain.actor import CustomerEntity
from thingport.domain.data_export import DataExportState
from thingport.domain.ids import CustomerId, ThingDefinitionId, ThingId

_OFTEN = 6
"""How often a driver sees a statement before it prepares it for good, and once more."""


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """Lend an empty database."""
    if request.param == "sqlite":
        engine = open_engine(sqlite_url(tmp_path / "control.db"))
    else:
        engine = open_engine(request.getfixturevalue("empty_postgres_url"))
    yield engine
    engine.dispose()


revisions = pytest.mark.parametrize("revision", list_revisions())


def _store(engine: Engine, rows: Sequence[RecordedRow]) -> None:
    with engine.begin() as connection:
        for row in rows:
            connection.exec_driver_sql(row.statement)


def _columns(rows: Sequence[RecordedRow]) -> Mapping[str, Sequence[str]]:
    return {it.table: it.columns for it in rows}


def _read(engine: Engine, rows: Sequence[RecordedRow]) -> Mapping[str, list[str]]:
    """Give the columns that were recorded, of all rows that are there."""
    content: dict[str, list[str]] = {}
    with engine.begin() as connection:
        for table, columns in _columns(rows).items():
            names = ", ".join(f'"{it}"' for it in columns)
            found = connection.exec_driver_sql(f'SELECT {names} FROM "{table}"')
            content[table] = sorted(map(repr, found.all()))
    return content


def _update(engine: Engine, rows: Sequence[RecordedRow]) -> None:
    with engine.begin() as connection:
        for table, columns in _columns(rows).items():
            for name in columns:
                connection.exec_driver_sql(f'UPDATE "{table}" SET "{name}" = "{name}"')


def _delete(engine: Engine, rows: Sequence[RecordedRow]) -> None:
    with engine.begin() as connection:
        for table in reversed(list(_columns(rows))):
            connection.exec_driver_sql(f'DELETE FROM "{table}"')


def _check_that_repositories_give_it(engine: Engine) -> None:
    control = SqlControlDatabase(engine)
    with control.for_service() as service:
        assert [it.id for it in service.tenants.list_all()] == [ACME]
        for export_id in (COMPLETED, PENDING):
            assert len(service.queue.list_segments(export_id)) == 1
    with control.for_tenant(ACME) as tx:
        placed = tx.catalogue.find_thing(ThingId("part-of-one"))
        assert placed is not None
        assert placed.root_id == "one"
        assert placed.customer is not None
        assert placed.customer.properties == {"note": "it's é"}
        assert len(tx.catalogue.list_things()) == 2
        assert [it.name for it in tx.catalogue.list_locations()] == ["Cellar"]
        metrics = tx.catalogue.get_definitions().metrics_of(ThingDefinitionId("pump"))
        assert [it.unit for it in metrics.values()] == ["l/s"]
        user = tx.credentials.find_user_by_token_digest("digest")
        assert user is not None
        assert user.entity == CustomerEntity(CustomerId("shop"))
        assert tx.credentials.find_api_key_by_digest("digest of key") is not None
        completed = tx.data_exports.find(COMPLETED)
        assert completed is not None
        assert completed.state is DataExportState.COMPLETED
        assert completed.archive is not None
        assert tx.allocate_written_seqs(1) == 8
        assert tx.upkeep.get_retention_months() in {None, 1200}
    with control.for_service() as service:
        claim = service.queue.claim("runner", now=NOON, lease=timedelta(seconds=30))
        assert claim is not None
        assert claim.data_export.id == PENDING


def test_every_revision_is_recorded() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrate.SCRIPTS))
    scripts = ScriptDirectory.from_config(config).walk_revisions()

    assert list_revisions() == sorted(it.revision for it in scripts), (
        "record it: python tests/recorded_revisions.py"
    )


@revisions
def test_a_recording_has_all_tables_and_columns_of_its_revision(
    engine: Engine, revision: str
) -> None:
    upgrade(engine, to=revision)

    found = inspect(engine)
    assert {it: set(names) for it, names in _columns(read_rows(revision)).items()} == {
        table: {it["name"] for it in found.get_columns(table)}
        for table in found.get_table_names()
        if table != "alembic_version"
    }


@revisions
def test_what_every_revision_stored_survives_and_can_be_read(
    engine: Engine, revision: str
) -> None:
    rows = read_rows(revision)
    upgrade(engine, to=revision)
    _store(engine, rows)
    before = _read(engine, rows)
    assert sum(map(len, before.values())) == len(rows)

    upgrade(engine)

    assert _read(engine, rows) == before
    _check_that_repositories_give_it(engine)


@revisions
def test_code_of_every_revision_goes_on_while_and_after_it_is_migrated(
    engine: Engine, revision: str
) -> None:
    rows = read_rows(revision)
    upgrade(engine, to=revision)
    _store(engine, rows)
    for _ in range(_OFTEN):
        before = _read(engine, rows)

    newer = open_engine(engine.url)
    upgrade(newer)

    # In the session that it had before, as a process that has not noticed.
    assert _read(engine, rows) == before
    _update(engine, rows)
    _delete(engine, rows)
    _store(engine, rows)
    assert _read(engine, rows) == before
    _check_that_repositories_give_it(newer)
    newer.dispose()


MIGRATE = """
import sys
from thingport.adapters.sql.engine import open_engine
from thingport.adapters.sql.migrate import upgrade
engine = open_engine(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
upgrade(engine)
"""


@pytest.mark.parametrize("revision", [None, *list_revisions()[:1]])
def test_processes_that_migrate_at_once_do_not_collide(
    engine: Engine, revision: str | None
) -> None:
    if revision is not None:
        upgrade(engine, to=revision)
        _store(engine, read_rows(revision))
    url = engine.url.render_as_string(hide_password=False)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MIGRATE, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    told = [it.communicate(timeout=120)[1] for it in processes]

    assert [it.returncode for it in processes] == [0, 0, 0], told
    assert find_revision(engine) == list_revisions()[-1]
    if revision is not None:
        _check_that_repositories_give_it(engine)
