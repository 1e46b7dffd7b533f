"""Scheduling an export pins the state of the data that it is to show."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from builders import an_actor
from http_service import HttpService, HttpTenant, http_service
from thingport.application.data_exports import MAX_SCHEDULING
from thingport.application.ports import LakeReader
from thingport.domain.actor import Actor
from thingport.domain.data_export import DataExportRequest
from thingport.domain.errors import SchedulingTooSlow
from thingport.domain.ids import TenantId, ThingId
from thingport.domain.reading import Reading, ReadingBatch


@pytest.fixture
def service(tmp_path: Path) -> Iterator[HttpService]:
    with http_service(tmp_path) as opened:
        yield opened


@pytest.fixture
def acme(service: HttpService) -> HttpTenant:
    return service.add_tenant("acme")


@pytest.fixture
def actor(service: HttpService, acme: HttpTenant) -> Actor:
    user = service.identity.add_user(
        "acme", "ada@acme.example", permissions=frozenset(), organization="Maker"
    )
    return an_actor(tenant_id=acme.id, user_id=user.id, entity=user.entity)


def _write(service: HttpService, acme: HttpTenant) -> None:
    metric = acme.metric
    reading = Reading(ThingId(acme.thing_id), 1, {metric.id: 1.5})
    batch = ReadingBatch(
        thing_definition_id=metric.thing_definition_id,
        value_types={metric.id: metric.value_type},
        readings=[reading],
    )
    service.lakes.writer(acme.id).write([batch])


def _pin(service: HttpService, acme: HttpTenant) -> int | None:
    with service.control.for_tenant(acme.id, read_only=True) as tx:
        return tx.data_exports.find_oldest_pin()


def _takes(service: HttpService, time: timedelta) -> None:
    """Let looking up the lake's snapshot take some time."""
    open_reader = service.lakes.open_reader

    @contextmanager
    def open_slowly(tenant_id: TenantId) -> Generator[LakeReader]:
        with open_reader(tenant_id) as reader:
            yield reader
        service.clock.advance(time)

    service.data_exports = replace(service.data_exports, open_lake=open_slowly)


def test_the_snapshot_that_is_read_is_the_one_that_is_pinned(
    service: HttpService, acme: HttpTenant, actor: Actor
) -> None:
    _write(service, acme)
    _write(service, acme)
    with service.lakes.open_reader(acme.id) as reader:
        snapshot = reader.current_snapshot()

    scheduled = service.data_exports.schedule(actor, DataExportRequest())

    plan = service.archives.load_plan(acme.id, scheduled.id)
    assert snapshot is not None
    assert plan.snapshot == scheduled.snapshot == _pin(service, acme) == snapshot


def test_scheduling_may_take_as_long_as_its_snapshot_is_safe(
    service: HttpService, acme: HttpTenant, actor: Actor
) -> None:
    _takes(service, MAX_SCHEDULING)

    service.data_exports.schedule(actor, DataExportRequest())

    assert _pin(service, acme) == 0


def test_scheduling_that_takes_longer_is_refused_and_leaves_nothing(
    service: HttpService, acme: HttpTenant, actor: Actor, tmp_path: Path
) -> None:
    _takes(service, MAX_SCHEDULING + timedelta(milliseconds=1))

    with pytest.raises(SchedulingTooSlow, match="600 seconds"):
        service.data_exports.schedule(actor, DataExportRequest())

    assert _pin(service, acme) is None
    assert [it for it in (tmp_path / "archives").rglob("*") if it.is_file()] == []
