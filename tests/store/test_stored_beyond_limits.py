"""What a log has stored beyond a limit of today is read and copied, on every backend."""

from collections.abc import Callable
from pathlib import Path

import pytest

from leftfold.errors import EventTooLarge
from leftfold.model.criteria import criteria
from leftfold.model.record import CopiedEvent
from leftfold.store import EventStore, MemoryStore, NewEvent, SQLiteStore, open_store
from leftfold.store.bounds import EVENT_TAGS_LIMIT
from leftfold.store.copying import copy_log
from leftfold_torture.postgres_server import PostgresServer
from tests.postgres import DATABASE

Open = Callable[[int], EventStore]
TAGS = tuple(f"n:{n}" for n in range(EVENT_TAGS_LIMIT + 1))


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens one log with a limit of bytes an event; a memory store is one for all."""
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        return lambda limit: open_store(server.url(DATABASE, log="beyond", event_limit=str(limit)))
    memory = MemoryStore()

    def open_memory(limit: int) -> EventStore:
        memory._event_limit = limit
        return memory

    return (
        open_memory if request.param == "memory" else lambda limit: SQLiteStore(tmp_path / "log.db", event_limit=limit)
    )


async def test_an_event_beyond_todays_limits_is_read_found_and_copied(opened: Open) -> None:
    async with opened(1_048_576) as store:
        await store.append([CopiedEvent("wide", b"x" * 900, TAGS)], key="k")
        await store.append([NewEvent("long", b"{}", tuple("y" * 500 + str(n) for n in range(4)))])

    async with opened(1_000) as store, MemoryStore(event_limit=1_000) as copy:
        events = [event async for batch in store.read() for event in batch.events]
        found = [event async for batch in store.read(criteria(tags=TAGS[-1:])) for event in batch.events]
        with pytest.raises(EventTooLarge, match="2,008 bytes"):
            await store.append([NewEvent("long", b"{}", events[1].tags)])
        await copy_log(store, copy)  # type: ignore[arg-type]

        assert [len(event.tags) for event in events] == [len(TAGS), 4]
        assert found == events[:1]
        assert [event async for batch in copy.read() for event in batch.events] == events
