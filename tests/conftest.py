"""What holds for all tests, and what tests of several kinds need."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

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
