"""What the group commit does between commits: it tidies, a little at a time, and lets nobody wait for all of it."""

import asyncio
from collections.abc import Iterator, Sequence
from threading import Event
from typing import Any

import pytest

from leftfold.errors import LeftfoldError, OutcomeUnknown, StoreBusy, StoreFailed
from leftfold.store import Appended, NewEvent, commit
from leftfold.store.admission import AppendRequest
from leftfold.store.commit import GroupCommit

REQUEST = AppendRequest([NewEvent("noted", b"")], None, None)


class Log:
    """Notes what happens in the committing thread, and stops it in the first of three rounds of tidying."""

    def __init__(self) -> None:
        self.happened: list[str] = []
        self.tidying, self.go_on, self.done = Event(), Event(), Event()
        self._more: Iterator[bool] = iter([True, True, False])

    def commit(self, requests: Sequence[AppendRequest]) -> Sequence[Appended]:
        self.happened.append(f"commit of {len(requests)}")
        return [Appended(1, 1)] * len(requests)

    def tidy(self) -> bool:
        self.happened.append("tidy")
        self.tidying.set()
        self.go_on.wait()
        more = next(self._more, False)
        if not more:
            self.done.set()
        return more

    def on_commit(self, position: Any) -> None:
        pass


async def test_a_caller_is_answered_before_anything_is_tidied() -> None:
    log = Log()
    commits = GroupCommit(log.commit, log.on_commit, queue=8, tidy=log.tidy)

    await commits.append(REQUEST)  # comes back although the thread is held up in `tidy`
    log.tidying.wait()
    log.go_on.set()
    await commits.close()

    assert log.happened[:2] == ["commit of 1", "tidy"]


async def test_it_tidies_until_nothing_is_left() -> None:
    log = Log()
    log.go_on.set()
    commits = GroupCommit(log.commit, log.on_commit, queue=8, tidy=log.tidy)

    await commits.append(REQUEST)
    log.done.wait()
    await commits.close()

    assert log.happened == ["commit of 1", "tidy", "tidy", "tidy"]


async def test_an_append_that_comes_meanwhile_goes_before_more_tidying() -> None:
    log = Log()
    commits = GroupCommit(log.commit, log.on_commit, queue=8, tidy=log.tidy)
    await commits.append(REQUEST)
    log.tidying.wait()

    second = asyncio.create_task(commits.append(REQUEST))
    await asyncio.sleep(0)  # it has been handed in
    closing = asyncio.create_task(commits.close())
    await asyncio.sleep(0)
    log.go_on.set()
    await asyncio.gather(second, closing)

    assert log.happened == ["commit of 1", "tidy", "commit of 1"]


async def test_while_the_loop_wants_the_connection_the_thread_tidies_for_a_tenth_of_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log, now, rounds = Log(), [0.0], 0

    def tidy() -> bool:
        nonlocal rounds
        rounds, now[0] = rounds + 1, now[0] + 1.0
        commits.writing.wanted_on_loop += 1
        log.tidying.set()
        return True

    monkeypatch.setattr(commit, "perf_counter", lambda: now[0])
    commits = GroupCommit(log.commit, log.on_commit, queue=8, tidy=tidy)
    await commits.append(REQUEST)
    log.tidying.wait()
    await commits.append(REQUEST)  # its answer shows that the thread has looked at the clock
    for now[0] in (2.0, 5.0, 9.9, 9.9):
        await commits.append(REQUEST)
    assert rounds == 1

    log.tidying.clear()
    now[0] = 10.0
    await commits.append(REQUEST)
    log.tidying.wait()
    await commits.close()

    assert rounds == 2


async def test_after_a_pause_the_thread_tidies_without_being_asked() -> None:
    log, rounds = Log(), iter(range(1, 4))

    def tidy() -> bool:
        commits.writing.wanted_on_loop += 1
        if next(rounds) < 3:
            return True
        log.done.set()
        return False

    commits = GroupCommit(log.commit, log.on_commit, queue=8, tidy=tidy)
    await commits.append(REQUEST)

    log.done.wait()
    await commits.close()


async def test_of_a_batch_that_fails_only_the_request_at_fault_is_refused_and_it_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    requests = [AppendRequest([NewEvent(f"type {n}", b"")], None, None) for n in range(8)]
    first, go_on = Event(), Event()
    batches: list[int] = []

    def commit(batch: Sequence[AppendRequest]) -> Sequence[Appended]:
        first.set()
        go_on.wait()
        batches.append(len(batch))
        if requests[5] in batch:
            raise StoreFailed("the log", "this one")
        return [Appended(1, 1)] * len(batch)

    commits = GroupCommit(commit, lambda position: None, queue=16)
    alone = asyncio.create_task(commits.append(REQUEST))
    await asyncio.to_thread(first.wait)
    tasks = [asyncio.create_task(commits.append(each)) for each in requests]
    await asyncio.sleep(0)  # they have been handed in
    go_on.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.gather(alone, commits.close())

    assert [type(each) for each in outcomes] == [*[Appended] * 5, StoreFailed, *[Appended] * 2]
    assert batches == [1, 8, 4, 4, 2, 1, 1, 2]
    assert [record.getMessage().splitlines()[0] for record in caplog.records] == [
        "an append of 1 events (type 5) failed its batch: the log failed: this one"
    ]


@pytest.mark.parametrize("error", [OutcomeUnknown("lost"), StoreBusy("the log", "locked")])
async def test_a_batch_that_may_be_committed_or_waits_for_others_is_not_tried_again(error: LeftfoldError) -> None:
    go_on = Event()
    batches: list[int] = []

    def commit(batch: Sequence[AppendRequest]) -> Sequence[Appended]:
        go_on.wait()
        batches.append(len(batch))
        raise error

    commits = GroupCommit(commit, lambda position: None, queue=16)
    tasks = [asyncio.create_task(commits.append(REQUEST)) for _ in range(5)]
    await asyncio.sleep(0)
    go_on.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    await commits.close()

    assert outcomes == [error] * 5
    assert sum(batches) == 5


async def test_callers_are_answered_also_when_the_commit_cannot_be_noted() -> None:
    def on_commit(position: int) -> None:
        raise RuntimeError("a fault")

    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    commits = GroupCommit(lambda batch: [Appended(1, 1)] * len(batch), on_commit, queue=8)

    assert await commits.append(REQUEST) == Appended(1, 1)
    await commits.close()
