"""Where the tests of the query side keep their read models: each test runs once for every kind of database.

A module that imports `place` runs all its tests so.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import pytest
import sqlalchemy as sa

from leftfold.query.tables.database import Database, open_database
from leftfold.query.tables.database_url import database_url
from leftfold.query.tables.own_tables import create_own_tables
from leftfold_torture.postgres_server import PostgresServer
from tests.postgres import fresh_schema
from tests.query.bank import IN_MEMORY, own_urls

DATABASES_KEPT = 6


class Place:
    """SQLite, or the databases of one test on a PostgreSQL server."""

    def __init__(self, server: PostgresServer | None, directory: Path) -> None:
        self._server = server
        self._directory = directory
        self._shared = ""
        self._databases: list[Database] = []
        self._next = cycle(range(DATABASES_KEPT))

    @property
    def kind(self) -> str:
        return "sqlite" if self.is_sqlite else "postgres"

    @property
    def is_sqlite(self) -> bool:
        return self._server is None

    def own(self) -> str:
        """The URL of a database that nobody else has."""
        return fresh_schema(self._server) if self._server else IN_MEMORY

    def shared(self) -> str:
        """The URL of this test's one database that several can open."""
        if not self._shared:
            path = self._directory / "bank.models.db"
            self._shared = fresh_schema(self._server) if self._server else f"sqlite:///{path}"
        return self._shared

    def database(self, url: str | None = None) -> Database:
        """A database for tables to be begun anew in; one of a few that are used in turn, unless it has a URL."""
        if url is not None or self._server is None:
            self._databases.append(_prepared(url or IN_MEMORY))
            return self._databases[-1]
        while len(self._databases) < DATABASES_KEPT:
            self._databases.append(_prepared(self.own()))
        return self._databases[next(self._next)]

    def close(self) -> None:
        for database in self._databases:
            database.close()


def _prepared(url: str) -> Database:
    database = open_database(url)
    with database.writing() as connection:
        create_own_tables(connection)
    return database


@contextmanager
def outside(url: str) -> Iterator[sa.Connection]:
    """A connection that is none of leftfold's, in a transaction that is committed."""
    place, schema, _ = database_url(url)
    options = {"options": f"-c search_path={schema}"} if schema else {}
    engine = sa.create_engine(place, connect_args=options)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


_present: list[Place] = []


def present_place() -> Place:
    """Where the test that runs keeps its models."""
    return _present[-1] if _present else Place(None, Path())


@pytest.fixture(autouse=True, params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    server = request.getfixturevalue("postgres") if request.param == "postgres" else None
    found = Place(server, tmp_path)
    _present.append(found)
    own_urls.append(found.own)
    yield found
    own_urls.pop()
    _present.pop()
    found.close()


@pytest.fixture
def url(place: Place) -> str:
    """The one database of this test."""
    return place.shared()
