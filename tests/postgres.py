"""PostgreSQL for tests: one server for the whole run, started when a test asks, a schema for each use."""

from collections.abc import Iterator
from itertools import count

import pytest

from leftfold.testing.postgres_server import PostgresServer

DATABASE = "leftfold"
_numbers = count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The server of this run, with an empty database."""
    with PostgresServer(max_connections="200") as server:
        server.create(DATABASE)
        yield server


def fresh_schema(server: PostgresServer) -> str:
    """The URL of a schema that nobody else has; whoever opens it makes it."""
    return server.url(DATABASE, schema=f"test_{next(_numbers)}")
