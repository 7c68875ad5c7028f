"""What a read holds in memory: a batch ends early where its events are large."""

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
