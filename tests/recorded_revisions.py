"""What the code of each revision of the schema stored, as it stored it.

``python tests/recorded_revisions.py`` records the newest one, into a file beside
the others: a row of each table, written by the repositories. A file is kept as long
as there may be databases of its revision, and never changed.
"""

import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from alembic.migration import MigrationContext
from sqlalchemy import Boolean, Column, Engine, MetaData

from builders import (
    NOON,
    a_customer,
    a_data_export,
    a_data_import,
    a_location,
    a_metric,
    a_partner,
    a_product_model,
    a_product_model_part,
    a_stored_segment,
    a_tenant,
    a_thing,
    a_thing_definition,
    a_user,
    an_api_key,
    an_archive,
    an_organization,
)
from thingport.adapters.sql.database import SqlControlDatabase
from thingport.adapters.sql.engine import open_engine, sqlite_url
from thingport.adapters.sql.migrate import upgrade
from thingport.domain.actor import CustomerEntity
from thingport.domain.data_import import ImportReport
from thingport.domain.ids import (
    CustomerId,
    DataExportId,
    DataImportId,
    TenantId,
    UserId,
)

FOLDER = Path(__file__).parent / "revisions"

ACME = TenantId("acme")
ADA, SHOP = UserId("ada"), CustomerId("shop")
COMPLETED, PENDING = DataExportId("completed"), DataExportId("pending")

_STATEMENT = re.compile(
    r'^INSERT INTO "(?P<table>\w+)" \((?P<columns>[^)]*)\) VALUES \(.*\);$'
)


@dataclass(frozen=True, slots=True)
class RecordedRow:
    """A row, by the statement that stored it; all columns are written out."""

    statement: str

    @property
    def table(self) -> str:
        return self._match["table"]

    @property
    def columns(self) -> Sequence[str]:
        return self._match["columns"].replace('"', "").split(", ")

    @property
    def _match(self) -> re.Match[str]:
        match = _STATEMENT.match(self.statement)
        assert match, self.statement
        return match


def list_revisions() -> Sequence[str]:
    return sorted(it.stem for it in FOLDER.glob("*.sql"))


def read_rows(revision: str) -> Sequence[RecordedRow]:
    """Give what was recorded, in an order in which it can be stored."""
    lines = (FOLDER / f"{revision}.sql").read_text().splitlines()
    return [RecordedRow(it) for it in lines if not it.startswith("--")]


def find_revision(engine: Engine) -> str:
    with engine.connect() as connection:
        (revision,) = MigrationContext.configure(connection).get_current_heads()
    return revision


def store_one_of_each(control: SqlControlDatabase) -> None:
    """Store, through the repositories, something in every table and column."""
    with control.for_service() as service:
        service.tenants.add(a_tenant(id=ACME, name="acme"))
        service.tenants.add(a_tenant(id="gone", name="gone"))
        service.tenants.begin_removal("gone", at=NOON)
    _store_catalogue(control)
    with control.for_tenant(ACME) as tx:
        key = an_api_key(id="key", name="back-end")
        user = a_user(id=ADA, email="Ada@acme.example", entity=CustomerEntity(SHOP))
        tx.credentials.add_user(user)
        tx.credentials.add_api_key(key, "digest of key")
        tx.credentials.add_access_token("token", ADA, "default", "digest", NOON)
        tx.credentials.add_refresh_token(ADA, key.id, "digest of refresh", NOON)
        tx.allocate_written_seqs(7)
        tx.upkeep.set_retention_months(1200)
        tx.upkeep.raise_oldest_snapshot(3)
    _store_exports(control)
    _store_imports(control)


def _store_catalogue(control: SqlControlDatabase) -> None:
    properties = {"note": "it's é"}
    belonging = {"thing_definition_id": "pump"}
    with control.for_tenant(ACME) as tx:
        tx.catalogue.save(
            an_organization(id="maker", name="Maker"),
            an_organization(id="branch", name="Branch", parent_organization_id="maker"),
        )
        tx.catalogue.save(
            a_partner(id="dealer", name="Dealer", organization_id="maker"),
            a_partner(
                id="agent",
                name="Agent",
                organization_id="maker",
                parent_partner_id="dealer",
            ),
        )
        tx.catalogue.save(
            a_customer(
                id=SHOP,
                code="C-1",
                name="Shop",
                organization_id="branch",
                partner_ids=("dealer",),
                country="IT",
                timezone="Europe/Rome",
                properties=properties,
            )
        )
        tx.catalogue.save(
            a_location(
                id="cellar",
                customer_id=SHOP,
                name="Cellar",
                country="IT",
                timezone="Europe/Rome",
                properties=properties,
            )
        )
        tx.catalogue.save(
            a_thing_definition(id="machine", name="Machine", properties=properties),
            a_thing_definition(
                id="pump",
                name="Pump",
                description="moves water",
                super_thing_definition_id="machine",
            ),
        )
        tx.catalogue.save(
            a_metric(
                id="flow",
                name="flow",
                label="Flow",
                unit="l/s",
                group="water",
                description="through it",
                is_retired=True,
                **belonging,
            )
        )
        tx.catalogue.save(
            a_product_model(id="p1", name="P 1", description="small", **belonging)
        )
        tx.catalogue.save(
            a_product_model_part(
                id="motor", name="Motor", product_model_id="p1", **belonging
            ),
            a_product_model_part(
                id="rotor",
                name="Rotor",
                product_model_id="p1",
                parent_product_model_part_id="motor",
                **belonging,
            ),
        )
        tx.catalogue.save(
            a_thing(
                id="one",
                serial_number="SN-1",
                name="One",
                product_model_id="p1",
                location_id="cellar",
                properties=properties,
                **belonging,
            ),
            a_thing(
                id="part-of-one",
                serial_number="SN-2",
                name="Its motor",
                product_model_id="p1",
                product_model_part_id="motor",
                parent_thing_id="one",
                **belonging,
            ),
        )


def _store_exports(control: SqlControlDatabase) -> None:
    for export_id in (COMPLETED, PENDING):
        export = a_data_export(
            id=export_id,
            tenant_id=ACME,
            scheduled_by=ADA,
            name=export_id,
            snapshot=5,
        )
        with control.for_tenant(ACME) as tx:
            tx.data_exports.add(export, slot="slot")
        with control.for_service() as service:
            claim = service.queue.claim("runner", now=NOON, lease=timedelta(seconds=30))
            assert claim is not None
            service.queue.commit_segment(claim, a_stored_segment(key=f"s/{export_id}"))
            if export_id == COMPLETED:
                done = export.complete(at=NOON, archive=an_archive())
                service.queue.finish(claim, done)
            else:
                service.queue.release(claim, retry_at=NOON)


def _store_imports(control: SqlControlDatabase) -> None:
    ended = a_data_import(id="ended", tenant_id=ACME, thing_id="one", scheduled_by=ADA)
    with control.for_tenant(ACME) as tx:
        tx.data_imports.add(ended)
    with control.for_service() as service:
        claim = service.import_queue.claim(
            "runner", now=NOON, lease=timedelta(seconds=30)
        )
        assert claim is not None
        service.import_queue.finish(
            claim, ended.complete(at=NOON, report=ImportReport())
        )
    with control.for_tenant(ACME) as tx:
        tx.data_imports.add(replace(ended, id=DataImportId("waiting")))


def dump_rows(engine: Engine) -> Iterator[str]:
    """Yield a statement for each row, what is referred to before what refers."""
    found = MetaData()
    found.reflect(engine)
    with engine.connect() as connection:
        for table in found.sorted_tables:
            if table.name == "alembic_version":
                continue
            names = ", ".join(f'"{it.name}"' for it in table.columns)
            for row in connection.exec_driver_sql(
                f'SELECT {names} FROM "{table.name}" ORDER BY rowid'
            ):
                columns = zip(row, table.columns, strict=True)
                values = ", ".join(_literal(it, column) for it, column in columns)
                yield f'INSERT INTO "{table.name}" ({names}) VALUES ({values});'


def _literal(value: object, column: Column[Any]) -> str:
    if value is None:
        return "NULL"
    if isinstance(column.type, Boolean):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    assert isinstance(value, str), value
    quoted = value.replace("'", "''")
    return f"'{quoted}'"


def record() -> Path:
    """Record the newest revision; gives the file."""
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine(sqlite_url(Path(folder) / "control.db"))
        upgrade(engine)
        store_one_of_each(SqlControlDatabase(engine))
        path = FOLDER / f"{find_revision(engine)}.sql"
        lines = [f"-- Recorded by {Path(__file__).name}.", *dump_rows(engine)]
        engine.dispose()
    path.write_text("\n".join(lines) + "\n")
    return path


if __name__ == "__main__":
    record()
