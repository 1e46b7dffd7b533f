"""The control database on a PostgreSQL server that several processes share."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from builders import NOON, a_data_export, a_tenant, an_id, an_organization
from postgres_server import PostgresServer
from stored_tenants import store_tenant
from thingport.adapters.sql.database import SqlControlDatabase
from thingport.adapters.sql.engine import open_engine
from thingport.adapters.sql.failures import explain
from thingport.domain.errors import (
    CorruptData,
    InvalidRequest,
    StoreUnavailable,
    ThingportError,
)
from thingport.domain.ids import DataExportId, TenantId, UserId

WRITER = """
import sys
from thingport.adapters.sql.database import SqlControlDatabase
control = SqlControlDatabase(sys.argv[1])
for _ in range(50):
    with control.for_tenant(sys.argv[2]) as tx:
        tx.catalogue.list_things()
        print(tx.allocate_written_seqs(1))
control.close()
"""


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    engine = open_engine(postgres_url, busy_timeout=timedelta(milliseconds=300))
    yield engine
    engine.dispose()


@pytest.fixture
def control(engine: Engine) -> SqlControlDatabase:
    return SqlControlDatabase(engine)


def _end_sessions(postgres: PostgresServer, engine: Engine) -> None:
    """End all sessions of a database, as a server does that is shut down."""
    with postgres.connect() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
            [engine.url.database],
        )


def test_processes_that_read_and_write_never_collide(
    control: SqlControlDatabase, postgres_url: str
) -> None:
    tenant = store_tenant(control)
    command = [sys.executable, "-c", WRITER, postgres_url, tenant.id]
    writers = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    printed = [it.communicate()[0] for it in writers]

    assert [it.returncode for it in writers] == [0, 0, 0]
    assert sorted(map(int, "".join(printed).split())) == list(range(1, 151))


def test_a_tenant_whose_turn_does_not_come_has_an_unavailable_database(
    control: SqlControlDatabase,
) -> None:
    tenant, other = store_tenant(control), store_tenant(control)

    with control.for_tenant(tenant.id):
        with (
            pytest.raises(StoreUnavailable, match="lock timeout"),
            control.for_tenant(tenant.id),
        ):
            pytest.fail("there is no transaction")
        with control.for_tenant(other.id) as tx:
            tx.catalogue.save(an_organization())

    with control.for_tenant(tenant.id) as tx:
        tx.catalogue.save(an_organization())


def test_a_lost_connection_is_an_unavailable_database_and_a_new_one_is_made(
    control: SqlControlDatabase, engine: Engine, postgres: PostgresServer
) -> None:
    tenant = store_tenant(control)
    saved = an_organization()

    def save_twice() -> None:
        with control.for_tenant(tenant.id) as tx:
            tx.catalogue.save(an_organization())
            _end_sessions(postgres, engine)
            tx.catalogue.save(an_organization())

    with pytest.raises(StoreUnavailable, match="terminating connection"):
        save_twice()

    _end_sessions(postgres, engine)
    with control.for_tenant(tenant.id) as tx:
        tx.catalogue.save(saved)
    with control.for_tenant(tenant.id, read_only=True) as tx:
        found = list(tx.catalogue.get_network().organizations)
    assert sorted(it.id for it in found) == sorted([tenant.organization.id, saved.id])


def test_a_connection_lost_at_the_commit_is_an_unavailable_database(
    control: SqlControlDatabase, engine: Engine, postgres: PostgresServer
) -> None:
    tenant = store_tenant(control)

    def save() -> None:
        with control.for_tenant(tenant.id) as tx:
            tx.catalogue.save(an_organization())
            _end_sessions(postgres, engine)

    with pytest.raises(StoreUnavailable):
        save()

    with control.for_tenant(tenant.id) as tx:
        assert list(tx.catalogue.get_network().organizations) == [tenant.organization]


def test_a_lost_connection_frees_the_turn_of_its_tenant(
    control: SqlControlDatabase, postgres_url: str
) -> None:
    tenant = store_tenant(control)
    hold = (
        "import sys; from thingport.adapters.sql.database import SqlControlDatabase\n"
        "with SqlControlDatabase(sys.argv[1]).for_tenant(sys.argv[2]):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, postgres_url, tenant.id],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(StoreUnavailable), control.for_tenant(tenant.id):
            pytest.fail("it is not our turn")
        holder.kill()

    with control.for_tenant(tenant.id) as tx:
        assert tx.allocate_written_seqs(1) == 1


def test_a_server_that_is_away_is_an_unavailable_database(tmp_path: Path) -> None:
    control = SqlControlDatabase(f"postgresql://postgres@/control?host={tmp_path}")

    with pytest.raises(StoreUnavailable, match="connection to server") as failure:
        control.for_service().__enter__()

    assert "\n" not in str(failure.value)


def test_too_many_connections_are_an_unavailable_database(
    postgres: PostgresServer, postgres_url: str
) -> None:
    with postgres.connect() as connection:
        connection.execute("CREATE ROLE narrow LOGIN CONNECTION LIMIT 0")
        control = SqlControlDatabase(postgres_url.replace("postgres@", "narrow@"))
        with pytest.raises(StoreUnavailable, match="too many connections"):
            control.for_service().__enter__()
        connection.execute("DROP ROLE narrow")


def test_a_database_whose_connections_are_all_in_use_is_unavailable(
    postgres_url: str,
) -> None:
    engine = create_engine(
        postgres_url.replace("postgresql:", "postgresql+psycopg:"),
        pool_size=1,
        max_overflow=0,
        pool_timeout=0.01,
    )
    control = SqlControlDatabase(engine)

    with (
        control.for_service(),
        pytest.raises(StoreUnavailable, match="in use"),
        control.for_service(),
    ):
        pytest.fail("there is no second connection")
    control.close()


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("08006", StoreUnavailable),
        ("25006", StoreUnavailable),
        ("25P03", StoreUnavailable),
        ("40001", StoreUnavailable),
        ("40P01", StoreUnavailable),
        ("53100", StoreUnavailable),
        ("53200", StoreUnavailable),
        ("53300", StoreUnavailable),
        ("55006", StoreUnavailable),
        ("55P03", StoreUnavailable),
        ("57014", StoreUnavailable),
        ("57P01", StoreUnavailable),
        ("57P02", StoreUnavailable),
        ("58030", StoreUnavailable),
        ("58P01", CorruptData),
        ("XX001", CorruptData),
        ("XX002", CorruptData),
        ("22003", type(None)),
        ("23503", type(None)),
        ("23505", type(None)),
        ("42P01", type(None)),
        ("42501", type(None)),
        ("XX000", type(None)),
    ],
)
def test_every_code_of_the_server_is_told_as_what_it_means(
    engine: Engine, state: str, kind: type[ThingportError | None]
) -> None:
    raising = f"DO $$ BEGIN RAISE EXCEPTION 'so' USING ERRCODE = '{state}'; END $$"

    with pytest.raises(DBAPIError) as raised, engine.begin() as connection:
        connection.exec_driver_sql(raising)

    explained = explain(raised.value)
    assert type(explained) is kind
    assert explained is None or "so" in str(explained)


def test_a_table_that_is_damaged_on_the_disk_is_damage(
    control: SqlControlDatabase, postgres: PostgresServer, postgres_url: str
) -> None:
    store_tenant(control)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        row = connection.execute("SELECT pg_relation_filepath('tenants')").fetchone()
        assert row is not None
        # A table that is moved is written to a new file and leaves memory.
        connection.execute("CHECKPOINT")
        connection.execute("VACUUM FULL tenants")
        connection.execute("CHECKPOINT")
        row = connection.execute("SELECT pg_relation_filepath('tenants')").fetchone()
        connection.execute("CREATE EXTENSION pg_buffercache")
        connection.execute("SELECT * FROM pg_buffercache_evict_all()")
    assert row is not None
    file = postgres.directory / "data" / str(row[0])
    content = bytearray(file.read_bytes())
    content[100:4000] = b"\xff" * 3900
    file.write_bytes(content)

    with (
        pytest.raises(CorruptData, match="damaged"),
        control.for_service(read_only=True) as tx,
    ):
        tx.tenants.find_by_name("")


def test_a_text_that_the_server_cannot_keep_is_refused(
    control: SqlControlDatabase,
) -> None:
    with pytest.raises(InvalidRequest, match=r"U\+0000"), control.for_service() as tx:
        tx.tenants.add(a_tenant(name="a\0b"))

    with pytest.raises(InvalidRequest), control.for_service(read_only=True) as tx:
        tx.tenants.find_by_name("\0")


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


def test_whatever_the_server_has_as_its_default_a_turn_sees_what_came_before(
    engine: Engine, control: SqlControlDatabase
) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                f"ALTER DATABASE {engine.url.database} SET"
                " default_transaction_isolation = 'serializable'"
            )
        )
    engine.dispose()

    with engine.connect() as connection:
        found = connection.exec_driver_sql("SHOW transaction_isolation").scalar_one()
    assert found == "read committed"
    with control.for_service(read_only=True) as tx:
        assert tx.queue.list_segments(DataExportId("none")) == []


def test_sessions_find_out_soon_that_the_other_end_is_gone(postgres_url: str) -> None:
    # A socket has no such thing; its end is noticed at once.
    engine = open_engine(f"{postgres_url}&keepalives_idle=7")
    with engine.connect() as connection:
        found = connection.exec_driver_sql("SHOW lock_timeout").scalar_one()
        driver = connection.connection.driver_connection
    assert found == "10s"
    assert driver is not None
    assert driver.info.get_parameters()["keepalives_idle"] == "7"
    assert driver.info.get_parameters()["keepalives_interval"] == "10"
    engine.dispose()
