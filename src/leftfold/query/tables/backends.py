"""Which kind of database a URL names, or an error comes from."""

from collections.abc import Mapping

from sqlalchemy import exc

from leftfold.query.tables.backend import Backend, Blame, PlainBackend, PlainBlame
from leftfold.query.tables.database_url import DatabaseUrl
from leftfold.query.tables.postgres import PostgresBackend, PostgresBlame
from leftfold.query.tables.sqlite import SQLiteBackend, SQLiteBlame

BLAME: Mapping[str, Blame] = {"sqlite3": SQLiteBlame(), "psycopg": PostgresBlame()}


def backend_of(url: DatabaseUrl) -> Backend:
    """What is known of the kind of database that a URL names."""
    kind = url.url.get_backend_name()
    if kind == "sqlite":
        return SQLiteBackend(url)
    return PostgresBackend(url) if kind == "postgresql" else PlainBackend(url)


def blame_of(error: exc.StatementError) -> Blame:
    """Who can tell what an error means: by the driver that has raised it."""
    driver = type(error.orig).__module__.partition(".")[0]
    return BLAME.get(driver) or PlainBlame()
