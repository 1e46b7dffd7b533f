"""The HTTP application on a real control database and archive store."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import SecretStr

from app_client import AppClient
from builders import (
    ALL_PERMISSIONS,
    NOON,
    a_partner,
    a_thing,
    a_thing_definition,
    an_id,
)
from thingport.adapters.archives.local import LocalArchiveStore
from thingport.adapters.identity.secrets import RandomSecrets
from thingport.adapters.identity.tokens import JwtAccessTokens
from thingport.adapters.imports.local import LocalImportFiles
from thingport.adapters.lake.lakes import Lakes
from thingport.adapters.sql.database import SqlControlDatabase
from thingport.adapters.sql.engine import open_engine, sqlite_url
from thingport.adapters.sql.migrate import upgrade
from thingport.application.data_exports import DataExports
from thingport.application.data_imports import DataImports
from thingport.application.downloads import Downloads
from thingport.application.identity import Identity
from thingport.application.ports import CatalogueEntity, ControlDatabase
from thingport.application.reading_batches import ReadingBatches
from thingport.application.readings import Readings
from thingport.domain.catalogue import Organization
from thingport.domain.ids import MetricId, OrganizationId, TenantId
from thingport.domain.metric import Metric, ValueType
from thingport.domain.permissions import Permission
from thingport.entrypoints.http.app import create_app
from thingport.settings import Settings


@dataclass
class StoppedClock:
    """A clock that moves only when told to."""

    at: datetime = NOON

    def now(self) -> datetime:
        return self.at

    def advance(self, by: timedelta) -> None:
        self.at += by


class CountingIds:
    def new_id(self) -> str:
        return an_id()


@dataclass
class HttpService:
    """An application, and what a test wants to reach behind it."""

    settings: Settings
    control: ControlDatabase
    archives: LocalArchiveStore
    clock: StoppedClock
    lakes: Lakes
    identity: Identity
    data_exports: DataExports
    data_imports: DataImports
    readings: Readings
    reading_batches: ReadingBatches
    downloads: Downloads

    def client(self, headers: dict[str, str] | None = None) -> AppClient:
        return AppClient(create_app(self), headers)

    def logged_in(
        self,
        tenant: "HttpTenant",
        *,
        of_user: frozenset[Permission] = ALL_PERMISSIONS,
        of_key: frozenset[Permission] = ALL_PERMISSIONS,
    ) -> AppClient:
        token = tenant.log_in(of_user=of_user, of_key=of_key)
        return self.client(tenant.headers(token))

    def tenant_id_of(self, name: str) -> TenantId:
        with self.control.for_service() as tx:
            tenant = tx.tenants.find_by_name(name)
        assert tenant is not None
        return tenant.id

    def add_tenant(self, name: str) -> "HttpTenant":
        tenant = self.identity.add_tenant(name)
        organization = Organization(id=OrganizationId(an_id()), name="Maker")
        partner = a_partner(name="Stranger", organization_id=organization.id)
        definition = a_thing_definition()
        metric = Metric(
            id=MetricId(an_id()),
            thing_definition_id=definition.id,
            name="temp",
            value_type=ValueType.DOUBLE,
        )
        thing = a_thing(thing_definition_id=definition.id)
        entities: list[CatalogueEntity] = [
            *(organization, partner, definition, metric, thing)
        ]
        with self.control.for_tenant(tenant.id) as tx:
            for entity in entities:
                tx.catalogue.save(entity)
        return HttpTenant(self, tenant.id, name, thing.id, metric)


@dataclass
class HttpTenant:
    """A tenant with one organization, one thing and one metric, ``temp``.

    Its one partner sees nothing.
    """

    service: HttpService
    id: TenantId
    name: str
    thing_id: str
    metric: Metric

    def headers(self, token: str) -> dict[str, str]:
        return {"X-Servitly-Tenant": self.name, "Authorization": f"Bearer {token}"}

    def log_in(
        self,
        *,
        of_user: frozenset[Permission] = ALL_PERMISSIONS,
        of_key: frozenset[Permission] = ALL_PERMISSIONS,
        partner: str | None = None,
    ) -> str:
        api_key, pat = self.add_credentials(
            of_user=of_user, of_key=of_key, partner=partner
        )
        identity = self.service.identity
        return identity.log_in_with_token(self.name, api_key, pat).token

    def add_credentials(
        self,
        *,
        of_user: frozenset[Permission] = ALL_PERMISSIONS,
        of_key: frozenset[Permission] = ALL_PERMISSIONS,
        partner: str | None = None,
    ) -> tuple[str, str]:
        identity, email = self.service.identity, f"{an_id()}@acme.example"
        identity.add_user(
            self.name,
            email,
            permissions=of_user,
            organization=None if partner else "Maker",
            partner=partner,
        )
        api_key = identity.add_api_key(self.name, "tests", of_key)
        return api_key, identity.add_access_token(self.name, email, "tests")


@contextmanager
def http_service(
    directory: Path, database_url: str | None = None
) -> Generator[HttpService]:
    engine = open_engine(database_url or sqlite_url(directory / "control.sqlite"))
    upgrade(engine)
    control = SqlControlDatabase(engine)
    archives = LocalArchiveStore(directory / "archives")
    clock, ids = StoppedClock(), CountingIds()

    def allocate_written_seqs(tenant_id: TenantId, count: int) -> int:
        with control.for_tenant(tenant_id) as tx:
            return tx.allocate_written_seqs(count)

    lakes = Lakes(
        directory / "lakes",
        temp_dir=directory / "temporary",
        allocate_written_seqs=allocate_written_seqs,
        database_url=database_url,
    )
    yield HttpService(
        settings=Settings(
            data_dir=directory,
            database_url=None if database_url is None else SecretStr(database_url),
        ),
        control=control,
        archives=archives,
        clock=clock,
        lakes=lakes,
        identity=Identity(
            control=control,
            secrets=RandomSecrets(),
            tokens=JwtAccessTokens(b"k" * 32),
            token_lifetime=timedelta(hours=1),
            clock=clock,
            ids=ids,
        ),
        data_exports=DataExports(
            control=control,
            open_lake=lakes.open_reader,
            archives=archives,
            clock=clock,
            ids=ids,
        ),
        data_imports=DataImports(
            control=control,
            files=LocalImportFiles(directory / "imports"),
            clock=clock,
            ids=ids,
        ),
        readings=Readings(control=control, lake_writer=lakes.writer),
        reading_batches=ReadingBatches(
            control=control, lake_writer=lakes.writer, open_table=lakes.open_table
        ),
        downloads=Downloads(
            control=control,
            archives=archives,
            clock=clock,
            secret=b"l" * 32,
            lifetime=timedelta(hours=24),
            public_base_url="https://data.acme.example",
        ),
    )
    lakes.close()
    engine.dispose()
