"""Metrics are added, renamed and retired while data flows and exports run."""

import csv
import io
import itertools
import threading
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pytest

from builders import an_actor
from fakes.inline_executor import InlineExecutor
from running import TENANT, add_tenant, add_user
from thingport.adapters.archives.local import LocalArchiveStore
from thingport.application.reading_batches import IncomingReadings
from thingport.application.run_data_export import DataExportRunner
from thingport.bootstrap.runners import open_runner, render_in_worker
from thingport.bootstrap.services import Services, open_services
from thingport.domain.actor import Actor, OrganizationEntity
from thingport.domain.data_export import DataExport, DataExportRequest, DataExportState
from thingport.domain.errors import InvalidRequest
from thingport.domain.ids import ThingId
from thingport.settings import Settings

CATALOGUE = """\
organizations: [{name: Maker}]
thingDefinitions:
  - name: pump
    metrics:
      - {id: always, name: always, valueType: LONG}
      - {id: old, name: old, valueType: LONG}
      - {id: named, name: named-0, valueType: LONG}
things: [{id: one, serialNumber: one, thingDefinition: pump}]
"""

ROUNDS = 4


@dataclass
class Life:
    """A thing whose metrics change.

    Attributes:
        answered: What was answered so far: the value of each instant.
        changes: How many catalogues were applied.
    """

    services: Services
    runner: DataExportRunner
    archives: LocalArchiveStore
    actor: Actor
    file: Path
    answered: list[int] = field(default_factory=list[int])
    changes: int = 0
    is_over: threading.Event = field(default_factory=threading.Event)

    def write(self, values: Mapping[str, object], at: int) -> None:
        batches = self.services.reading_batches
        incoming = [IncomingReadings("[0]", ThingId("one"), [(at, values)])]
        batches.store(batches.accept(self.actor, incoming))

    def write_on(self) -> None:
        for at in itertools.count(1):
            if self.is_over.is_set():
                return
            self.write({"always": at}, at)
            self.answered.append(at)

    def change(self, *metrics: str) -> None:
        listed = ", ".join(f"{{{it}}}" for it in metrics)
        self.file.write_text(f"thingDefinitions: [{{name: pump, metrics: [{listed}]}}]")
        self.services.apply_catalogue(TENANT, self.file)

    def change_on(self) -> None:
        for number in itertools.count(1):
            if self.is_over.is_set():
                return
            self.change(
                f"id: named, name: named-{number}, label: Label {number}",
                f"name: old, retired: {str(number % 2 == 1).lower()}",
                f"id: new{number}, name: new-{number}, valueType: DOUBLE",
            )
            self.changes = number

    def schedule(self) -> DataExport:
        return self.services.data_exports.schedule(self.actor, DataExportRequest())

    def run(self, scheduled: DataExport) -> Sequence[Sequence[str]]:
        """Run an export; give the rows of its one file."""
        claim = self.runner.claim()
        assert claim is not None
        self.runner.run(claim)
        exports = self.services.data_exports
        ended = exports.get(self.actor, scheduled.id).data_export
        assert ended.state is DataExportState.COMPLETED, ended
        path = self.archives.find_archive(ended.tenant_id, ended.id)
        assert path is not None
        with zipfile.ZipFile(path) as archive:
            (name,) = archive.namelist()
            return [*csv.reader(io.StringIO(archive.read(name).decode()))]


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    data_dir = tmp_path / "data"
    add_tenant(data_dir, CATALOGUE)
    add_user(data_dir, "ada@acme.example", "--organization", "Maker")
    settings = Settings(data_dir=data_dir)
    rendering = InlineExecutor(partial(render_in_worker, settings))
    with ExitStack() as opened:
        services = opened.enter_context(open_services(settings))
        runner = opened.enter_context(open_runner(settings))
        tenant = services.get_tenant(TENANT)
        with services.control.for_tenant(tenant.id) as tx:
            (maker,) = tx.catalogue.get_network().organizations
            user = tx.credentials.find_user_by_email("ada@acme.example")
        assert user is not None
        yield Life(
            services,
            replace(runner, executor=rendering),
            LocalArchiveStore(data_dir / "archives"),
            an_actor(
                tenant_id=tenant.id,
                user_id=user.id,
                entity=OrganizationEntity(maker.id),
            ),
            tmp_path / "change.yaml",
        )


def _header(number: int) -> Sequence[str]:
    """Give the columns after so many changes."""
    added = [f"new-{it}" for it in range(1, number + 1)]
    return ["TIMESTAMP", *sorted(["always", "old", f"named-{number}", *added])]


def test_every_export_shows_one_state_of_the_catalogue_and_all_that_was_answered(
    life: Life,
) -> None:
    life.write({"always": 0, "old": 7, "named-0": 8}, 0)
    with ThreadPoolExecutor(2) as pool:
        others = [pool.submit(life.write_on), pool.submit(life.change_on)]
        try:
            for _ in range(ROUNDS):
                answered, earliest = len(life.answered), life.changes
                scheduled = life.schedule()
                # A change that is stored is counted a moment later.
                latest = life.changes + 1
                header, first, *rows = life.run(scheduled)
                assert header in [_header(it) for it in range(earliest, latest + 1)]
                values = dict(zip(header, first, strict=True))
                (named,) = [it for it in header if it.startswith("named-")]
                assert (values["old"], values[named]) == ("7", "8")
                exported = [int(it[header.index("always")]) for it in rows]
                assert exported[:answered] == life.answered[:answered]
        finally:
            life.is_over.set()
    for other in others:
        other.result()
    assert life.changes


def test_an_export_that_was_scheduled_before_keeps_the_names_of_then(
    life: Life,
) -> None:
    life.write({"old": 7, "named-0": 8}, 0)
    scheduled = life.schedule()
    life.change("id: named, name: old-fashioned", "name: old, retired: true")
    life.write({"old-fashioned": 9}, 0)
    with pytest.raises(InvalidRequest, match="'old' is retired"):
        life.write({"old": 9}, 0)

    then, now = life.run(scheduled), life.run(life.schedule())

    assert [it[1:] for it in then] == [["always", "named-0", "old"], ["", "8", "7"]]
    assert [it[1:] for it in now] == [
        ["always", "old", "old-fashioned"],
        ["", "7", "9"],
    ]
