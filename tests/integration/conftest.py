"""What several integration tests stand on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from export_stack import ExportStack, Prepared, copy_of, prepare


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(tmp_path_factory.mktemp("prepared") / "data")


@pytest.fixture
def stack(prepared: Prepared, tmp_path: Path) -> Iterator[ExportStack]:
    """Give every test pumps to export, and stores that nobody else has."""
    with copy_of(prepared, tmp_path / "data") as opened:
        yield opened
