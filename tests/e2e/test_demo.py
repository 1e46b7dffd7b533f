"""The demo proves every value; so it must see one that is wrong."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("demo") / "weather.zip"
    done = subprocess.run(
        [sys.executable, ROOT / "demo" / "weather.py", "--output", output],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Every value equals the source" in done.stdout
    assert "make serve" in done.stdout
    return output


def test_the_archive_has_one_file_for_each_station(archive: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        assert opened.testzip() is None
        assert opened.namelist() == ["EWR.csv", "JFK.csv", "LGA.csv"]
        first_lines = opened.read("EWR.csv").decode().split("\r\n")[:2]
    assert first_lines == [
        (
            "TIMESTAMP,dewp [°F],humid [%],pressure [mbar],temp [°F],precip [in],"
            "visib [mi],wind_dir [°],wind_gust [mph],wind_speed [mph]"
        ),
        (
            "2013-01-01T06:00:00.000Z,26.06,59.37,1012.0,39.02,0.0,10.0,270,,"
            "10.357019999999999"
        ),
    ]


@pytest.mark.parametrize(
    ("right", "wrong"),
    [(b",270,", b",271,"), (b"2013-01-01T06", b"2013-01-01T05"), (b",39.02,", b",,")],
)
def test_one_wrong_cell_is_found(
    archive: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    right: bytes,
    wrong: bytes,
) -> None:
    monkeypatch.syspath_prepend(ROOT / "demo")
    import weather  # noqa: PLC0415  # the demo is a script, found only here

    spoiled = tmp_path / "spoiled.zip"
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(spoiled, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "EWR.csv":
                content = content.replace(right, wrong, 1)
            new.writestr(name, content)
    source = weather.read_source()

    assert list(weather.iter_mistakes(archive, source)) == []
    assert list(weather.iter_mistakes(spoiled, source)) != []
