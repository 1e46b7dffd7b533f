"""What killed engines leave, and who may not lose what it needs."""

import os
import subprocess
import sys
from pathlib import Path

from lake_rows import LakePlace, a_lane
from thingport.adapters.lake.temporary_folders import new_folder, remove_abandoned

NAME = """
import sys
from pathlib import Path
from thingport.adapters.lake.temporary_folders import new_folder
print(new_folder(Path(sys.argv[1])).name)
"""


def _folder(directory: Path, name: str, *, age_s: int = 0) -> Path:
    folder = directory / name
    folder.mkdir()
    (folder / "block.tmp").write_bytes(b"readings")
    at_s = folder.stat().st_mtime - age_s
    os.utime(folder, (at_s, at_s))
    return folder


def test_the_folder_of_a_process_that_ended_goes_and_that_of_a_living_one_stays(
    tmp_path: Path,
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", NAME, str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    abandoned = _folder(tmp_path, ended)
    own = _folder(tmp_path, new_folder(tmp_path).name, age_s=7 * 86_400)

    assert remove_abandoned(tmp_path) == 1

    assert not abandoned.exists()
    assert (own / "block.tmp").exists()


def test_a_folder_of_another_machine_is_left_for_a_day(tmp_path: Path) -> None:
    for name in ("0123456789abcdef-1-x", "of-an-older-release"):
        young = _folder(tmp_path, f"{name}-young", age_s=86_000)
        old = _folder(tmp_path, f"{name}-old", age_s=87_000)

        assert remove_abandoned(tmp_path) == 1

        assert young.exists()
        assert not old.exists()


def test_what_is_not_there_has_nothing_to_remove(tmp_path: Path) -> None:
    assert remove_abandoned(tmp_path / "none") == 0


def test_engines_put_aside_in_such_folders(
    file_place: LakePlace, tmp_path: Path
) -> None:
    with a_lane(file_place).open_engine() as engine:
        setting = "SELECT current_setting('temp_directory')"
        (place,) = engine.execute(setting).fetchone() or ("",)

    assert Path(place).parent == tmp_path / "tmp"
    assert Path(place).name.split("-")[:2] == new_folder(tmp_path).name.split("-")[:2]
