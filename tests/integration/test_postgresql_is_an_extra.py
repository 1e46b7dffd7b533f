"""The service where nothing that PostgreSQL needs is installed."""

import subprocess
import sys

WITHOUT = "import sys; sys.modules['psycopg'] = None; "


def _run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT + code],
        check=False,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_nothing_imports_the_driver_before_it_is_needed() -> None:
    done = _run("import thingport.entrypoints.cli.main, thingport.entrypoints.http.app")

    assert done.returncode == 0, done.stderr


def test_who_needs_the_driver_is_told_what_to_install() -> None:
    done = _run(
        "from thingport.adapters.sql.engine import open_engine;"
        "open_engine('postgresql://ada:s3cret@db.example/thingport')"
    )

    assert "UnusableDatabase" in done.stderr
    assert "install thingport[postgres]" in done.stderr
