"""The oldest PostgreSQL that is tested: Debian's 15. With `--postgres-binaries` every other test runs on it too."""

from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from leftfold.store import open_store
from leftfold.store.postgres.driver import connect
from leftfold.testing.conformance import OpenStore, StoreConformance
from leftfold_torture.postgres_server import PostgresServer

BINARIES = Path("/usr/lib/postgresql/15/bin")
MISSING = f"there is no PostgreSQL 15 in {BINARIES} to test with: apt-get install postgresql-15"
if not (BINARIES / "postgres").exists():
    pytest.skip(MISSING, allow_module_level=True)  # one line in the summary, not one for each promise

numbers = count(1)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer(binaries=BINARIES) as server:
        yield server


@pytest.fixture
def open_store_(server: PostgresServer) -> OpenStore:
    return partial(open_store, server.url(log=f"old_{next(numbers)}"))


def test_the_server_compiles_no_statement_since_each_is_short(server: PostgresServer) -> None:
    with connect(server.url(), session=True) as connection:
        assert connection.execute("SHOW jit").fetchone() == ("off",)


class TestPostgres15(StoreConformance):
    """Every promise."""

    @pytest.fixture
    def open_store(self, open_store_: OpenStore) -> OpenStore:
        return open_store_
