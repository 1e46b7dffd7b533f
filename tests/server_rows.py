"""What a server has, as texts."""

from collections.abc import Iterator

import psycopg
from psycopg import sql

_OWN = ("pg_catalog", "information_schema")


def iter_rows(database_url: str | None) -> Iterator[tuple[str, str]]:
    """Yield all tables of a database and their rows; nothing where there is none.

    What the server notes of columns to plan its queries counts as a table, and so do
    the names of schemas.
    """
    if database_url is None:
        return
    with psycopg.connect(database_url) as connection:
        tables = connection.execute(
            "SELECT schemaname, tablename FROM pg_tables"
            " WHERE NOT schemaname = ANY(%s)",
            [list(_OWN)],
        ).fetchall()
        for schema, table in tables:
            name = sql.Identifier(schema, table)
            for (row,) in connection.execute(
                sql.SQL("SELECT t::text FROM {} t").format(name)
            ):
                yield table, row
        for (row,) in connection.execute(
            "SELECT s::text FROM pg_stats s WHERE NOT schemaname = ANY(%s)",
            [list(_OWN)],
        ):
            yield "pg_stats", row
        for (row,) in connection.execute("SELECT nspname FROM pg_namespace"):
            yield "pg_namespace", row


def take_notes(database_url: str | None) -> None:
    """Have a server look at values of all columns, as it does by itself."""
    if database_url is not None:
        with psycopg.connect(database_url) as connection:
            connection.execute("ANALYZE")
