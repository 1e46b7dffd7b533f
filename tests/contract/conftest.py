"""Every implementation of the control database, for the tests of its port."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from thingport.adapters.sql.database import SqlControlDatabase
from thingport.adapters.sql.engine import open_engine, sqlite_url
from thingport.adapters.sql.migrate import upgrade
from thingport.application.ports import ControlDatabase


@pytest.fixture(params=["sqlite", "postgresql"])
def control_database(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[ControlDatabase]:
    if request.param == "sqlite":
        engine = open_engine(sqlite_url(tmp_path / "control.db"))
        upgrade(engine)
    else:
        engine = open_engine(request.getfixturevalue("postgres_url"))
    yield SqlControlDatabase(engine)
    engine.dispose()
