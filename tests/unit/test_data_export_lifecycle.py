"""A data export on its way from PENDING to its end."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from thingport.domain.data_export import (
    Archive,
    DataExport,
    DataExportState,
    ExportError,
    InvalidTransition,
    Phase,
    Progress,
    Rendition,
    Selection,
)
from thingport.domain.ids import DataExportId, TenantId, UserId

NOON = datetime(2020, 3, 1, 12, tzinfo=UTC)

ARCHIVE = Archive(size_bytes=9, sha256="0" * 64, things=2, rows=3)

counts = st.integers(min_value=0, max_value=1_000)

progresses = st.builds(
    Progress,
    phase=st.sampled_from([it for it in Phase if it is not Phase.DONE]),
    things_done=counts,
    things_total=counts,
    rows_done=counts,
    rows_total=counts,
    bytes_written=counts,
)


def a_data_export() -> DataExport:
    return DataExport(
        id=DataExportId("export"),
        tenant_id=TenantId("tenant"),
        scheduled_by=UserId("user"),
        scheduled_at=NOON,
        name="all of it",
        selection=Selection(),
        rendition=Rendition(),
    )


class Lifecycle(RuleBasedStateMachine):
    """Whatever is tried, in whatever order, a data export stays consistent."""

    data_export: DataExport

    @initialize()
    def schedule(self) -> None:
        self.data_export = a_data_export()

    @rule(progress=progresses)
    def advance(self, progress: Progress) -> None:
        self._try(lambda: self.data_export.advance(progress))

    @rule()
    def complete(self) -> None:
        self._try(lambda: self.data_export.complete(ARCHIVE, at=NOON))

    @rule()
    def fail(self) -> None:
        error = ExportError("CORRUPT_DATA", "A file is damaged.")
        self._try(lambda: self.data_export.fail(error, at=NOON))

    def _try(self, transition: Callable[[], DataExport]) -> None:
        before = self.data_export
        try:
            self.data_export = transition()
        except InvalidTransition:
            assert not before.is_active, "a PENDING export takes any step"
            assert self.data_export is before
        else:
            assert before.is_active, "a finished export never changes"

    @invariant()
    def it_has_finished_exactly_when_it_is_no_longer_active(self) -> None:
        finished = self.data_export.finished_at is not None
        assert finished != self.data_export.is_active

    @invariant()
    def it_has_an_archive_exactly_when_completed(self) -> None:
        is_completed = self.data_export.state is DataExportState.COMPLETED
        assert (self.data_export.archive is not None) == is_completed

    @invariant()
    def it_has_an_error_exactly_when_it_failed(self) -> None:
        has_failed = self.data_export.state is DataExportState.ERROR
        assert (self.data_export.error is not None) == has_failed

    @invariant()
    def it_is_done_to_100_percent_exactly_when_completed(self) -> None:
        is_completed = self.data_export.state is DataExportState.COMPLETED
        assert (self.data_export.progress.percent == 100) == is_completed


Lifecycle.TestCase.settings = settings(max_examples=50, stateful_step_count=8)
TestLifecycle = Lifecycle.TestCase


@given(progress=progresses)
def test_percents_stay_between_0_and_99_until_all_is_done(progress: Progress) -> None:
    assert 0 <= progress.percent <= 99


def test_percents_count_rows_where_they_are_known_and_things_otherwise() -> None:
    assert Progress(things_done=1, things_total=2).percent == 50
    assert Progress(things_done=1, things_total=2, rows_total=4).percent == 0
    assert Progress(rows_done=1, rows_total=4).percent == 25
    assert Progress().percent == 0


def test_completing_counts_everything_as_done() -> None:
    started = a_data_export().advance(Progress(things_total=2, rows_total=3))

    assert started.complete(ARCHIVE, at=NOON).progress == Progress(
        phase=Phase.DONE,
        things_done=2,
        things_total=2,
        rows_done=3,
        rows_total=3,
        bytes_written=9,
    )


def test_a_refused_step_names_the_export_and_its_state() -> None:
    completed = a_data_export().complete(ARCHIVE, at=NOON)

    with pytest.raises(
        InvalidTransition, match=r"^data export export is COMPLETED already$"
    ) as refusal:
        completed.advance(Progress())

    assert refusal.value.data_export_id == "export"
    assert refusal.value.state is DataExportState.COMPLETED
