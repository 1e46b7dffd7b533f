"""What every archive store keeps of its promise."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from thingport.adapters.archives.local import LocalArchiveStore
from thingport.application.erasure_ports import StoredExport
from thingport.application.ports import ArchiveStore
from thingport.domain.data_export import TimestampFormat
from thingport.domain.errors import CorruptData, CorruptSegment, StoreUnavailable
from thingport.domain.export_plan import (
    ExportPlan,
    PlannedColumn,
    PlannedFile,
    PlannedLayout,
    ThingSpan,
    WholeThings,
)
from thingport.domain.ids import (
    DataExportId,
    MetricId,
    TenantId,
    ThingDefinitionId,
    ThingId,
)
from thingport.domain.metric import ValueType
from thingport.domain.period import Period
from thingport.domain.segment import Segment, SegmentIndex, SegmentMember, StoredSegment

ACME = TenantId("acme")
EXPORT = DataExportId("e1")
PLAN = ExportPlan(
    tenant_id=ACME,
    snapshot=7,
    scheduled_at=datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC),
    period=Period(None, 12),
    timestamp_format=TimestampFormat.EPOCH_MILLIS,
    layouts=(
        PlannedLayout(
            ThingDefinitionId("d"),
            (PlannedColumn(MetricId("m"), ValueType.DOUBLE, "città [°]"),),
        ),
    ),
    files=(PlannedFile(ThingId("t"), "t.csv", 0),),
)
CHUNKS = (
    WholeThings(number=0, first_file=0, end_file=3, rows=5),
    ThingSpan(
        number=1,
        file=3,
        period=Period(0, None),
        is_first=True,
        is_last=True,
        rows=9,
    ),
)


@pytest.fixture
def store(tmp_path: Path) -> ArchiveStore:
    return LocalArchiveStore(tmp_path / "archives")


def a_segment(number: int, content: bytes) -> Segment:
    member = SegmentMember(
        file=number,
        offset=0,
        crc32=1,
        compressed_bytes=len(content),
        text_bytes=9,
        rows=1,
        first_ms=0,
        last_ms=None,
    )
    index = SegmentIndex(
        chunk_number=number,
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        members=(member,),
    )
    return Segment(index, content)


def test_a_plan_comes_back_as_it_was_kept(store: ArchiveStore) -> None:
    store.save_plan(EXPORT, PLAN)

    assert store.load_plan(ACME, EXPORT) == PLAN


def test_a_plan_that_is_not_there_is_corrupt_data(store: ArchiveStore) -> None:
    store.save_plan(EXPORT, PLAN)
    store.discard_plan(ACME, EXPORT)

    with pytest.raises(CorruptData):
        store.load_plan(ACME, EXPORT)


def test_another_tenant_has_no_such_plan(store: ArchiveStore) -> None:
    store.save_plan(EXPORT, PLAN)

    with pytest.raises(CorruptData):
        store.load_plan(TenantId("other"), EXPORT)


def test_chunks_of_both_kinds_come_back_in_order(store: ArchiveStore) -> None:
    assert store.find_chunks(ACME, EXPORT) is None

    store.save_chunks(ACME, EXPORT, CHUNKS)

    found = store.find_chunks(ACME, EXPORT)
    assert found is not None
    assert tuple(found) == CHUNKS


def test_the_first_cut_of_an_export_wins(store: ArchiveStore) -> None:
    assert store.save_chunks(ACME, EXPORT, CHUNKS) == CHUNKS

    assert store.save_chunks(ACME, EXPORT, CHUNKS[:1]) == CHUNKS
    assert store.find_chunks(ACME, EXPORT) == CHUNKS


def test_an_archive_is_its_pieces_in_order(store: ArchiveStore) -> None:
    first = store.put_segment(ACME, EXPORT, a_segment(0, b"first "))
    second = store.put_segment(ACME, EXPORT, a_segment(1, b"second "))

    sealed = store.seal(ACME, EXPORT, [b"head ", first, b"", second, b"tail"])

    path = store.find_archive(ACME, EXPORT)
    assert path is not None
    content = path.read_bytes()
    assert content == b"head first second tail"
    assert sealed.size_bytes == len(content)
    assert sealed.sha256 == hashlib.sha256(content).hexdigest()


def test_two_segments_of_one_chunk_do_not_disturb_each_other(
    store: ArchiveStore,
) -> None:
    first = store.put_segment(ACME, EXPORT, a_segment(0, b"one"))
    second = store.put_segment(ACME, EXPORT, a_segment(0, b"two"))

    assert first.key != second.key
    store.seal(ACME, EXPORT, [first])
    path = store.find_archive(ACME, EXPORT)
    assert path is not None
    assert path.read_bytes() == b"one"


@pytest.mark.parametrize("damage", [b"firsT", b"first and more", b"fir", None])
def test_a_damaged_segment_is_named_and_no_archive_appears(
    store: ArchiveStore, tmp_path: Path, damage: bytes | None
) -> None:
    stored = store.put_segment(ACME, EXPORT, a_segment(3, b"first"))
    (file,) = tmp_path.rglob("*.segment")
    if damage is None:
        file.unlink()
    else:
        file.write_bytes(damage)

    with pytest.raises(CorruptSegment) as caught:
        store.seal(ACME, EXPORT, [stored])

    assert caught.value.chunk_number == 3
    assert store.find_archive(ACME, EXPORT) is None
    assert list(tmp_path.rglob("*.zip*")) == []


def test_sealing_again_replaces_the_archive(store: ArchiveStore) -> None:
    store.seal(ACME, EXPORT, [b"old"])
    store.seal(ACME, EXPORT, [b"new"])

    path = store.find_archive(ACME, EXPORT)
    assert path is not None
    assert path.read_bytes() == b"new"


def test_discarding_the_staging_leaves_plan_and_archive(
    store: ArchiveStore, tmp_path: Path
) -> None:
    store.save_plan(EXPORT, PLAN)
    store.save_chunks(ACME, EXPORT, CHUNKS)
    store.put_segment(ACME, EXPORT, a_segment(0, b"first"))
    store.seal(ACME, EXPORT, [b"whole"])

    store.discard_staging(ACME, EXPORT)
    store.discard_staging(ACME, EXPORT)

    assert list(tmp_path.rglob("*.segment")) == []
    assert store.find_chunks(ACME, EXPORT) is None
    assert store.load_plan(ACME, EXPORT) == PLAN
    assert store.find_archive(ACME, EXPORT) is not None


def test_a_discarded_archive_is_gone_and_no_other(store: ArchiveStore) -> None:
    for tenant_id in (ACME, TenantId("other")):
        store.seal(tenant_id, EXPORT, [b"whole"])

    store.discard_archive(ACME, EXPORT)
    store.discard_archive(ACME, EXPORT)

    assert store.find_archive(ACME, EXPORT) is None
    assert store.find_archive(TenantId("other"), EXPORT) is not None


def test_a_damaged_plan_is_corrupt_data(store: ArchiveStore, tmp_path: Path) -> None:
    store.save_plan(EXPORT, PLAN)
    (file,) = tmp_path.rglob("e1.json.gz")
    file.write_bytes(file.read_bytes()[:-9])

    with pytest.raises(CorruptData):
        store.load_plan(ACME, EXPORT)


def test_a_folder_that_cannot_be_made_is_a_store_that_is_not_available(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("in the way")
    store = LocalArchiveStore(tmp_path / "file")

    with pytest.raises(StoreUnavailable):
        store.save_plan(EXPORT, PLAN)


def test_a_stored_segment_keeps_its_index(store: ArchiveStore) -> None:
    segment = a_segment(5, b"five")

    stored = store.put_segment(ACME, EXPORT, segment)

    assert isinstance(stored, StoredSegment)
    assert stored.index == segment.index


def test_what_is_kept_of_exports_is_listed_with_plans_left_aside(
    store: ArchiveStore,
) -> None:
    staged, sealed, both = (DataExportId(it) for it in ("staged", "sealed", "both"))
    store.save_plan(EXPORT, PLAN)
    for it in (staged, both):
        store.put_segment(ACME, it, a_segment(0, b"x"))
    for it in (sealed, both):
        store.seal(ACME, it, [b"whole"])
    store.discard_staging(ACME, sealed)

    assert store.list_stored(ACME) == [
        StoredExport(both, has_staging=True, has_archive=True),
        StoredExport(sealed, has_staging=False, has_archive=True),
        StoredExport(staged, has_staging=True, has_archive=False),
    ]
    assert store.list_stored(TenantId("zeta")) == []


def test_nothing_is_left_of_a_tenant_and_everything_of_the_others(
    store: ArchiveStore, tmp_path: Path
) -> None:
    zeta = TenantId("zeta")
    for tenant_id in (ACME, zeta):
        store.save_plan(EXPORT, replace(PLAN, tenant_id=tenant_id))
        store.put_segment(tenant_id, EXPORT, a_segment(0, b"x"))
        store.seal(tenant_id, EXPORT, [b"whole"])

    store.discard_tenant(ACME)
    store.discard_tenant(ACME)

    assert [it.name for it in (tmp_path / "archives").iterdir()] == ["zeta"]
    assert store.load_plan(zeta, EXPORT).tenant_id == zeta
    assert store.find_archive(zeta, EXPORT)
