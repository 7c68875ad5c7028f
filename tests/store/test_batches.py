"""What a read holds in memory: a batch ends early where its events are large."""

import asyncio
from itertools import count
from pathlib import Path

import pytest

from leftfold.store import NewEvent, open_store
from leftfold.store.reading import MAX_BYTES_PER_BATCH
from leftfold_torture.postgres_server import PostgresServer
from tests.postgres import DATABASE

LARGE = 1_048_576 - 2
ROWS_AT_ONCE = 32  # the store that fetches more large rows at once is PostgreSQL's
numbers = count(1)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/log.db"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.url(DATABASE, log=f"batches_{next(numbers)}")


async def test_a_batch_of_large_events_is_small(url: str) -> None:
    large = [NewEvent("data", b"x" * LARGE, metadata=b""), NewEvent("metadata", b"", metadata=b"x" * LARGE)]

    async with open_store(url) as store:
        for _ in range(3):
            await store.append(large * 10)
        batches = [batch async for batch in store.read()]

    sizes = [sum(len(event.data) + len(event.metadata) for event in batch.events) for batch in batches]
    assert sum(sizes) == 60 * LARGE
    assert MAX_BYTES_PER_BATCH < max(sizes) < MAX_BYTES_PER_BATCH + ROWS_AT_ONCE * LARGE


async def test_a_batch_of_data_alone_ends_early_where_many_events_follow_that_are_larger_than_those_before(
    url: str,
) -> None:
    async with open_store(url) as store:
        await store.append([NewEvent("small", b"{}")] * 300)
        for _ in range(5):
            await store.append([NewEvent("larger", b"x" * 8_000)] * 500)
        batches = [batch async for batch in store.read(data_only=True)]

    sizes = [sum(len(event.data) for event in batch.events) for batch in batches]
    assert sum(sizes) == 300 * 2 + 2_500 * 8_000
    assert max(sizes) < MAX_BYTES_PER_BATCH + ROWS_AT_ONCE * LARGE


async def test_a_read_that_is_left_early_does_not_keep_the_store_from_closing(url: str) -> None:
    async with open_store(url) as store:
        for _ in range(10):
            await store.append([NewEvent("small", b"{}")] * 2_000)
        for _ in range(5):
            reading = store.read(data_only=True)
            async for batch in reading:
                if batch.through > 5_000:
                    break

        assert await store.head() == 20_000


async def test_batches_that_are_read_ahead_come_in_order_and_only_once(url: str) -> None:
    async with open_store(url) as store:
        for _ in range(10):
            await store.append([NewEvent("small", b"{}")] * 2_000)
        found: list[int] = []
        async for batch in store.read(data_only=True):
            found += [event.position for event in batch.events]
            assert batch.through == found[-1]
            await asyncio.sleep(0)

    assert found == list(range(1, 20_001))
