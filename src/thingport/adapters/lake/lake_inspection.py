"""Looking for things in what physically lies in the folder of a lake."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

import duckdb

from thingport.adapters.lake.lake_names import quote_text
from thingport.application.erasure_ports import LakeFinding
from thingport.domain.ids import ThingId

_BLOCK_BYTES = 1024 * 1024
"""Read at once."""


def inspect_files(
    engine: duckdb.DuckDBPyConnection,
    paths: Iterable[Path],
    thing_ids: Sequence[ThingId],
    end_seq: int,
    elsewhere: Iterable[bytes] = (),
) -> LakeFinding:
    """Look through files, whatever they are.

    Goes by the files alone: no catalogue is asked which of them count.

    Args:
        engine: With no lake attached.
        paths: Where they are; one that is gone has nothing in it.
        thing_ids: What to look for.
        end_seq: Rows with lower numbers should be gone.
        elsewhere: What the catalogue has outside of these files, a part at a time;
            no value of it is cut in two.
    """
    files = rows = rows_since = 0
    unreadable: list[str] = []
    written_since: set[str] = set()
    others: list[Path] = []
    for path in paths:
        if path.suffix != ".parquet":
            others.append(path)
            continue
        try:
            found = _count_rows(engine, path, thing_ids, end_seq)
        except duckdb.Error:
            # One that was deleted meanwhile holds nothing any more.
            if path.exists():
                unreadable.append(str(path))
            continue
        files += 1
        rows += sum(before for _, before, _ in found)
        rows_since += sum(since for _, _, since in found)
        written_since.update(thing for thing, _, since in found if since)
    wanted = {it.encode() for it in thing_ids if it not in written_since}
    mentions = {it for path in others for it in _find_in_file(path, wanted)}
    mentions.update(it for part in elsewhere for it in _find_in(part, wanted))
    return LakeFinding(
        files=files + len(others),
        rows=rows,
        rows_since=rows_since,
        unreadable=unreadable,
        mentions=len(mentions),
    )


def iter_all_files(directory: Path) -> Iterator[Path]:
    """Yield all files of a folder, which need not be there, and those below it."""
    yield from sorted(it for it in directory.rglob("*") if it.is_file())


def _count_rows(
    engine: duckdb.DuckDBPyConnection,
    path: Path,
    thing_ids: Sequence[ThingId],
    end_seq: int,
) -> Sequence[tuple[str, int, int]]:
    """Give each thing that is in a file, with its rows before and since."""
    file = quote_text(str(path))
    names = engine.execute(f"SELECT name FROM parquet_schema({file})").fetchall()  # noqa: S608  # quoted
    if ("thing",) not in names:
        # It says which rows of another file count no longer, by their numbers.
        return ()
    rows = engine.execute(
        "SELECT thing, count(*) FILTER (written_seq < ?),"  # noqa: S608  # quoted
        f" count(*) FILTER (written_seq >= ?) FROM read_parquet({file})"
        " WHERE thing IN (SELECT unnest(?::VARCHAR[])) GROUP BY thing",
        [end_seq, end_seq, [*thing_ids]],
    ).fetchall()
    return [(str(thing), int(before), int(since)) for thing, before, since in rows]


def _find_in_file(path: Path, wanted: Collection[bytes]) -> set[bytes]:
    """Give which texts are anywhere in a file, whatever stands around them."""
    found: set[bytes] = set()
    overlap = max(map(len, wanted), default=0) - 1
    tail = b""
    try:
        with path.open("rb") as file:
            while wanted and (block := file.read(_BLOCK_BYTES)):
                text = tail + block
                found |= _find_in(text, wanted)
                tail = text[-overlap:] if overlap > 0 else b""
    except FileNotFoundError:
        return found
    return found


def _find_in(text: bytes, wanted: Collection[bytes]) -> set[bytes]:
    """Give which texts are in another one, however many are looked for."""
    lengths = {len(it) for it in wanted}
    windows = (
        text[at : at + length]
        for length in lengths
        for at in range(len(text) - length + 1)
    )
    return {it for it in windows if it in wanted}
