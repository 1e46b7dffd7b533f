"""The memory that an import takes does not depend on how large it is."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

MARGIN = 1.25
"""By how much an import may peak higher than one of a tenth of its size."""


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    # Others keep theirs for a look at it later; these are large.
    shutil.rmtree(tmp_path)


def peak_kb(directory: Path, rows: int, text_bytes: int) -> int:
    done = subprocess.run(
        [
            *(sys.executable, str(TESTS / "import_peak.py"), str(directory)),
            *(str(rows), str(text_bytes)),
        ],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        check=True,
        capture_output=True,
        text=True,
        timeout=1200,
    )
    return int(done.stdout)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("rows", "text_bytes"), [(250_000, 16), (2_500, 16_000)])
def test_an_import_ten_times_larger_peaks_at_the_same_memory(
    directory: Path, rows: int, text_bytes: int
) -> None:
    small = peak_kb(directory / "small", rows, text_bytes)
    large = peak_kb(directory / "large", 10 * rows, text_bytes)

    assert large <= MARGIN * small
