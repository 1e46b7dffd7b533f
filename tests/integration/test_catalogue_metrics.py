"""The life of metrics in a catalogue file: renamed, relabelled, retired."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from stored_tenants import StoredTenant, store_tenant
from thingport.adapters.catalogue_files.catalogue_document_reader import (
    parse_catalogue_document,
)
from thingport.adapters.sql.database import SqlControlDatabase
from thingport.adapters.sql.engine import open_engine, sqlite_url
from thingport.adapters.sql.migrate import upgrade
from thingport.adapters.system.ids import Uuid7Source
from thingport.application.catalogue import apply_catalogue
from thingport.domain.catalogue import Tenant
from thingport.domain.errors import InvalidRequest
from thingport.domain.ids import MetricId
from thingport.domain.metric import Metric

PUMPS = """\
thingDefinitions:
  - name: machine
    metrics:
      - {id: on, name: on, valueType: BOOLEAN}
  - name: pump
    super: machine
    metrics:
      - {id: t, name: temp, label: Heat, unit: K, valueType: DOUBLE}
      - {id: f, name: flow, valueType: DOUBLE}
"""


class Bench:
    """A tenant with pumps, to apply files to."""

    def __init__(self, control: SqlControlDatabase, tenant: StoredTenant) -> None:
        self._control = control
        self._tenant = Tenant(id=tenant.id, name="acme")

    def apply(self, text: str) -> Sequence[str]:
        document = parse_catalogue_document(text, is_json=False)
        changes = apply_catalogue(self._control, self._tenant, document, Uuid7Source())
        return [str(it) for it in changes]

    def pump(self, *metrics: str) -> Sequence[str]:
        listed = ", ".join(f"{{{it}}}" for it in metrics)
        return self.apply(f"thingDefinitions: [{{name: pump, metrics: [{listed}]}}]")

    def refuse_pump(self, *metrics: str) -> Sequence[str]:
        before = self.metrics()
        with pytest.raises(InvalidRequest) as refused:
            self.pump(*metrics)
        assert self.metrics() == before
        return list(refused.value.faults)

    def metrics(self) -> Mapping[MetricId, Metric]:
        with self._control.for_tenant(self._tenant.id, read_only=True) as tx:
            return tx.catalogue.get_definitions().metrics

    def names(self) -> Mapping[str, str]:
        return {it.name: it.id for it in self.metrics().values()}


@pytest.fixture(params=["sqlite", "postgresql"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    if request.param == "sqlite":
        engine = open_engine(sqlite_url(tmp_path / "control.db"))
    else:
        engine = open_engine(request.getfixturevalue("empty_postgres_url"))
    upgrade(engine)
    control = SqlControlDatabase(engine)
    bench = Bench(control, store_tenant(control))
    bench.apply(PUMPS)
    yield bench
    control.close()


def test_a_metric_that_is_named_by_its_id_gets_another_name(bench: Bench) -> None:
    before = bench.metrics()

    renamed = bench.pump("id: t, name: heat, unit: °C")

    assert renamed == ["updated metric pump / heat (name, unit)"]
    after = bench.metrics()[MetricId("t")]
    assert (after.name, after.unit, after.label) == ("heat", "°C", "Heat")
    assert after.value_type == before[MetricId("t")].value_type
    assert bench.pump("id: t, name: heat, unit: °C") == []
    assert bench.pump("name: heat, label: null") == [
        "updated metric pump / heat (label)"
    ]


def test_metrics_may_exchange_their_names(bench: Bench) -> None:
    bench.pump("id: t, name: flow", "id: f, name: temp")

    assert bench.names() == {"on": "on", "flow": "t", "temp": "f"}


def test_a_name_that_is_given_up_is_free_wherever_it_stands(bench: Bench) -> None:
    changes = bench.pump(
        "id: new, name: temp, valueType: LONG", "id: f, name: f", "id: t, name: flow"
    )

    assert sorted(changes) == [
        "created metric pump / temp",
        "updated metric pump / f (name)",
        "updated metric pump / flow (name)",
    ]
    assert bench.names() == {"on": "on", "f": "f", "flow": "t", "temp": "new"}


def test_a_renaming_that_cannot_be_is_refused(bench: Bench) -> None:
    where = "line 1: thingDefinitions[0].metrics"
    assert bench.refuse_pump("id: t, name: flow") == [
        f"{where}[0].name: 'flow' is the name of metric 'f' already"
    ]
    assert bench.refuse_pump("id: t, name: a", "id: f, name: a") == [
        f"{where}[1].name: 'a' is the name of metric 't' already"
    ]
    assert bench.refuse_pump("id: t, name: a", "id: t, name: b") == [
        f"{where}[1].id: 't' is there twice, first in line 1"
    ]
    assert bench.refuse_pump("id: t, name: a", "name: a, valueType: LONG") == [
        f"{where}[1].name: 'a' is there twice, first in line 1"
    ]
    assert bench.refuse_pump("id: on, name: off, valueType: LONG") == [
        f"{where}[0].id: 'on' belongs to metric 'machine / on' already"
    ]
    assert bench.refuse_pump("id: t, name: on") == [
        (
            f"{where}[0].name: definition 'machine' has a metric 'on' already, "
            "and one of the two inherits from the other"
        )
    ]
    with pytest.raises(InvalidRequest, match="'pump' has a metric 'flow' already"):
        bench.apply(
            "thingDefinitions: [{name: machine, metrics: [{id: on, name: flow}]}]"
        )


def test_a_metric_is_retired_and_taken_back(bench: Bench) -> None:
    assert bench.pump("name: temp, retired: true") == [
        "updated metric pump / temp (retired)"
    ]
    assert [it.id for it in bench.metrics().values() if it.is_retired] == ["t"]
    assert bench.pump("name: temp, label: Warmth") == [
        "updated metric pump / temp (label)"
    ]
    assert bench.metrics()[MetricId("t")].is_retired, "what is not mentioned stays"

    assert bench.pump("name: temp, retired: false") == [
        "updated metric pump / temp (retired)"
    ]
    assert not any(it.is_retired for it in bench.metrics().values())
    assert bench.pump("name: temp, retired: null") == []


def test_only_true_and_false_say_whether_a_metric_is_retired(bench: Bench) -> None:
    (fault,) = bench.refuse_pump("name: temp, retired: True")

    assert "metrics[0].retired: 'True' is not one of true, false" in fault
