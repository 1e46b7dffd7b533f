"""Whatever is done to a lake, in whatever order: it is what a dictionary says.

So are all its views that a PENDING export holds. This guards every upgrade of the
engine: it is what exports promise, and what row inlining once broke.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from lake_rows import (
    TYPES,
    FreshPlace,
    Numbers,
    Row,
    a_batch,
    a_keeper,
    a_lane,
    a_layout,
    a_reader,
    read,
)
from thingport.adapters.lake.group_commit import GroupCommitWriter
from thingport.domain.ids import MetricId, ThingDefinitionId, ThingId
from thingport.domain.metric import Value
from thingport.domain.period import ALL_TIME, Period
from thingport.domain.reading import Reading, ValueDeletion

PUMP, FAN = ThingDefinitionId("pump"), ThingDefinitionId("fan")
THINGS = "ab"

Content = Mapping[ThingDefinitionId, Sequence[Reading]]
"""What was written, in its order."""

values_of: Mapping[MetricId, st.SearchStrategy[Value]] = {
    MetricId("long"): st.integers(-(2**63), 2**63 - 1),
    MetricId("double"): st.floats(allow_nan=False, allow_infinity=False),
    MetricId("string"): st.text(max_size=3),
    MetricId("boolean"): st.booleans(),
}
values = st.fixed_dictionaries({}, optional=values_of).filter(bool)
readings = st.builds(
    Reading, st.sampled_from(THINGS).map(ThingId), st.integers(0, 5), values
)
writes = st.dictionaries(
    st.sampled_from([PUMP, FAN]), st.lists(readings, min_size=1, max_size=4), min_size=1
)
deletions = st.builds(
    ValueDeletion,
    thing_definition_id=st.sampled_from([PUMP, FAN]),
    thing_id=st.sampled_from(THINGS).map(ThingId),
    metric_id=st.sampled_from(sorted(values_of)),
    period=st.tuples(st.integers(0, 3), st.integers(4, 6)).map(lambda it: Period(*it))
    | st.just(ALL_TIME),
)


def _without(deletion: ValueDeletion, reading: Reading) -> Reading:
    """Give what a deletion leaves of a reading."""
    if reading.thing_id != deletion.thing_id:
        return reading
    if not deletion.period.contains(reading.timestamp_ms):
        return reading
    left = {it: reading.values[it] for it in reading.values if it != deletion.metric_id}
    return replace(reading, values=left)


def _expected(content: Content, definition: ThingDefinitionId) -> list[Row]:
    ordered = sorted(
        content.get(definition, ()), key=lambda it: (it.thing_id, it.timestamp_ms)
    )
    return [
        (
            it.thing_id,
            it.timestamp_ms,
            *(_stored(it.values.get(name)) for name in TYPES),
        )
        for it in ordered
    ]


def _stored(value: Value | None) -> Value | None:
    """Give what a lake makes of a value: its zeros have no sign."""
    return value + 0.0 if isinstance(value, float) else value


def _soon() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


class LakeModel(RuleBasedStateMachine):
    """A lake beside a dictionary; pinned are the views that may never change."""

    fresh_place: FreshPlace

    def __init__(self) -> None:
        super().__init__()
        self.resources = ExitStack()
        self.place = self.resources.enter_context(self.fresh_place())
        self.numbers = Numbers()
        self.head: Content = {}
        self.pinned: dict[int, Content] = {}

    @initialize(max_file_bytes=st.sampled_from([2_500, 6_000, 10**9]), written=writes)
    def start(
        self,
        max_file_bytes: int,
        written: Mapping[ThingDefinitionId, Sequence[Reading]],
    ) -> None:
        """Hold a view from the start, so that few steps are enough to break it."""
        self.max_file_bytes = max_file_bytes
        self._open()
        self.write(written)
        self.schedule()

    def _open(self) -> None:
        self.writer = GroupCommitWriter(a_lane(self.place, self.numbers))
        self.reader = a_reader(self.place)
        self.keeper = a_keeper(
            self.place, self.numbers, max_file_bytes=self.max_file_bytes
        )

    def _close(self) -> None:
        self.writer.close()
        self.reader.close()
        self.keeper.close()

    def teardown(self) -> None:
        self._close()
        self.resources.close()

    @rule(written=writes)
    def write(self, written: Mapping[ThingDefinitionId, Sequence[Reading]]) -> None:
        self.writer.write([a_batch(*written[it], definition=it) for it in written])
        self.head = {
            it: [*self.head.get(it, ()), *written.get(it, ())]
            for it in {*self.head, *written}
        }

    @rule(deletion=deletions)
    def delete(self, deletion: ValueDeletion) -> None:
        self.writer.delete(deletion)
        definition = deletion.thing_definition_id
        left = [_without(deletion, it) for it in self.head.get(definition, ())]
        self.head = {**self.head, definition: [it for it in left if it.values]}

    @precondition(lambda self: len(self.pinned) < 4)
    @rule()
    def schedule(self) -> None:
        snapshot = self.reader.current_snapshot()
        assert snapshot is not None
        self.pinned[snapshot] = self.head

    @precondition(lambda self: len(self.pinned) > 1)
    @rule(data=st.data())
    def end_an_export(self, data: st.DataObject) -> None:
        del self.pinned[data.draw(st.sampled_from(sorted(self.pinned)))]

    @rule(is_thorough=st.booleans(), times=st.integers(1, 3))
    def compact(self, *, is_thorough: bool, times: int) -> None:
        for _ in range(times):
            self.keeper.compact(is_thorough=is_thorough)

    @rule()
    def expire(self) -> None:
        self.keeper.expire(before=_soon(), oldest_pin=min(self.pinned, default=None))

    @rule()
    def delete_leftovers(self) -> None:
        table = self.place.lake / "data" / "main" / "d_pump"
        table.mkdir(parents=True, exist_ok=True)
        leftover = table / "leftover.parquet"
        leftover.write_bytes(b"half")
        assert self.keeper.delete_leftovers(before=_soon()) >= 1
        assert not leftover.exists()

    @rule()
    def open_again(self) -> None:
        self._close()
        self._open()

    @invariant()
    def everything_that_is_held_is_what_was_written(self) -> None:
        for snapshot, content in [(None, self.head), *self.pinned.items()]:
            for definition in (PUMP, FAN):
                layout = a_layout(definition=definition)
                found = read(self.reader, layout, THINGS, snapshot=snapshot)
                assert repr(found) == repr(_expected(content, definition)), snapshot


class MortalLakeModel(LakeModel):
    """The same, where whoever looks after the lake may be killed at any time."""

    @rule(after_ms=st.integers(0, 300))
    def kill_the_keeper(self, after_ms: int) -> None:
        pin = min(self.pinned, default=-1)
        tests = str(Path(__file__).parents[1])
        arguments = (tests, str(pin), *self.place.arguments)
        command = [sys.executable, "-c", KEEP, *arguments]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as keeper:
            assert keeper.stdout is not None
            assert keeper.stdout.readline() == b"ready\n"
            time.sleep(after_ms / 1_000)
            with suppress(ProcessLookupError):
                keeper.send_signal(signal.SIGKILL)
        assert keeper.returncode in {0, -signal.SIGKILL}


KEEP = """
import sys
from datetime import UTC, datetime, timedelta
sys.path.insert(0, sys.argv[1])
from lake_rows import a_keeper, at_arguments
pin = int(sys.argv[2])
keeper = a_keeper(at_arguments(*sys.argv[3:]), max_file_bytes=6_000)
keeper.measure()
print("ready", flush=True)
for _ in range(5):
    soon = datetime.now(UTC) + timedelta(hours=1)
    keeper.compact(is_thorough=True)
    keeper.expire(before=soon, oldest_pin=None if pin < 0 else pin)
    keeper.delete_leftovers(before=soon)
"""


def _settings(*, examples: int, steps: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def _with(fresh_place: FreshPlace, model: type[LakeModel]) -> type[LakeModel]:
    """Give the model with lakes of one kind; Hypothesis makes it by itself."""
    return type(model.__name__, (model,), {"fresh_place": staticmethod(fresh_place)})


def test_a_lake_is_what_a_dictionary_says(fresh_place: FreshPlace) -> None:
    run_state_machine_as_test(
        _with(fresh_place, LakeModel), settings=_settings(examples=10, steps=12)
    )


@pytest.mark.slow
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize(
    ("fresh_place", "examples"),
    # A server costs more round trips, and the engine is the same one.
    [("sqlite", 100), ("postgresql", 40)],
    indirect=["fresh_place"],
)
def test_a_lake_is_what_a_dictionary_says_for_long(
    fresh_place: FreshPlace, examples: int
) -> None:
    run_state_machine_as_test(
        _with(fresh_place, LakeModel), settings=_settings(examples=examples, steps=40)
    )


@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_a_lake_is_what_a_dictionary_says_whoever_is_killed(
    fresh_place: FreshPlace,
) -> None:
    run_state_machine_as_test(
        _with(fresh_place, MortalLakeModel), settings=_settings(examples=20, steps=20)
    )
