"""What several integration tests stand on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from export_stack import ExportStack, Prepared, copy_of, opened, prepare


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(tmp_path_factory.mktemp("prepared") / "data")


@pytest.fixture
def stack(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ExportStack]:
    """Give every test pumps to export, and stores that nobody else has.

    They are in files, unless a test is parametrized with "postgresql" as well.
    """
    if getattr(request, "param", "sqlite") == "sqlite":
        stack = copy_of(request.getfixturevalue("prepared"), tmp_path / "data")
    else:
        url: str = request.getfixturevalue("postgres_url")
        stack = opened(prepare(tmp_path / "data", database_url=url))
    with stack as it:
        yield it
