"""Short reads are made on the event loop, as long as they are quick; others by a thread, with the same result."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from leftfold.model.criteria import EVERYTHING, Criteria, criteria
from leftfold.store import NewEvent, SQLiteStore
from leftfold.store.commit import WritingLock
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


@pytest.fixture
async def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SQLiteStore]:
    """A log of three events that nobody is writing, on a disk that is never slow."""
    monkeypatch.setattr(loop_reads, "perf_counter", lambda: 0.0)
    async with SQLiteStore(tmp_path / "log.db") as filling:
        await append(filling, 3)
    async with SQLiteStore(tmp_path / "log.db") as store:
        yield store


async def test_the_first_read_of_an_entity_needs_no_thread(opened: SQLiteStore, jobs: list[object]) -> None:
    assert await positions(opened) == [1, 2, 3]
    assert jobs == []


async def test_a_read_sees_what_was_appended_before_it(store: SQLiteStore, jobs: list[object]) -> None:
    await append(store, 1)
    for last in range(2, 6):
        await append(store, 1)
        assert await positions(store) == [*range(1, last + 1)]


async def test_a_long_read_goes_on_in_a_thread(store: SQLiteStore, jobs: list[object]) -> None:
    await append(store, 5_000)
    jobs.clear()

    assert await positions(store) == [*range(1, 5_001)]
    assert jobs


async def test_a_read_of_too_many_steps_is_made_by_a_thread(
    tmp_path: Path, jobs: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_reads, "MAX_STEPS_ON_LOOP", 300)
    async with SQLiteStore(tmp_path / "log.db") as store:
        await append(store, 90)
        jobs.clear()

        assert await positions(store) == [*range(1, 91)]
        assert await positions(store, EVERYTHING) == [*range(1, 91)]
    assert len(jobs) == 2


async def test_a_large_event_is_read_by_a_thread(store: SQLiteStore, jobs: list[object]) -> None:
    await append(store, 1, b'"' + b"x" * 100_000 + b'"')
    await append(store, 1)
    jobs.clear()

    assert await positions(store) == [1, 2]
    assert len(jobs) == 1


async def test_other_tasks_get_a_turn_before_each_read(opened: SQLiteStore, jobs: list[object]) -> None:
    turns: list[int] = []

    for number in range(3):
        asyncio.get_running_loop().call_soon(turns.append, number)
        assert await positions(opened) == [1, 2, 3]
        assert len(turns) == number + 1

    assert jobs == []


async def test_a_read_during_a_commit_is_made_by_a_thread(store: SQLiteStore, jobs: list[object]) -> None:
    await append(store, 3)

    with store._commits.writing:
        assert await positions(store) == [1, 2, 3]

    assert len(jobs) == 1


async def test_a_read_that_fails_is_tried_by_a_thread_and_leaves_the_writing_connection_free() -> None:
    connection, writing = sqlite3.connect(":memory:"), WritingLock()
    reads = LoopReads(connection, writing, lambda connection: None)

    with pytest.raises(TooLong):
        reads.run(lambda connection: connection.execute("SELECT no_such_column"))

    assert writing.take_on_loop()
    writing.release()
    assert reads.run(lambda connection: connection.execute("SELECT 7").fetchone()) == (7,)


async def test_long_work_of_the_writing_connection_is_never_given_up() -> None:
    connection = sqlite3.connect(":memory:")
    reads = LoopReads(connection, WritingLock(), lambda connection: None)
    counting = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 200000) SELECT max(i) FROM n"

    with pytest.raises(TooLong):
        reads.run(lambda connection: connection.execute(counting).fetchone())

    assert connection.execute(counting).fetchone() == (200_000,)


def reads_that_take(seconds: float, monkeypatch: pytest.MonkeyPatch) -> LoopReads:
    clock = iter(range(10**9))
    monkeypatch.setattr(loop_reads, "perf_counter", lambda: next(clock) * seconds)
    return LoopReads(sqlite3.connect(":memory:"), WritingLock(), lambda connection: None)


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


async def test_quick_reads_stay_on_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    reads = reads_that_take(0.001, monkeypatch)

    assert [reads.run(lambda connection: 7) for _ in range(100)] == [7] * 100
