"""What errors of databases other than SQLite mean."""

from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError

from thingport.adapters.sql.failures import explain
from thingport.domain.errors import StoreUnavailable


def _raised(kind: type[DBAPIError]) -> DBAPIError:
    return kind("SELECT 1", None, Exception("connection refused"))


def test_trouble_with_the_connection_passes() -> None:
    explained = explain(_raised(OperationalError))

    assert isinstance(explained, StoreUnavailable)
    assert "connection refused" in str(explained)


def test_a_wrong_statement_is_a_bug() -> None:
    assert explain(_raised(ProgrammingError)) is None
