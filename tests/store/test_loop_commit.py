"""Group commit from the event loop: what gathers while a commit is under way shares the next one."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from leftfold.errors import LeftfoldError, StoreClosed, StoreFailed
from leftfold.store import Appended, NewEvent
from leftfold.store.admission import AppendRequest
from leftfold.store.commit import MAX_EVENTS_PER_COMMIT, AppendResult, Complete, LoopCommit


def request(events: int = 1) -> AppendRequest:
    return AppendRequest([NewEvent("noted", b"")] * events, None, None)


class Log:
    """Commits when it is told to, one batch after the other."""

    def __init__(self) -> None:
        self.batches: list[Sequence[AppendRequest]] = []
        self.head = 0
        self.go_on = asyncio.Event()
        self.begun: list[tuple[AppendRequest, Complete]] = []
        self.busy = True
        self.refuse: Callable[[AppendRequest], Exception | None] = lambda request: None

    async def commit(self, requests: Sequence[AppendRequest]) -> Sequence[AppendResult]:
        self.batches.append(requests)
        await self.go_on.wait()
        outcomes: list[AppendResult] = []
        for one in requests:
            error = self.refuse(one)
            if error is not None and not isinstance(error, LeftfoldError):
                raise error
            outcomes.append(error or Appended(1, 1))
        return outcomes

    def on_commit(self, position: int) -> None:
        self.head = max(self.head, position)

    def begin(self, request: AppendRequest, complete: Complete) -> bool:
        self.begun.append((request, complete))
        return not self.busy

    def complete(self, outcome: AppendResult | None) -> None:
        """Answer what was begun alone."""
        self.begun.pop()[1](outcome)


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def commits(log: Log) -> LoopCommit:
    return LoopCommit(log.commit, log.begin, log.on_commit, queue=100)


async def begun(commits: LoopCommit, *requests: AppendRequest) -> list["asyncio.Task[Appended]"]:
    """Appends that have been handed in, each waiting for its outcome."""
    tasks = [asyncio.create_task(commits.append(request)) for request in requests]
    await asyncio.sleep(0)  # they hand in
    await asyncio.sleep(0)  # the commit begins
    return tasks


async def test_what_comes_during_a_commit_shares_the_next_one(log: Log, commits: LoopCommit) -> None:
    first = await begun(commits, request())
    others = await begun(commits, *(request() for _ in range(10)))
    log.go_on.set()

    await asyncio.gather(*first, *others)

    assert [len(batch) for batch in log.batches] == [1, 10]
    assert log.head == 1
    assert commits.idle


async def test_a_batch_is_cut_where_it_has_enough_events(log: Log, commits: LoopCommit) -> None:
    log.go_on.set()

    await asyncio.gather(*await begun(commits, request(MAX_EVENTS_PER_COMMIT - 1), request(2), request()))

    assert [len(batch) for batch in log.batches] == [2, 1]


async def test_an_append_that_is_cancelled_before_its_batch_is_gathered_is_never_written(
    log: Log, commits: LoopCommit
) -> None:
    [first] = await begun(commits, request())
    kept, cancelled = request(), request()
    waiting, given_up = await begun(commits, kept, cancelled)

    given_up.cancel()
    await asyncio.sleep(0)
    log.go_on.set()
    await asyncio.gather(first, waiting)

    assert log.batches[1:] == [[kept]]


async def test_one_that_is_cancelled_later_leaves_its_neighbours_their_outcomes(log: Log, commits: LoopCommit) -> None:
    first, second = await begun(commits, request(), request())

    first.cancel()
    await asyncio.sleep(0)
    log.go_on.set()

    assert await second == Appended(1, 1)
    assert first.cancelled()


async def test_each_gets_its_own_refusal(log: Log, commits: LoopCommit) -> None:
    bad = request()
    log.refuse = lambda one: StoreFailed("the log", "it is bad") if one is bad else None
    log.go_on.set()

    outcomes = await asyncio.gather(*await begun(commits, request(), bad, request()), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [Appended, StoreFailed, Appended]


async def test_what_a_driver_cannot_send_fails_alone(log: Log, commits: LoopCommit) -> None:
    bad = request()
    log.refuse = lambda one: UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogate") if one is bad else None
    log.go_on.set()

    outcomes = await asyncio.gather(*await begun(commits, request(), bad, request()), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [Appended, StoreFailed, Appended]


async def test_closing_waits_for_what_was_handed_in_and_takes_nothing_more(log: Log, commits: LoopCommit) -> None:
    submit = await begun(commits, request(), request())
    closing = asyncio.create_task(commits.close())
    await asyncio.sleep(0)

    with pytest.raises(StoreClosed):
        await commits.append(request())
    assert not closing.done()
    log.go_on.set()
    await closing

    assert [task.result() for task in submit] == [Appended(1, 1)] * 2


# --- one that comes alone


@pytest.fixture
def free(log: Log) -> Log:
    log.busy = False
    return log


async def test_one_that_comes_alone_is_begun_at_once_and_answered_when_it_is_settled(
    free: Log, commits: LoopCommit
) -> None:
    [alone] = await begun(commits, request())
    assert not commits.idle

    free.complete(Appended(5, 7))

    assert await alone == Appended(5, 7)
    assert (free.head, free.batches, commits.idle) == (7, [], True)


async def test_those_who_come_meanwhile_share_a_commit_and_the_next_ones_gather_as_well(
    free: Log, commits: LoopCommit
) -> None:
    free.go_on.set()
    alone = await begun(commits, request())
    others = await begun(commits, *(request() for _ in range(3)))
    free.complete(Appended(1, 1))
    await asyncio.gather(*alone, *others)
    await asyncio.gather(*await begun(commits, *(request() for _ in range(4))))

    assert [len(batch) for batch in free.batches] == [3, 4]


async def test_one_comes_alone_again_after_a_commit_of_one(free: Log, commits: LoopCommit) -> None:
    free.go_on.set()
    first, second = await begun(commits, request(), request())
    free.complete(Appended(1, 1))
    await asyncio.gather(first, second)

    [third] = await begun(commits, request())
    free.complete(Appended(3, 3))

    assert await third == Appended(3, 3)
    assert [len(batch) for batch in free.batches] == [1]


async def test_one_that_is_settled_with_nothing_is_committed_before_those_behind_it(
    free: Log, commits: LoopCommit
) -> None:
    free.go_on.set()
    refused, behind = request(), request()
    tasks = [*await begun(commits, refused), *await begun(commits, behind)]

    free.complete(None)
    await asyncio.gather(*tasks)

    assert free.batches == [[refused, behind]]


async def test_one_that_is_cancelled_while_it_is_under_way_is_written_and_answered_to_nobody(
    free: Log, commits: LoopCommit
) -> None:
    [alone] = await begun(commits, request())
    alone.cancel()
    await asyncio.gather(alone, return_exceptions=True)
    assert not commits.idle

    free.complete(Appended(1, 1))

    assert (free.head, commits.idle) == (1, True)


async def test_one_that_is_cancelled_and_settled_with_nothing_is_never_written(free: Log, commits: LoopCommit) -> None:
    [alone] = await begun(commits, request())
    alone.cancel()
    await asyncio.gather(alone, return_exceptions=True)

    free.complete(None)
    await commits.close()

    assert (free.batches, commits.idle) == ([], True)


async def test_one_that_cannot_be_begun_is_refused_by_the_commit(free: Log) -> None:
    def begin(request: AppendRequest, complete: Complete) -> bool:
        raise OverflowError("a position of 65 bits")

    free.refuse = lambda one: OverflowError("a position of 65 bits")
    free.go_on.set()
    commits = LoopCommit(free.commit, begin, free.on_commit, queue=100)

    with pytest.raises(StoreFailed, match="65 bits"):
        await commits.append(request())
    assert commits.idle


@pytest.mark.parametrize("outcome", [Appended(1, 1), None])
async def test_closing_waits_for_one_that_is_under_way_alone(
    free: Log, commits: LoopCommit, outcome: AppendResult | None
) -> None:
    free.go_on.set()
    [alone] = await begun(commits, request())
    closing = asyncio.create_task(commits.close())
    await asyncio.sleep(0)
    assert not closing.done()

    free.complete(outcome)
    await closing

    assert alone.done()
    assert await alone == Appended(1, 1)
