"""What holds for all tests, and what tests of several kinds need."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import settings

from lake_rows import FreshPlace, LakePlace
from postgres_server import TEMPLATE, PostgresServer, postgres_server
from thingport.adapters.sql.engine import open_engine
from thingport.adapters.sql.migrate import upgrade

# A deadline for one example is a timing assertion, which a busy machine fails.
settings.register_profile("thingport", deadline=None)
settings.load_profile("thingport")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Lend the server of this test session; it starts when the first test asks."""
    with postgres_server() as server:
        with server.connect() as connection:
            connection.execute(f"CREATE DATABASE {TEMPLATE}")
        engine = open_engine(server.url(TEMPLATE))
        upgrade(engine)
        engine.dispose()
        yield server


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """Lend a database of its own, with the newest schema and nothing in it."""
    with postgres.fresh_database() as url:
        yield url


@pytest.fixture
def empty_postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """Lend a database of its own, with no schema at all."""
    with postgres.fresh_database("template1") as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh_place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> FreshPlace:
    """Give a way to as many places for a lake as are wanted; each goes with its block.

    Every test of lakes runs with each kind of catalogue.
    """

    @contextmanager
    def in_a_file() -> Iterator[LakePlace]:
        with closing(LakePlace(tmp_path_factory.mktemp("lake"))) as place:
            yield place

    @contextmanager
    def on_a_server() -> Iterator[LakePlace]:
        server: PostgresServer = request.getfixturevalue("postgres")
        with (
            server.fresh_database("template1") as url,
            closing(LakePlace(tmp_path_factory.mktemp("lake"), url)) as place,
        ):
            yield place

    return in_a_file if request.param == "sqlite" else on_a_server


@pytest.fixture
def place(fresh_place: FreshPlace) -> Iterator[LakePlace]:
    """Lend a place for a lake, with nothing in it."""
    with fresh_place() as place:
        yield place


@pytest.fixture
def file_place(tmp_path: Path) -> Iterator[LakePlace]:
    """Lend a place for a lake whose catalogue is a file."""
    with closing(LakePlace(tmp_path)) as place:
        yield place
