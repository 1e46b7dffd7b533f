"""Scheduling data exports, and looking at them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from thingport.application.ports import (
    ArchiveStore,
    CatalogueRepository,
    Clock,
    ControlDatabase,
    IdSource,
    OpenLake,
)
from thingport.domain.actor import Actor
from thingport.domain.catalogue import PlacedThing
from thingport.domain.csv_format import format_timestamp
from thingport.domain.data_export import (
    DataExport,
    DataExportRequest,
    DataExportState,
    Progress,
    Selection,
    TimestampFormat,
)
from thingport.domain.errors import (
    ExportAlreadyActive,
    InvalidRequest,
    NotFound,
    SchedulingTooSlow,
    ThingportError,
    ViewErased,
)
from thingport.domain.export_plan import ExportPlan
from thingport.domain.ids import DataExportId
from thingport.domain.period import epoch_ms
from thingport.domain.permissions import Permission
from thingport.domain.planning import check_request, plan_export
from thingport.domain.thing_file_name import check_mask
from thingport.domain.visibility import Visibility, visibility_of

MAX_SCHEDULING = timedelta(minutes=10)
"""Longest time between looking up the lake's present snapshot and storing the
export that pins it.

Nobody else knows of the snapshot meanwhile. It is safe because housekeeping leaves
whatever was the present state within a longer time than this alone; see
``application.housekeeping``.
"""


@dataclass(frozen=True, slots=True)
class DataExportView:
    """A data export as one actor may see it.

    Attributes:
        may_download: Whether the archive is there, and the actor still sees every
            thing in it.
        is_gone: Whether there was an archive, which is deleted.
    """

    data_export: DataExport
    may_download: bool
    is_gone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DataExports:
    """The use cases around data exports."""

    control: ControlDatabase
    open_lake: OpenLake
    archives: ArchiveStore
    clock: Clock
    ids: IdSource

    def schedule(
        self, actor: Actor, request: DataExportRequest, faults: Sequence[str] = ()
    ) -> DataExport:
        """Plan an export, and store it for the runners.

        Visibility, names and the state of the data are fixed here.

        Args:
            actor: Who asks.
            request: What for.
            faults: What is wrong with its form already, each after its field and a
                colon; so that all that is wrong is said at once.

        Raises:
            PermissionDenied: The actor may not export.
            InvalidRequest: With every fault of the selection; nothing was stored.
            ExportAlreadyActive: Another one is PENDING; it is named only to who
                sees it. Nothing was stored.
            SchedulingTooSlow: It took longer than ``MAX_SCHEDULING``; nothing was
                stored.
            ViewErased: Readings were erased meanwhile; nothing was stored.
        """
        actor.require(Permission.EXPORT_DATA)
        began_at = self.clock.now()
        data_export_id = DataExportId(self.ids.new_id())
        plan = self._plan(actor, request, faults)
        data_export = DataExport(
            id=data_export_id,
            tenant_id=actor.tenant_id,
            scheduled_by=actor.user_id,
            scheduled_at=plan.scheduled_at,
            name=request.name or _default_name(plan.scheduled_at),
            selection=request.selection,
            rendition=request.rendition,
            snapshot=plan.snapshot,
            progress=Progress(things_total=len(plan.files)),
        )
        self.archives.save_plan(data_export_id, plan)
        try:
            with self.control.for_tenant(actor.tenant_id) as tx:
                # Asked inside the transaction: waiting for it counts as well.
                self._refuse_if_slow(began_at)
                _refuse_if_erased(plan, tx.upkeep.get_oldest_snapshot())
                tx.data_exports.add(data_export, slot=actor.tenant_id)
        except ThingportError as error:
            self.archives.discard_plan(actor.tenant_id, data_export_id)
            if isinstance(error, NotFound):
                # The tenant was removed meanwhile, and the plan made its folder anew.
                self.archives.discard_tenant(actor.tenant_id)
            if isinstance(error, ExportAlreadyActive):
                raise self._as_told_to(actor, error) from None
            raise
        return data_export

    def get(self, actor: Actor, data_export_id: DataExportId) -> DataExportView:
        """Look at an export.

        Seen by who scheduled it, and by who now sees every thing planned in it; one
        that has no things at all says nothing of who else may see it.

        Raises:
            PermissionDenied: The actor may not export.
            NotFound: There is none that this actor can see.
        """
        actor.require(Permission.EXPORT_DATA)
        with self.control.for_tenant(actor.tenant_id, read_only=True) as tx:
            data_export = tx.data_exports.find(data_export_id)
            if data_export is None:
                raise NotFound
            is_own = data_export.scheduled_by == actor.user_id
            is_completed = data_export.state is DataExportState.COMPLETED
            if is_own and not is_completed:
                return DataExportView(data_export, may_download=False)
            plan = self.archives.load_plan(actor.tenant_id, data_export_id)
            sees_all = _sees_all(actor, plan, tx.catalogue)
        if not is_own and not (plan.files and sees_all):
            raise NotFound
        is_there = is_completed and self._has_archive(data_export)
        return DataExportView(
            data_export,
            may_download=is_there and sees_all,
            is_gone=is_completed and not is_there,
        )

    def _has_archive(self, data_export: DataExport) -> bool:
        found = self.archives.find_archive(data_export.tenant_id, data_export.id)
        return found is not None

    def _refuse_if_slow(self, began_at: datetime) -> None:
        took = self.clock.now() - began_at
        if took > MAX_SCHEDULING:
            raise SchedulingTooSlow(took)

    def _as_told_to(
        self, actor: Actor, refusal: ExportAlreadyActive
    ) -> ExportAlreadyActive:
        """Leave the id of the export out for who cannot see it."""
        if refusal.active_id is not None:
            try:
                self.get(actor, refusal.active_id)
            except NotFound:
                return ExportAlreadyActive(None, retry_after=refusal.retry_after)
        return refusal

    def _plan(
        self, actor: Actor, request: DataExportRequest, faults_of_form: Sequence[str]
    ) -> ExportPlan:
        selection = request.selection
        with self.control.for_tenant(actor.tenant_id, read_only=True) as tx:
            definitions = tx.catalogue.get_definitions()
            visibility = _visibility(actor, tx.catalogue)
            named = {_field_of(it) for it in faults_of_form}
            faults = [
                *_check_scope(selection, visibility, tx.catalogue),
                *check_request(selection, definitions),
                *check_mask(request.rendition.thing_file_name),
            ]
            # A faulty field reads as an absent one; what follows of that is no news.
            faults = [it for it in faults if _field_of(it) not in named]
            if faults_of_form or faults:
                raise InvalidRequest(*faults_of_form, *faults)
            things = _list_visible(selection, visibility, tx.catalogue)
        with self.open_lake(actor.tenant_id) as lake:
            snapshot = lake.current_snapshot()
        return plan_export(
            tenant_id=actor.tenant_id,
            selection=selection,
            rendition=request.rendition,
            things=things,
            definitions=definitions,
            snapshot=snapshot,
            scheduled_at=self.clock.now(),
        )


def _refuse_if_erased(plan: ExportPlan, oldest_snapshot: int | None) -> None:
    if plan.snapshot is None or oldest_snapshot is None:
        return
    if plan.snapshot < oldest_snapshot:
        raise ViewErased(plan.snapshot)


def _field_of(fault: str) -> str:
    return fault.partition(":")[0]


def _default_name(scheduled_at: datetime) -> str:
    instant = format_timestamp(epoch_ms(scheduled_at), TimestampFormat.ISO_8601)
    return f"data-export {instant}"


def _visibility(actor: Actor, catalogue: CatalogueRepository) -> Visibility:
    return visibility_of(actor.entity, catalogue.get_network())


def _sees_all(actor: Actor, plan: ExportPlan, catalogue: CatalogueRepository) -> bool:
    visibility = _visibility(actor, catalogue)
    seen = {
        placed.thing.id
        for placed in catalogue.iter_placed_things()
        if visibility.sees_thing(placed)
    }
    return all(file.thing_id in seen for file in plan.files)


def _list_visible(
    selection: Selection, visibility: Visibility, catalogue: CatalogueRepository
) -> Sequence[PlacedThing]:
    return [
        placed
        for placed in catalogue.iter_placed_things(
            customer_id=selection.customer_id,
            location_id=selection.location_id,
            thing_id=selection.thing_id,
        )
        if visibility.sees_thing(placed)
    ]


def _check_scope(
    selection: Selection, visibility: Visibility, catalogue: CatalogueRepository
) -> Sequence[str]:
    """Say what is wrong with the ids; the unseen is as unknown as the missing."""
    faults: list[str] = []
    customer_id, location_id = selection.customer_id, selection.location_id
    if customer_id is not None:
        customer = catalogue.find_customer(customer_id)
        if customer is None or not visibility.sees_customer(customer.id):
            faults.append("customerId: no such customer")
            # What belongs to it would tell whether it is there.
            selection = replace(selection, customer_id=None)
    if location_id is not None:
        location = catalogue.find_location(location_id)
        if location is None or not visibility.sees_location(
            location.id, location.customer_id
        ):
            faults.append("locationId: no such location")
            selection = replace(selection, location_id=None)
        elif selection.customer_id not in {None, location.customer_id}:
            faults.append("locationId: not a location of that customer")
    if selection.thing_id is not None:
        placed = catalogue.find_thing(selection.thing_id)
        faults.extend(_check_thing(selection, visibility, placed))
    return faults


def _check_thing(
    selection: Selection, visibility: Visibility, placed: PlacedThing | None
) -> Sequence[str]:
    if placed is None or not visibility.sees_thing(placed):
        return ["thingId: no such thing"]
    place = placed.location
    if selection.location_id not in {None, place and place.id}:
        return ["thingId: that thing does not stand at that location"]
    if selection.customer_id not in {None, place and place.customer_id}:
        return ["thingId: not a thing of that customer"]
    return []
