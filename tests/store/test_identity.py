"""The identity of a record: equal for copies, different for everything else."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from msgspec.structs import replace

from leftfold import EventStore, NewEvent, StoredEvent, open_store
from leftfold.store import MemoryStore
from leftfold.store.identity import BEGINNING, identity_at, identity_of
from tests.postgres import DATABASE

RECORD = StoredEvent(7, 1_700_000_000_000_000, "opened", 2, b'{"a":1}', b"{}", ("account:a", "owner:\u00e9"))


def test_the_identity_of_a_record_never_changes_from_release_to_release() -> None:
    assert identity_of(RECORD) == "e324dbd94a7ff7e9c778e9f2b37b179d9f85d14eaeda608daf040765594d4cea"


@pytest.mark.parametrize(
    "change",
    [
        {"position": 8},
        {"microseconds": 1_700_000_000_000_001},
        {"type": "closed"},
        {"version": 3},
        {"data": b'{"a":2}'},
        {"metadata": b'{"actor":"ann"}'},
        {"tags": ("account:a",)},
        {"tags": ("account:a", "owner:e")},
        {"data": b'{"a":1}{', "metadata": b"}"},
        {"type": "openedaccount:a", "tags": ("", "owner:\u00e9")},
    ],
)
def test_a_record_that_differs_in_anything_has_another_identity(change: dict[str, Any]) -> None:
    assert identity_of(replace(RECORD, **change)) != identity_of(RECORD)


def test_the_order_of_the_tags_is_no_part_of_the_identity() -> None:
    assert identity_of(replace(RECORD, tags=RECORD.tags[::-1])) == identity_of(RECORD)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EventStore]:
    url = {"memory": "memory:", "sqlite": f"sqlite:///{tmp_path / 'log.db'}"}.get(request.param)
    async with open_store(
        url or request.getfixturevalue("postgres").url(DATABASE, log="identity_" + uuid4().hex)
    ) as store:
        yield store


async def test_the_identity_at_a_position_is_that_of_the_whole_record_there(store: EventStore) -> None:
    await store.append([NewEvent("opened", b'{"a":1}', ("a:1", "b:2")), NewEvent("closed", b"\xff\0", metadata=b"")])
    records = [record async for batch in store.read() for record in batch.events]

    assert await identity_at(store, 1) == identity_of(records[0])
    assert await identity_at(store, 2) == identity_of(records[1])


async def test_a_position_beyond_the_head_has_no_identity_and_the_beginning_has_an_empty_one(store: EventStore) -> None:
    assert await identity_at(store, 0) == BEGINNING
    assert await identity_at(store, 1) is None


async def test_a_copy_has_the_identities_of_its_original(store: EventStore) -> None:
    await store.append([NewEvent("opened", b'{"a":1}', ("b:2", "a:1")), NewEvent("closed", b"\xff\0", metadata=b"")])
    records = [record async for batch in store.read() for record in batch.events]
    again = [NewEvent(each.type, each.data, each.tags, each.version, each.metadata, each.time) for each in records]

    async with MemoryStore() as copy:
        await copy.append(again)

        assert [await identity_at(copy, n) for n in (1, 2)] == [identity_of(record) for record in records]
