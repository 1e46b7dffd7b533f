"""Removing a tenant beside a service that goes on."""

import hashlib
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path

import pytest

from builders import a_stored_segment, an_actor
from http_service import HttpService, HttpTenant, http_service
from server_rows import iter_rows, take_notes
from thingport.adapters.lake.lakes import Lakes
from thingport.application.housekeeping import Housekeeping
from thingport.application.ports import LakeReader
from thingport.application.run_data_export import LEASE
from thingport.application.tenant_removal import TenantRemoval
from thingport.domain.actor import Actor
from thingport.domain.data_export import Archive, DataExportRequest
from thingport.domain.errors import InvalidRequest, NotFound
from thingport.domain.ids import TenantId, ThingId
from thingport.domain.reading import Reading, ReadingBatch


class Died(BaseException):
    """The end of a process."""


on_both = pytest.mark.parametrize("service", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[HttpService]:
    """Give a service on files, unless a test is parametrized with "postgresql" too."""
    database_url: str | None = None
    if getattr(request, "param", "sqlite") == "postgresql":
        database_url = request.getfixturevalue("postgres_url")
    with http_service(tmp_path, database_url) as opened:
        opened.clock.at = datetime.now(UTC)
        yield opened


@pytest.fixture
def removal(service: HttpService) -> TenantRemoval:
    def pause(duration: timedelta) -> None:
        service.clock.advance(duration)

    return TenantRemoval(
        control=service.control,
        remove_lake=service.lakes.remove,
        archives=service.archives,
        import_files=service.data_imports.files,
        clock=service.clock,
        pause=pause,
    )


@dataclass(frozen=True)
class Filled:
    """A tenant with readings, an archive, and perhaps an export that waits."""

    tenant: HttpTenant
    actor: Actor
    token: str
    link: str
    newest: str


def _write(service: HttpService, tenant: HttpTenant) -> None:
    metric = tenant.metric
    reading = Reading(ThingId(tenant.thing_id), 1, {metric.id: 1.5})
    batch = ReadingBatch(
        thing_definition_id=metric.thing_definition_id,
        value_types={metric.id: metric.value_type},
        readings=[reading],
    )
    service.lakes.writer(tenant.id).write([batch])


def _fill(service: HttpService, name: str, *, waits: bool = True) -> Filled:
    tenant = service.add_tenant(name)
    token = tenant.log_in()
    actor = service.identity.authenticate(name, token)
    for _ in range(3):
        _write(service, tenant)
    exports = service.data_exports
    scheduled = exports.schedule(actor, DataExportRequest())
    sealed = service.archives.seal(tenant.id, scheduled.id, [b"PK whole"])
    archive = Archive(
        size_bytes=sealed.size_bytes, sha256=sealed.sha256, things=1, rows=3
    )
    with service.control.for_service() as tx:
        claim = tx.queue.claim("runner", now=service.clock.now(), lease=LEASE)
        assert claim is not None
        tx.queue.commit_segment(claim, a_stored_segment())
        done = claim.data_export.complete(archive, at=service.clock.now())
        tx.queue.finish(claim, done)
    link = service.downloads.link_for(done)
    if waits:
        scheduled = exports.schedule(actor, DataExportRequest())
    return Filled(tenant, actor, token, link, scheduled.id)


def _contents(root: Path, tenant_id: str) -> dict[str, str]:
    """Give the digest of every file that lies in a folder of a tenant."""
    return {
        str(it.relative_to(root)): hashlib.sha256(it.read_bytes()).hexdigest()
        for it in sorted(root.rglob("*"))
        if it.is_file() and tenant_id in it.parts and not it.name.endswith("-shm")
    }


def _url(service: HttpService) -> str | None:
    url = service.settings.database_url
    return None if url is None else url.get_secret_value()


def _mentions(service: HttpService, *texts: str) -> list[str]:
    """Give the files in which any of some texts is, and the tables of a server."""
    root = service.settings.data_dir
    files = (it for it in root.rglob("*") if it.is_file())
    found = [
        it.name
        for it in files
        if any(text.encode() in it.read_bytes() for text in texts)
    ]
    rows = iter_rows(_url(service))
    return found + [it for it, row in rows if any(text in row for text in texts)]


def _folders(root: Path, tenant_id: str) -> list[Path]:
    return [it for it in root.rglob("*") if it.name == tenant_id]


@on_both
def test_nothing_is_left_of_it_and_every_byte_of_the_other(
    service: HttpService, removal: TenantRemoval, tmp_path: Path
) -> None:
    kept, gone = _fill(service, "zeta", waits=False), _fill(service, "acme")
    before = _contents(tmp_path, kept.tenant.id)
    take_notes(_url(service))
    assert len(before) >= 5

    removal.remove("acme")

    assert _folders(tmp_path, gone.tenant.id) == []
    assert _mentions(service, gone.tenant.id, gone.tenant.thing_id) == []
    assert _contents(tmp_path, kept.tenant.id) == before
    with service.control.for_service(read_only=True) as tx:
        assert [it.name for it in tx.tenants.list_all()] == ["zeta"]
    with pytest.raises(InvalidRequest, match="there is none called 'acme'"):
        removal.remove("acme")
    _write(service, kept.tenant)


def test_the_service_knows_it_no_more(
    service: HttpService, removal: TenantRemoval, tmp_path: Path
) -> None:
    kept, gone = _fill(service, "zeta", waits=False), _fill(service, "acme")
    path = gone.link.removeprefix("https://data.acme.example")
    client = service.client(gone.tenant.headers(gone.token))
    assert client.get(path).status_code == HTTPStatus.OK

    removal.remove("acme")

    assert client.get(path).status_code == HTTPStatus.NOT_FOUND
    for answer in (
        client.get(f"/data/dataExports/{gone.newest}"),
        client.post("/data/dataExports", json={}),
        client.put(
            f"/data/values?thingId={gone.tenant.thing_id}&metricName=temp",
            json={"data": [{"timestamp": 1, "values": [{"value": 2}]}]},
        ),
    ):
        assert answer.status_code == HTTPStatus.UNAUTHORIZED
    other = service.client(kept.tenant.headers(kept.token))
    assert other.get(f"/data/dataExports/{kept.newest}").status_code == HTTPStatus.OK
    assert _folders(tmp_path, gone.tenant.id) == []


@on_both
def test_a_writer_of_another_process_stores_nothing_and_makes_no_folder(
    service: HttpService, removal: TenantRemoval, tmp_path: Path
) -> None:
    gone = _fill(service, "acme")
    with _other_process(service, tmp_path) as lakes:
        lane = lakes.new_lane(gone.tenant.id)
        lane.commit(lambda it: it.list_tables())
        removal.remove("acme")

        with pytest.raises(NotFound):
            lane.commit(lambda it: it.list_tables())
        with (
            closing(lakes.new_lane(gone.tenant.id)) as another,
            pytest.raises(NotFound),
        ):
            another.commit(lambda it: it.list_tables())
        lane.close()
        with lakes.open_keeper(gone.tenant.id) as keeper:
            assert keeper.compact(is_thorough=True) == 0
    assert _folders(tmp_path, gone.tenant.id) == []


def test_what_was_answered_no_more_before_the_files_go_is_not_stored(
    service: HttpService, removal: TenantRemoval
) -> None:
    gone = _fill(service, "acme")

    def write_late(_: TenantId) -> None:
        with pytest.raises(NotFound):
            _write(service, gone.tenant)
        raise Died

    with pytest.raises(Died):
        replace(removal, remove_lake=write_late).remove("acme")
    removal.remove("acme")


@contextmanager
def _other_process(service: HttpService, directory: Path) -> Generator[Lakes]:
    def allocate_written_seqs(tenant_id: TenantId, count: int) -> int:
        with service.control.for_tenant(tenant_id) as tx:
            return tx.allocate_written_seqs(count)

    lakes = Lakes(
        directory / "lakes",
        temp_dir=directory / "temporary",
        allocate_written_seqs=allocate_written_seqs,
        database_url=_url(service),
    )
    yield lakes
    lakes.close()


@on_both
def test_other_processes_let_go_of_its_files(
    service: HttpService, removal: TenantRemoval, tmp_path: Path
) -> None:
    kept, gone = _fill(service, "zeta", waits=False), _fill(service, "acme")
    with _other_process(service, tmp_path) as lakes:
        with lakes.open_reader(gone.tenant.id) as lake:
            assert lake.current_snapshot()
        removal.remove("acme")
        lakes._look_again_at_s = 0.0  # noqa: SLF001  # now, not in a second
        with lakes.open_reader(kept.tenant.id) as lake:
            assert lake.current_snapshot()

        held = [
            str(it.readlink()) for it in Path("/proc/self/fd").iterdir() if it.exists()
        ]
        assert [it for it in held if gone.tenant.id in it] == []
        with lakes.open_reader(gone.tenant.id) as lake:
            assert lake.current_snapshot() is None
    assert _folders(tmp_path, gone.tenant.id) == []


@on_both
def test_an_export_that_is_being_scheduled_leaves_nothing(
    service: HttpService, removal: TenantRemoval, tmp_path: Path
) -> None:
    gone = _fill(service, "acme")
    open_reader = service.lakes.open_reader

    @contextmanager
    def overtaken(tenant_id: TenantId) -> Generator[LakeReader]:
        with open_reader(tenant_id) as lake:
            yield lake
        removal.remove("acme")

    slow = replace(service.data_exports, open_lake=overtaken)
    actor = an_actor(
        tenant_id=gone.tenant.id, user_id=gone.actor.user_id, entity=gone.actor.entity
    )
    with pytest.raises(NotFound):
        slow.schedule(actor, DataExportRequest())

    assert _folders(tmp_path, gone.tenant.id) == []


def _dies(method: Callable[..., object], *, after: bool) -> Callable[..., object]:
    def die(*arguments: object, **named: object) -> object:
        if after:
            method(*arguments, **named)
        raise Died

    return die


@on_both
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", ["remove_lake", "archives", "rows", "last", "bytes"])
def test_one_that_was_broken_off_is_finished_by_the_next(  # noqa: PLR0913  # fixtures
    service: HttpService,
    removal: TenantRemoval,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    *,
    after: bool,
) -> None:
    gone = _fill(service, "acme")
    dying = removal
    with monkeypatch.context() as patch:
        match step:
            case "remove_lake":
                die = _dies(removal.remove_lake, after=after)
                dying = replace(removal, remove_lake=die)  # type: ignore[arg-type]  # it gives nothing
            case "archives":
                die = _dies(service.archives.discard_tenant, after=after)
                patch.setattr(service.archives, "discard_tenant", die)
            case "bytes":
                die = _dies(service.control.forget_deleted_bytes, after=after)
                patch.setattr(service.control, "forget_deleted_bytes", die)
            case _:
                name = {"rows": "remove_rows", "last": "remove"}[step]
                with service.control.for_service() as tx:
                    kind = type(tx.tenants)
                patch.setattr(kind, name, _dies(getattr(kind, name), after=after))
        with pytest.raises(Died):
            dying.remove("acme")
    removal.remove("acme")

    assert _folders(tmp_path, gone.tenant.id) == []
    assert _mentions(service, gone.tenant.id, gone.tenant.thing_id) == []


def test_readings_older_than_they_are_kept_are_dropped_by_housekeeping(
    service: HttpService,
) -> None:
    tenant, other = service.add_tenant("acme"), service.add_tenant("zeta")
    for it in (tenant, other):
        _write(service, it)
    with service.control.for_tenant(tenant.id) as tx:
        tx.upkeep.set_retention_months(6)
    housekeeping = Housekeeping(
        control=service.control,
        open_keeper=service.lakes.open_keeper,
        clock=service.clock,
        snapshot_retention=timedelta(hours=1),
    )

    (dropped,) = housekeeping.iter_steps(tenant.id)
    assert dropped.outdated_files == 1
    assert list(housekeeping.iter_steps(tenant.id)) == []
    assert list(housekeeping.iter_steps(other.id)) == []
    assert housekeeping.measure(tenant.id).files == 0
    assert housekeeping.measure(other.id).files == 1
    # What is as old and comes later goes with the next turn.
    _write(service, tenant)
    (dropped,) = housekeeping.iter_steps(tenant.id)
    assert dropped.outdated_files == 1
