"""Short reads are made on the event loop, as long as they are quick; others by a thread, with the same result."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from leftfold.model.criteria import EVERYTHING, Criteria, criteria
from leftfold.store import NewEvent, SQLiteStore
from leftfold.store.reading import ReadingThreads
from leftfold.store.sqlite import loop_reads
from leftfold.store.sqlite.loop_reads import MOST_READS_AFTER_SLOW, READS_AFTER_SLOW, LoopReads, TooLong

ONE = criteria(tags=["entity:one"])


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SQLiteStore]:
    async with SQLiteStore(tmp_path / "log.db") as store:
        yield store


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What the reading threads are asked to do."""
    asked: list[object] = []
    begin = ReadingThreads[Any].begin

    def noted(threads: ReadingThreads[Any], read: Any) -> Any:
        asked.append(read)
        return begin(threads, read)

    monkeypatch.setattr(ReadingThreads, "begin", noted)
    return asked


async def append(store: SQLiteStore, number: int, data: bytes = b"{}") -> None:
    await store.append([NewEvent("noted", data, ("entity:one",)) for _ in range(number)])


async def positions(store: SQLiteStore, wanted: Criteria = ONE) -> list[int]:
    return [event.position async for batch in store.read(wanted, data_only=True) for event in batch.events]


async def warm(store: SQLiteStore, jobs: list[object]) -> None:
    """Wait until the connection of the reads on the loop is open."""
    for _ in range(1_000):
        before = len(jobs)
        await store.head()
        if len(jobs) == before:
            return
    pytest.fail("no read was made on the loop")


async def test_the_first_read_of_an_entity_needs_no_thread(store: SQLiteStore, jobs: list[object]) -> None:
    await append(store, 3)
    await warm(store, jobs)
    jobs.clear()

    assert await positions(store) == [1, 2, 3]
    assert jobs == []


async def test_a_key_is_looked_up_without_a_thread(store: SQLiteStore, jobs: list[object]) -> None:
    await store.append([NewEvent("noted", b"{}")], key="k")
    await warm(store, jobs)
    jobs.clear()

    found = await store.lookup("k")

    assert found is not None
    assert (found.first, jobs) == (1, [])


async def test_a_read_sees_what_was_appended_before_it(store: SQLiteStore, jobs: list[object]) -> None:
    await append(store, 1)
    await warm(store, jobs)
    for last in range(2, 6):
        await append(store, 1)
        assert await positions(store) == [*range(1, last + 1)]


async def test_a_long_read_goes_on_in_a_thread(store: SQLiteStore, jobs: list[object]) -> None:
    await append(store, 5_000)
    await warm(store, jobs)
    jobs.clear()

    assert await positions(store) == [*range(1, 5_001)]
    assert jobs


async def test_a_read_of_too_many_steps_is_made_by_a_thread(
    tmp_path: Path, jobs: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_reads, "MAX_STEPS_ON_LOOP", 300)
    async with SQLiteStore(tmp_path / "log.db") as store:
        await append(store, 90)
        await warm(store, jobs)
        jobs.clear()

        assert await positions(store) == [*range(1, 91)]
        assert await positions(store, EVERYTHING) == [*range(1, 91)]
    assert len(jobs) == 2


async def test_a_large_event_is_read_by_a_thread(store: SQLiteStore, jobs: list[object]) -> None:
    await append(store, 1, b'"' + b"x" * 100_000 + b'"')
    await append(store, 1)
    await warm(store, jobs)
    jobs.clear()

    assert await positions(store) == [1, 2]
    assert len(jobs) == 1


async def test_other_tasks_get_a_turn_before_each_read(store: SQLiteStore, jobs: list[object]) -> None:
    await warm(store, jobs)
    appending = asyncio.create_task(append(store, 1))

    while not await store.head():  # would never end if it kept the loop
        pass
    await appending


async def test_a_store_can_be_closed_while_the_connection_is_opened(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "log.db")
    reading = asyncio.create_task(store.head())
    await asyncio.sleep(0)
    await reading
    await store.close()


def reads_that_take(seconds: float, monkeypatch: pytest.MonkeyPatch) -> LoopReads:
    clock = iter(range(10**9))
    monkeypatch.setattr(loop_reads, "perf_counter", lambda: next(clock) * seconds)
    reads = LoopReads("a log", lambda connection: None)
    opened: asyncio.Future[sqlite3.Connection] = asyncio.get_running_loop().create_future()
    opened.set_result(sqlite3.connect(":memory:"))
    reads.open(opened)
    return reads


async def test_after_a_slow_read_the_threads_make_the_next_ones_and_twice_as_many_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reads = reads_that_take(0.003, monkeypatch)

    expected = READS_AFTER_SLOW
    for _ in range(9):
        assert reads.run(lambda connection: 7) == 7
        for _ in range(expected):
            with pytest.raises(TooLong):
                reads.run(lambda connection: 7)
        expected = min(2 * expected, MOST_READS_AFTER_SLOW)

    reads.close()


async def test_quick_reads_stay_on_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    reads = reads_that_take(0.001, monkeypatch)

    assert [reads.run(lambda connection: 7) for _ in range(100)] == [7] * 100

    reads.close()
