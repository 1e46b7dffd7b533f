"""Scheduling data imports, and looking at them."""

from dataclasses import dataclass

from thingport.application.import_ports import ImportFiles, IncomingFile
from thingport.application.ports import (
    CatalogueRepository,
    Clock,
    ControlDatabase,
    IdSource,
)
from thingport.domain.actor import Actor
from thingport.domain.data_import import DataImport, TextGuard
from thingport.domain.errors import NotFound, ThingportError
from thingport.domain.ids import DataImportId, ThingId
from thingport.domain.permissions import Permission
from thingport.domain.visibility import visibility_of


@dataclass(frozen=True, slots=True, kw_only=True)
class DataImportRequest:
    """What a file is, well-formed, but not yet looked up anywhere."""

    thing_id: ThingId
    header_line: int = 1
    text_guard: TextGuard = TextGuard.NONE


@dataclass(frozen=True, slots=True)
class Upload:
    """An import whose file is being received; nothing is stored of it.

    Attributes:
        file: To be written, and to be closed whatever happens.
    """

    data_import: DataImport
    file: IncomingFile


@dataclass(frozen=True, slots=True)
class DataImports:
    """The use cases around data imports."""

    control: ControlDatabase
    files: ImportFiles
    clock: Clock
    ids: IdSource

    def begin(self, actor: Actor, request: DataImportRequest) -> Upload:
        """Begin to receive a file.

        Raises:
            PermissionDenied: The actor may not import.
            NotFound: There is no such thing that the actor can see.
            ImportAlreadyActive: Another one for the thing is PENDING.
            StoreUnavailable: The file cannot be kept.
        """
        actor.require(Permission.IMPORT_DATA)
        with self.control.for_tenant(actor.tenant_id, read_only=True) as tx:
            _require_thing(actor, request.thing_id, tx.catalogue)
            tx.data_imports.refuse_if_active(request.thing_id)
        data_import = DataImport(
            id=DataImportId(self.ids.new_id()),
            tenant_id=actor.tenant_id,
            thing_id=request.thing_id,
            scheduled_by=actor.user_id,
            scheduled_at=self.clock.now(),
            header_line=request.header_line,
            text_guard=request.text_guard,
        )
        file = self.files.receive(actor.tenant_id, data_import.id)
        return Upload(data_import, file)

    def schedule(self, upload: Upload) -> DataImport:
        """Store an import whose file has arrived whole, for the runners.

        Raises:
            ImportAlreadyActive: Another one for the thing is PENDING by now; neither
                import nor file is kept.
            StoreUnavailable: Neither is kept.
        """
        data_import = upload.data_import
        upload.file.keep()
        try:
            with self.control.for_tenant(data_import.tenant_id) as tx:
                # Looked at for its error alone: the tenant is being removed.
                tx.upkeep.get_oldest_snapshot()
                tx.data_imports.add(data_import)
        except NotFound:
            self.files.discard_tenant(data_import.tenant_id)
            raise
        except ThingportError:
            self.files.discard(data_import.tenant_id, data_import.id)
            raise
        return data_import

    def get(self, actor: Actor, data_import_id: DataImportId) -> DataImport:
        """Look at an import; who sees its thing now sees it, and nobody else.

        Raises:
            PermissionDenied: The actor may not import.
            NotFound: There is none that this actor can see, or not any more.
        """
        actor.require(Permission.IMPORT_DATA)
        with self.control.for_tenant(actor.tenant_id, read_only=True) as tx:
            data_import = tx.data_imports.find(data_import_id)
            if data_import is None:
                raise NotFound
            _require_thing(actor, data_import.thing_id, tx.catalogue)
        return data_import


def _require_thing(
    actor: Actor, thing_id: ThingId, catalogue: CatalogueRepository
) -> None:
    placed = catalogue.find_thing(thing_id)
    visibility = visibility_of(actor.entity, catalogue.get_network())
    if placed is None or not visibility.sees_thing(placed):
        raise NotFound
