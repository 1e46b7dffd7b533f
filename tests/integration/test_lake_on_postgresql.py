"""A lake whose catalogue is in PostgreSQL: many machines, lost connections, secrets."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import psycopg
import pytest

from lake_rows import (
    ACME,
    LakePlace,
    Numbers,
    a_batch,
    a_keeper,
    a_lane,
    a_layout,
    a_reader,
    a_reading,
    read,
)
from postgres_server import PostgresServer
from thingport.adapters.lake.file_replacement import FileReplacement
from thingport.adapters.lake.incoming_rows import rows_of, store_rows
from thingport.adapters.lake.lake_names import schema_name
from thingport.adapters.lake.lake_transaction import LakeTransaction
from thingport.adapters.lake.reader import DuckLakeReader
from thingport.adapters.lake.writer_lane import WriterLane
from thingport.domain.errors import CorruptData, StoreUnavailable
from thingport.domain.ids import TenantId

TESTS = Path(__file__).parents[1]


@pytest.fixture
def place(tmp_path: Path, empty_postgres_url: str) -> Iterator[LakePlace]:
    with closing(LakePlace(tmp_path, empty_postgres_url)) as place:
        yield place


@pytest.fixture
def database_url(empty_postgres_url: str) -> str:
    return empty_postgres_url


@pytest.fixture
def numbers() -> Numbers:
    return Numbers()


@pytest.fixture
def lane(place: LakePlace, numbers: Numbers) -> WriterLane:
    return a_lane(place, numbers)


@pytest.fixture
def reader(place: LakePlace) -> DuckLakeReader:
    return a_reader(place)


def _write(lane: WriterLane, *numbers: int) -> None:
    rows = rows_of(a_batch(*(a_reading("t", it, long=it) for it in numbers)))
    lane.commit(lambda transaction: store_rows(transaction, [rows]))


def _end_turns(database_url: str) -> None:
    """End the sessions that have a turn, and no other."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
        )


def _end_sessions(postgres: PostgresServer, database_url: str) -> None:
    """End all sessions of a database, as a server does that is shut down."""
    with (
        psycopg.connect(database_url) as of_database,
        postgres.connect() as connection,
    ):
        name = of_database.info.dbname
        of_database.close()
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
            [name],
        )


def test_who_lost_the_lane_unawares_gets_new_numbers_after_who_had_it_since(
    place: LakePlace,
    database_url: str,
    lane: WriterLane,
    reader: DuckLakeReader,
    numbers: Numbers,
) -> None:
    _write(lane, 0)
    other = a_lane(place, numbers)
    rows = rows_of(a_batch(a_reading("t", 1, long=2)))
    tries: list[int] = []

    def store(transaction: LakeTransaction) -> None:
        store_rows(transaction, [rows])
        tries.append(1)
        if len(tries) == 1:
            _end_turns(database_url)
            _write(other, 1)

    lane.commit(store)
    other.close()

    assert len(tries) == 2
    assert [it[2] for it in read(reader, a_layout("long"), ["t"])] == [0, 1, 2]


def test_who_lost_the_turn_to_merge_unawares_leaves_what_another_merged(
    place: LakePlace,
    database_url: str,
    lane: WriterLane,
    reader: DuckLakeReader,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(4):
        _write(lane, number)
    before = read(reader, a_layout("long"), ["t"])
    first, second = a_keeper(place), a_keeper(place)
    write = FileReplacement.write
    merged: list[int] = []

    def write_and_lose_the_turn(
        self: FileReplacement, engine: duckdb.DuckDBPyConnection
    ) -> None:
        write(self, engine)
        monkeypatch.undo()
        _end_turns(database_url)
        merged.append(second.compact(is_thorough=True))

    monkeypatch.setattr(FileReplacement, "write", write_and_lose_the_turn)

    assert first.compact(is_thorough=True) == 0
    assert merged == [4]
    assert first.measure().files == 1
    assert read(reader, a_layout("long"), ["t"]) == before
    assert first.delete_leftovers(before=datetime.now(UTC) + timedelta(hours=1)) == 0


def test_who_finds_its_merged_file_swept_away_changes_nothing(
    place: LakePlace,
    lane: WriterLane,
    reader: DuckLakeReader,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(4):
        _write(lane, number)
    before = read(reader, a_layout("long"), ["t"])
    write = FileReplacement.write

    def write_and_be_swept_up_after(
        self: FileReplacement, engine: duckdb.DuckDBPyConnection
    ) -> None:
        write(self, engine)
        self.staged.unlink()

    monkeypatch.setattr(FileReplacement, "write", write_and_be_swept_up_after)
    keeper = a_keeper(place)

    assert keeper.compact(is_thorough=True) == 0
    assert keeper.measure().files == 4
    assert read(reader, a_layout("long"), ["t"]) == before


def test_the_lane_of_a_process_that_was_killed_is_free(
    tmp_path: Path, database_url: str, lane: WriterLane, reader: DuckLakeReader
) -> None:
    hold = (
        "import sys; from datetime import timedelta; from pathlib import Path;"
        "from thingport.adapters.lake.catalogue import open_catalogue;"
        "from thingport.adapters.lake.lake_names import Turn\n"
        "with open_catalogue(Path(sys.argv[1]), 'acme', sys.argv[2]).turn("
        "Turn.WRITING, timedelta(seconds=9)):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    _write(lane, 1)
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(tmp_path / "lakes"), database_url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        holder.kill()
    _write(lane, 2)

    assert len(read(reader, a_layout("long"), ["t"])) == 2


def test_everybody_connects_anew_to_a_server_that_was_started_again(
    postgres: PostgresServer,
    database_url: str,
    lane: WriterLane,
    reader: DuckLakeReader,
) -> None:
    _write(lane, 1)
    assert len(read(reader, a_layout("long"), ["t"])) == 1
    _end_sessions(postgres, database_url)

    _write(lane, 2)
    assert len(read(reader, a_layout("long"), ["t"])) == 2


def test_a_connection_lost_in_a_transaction_is_an_unavailable_store(
    postgres: PostgresServer,
    database_url: str,
    lane: WriterLane,
    reader: DuckLakeReader,
) -> None:
    _write(lane, 1)
    rows = rows_of(a_batch(a_reading("t", 2, long=2)))

    def store(transaction: LakeTransaction) -> None:
        store_rows(transaction, [rows])
        _end_sessions(postgres, database_url)

    with pytest.raises(StoreUnavailable):
        lane.commit(store)

    assert [it[2] for it in read(reader, a_layout("long"), ["t"])] == [1]
    _write(lane, 3)
    assert [it[2] for it in read(reader, a_layout("long"), ["t"])] == [1, 3]


def test_a_server_that_is_away_is_an_unavailable_store_and_never_told_by_its_password(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"postgresql://ada:s3cret@/lakes?host={tmp_path}"
    away = LakePlace(tmp_path, url)
    lane, reader = a_lane(away), a_reader(away)

    with pytest.raises(StoreUnavailable, match="connection to server") as of_writer:
        _write(lane, 1)
    with pytest.raises(StoreUnavailable, match="connection to server") as of_reader:
        reader.current_snapshot()
    # What a worker meets that has the lake's snapshot already.
    with pytest.raises(StoreUnavailable, match="Unable to connect") as of_worker:
        read(reader, a_layout("long"), ["t"], snapshot=1)

    for failure in (of_writer, of_reader, of_worker):
        error: BaseException | None = failure.value
        while error is not None:
            assert "s3cret" not in str(error)
            error = error.__cause__
    assert "s3cret" not in caplog.text


def test_a_server_that_asks_for_a_password_gets_it(
    tmp_path: Path, postgres: PostgresServer, database_url: str
) -> None:
    hba = postgres.directory / "data" / "pg_hba.conf"
    before = hba.read_text()
    with postgres.connect() as connection:
        connection.execute("CREATE ROLE ada SUPERUSER LOGIN PASSWORD $$s3'c ret$$")
        hba.write_text(f"local all ada scram-sha-256\n{before}")
        connection.execute("SELECT pg_reload_conf()")
        try:
            for password in ("s3%27c%20ret", "wrong"):
                url = database_url.replace("postgres@", f"ada:{password}@")
                there = LakePlace(tmp_path, url)
                lane, reader = a_lane(there), a_reader(there)
                if password == "wrong":
                    with pytest.raises(StoreUnavailable, match="authentication"):
                        _write(lane, 1)
                else:
                    _write(lane, 1)
                    assert read(reader, a_layout("long"), ["t"]) == [("t", 1, 1)]
                lane.close()
                reader.close()
        finally:
            hba.write_text(before)
            connection.execute("SELECT pg_reload_conf()")
            connection.execute("REASSIGN OWNED BY ada TO postgres")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("REASSIGN OWNED BY ada TO postgres")
        connection.execute("DROP ROLE ada")


def test_no_row_is_kept_in_the_catalogue(lane: WriterLane, database_url: str) -> None:
    _write(lane, 1)

    with psycopg.connect(database_url) as connection:
        inlined = connection.execute(
            "SELECT count(*) FROM lake_acme.ducklake_inlined_data_tables"
        ).fetchone()
    assert inlined == (0,)


def test_an_empty_schema_that_a_crash_left_is_no_lake(
    tmp_path: Path, lane: WriterLane, reader: DuckLakeReader, database_url: str
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE SCHEMA lake_acme")

    assert reader.current_snapshot() is None
    _write(lane, 1)
    assert read(reader, a_layout("long"), ["t"]) == [("t", 1, 1)]
    assert (tmp_path / "lakes" / ACME / "data").is_dir()


def test_a_catalogue_without_its_tables_is_corrupt_data(
    lane: WriterLane, reader: DuckLakeReader, database_url: str
) -> None:
    _write(lane, 1)
    with psycopg.connect(database_url) as connection:
        connection.execute("DROP TABLE lake_acme.ducklake_data_file")

    with pytest.raises(CorruptData):
        read(reader, a_layout("long"), ["t"])


def test_two_tenants_never_share_a_schema() -> None:
    long = "x" * 80
    names = [schema_name(TenantId(it)) for it in (long, f"{long}y", "a", "A", "_a")]

    assert len(set(names)) == len(names)
    assert max(map(len, names)) <= 63
