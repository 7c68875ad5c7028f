"""An append that comes alone is committed on the event loop while that is quick; everything else is for the thread."""

import asyncio
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from leftfold.errors import EmptyAppend, OutcomeUnknown, StoreBusy, StoreClosed
from leftfold.store import Appended, NewEvent, SQLiteStore
from leftfold.store import commit as commits_module
from leftfold.store.admission import AppendRequest
from leftfold.store.commit import (
    COMMITS_ON_LOOP,
    MAX_EVENTS_ON_LOOP,
    MAX_SECONDS_ON_LOOP,
    MOST_QUICK_COMMITS,
    QUICK_COMMITS,
    CommitPace,
    GroupCommit,
)
from leftfold.store.slots import Slots

REQUEST = AppendRequest([NewEvent("noted", b"")], None, None)
QUICK, SLOW = MAX_SECONDS_ON_LOOP / 2, MAX_SECONDS_ON_LOOP * 2


class Log:
    """Notes where it commits. On the loop it raises `refusal` if it has one."""

    def __init__(self) -> None:
        self.happened: list[str] = []
        self.refusal: Exception | None = None
        self.may_commit, self.in_commit = threading.Event(), threading.Event()
        self.may_commit.set()
        self.commits = GroupCommit(self.commit, lambda position: None, queue=8, on_loop=self.commit_on_loop)

    def commit(self, requests: Sequence[AppendRequest]) -> Sequence[Appended]:
        self.in_commit.set()
        self.may_commit.wait()
        self.happened.append(f"{len(requests)} in the thread")
        return [Appended(1, 1)] * len(requests)

    def commit_on_loop(self, requests: Sequence[AppendRequest]) -> Sequence[Appended]:
        assert threading.current_thread() is threading.main_thread()
        if self.refusal is not None:
            raise self.refusal
        self.happened.append(f"{len(requests)} on the loop")
        return [Appended(1, 1)] * len(requests)


@pytest.fixture
async def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    """A log whose commits take no time, after as many of them as it takes to believe that."""
    monkeypatch.setattr(commits_module, "perf_counter", lambda: 0.0)
    log = Log()
    for _ in range(QUICK_COMMITS):
        await log.commits.append(REQUEST)
    assert log.happened == ["1 in the thread"] * QUICK_COMMITS
    log.happened.clear()
    log.in_commit.clear()
    return log


async def test_an_append_that_comes_alone_is_committed_on_the_loop(log: Log) -> None:
    for _ in range(3):
        await log.commits.append(REQUEST)
    await log.commits.close()

    assert log.happened == ["1 on the loop"] * 3


async def test_appends_that_come_together_share_a_commit_of_the_thread(log: Log) -> None:
    log.may_commit.clear()
    tasks = [asyncio.create_task(log.commits.append(REQUEST)) for _ in range(5)]
    await asyncio.sleep(0)  # all have been handed in
    log.may_commit.set()
    await asyncio.gather(*tasks)
    await log.commits.close()

    assert "1 on the loop" not in log.happened
    assert sum(int(each.split()[0]) for each in log.happened) == 5


async def test_an_append_that_meets_a_commit_of_the_thread_goes_there_as_well(log: Log) -> None:
    log.may_commit.clear()
    large = AppendRequest([NewEvent("noted", b"")] * (MAX_EVENTS_ON_LOOP + 1), None, None)
    first = asyncio.create_task(log.commits.append(large))
    await asyncio.sleep(0)
    second = asyncio.create_task(log.commits.append(REQUEST))
    await asyncio.sleep(0)
    log.may_commit.set()
    await asyncio.gather(first, second)
    await log.commits.close()

    assert "1 on the loop" not in log.happened


async def test_the_thread_waits_for_a_lock_that_another_process_holds(log: Log) -> None:
    log.refusal = StoreBusy("the log", "locked")

    assert await log.commits.append(REQUEST) == Appended(1, 1)
    await log.commits.close()

    assert log.happened == ["1 in the thread"]


@pytest.mark.parametrize("error", [OutcomeUnknown("lost"), EmptyAppend()])
async def test_an_error_on_the_loop_is_the_callers_and_nothing_is_tried_again(log: Log, error: Exception) -> None:
    log.refusal = error

    with pytest.raises(type(error)):
        await log.commits.append(REQUEST)
    await log.commits.close()

    assert log.happened == []


async def test_an_append_that_is_cancelled_before_its_turn_is_never_written(log: Log) -> None:
    task = asyncio.create_task(log.commits.append(REQUEST))
    asyncio.get_running_loop().call_soon(task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task
    await log.commits.append(REQUEST)
    await log.commits.close()

    assert log.happened == ["1 on the loop"]


async def test_an_append_that_is_cancelled_while_the_thread_commits_others_is_never_written(log: Log) -> None:
    log.may_commit.clear()
    tasks = [asyncio.create_task(log.commits.append(REQUEST)) for _ in range(2)]
    await asyncio.to_thread(log.in_commit.wait)  # the thread has begun
    late = asyncio.create_task(log.commits.append(REQUEST))
    await asyncio.sleep(0)  # it has been handed in
    late.cancel()
    with pytest.raises(asyncio.CancelledError):
        await late
    log.may_commit.set()
    await asyncio.gather(*tasks)
    await log.commits.close()

    assert sum(int(each.split()[0]) for each in log.happened) == 2


async def test_callers_get_slots_in_their_order_and_one_that_is_cancelled_leaves_its_own() -> None:
    slots = Slots(1)
    got: list[str] = []

    async def work(name: str) -> None:
        if slots.free:
            slots.free -= 1
        else:
            await slots.wait()
        got.append(name)
        slots.leave()

    slots.free -= 1
    tasks = {name: asyncio.create_task(work(name)) for name in ("first", "waiting", "given", "last")}
    await asyncio.sleep(0)
    tasks["waiting"].cancel()
    slots.leave()  # to the first, which leaves it to the one after the cancelled
    await asyncio.sleep(0)
    tasks["given"].cancel()  # it may have been given its slot, and has not run since
    await asyncio.gather(*tasks.values(), return_exceptions=True)

    assert got == ["first", "last"]
    assert slots.free == 1


async def test_an_append_that_was_handed_in_before_the_end_is_committed(log: Log) -> None:
    task = asyncio.create_task(log.commits.append(REQUEST))
    await asyncio.sleep(0)
    await log.commits.close()

    assert await task == Appended(1, 1)
    assert len(log.happened) == 1
    with pytest.raises(StoreClosed):
        await log.commits.append(REQUEST)


async def test_callers_are_answered_also_when_a_commit_on_the_loop_cannot_be_noted(log: Log) -> None:
    def on_commit(position: int) -> None:
        raise RuntimeError("a fault")

    log.commits._on_commit = on_commit

    assert await log.commits.append(REQUEST) == Appended(1, 1)
    await log.commits.close()


# --- the pace


def pace_after(*durations: float, on_loop: bool = False) -> CommitPace:
    pace = CommitPace()
    for seconds in durations:
        pace.note(seconds, on_loop=on_loop)
    return pace


def test_the_first_commits_are_made_in_the_thread() -> None:
    assert not pace_after(*[QUICK] * (QUICK_COMMITS - 1)).allows(REQUEST)
    assert pace_after(*[QUICK] * QUICK_COMMITS).allows(REQUEST)


def test_on_a_slow_disk_no_commit_is_made_on_the_loop() -> None:
    assert not pace_after(*[SLOW] * 1_000).allows(REQUEST)
    assert not pace_after(*[QUICK, QUICK, SLOW] * 1_000).allows(REQUEST)


def test_after_a_slow_commit_on_the_loop_it_takes_twice_as_many_quick_ones() -> None:
    pace = pace_after(*[QUICK] * QUICK_COMMITS)
    enough = QUICK_COMMITS
    while enough < MOST_QUICK_COMMITS:
        pace.note(SLOW, on_loop=True)
        enough *= 2
        for _ in range(enough):
            assert not pace.allows(REQUEST)
            pace.note(QUICK, on_loop=False)
        assert pace.allows(REQUEST)


def test_a_slow_commit_after_very_many_quick_ones_counts_as_the_first_one() -> None:
    pace = pace_after(*[QUICK] * QUICK_COMMITS)
    for _ in range(3):
        pace.note(SLOW, on_loop=True)
    for _ in range(8 * QUICK_COMMITS + MOST_QUICK_COMMITS):
        pace.note(QUICK, on_loop=True)
    pace.note(SLOW, on_loop=True)

    for _ in range(QUICK_COMMITS):
        assert not pace.allows(REQUEST)
        pace.note(QUICK, on_loop=False)
    assert pace.allows(REQUEST)


def test_the_thread_makes_one_commit_now_and_then_in_which_sqlite_may_checkpoint() -> None:
    pace = pace_after(*[QUICK] * QUICK_COMMITS)
    for _ in range(COMMITS_ON_LOOP):
        assert pace.allows(REQUEST)
        pace.note(QUICK, on_loop=True)
    assert not pace.allows(REQUEST)
    pace.note(QUICK, on_loop=False)
    assert pace.allows(REQUEST)


def test_large_appends_are_not_for_the_loop() -> None:
    pace = pace_after(*[QUICK] * QUICK_COMMITS)
    many = AppendRequest([NewEvent("noted", b"")] * (MAX_EVENTS_ON_LOOP + 1), None, None)
    long = AppendRequest([NewEvent("noted", b"x" * 100_000)], None, None)
    for request in (many, long):
        request.check()

    assert [pace.allows(request) for request in (many, long, REQUEST)] == [False, False, True]


# --- SQLite


async def test_the_loop_goes_on_while_another_process_holds_the_lock_of_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commits_module, "MAX_SECONDS_ON_LOOP", 600.0)
    event = NewEvent("noted", b"{}", ("n:1",))
    async with SQLiteStore(tmp_path / "log.db", busy_timeout=600.0) as store:
        for _ in range(2 * QUICK_COMMITS):
            await store.append([event])
        with closing(sqlite3.connect(tmp_path / "log.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = asyncio.create_task(store.append([event]))
            for _ in range(100):  # the loop would stand still in the first of these turns
                await asyncio.sleep(0)
            assert not waiting.done()
            other.execute("ROLLBACK")
        assert (await waiting).first == 2 * QUICK_COMMITS + 1


async def test_a_commit_on_the_loop_neither_waits_for_a_lock_nor_checkpoints_and_is_as_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commits_module, "MAX_SECONDS_ON_LOOP", 600.0)
    async with SQLiteStore(tmp_path / "log.db") as store:
        for _ in range(QUICK_COMMITS + 1):
            await store.append([NewEvent("noted", b"{}")])

        found = [
            store._writer.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("busy_timeout", "wal_autocheckpoint", "synchronous")
        ]
    assert found == [0, 0, 2]


async def test_lone_appends_keep_the_write_ahead_log_within_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commits_module, "MAX_SECONDS_ON_LOOP", 600.0)
    event = NewEvent("noted", b"x" * 40_000)
    async with SQLiteStore(tmp_path / "log.db", durable=False) as store:
        for _ in range(1_500):  # 60 MB
            await store.append([event])
        assert (tmp_path / "log.db-wal").stat().st_size < 35_000_000
