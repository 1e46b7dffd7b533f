"""An import is stored once, or not at all, wherever its runner meets its end."""

import io
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from import_stack import (
    HEADER,
    METRICS,
    PUMP,
    THING,
    ImportStack,
    import_stack,
)
from thingport.application.data_imports import DataImportRequest
from thingport.application.run_data_import import LEASE, MAX_CLAIMS
from thingport.domain.data_import import (
    DataImportState,
    ImportPhase,
    RejectedRow,
    TextGuard,
)
from thingport.domain.errors import (
    ImportAlreadyActive,
    ImportInterrupted,
    ImportLeaseLost,
    NotFound,
)
from thingport.domain.ids import ThingId
from thingport.domain.reading import Reading, ReadingBatch
from thingport.entrypoints.runner.imports import run_one_import
from watched_imports import die, fail, run_watched

ONE_ROW = f"{HEADER}\n1000,1.5,2,true,0.5,hello\n"
STORED = [(1000, 1.5, 2, True, 0.5, "hello")]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[ImportStack]:
    with import_stack(tmp_path / "data") as made:
        yield made


def a_zip(*members: tuple[str, str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, text in members:
            archive.writestr(name, text)
    return content.getvalue()


# --- what is stored -------------------------------------------------------------


def test_values_of_every_type_are_stored(stack: ImportStack) -> None:
    content = (
        f"\ufeff{HEADER}\r\n"
        "2000,-0.5,-9223372036854775808,false,16777216.0,\r\n"
        "\r\n"
        '1000,1e-5,,true,,""\r\n'
        '3000,,,,,"a ""b"",\r\nc"\r\n'
        "2020-03-01T00:00:00.001+01:00,1,2,true,1,last"
    )

    report = stack.report_of(stack.bring_in(content))

    assert (report.rows_accepted, report.rows_rejected) == (4, 0)
    assert stack.values() == [
        (1000, 1e-5, None, True, None, ""),
        (2000, -0.5, -(2**63), False, 16777216.0, None),
        (3000, None, None, None, None, 'a "b",\r\nc'),
        (1583017200001, 1.0, 2, True, 1.0, "last"),
    ]


def test_a_later_row_wins_metric_by_metric_whatever_the_order(
    stack: ImportStack,
) -> None:
    stack.bring_in("TIMESTAMP,flow,count\n2000,9,9\n1000,1,1\n2000,7,\n")

    # As stored: rows of equal timestamps in the order of the file.
    assert [row[:3] for row in stack.values()] == [
        (1000, 1.0, 1),
        (2000, 9.0, 9),
        (2000, 7.0, None),
    ]


def test_good_rows_are_stored_and_the_others_told_by_line(stack: ImportStack) -> None:
    content = (
        "made by hand\n"
        f"{HEADER}\n"
        "1000,1,1,true,1,a\n"
        "1001,x,1,true,1,a\n"
        '1002,1,1,true,1,"two\nlines"\n'
        "1003,1,1,true,1\n"
        "nonsense,1,1,yes,1,a\n"
        '1004,1,1,true,1,b"c\n'
        "1005,,,,,\n"
    )

    report = stack.report_of(stack.bring_in(content, header_line=2))

    assert [row[0] for row in stack.values()] == [1000, 1002]
    assert (report.rows_accepted, report.rows_rejected) == (3, 4)
    assert report.rejected_rows == (
        RejectedRow(4, "column 'flow': not a DOUBLE: a number is due"),
        RejectedRow(7, "5 cells, but the header has 6"),
        RejectedRow(
            8,
            "TIMESTAMP: UTC milliseconds, or ISO 8601 with a time zone, are due",
        ),
        RejectedRow(
            9,
            "a quote within a cell: quote the whole cell, and double the quotes in it",
        ),
    )


def test_of_many_rejected_rows_the_first_hundred_are_told(stack: ImportStack) -> None:
    content = "TIMESTAMP,flow\n" + "1,x\n" * 5_000

    report = stack.report_of(stack.bring_in(content))

    assert report.rows_rejected == 5_000
    assert [it.line for it in report.rejected_rows] == list(range(2, 102))
    assert stack.values() == []


def test_a_file_of_no_rows_is_whole(stack: ImportStack) -> None:
    report = stack.report_of(stack.bring_in(HEADER))

    assert (report.rows_accepted, report.rows_rejected) == (0, 0)


def test_guarded_texts_lose_one_quote_if_asked(stack: ImportStack) -> None:
    content = "TIMESTAMP,note\n1,'=1\n2,''x\n3,plain\n4,'-1\n"

    stack.bring_in(content, text_guard=TextGuard.FORMULA)
    stack.bring_in(content, ThingId("p2"))

    assert [row[6] for row in stack.rows()] == ["=1", "'x", "plain", "-1"]
    assert [row[6] for row in stack.rows("p2")] == ["'=1", "''x", "plain", "'-1"]


def test_the_one_csv_file_of_a_zip_is_imported(stack: ImportStack) -> None:
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        content = a_zip(
            ("__MACOSX/._a.csv", ""),
            ("deep/A.CSV", ONE_ROW),
            ("manifest.json", "{}"),
            method=method,
        )
        report = stack.report_of(stack.bring_in(content))
        assert report.rows_accepted == 1

    assert stack.values() == STORED


def test_a_large_file_is_cut_where_texts_are_long(stack: ImportStack) -> None:
    text = "x" * 60_000
    rows = "".join(f"{at},{at}{text}\n" for at in range(400))

    report = stack.report_of(stack.bring_in(f"TIMESTAMP,note\n{rows}"))

    assert report.rows_accepted == 400
    assert [row[5] for row in stack.values()] == [f"{at}{text}" for at in range(400)]
    lakes = stack.settings.data_dir / "lakes"
    assert 2 <= len(list(lakes.rglob("*.parquet"))) <= 20


# --- what is refused ------------------------------------------------------------

REFUSED: dict[str, tuple[str | bytes, str, str]] = {
    "nothing": ("", "HEADER_NOT_VALID", "line 1 is to be the header"),
    "no timestamp": ("flow\n1\n", "HEADER_NOT_VALID", "must be TIMESTAMP, not 'flow'"),
    "an unknown metric": (
        "TIMESTAMP,flwo\n",
        "HEADER_NOT_VALID",
        "'flwo': the thing has no such metric; the nearest is 'flow'",
    ),
    "a metric twice": (
        "TIMESTAMP,flow,flow\n",
        "HEADER_NOT_VALID",
        "'flow': more than one column",
    ),
    "a timestamp twice": (
        "TIMESTAMP,flow,timestamp\n",
        "HEADER_NOT_VALID",
        "more than one column is TIMESTAMP",
    ),
    "a unit": (
        "TIMESTAMP,flow [l/s]\n",
        "HEADER_NOT_VALID",
        "export without units (includeUnit: false)",
    ),
    "a blob": ("TIMESTAMP,blob\n", "HEADER_NOT_VALID", "no plain values"),
    "a column without header": ("TIMESTAMP,\n", "HEADER_NOT_VALID", "has no header"),
    "a broken header": ('TIMESTAMP,a"b\n', "HEADER_NOT_VALID", "line 1: a quote"),
    "other line ends": ("TIMESTAMP,flow\r1,2\r", "HEADER_NOT_VALID", "carriage"),
    "UTF-16": (HEADER.encode("utf-16"), "FILE_NOT_READABLE", "UTF-16"),
    "an open quote": (
        'TIMESTAMP,note\n1,a\n2,"b\n3,c\n',
        "FILE_NOT_READABLE",
        "line 3: a quote is opened here",
    ),
    "a ZIP of nothing": (a_zip(), "FILE_NOT_READABLE", "the ZIP has 0 CSV files"),
    "a ZIP of two": (
        a_zip(("a.csv", ONE_ROW), ("b.csv", ONE_ROW)),
        "FILE_NOT_READABLE",
        "the ZIP has 2 CSV files",
    ),
    "a strange ZIP": (
        a_zip(("a.csv", ONE_ROW), method=zipfile.ZIP_LZMA),
        "FILE_NOT_READABLE",
        "compressed in a way",
    ),
    "half a ZIP": (a_zip(("a.csv", ONE_ROW))[:60], "FILE_NOT_READABLE", "damaged"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_file_ends_in_error_with_a_reason_and_nothing_is_stored(
    stack: ImportStack, case: str
) -> None:
    content, code, reason = REFUSED[case]

    failure = stack.failure_of(stack.bring_in(content))

    assert failure.code == code
    assert failure.message.startswith("Nothing was imported: ")
    assert reason in failure.message
    assert stack.values() == []


def test_an_encrypted_zip_is_refused(stack: ImportStack) -> None:
    content = bytearray(a_zip(("a.csv", ONE_ROW)))
    at = content.index(b"PK\x01\x02")
    content[at + 8] |= 1

    failure = stack.failure_of(stack.bring_in(bytes(content)))

    assert "encrypted" in failure.message


def test_a_zip_whose_content_is_damaged_stores_nothing(stack: ImportStack) -> None:
    content = a_zip(("a.csv", ONE_ROW), method=zipfile.ZIP_STORED)
    damaged = content.replace(b"hello", b"hallo")

    failure = stack.failure_of(stack.bring_in(damaged))

    assert (failure.code, stack.values()) == ("FILE_NOT_READABLE", [])


def test_limits_are_kept_at_the_limit_and_one_past_it(tmp_path: Path) -> None:
    rows = "".join(f"{at},1\n" for at in range(100, 200))
    content = f"TIMESTAMP,flow\n{rows}"
    with import_stack(
        tmp_path / "data", max_import_csv_bytes=len(content), max_import_rows=100
    ) as stack:
        for sent in (content, a_zip(("a.csv", content))):
            assert stack.report_of(stack.bring_in(sent)).rows_accepted == 100
        for sent in (f"{content}\n", a_zip(("a.csv", f"{content}\n"))):
            failure = stack.failure_of(stack.bring_in(sent))
            assert failure.code == "FILE_TOO_LARGE"
    with import_stack(tmp_path / "other", max_import_rows=99) as stack:
        failure = stack.failure_of(stack.bring_in(content))
        assert failure.code == "FILE_TOO_LARGE"
        assert "99 rows" in failure.message
        assert stack.values() == []


def test_a_zip_that_lies_about_its_size_is_read_no_further_than_the_limit(
    tmp_path: Path,
) -> None:
    honest = a_zip(("a.csv", "TIMESTAMP,flow\n" + "0" * 50_000_000))
    content = bytearray(honest)
    at = content.index(b"PK\x01\x02")
    content[at + 24 : at + 28] = (1000).to_bytes(4, "little")
    with import_stack(tmp_path / "data", max_import_csv_bytes=1_000_000) as stack:
        failure = stack.failure_of(stack.bring_in(bytes(content)))
        assert failure.code in {"FILE_TOO_LARGE", "FILE_NOT_READABLE"}


def test_a_zip_of_very_many_files_is_not_even_listed(stack: ImportStack) -> None:
    names = ((f"{number:09}.csv", "") for number in range(20_000))

    failure = stack.failure_of(stack.bring_in(a_zip(*names)))

    assert "too many files" in failure.message


def test_a_row_without_end_is_given_up(stack: ImportStack) -> None:
    content = 'TIMESTAMP,note\n1,"' + "x" * 17_000_000

    failure = stack.failure_of(stack.bring_in(content))

    assert "line 2: a row of more than" in failure.message


# --- one at a time, and for whom --------------------------------------------------


def test_a_second_import_for_a_thing_waits_for_the_first_ones_end(
    stack: ImportStack,
) -> None:
    first = stack.schedule(ONE_ROW)

    with pytest.raises(ImportAlreadyActive) as refusal:
        stack.schedule(ONE_ROW)
    other = stack.schedule(ONE_ROW, ThingId("p2"))

    assert refusal.value.active_id == first.id
    assert stack.files == sorted([f"{first.id}.upload", f"{other.id}.upload"])
    stack.run()
    stack.bring_in(ONE_ROW)


def test_a_second_import_that_was_sent_meanwhile_leaves_nothing(
    stack: ImportStack,
) -> None:
    imports = stack.services.data_imports
    request = DataImportRequest(thing_id=THING)
    first, second = (imports.begin(stack.actor, request) for _ in range(2))
    for it in (first, second):
        it.file.write(ONE_ROW.encode())
    imports.schedule(first)

    with pytest.raises(ImportAlreadyActive):
        imports.schedule(second)
    second.file.close()

    assert stack.files == [f"{first.data_import.id}.upload"]


def test_a_file_that_was_not_sent_to_its_end_is_gone(stack: ImportStack) -> None:
    imports = stack.services.data_imports
    upload = imports.begin(stack.actor, DataImportRequest(thing_id=THING))
    upload.file.write(ONE_ROW.encode())
    assert len(stack.files) == 1

    upload.file.close()

    assert stack.files == []


# --- whatever happens to a runner ---------------------------------------------------


def test_an_import_whose_runner_dies_before_it_counts_is_begun_again(
    stack: ImportStack,
) -> None:
    scheduled = stack.schedule(ONE_ROW)
    run_watched(stack, in_lane=die)
    assert stack.values() == []
    assert stack.runner.claim() is None

    stack.clock.advance(LEASE)
    stack.run()

    assert stack.report_of(scheduled).rows_accepted == 1
    assert stack.values() == STORED


def test_an_import_whose_runner_dies_when_it_counts_is_not_stored_twice(
    stack: ImportStack,
) -> None:
    scheduled = stack.schedule(f"{ONE_ROW}2000,x,1,true,1,a\n")
    run_watched(stack, when_stored=die)
    assert stack.values() == STORED
    stack.clock.advance(LEASE)

    stack.run()

    report = stack.report_of(scheduled)
    assert (report.rows_accepted, report.rows_rejected) == (1, 1)
    assert stack.values() == STORED


def test_what_was_written_or_deleted_since_it_counts_stays(stack: ImportStack) -> None:
    """The reason why nothing is stored twice, though it would be the same rows."""
    stack.schedule(ONE_ROW)
    run_watched(stack, when_stored=die)
    note = next(it for it in METRICS if it.name == "note")
    writer = stack.services.readings.lake_writer(stack.actor.tenant_id)
    later = Reading(THING, 1000, {note.id: "later"})
    writer.write(
        [
            ReadingBatch(
                thing_definition_id=PUMP,
                value_types={note.id: note.value_type},
                readings=[later],
            )
        ]
    )
    stack.clock.advance(LEASE)

    stack.run()

    assert stack.values() == [(*STORED[0][:-1], "later")]


def test_nothing_expires_that_tells_whether_an_import_was_stored(
    stack: ImportStack,
) -> None:
    stack.schedule(ONE_ROW)
    run_watched(stack, when_stored=die)
    writing = stack.services.readings.lake_writer(stack.actor.tenant_id)
    writing.write([_a_batch(1)])
    much_later = replace(
        stack.services.housekeeping, snapshot_retention=timedelta(days=-1)
    )
    for _ in much_later.iter_steps(stack.actor.tenant_id):
        pass
    stack.clock.advance(LEASE)

    stack.run()

    assert [row[0] for row in stack.values()] == [1, 1000]


def _a_batch(timestamp_ms: int) -> ReadingBatch:
    flow = METRICS[0]
    return ReadingBatch(
        thing_definition_id=PUMP,
        value_types={flow.id: flow.value_type},
        readings=[Reading(THING, timestamp_ms, {flow.id: 1.0})],
    )


def test_a_runner_that_lost_its_import_stores_nothing(stack: ImportStack) -> None:
    scheduled = stack.schedule(ONE_ROW)
    late = stack.claim()
    stack.clock.advance(LEASE)
    stack.run()
    assert stack.report_of(scheduled).rows_accepted == 1

    with pytest.raises(ImportLeaseLost):
        stack.runner.run(late)

    assert stack.values() == STORED


def test_a_runner_that_loses_its_import_in_the_lane_stores_nothing(
    stack: ImportStack,
) -> None:
    scheduled = stack.schedule(ONE_ROW)

    def lose() -> None:
        stack.clock.advance(LEASE)
        stack.claim()

    with pytest.raises(ImportLeaseLost):
        run_watched(stack, in_lane=lose)

    assert stack.values() == []
    stack.clock.advance(LEASE)
    stack.run()
    assert stack.report_of(scheduled).rows_accepted == 1
    assert stack.values() == STORED


def test_a_runner_that_shall_end_gives_its_import_back(stack: ImportStack) -> None:
    scheduled = stack.schedule(ONE_ROW)

    stopped_by = stack.run(is_stopping=lambda: True)

    assert isinstance(stopped_by, ImportInterrupted)
    assert stack.values() == []
    assert stack.claim().attempt == 1
    assert stack.look(scheduled).state is DataImportState.PENDING


def test_a_store_that_is_away_is_tried_three_times(stack: ImportStack) -> None:
    scheduled = stack.schedule(ONE_ROW)
    for _ in range(3):
        run_watched(stack, in_lane=fail)
        stack.clock.advance(LEASE)

    assert stack.failure_of(scheduled).code == "STORE_UNAVAILABLE"
    assert stack.values() == []


def test_no_end_is_told_before_it_is_known_which_one_it_is(stack: ImportStack) -> None:
    scheduled = stack.schedule(ONE_ROW)
    run_watched(stack, when_stored=die)
    for _ in range(4):
        stack.clock.advance(LEASE)
        run_watched(stack, when_asked=fail)
    assert stack.look(scheduled).is_active

    stack.clock.advance(LEASE)
    stack.run()

    assert stack.report_of(scheduled).rows_accepted == 1
    assert stack.values() == STORED


def test_an_import_that_ends_its_runners_is_given_up(stack: ImportStack) -> None:
    scheduled = stack.schedule(ONE_ROW)
    for _ in range(MAX_CLAIMS):
        stack.claim()
        stack.clock.advance(LEASE)

    stack.run()

    assert stack.failure_of(scheduled).code == "RUNNER_DIED"


def test_a_bug_ends_an_import_with_a_reason(stack: ImportStack) -> None:
    scheduled = stack.schedule(ONE_ROW)
    broken = replace(stack.runner, open_lake_imports=None)  # type: ignore[arg-type]  # a bug

    assert run_one_import(broken)

    assert stack.failure_of(scheduled).code == "INTERNAL_ERROR"


def test_a_file_that_is_gone_ends_its_import(stack: ImportStack) -> None:
    scheduled = stack.schedule(ONE_ROW)
    (stack.settings.data_dir / "imports").rename(stack.settings.data_dir / "x")

    assert run_one_import(stack.runner)

    assert stack.failure_of(scheduled).code == "CORRUPT_DATA"
    assert not run_one_import(stack.runner)


def test_progress_is_told_while_a_file_is_read(stack: ImportStack) -> None:
    scheduled = stack.schedule(ONE_ROW)
    seen: list[ImportPhase] = []
    run_watched(
        stack, in_lane=lambda: seen.append(stack.look(scheduled).progress.phase)
    )

    assert set(seen) == {ImportPhase.STORING}
    ended = stack.look(scheduled).progress
    assert (ended.phase, ended.rows_read, ended.percent) == (ImportPhase.DONE, 1, 100)


# --- for how long -------------------------------------------------------------------


def test_an_import_is_forgotten_after_its_retention_and_its_readings_are_not(
    stack: ImportStack,
) -> None:
    ended = stack.bring_in(ONE_ROW)
    waiting = stack.schedule(ONE_ROW)
    stack.clock.advance(timedelta(days=30))
    assert stack.upkeep.look_after_all() == 0
    assert stack.look(ended) == ended

    stack.clock.advance(timedelta(milliseconds=1))
    assert stack.upkeep.look_after_all() == 1

    with pytest.raises(NotFound):
        stack.look(ended)
    assert stack.look(waiting) == waiting
    assert stack.values() == STORED


def test_files_that_nobody_waits_for_are_removed_after_a_while(
    stack: ImportStack,
) -> None:
    waiting = stack.schedule(ONE_ROW)
    folder = stack.settings.data_dir / "imports" / stack.actor.tenant_id
    for name in ("left.upload", "broken-off.part"):
        (folder / name).write_bytes(b"x")
    stack.clock.at = datetime.now(UTC) + timedelta(minutes=59)
    assert stack.upkeep.look_after_all() == 0

    stack.clock.advance(timedelta(minutes=2))
    assert stack.upkeep.look_after_all() == 2

    assert stack.files == [f"{waiting.id}.upload"]
