"""The PostgreSQL store keeps the contract through a real PgBouncer in transaction mode."""

import asyncio
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from leftfold.errors import OutcomeUnknown, StoreBusy, StoreUnreachable
from leftfold.store import Appended, EventStore, NewEvent, open_store
from leftfold.testing.conformance import OpenStore, StoreConformance
from leftfold_torture.postgres_server import PostgresServer
from tests.patience import PATIENCE
from tests.pgbouncer import MISSING, PROGRAM, PgBouncer
from tests.store.test_postgres import connected, sql_append, until_someone_waits_for_the_lock

if PROGRAM is None:
    pytest.skip(MISSING, allow_module_level=True)  # one line in the summary, not one for each promise

EVENT = NewEvent("opened", b"{}", ("account:a",))
numbers = count(1)


@pytest.fixture(scope="module")
def server(binaries: Path | None) -> Iterator[PostgresServer]:
    with PostgresServer(binaries=binaries) as server:
        yield server


@pytest.fixture(scope="module")
def pooler(server: PostgresServer) -> Iterator[PgBouncer]:
    """Fewer connections to the server than one process has to the pooler: transactions have to share them."""
    with PgBouncer(server, default_pool_size="3") as pooler:
        yield pooler


@pytest.fixture
def log() -> str:
    return f"pooled_{next(numbers)}"


@pytest.fixture
def open_store_(pooler: PgBouncer, log: str) -> OpenStore:
    return partial(open_store, pooler.url(log=log, through="pgbouncer"))


class TestThroughPgBouncer(StoreConformance):
    """Every promise, without prepared statements, settings of the connection, and notifications."""

    @pytest.fixture
    def open_store(self, open_store_: OpenStore) -> OpenStore:
        return open_store_


async def test_a_call_that_got_no_connection_to_the_server_in_time_was_not_sent(
    server: PostgresServer, log: str
) -> None:
    with PgBouncer(server, default_pool_size="1", query_wait_timeout="1") as small:
        url = small.url(log=log, through="pgbouncer")
        async with open_store(url) as store, open_store(url) as other:
            await store.append([EVENT])
            with connected(server) as holder:
                holder.execute("BEGIN")
                holder.execute(sql_append(log))
                occupying = asyncio.create_task(store.append([EVENT]))
                await asyncio.to_thread(until_someone_waits_for_the_lock, server)
                async with open_store(server.url(log=log)) as direct:
                    with pytest.raises(StoreBusy, match="query_wait_timeout"):
                        await other.append([EVENT])
                    with pytest.raises(StoreBusy, match="query_wait_timeout"):
                        await store.head()
                    assert await direct.head() == 1
                holder.execute("ROLLBACK")

            assert await occupying == Appended(2, 2)
            assert await other.append([EVENT]) == Appended(3, 3)


async def test_a_server_that_is_restarted_behind_the_pooler_is_found_again(mortal: PostgresServer, log: str) -> None:
    with PgBouncer(mortal, server_login_retry="1") as pooler:
        async with open_store(pooler.url(log=log, through="pgbouncer")) as store:
            await store.append([EVENT])
            await asyncio.to_thread(mortal.restart, "immediate")

            async with asyncio.timeout(PATIENCE):
                while (appended := await reached(store)) is None:
                    pass

            assert (appended.first, appended.last) == (2, 2)
            assert [event.position async for batch in store.read() for event in batch.events] == [1, 2]


async def reached(store: EventStore) -> Appended | None:
    """Append with a key that settles what may have happened before; None while the pooler has no server for us."""
    try:
        return await store.append([EVENT], key="k")
    except (StoreBusy, StoreUnreachable, OutcomeUnknown):
        return None
