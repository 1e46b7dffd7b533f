"""Catalogue files as they lie on a disk."""

import itertools
import re
from pathlib import Path

import pytest

from thingport.adapters.catalogue_files import catalogue_document_reader
from thingport.adapters.catalogue_files.catalogue_document_reader import (
    read_catalogue_document,
)
from thingport.adapters.sql.database import SqlControlDatabase
from thingport.adapters.sql.engine import open_engine, sqlite_url
from thingport.adapters.sql.migrate import upgrade
from thingport.application.catalogue import apply_catalogue
from thingport.domain.catalogue import Tenant
from thingport.domain.catalogue_document import MappingNode
from thingport.domain.catalogue_format import SECTIONS
from thingport.domain.errors import InvalidRequest
from thingport.domain.ids import TenantId

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "catalogue-file.md"


class Ids:
    """Counts."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def new_id(self) -> str:
        return f"id{next(self._numbers)}"


def test_the_example_in_the_reference_can_be_applied(tmp_path: Path) -> None:
    example = re.search(r"```yaml\n(.*?)```", REFERENCE.read_text(), re.DOTALL)
    assert example is not None
    file = tmp_path / "example.yaml"
    file.write_text(example[1])
    engine = open_engine(sqlite_url(tmp_path / "control.db"))
    upgrade(engine)
    control, ids = SqlControlDatabase(engine), Ids()
    tenant = Tenant(id=TenantId("t"), name="acme")
    with control.for_service() as tx:
        tx.tenants.add(tenant)

    document = read_catalogue_document(file)
    assert isinstance(document, MappingNode)
    assert [key.text for key, _ in document.items] == [it.name for it in SECTIONS]
    assert len(apply_catalogue(control, tenant, document, ids)) == 16
    assert apply_catalogue(control, tenant, document, ids) == []
    control.close()


def test_the_reference_names_every_field() -> None:
    text = REFERENCE.read_text()
    for section in SECTIONS:
        for each in filter(None, (section, section.nested)):
            row = next(
                line
                for line in text.splitlines()
                if line.startswith("| `") and each.name in line.split("|")[1]
            )
            for field in each.iter_known():
                assert f"`{field}`" in row


def test_the_name_of_a_file_decides_its_format(tmp_path: Path) -> None:
    json_file, yaml_file = tmp_path / "a.JSON", tmp_path / "a.yml"
    json_file.write_bytes(b'\xef\xbb\xbf{\n\t"things":\t[]}')
    yaml_file.write_text("things: []\n")

    read = [read_catalogue_document(it) for it in (json_file, yaml_file)]
    assert all(isinstance(it, MappingNode) for it in read)


def test_a_file_that_is_not_there_is_refused_by_its_name(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent.yaml"):
        with pytest.raises(InvalidRequest, match=f"{path} cannot be read: .*director"):
            read_catalogue_document(path)


def test_a_file_that_is_not_utf_8_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "latin.yaml"
    file.write_bytes(b"a: 1\nb: \xe9\n")

    with pytest.raises(InvalidRequest, match="line 2: the file is not UTF-8"):
        read_catalogue_document(file)


def test_a_file_one_byte_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue_document_reader, "MAX_FILE_BYTES", 10)
    file = tmp_path / "large.yaml"
    file.write_text("things: []")
    read_catalogue_document(file)

    file.write_text("things:  []")
    with pytest.raises(InvalidRequest, match="larger than 10 bytes"):
        read_catalogue_document(file)
