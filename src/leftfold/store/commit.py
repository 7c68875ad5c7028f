"""Group commit: concurrent appends share one transaction, and each gets its own result."""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from functools import partial
from queue import Empty, SimpleQueue
from time import perf_counter

from leftfold.errors import LeftfoldError, StoreBusy, StoreClosed, StoreFailed, StoreFull
from leftfold.store.admission import AppendRequest
from leftfold.store.contract import Appended
from leftfold.store.slots import Slots

AppendResult = Appended | LeftfoldError
Commit = Callable[[Sequence[AppendRequest]], Sequence[AppendResult]]

log = logging.getLogger("leftfold.store")

MAX_EVENTS_PER_COMMIT = 10_000
MAX_BYTES_PER_COMMIT = 16_777_216

# What a commit on the event loop may have and take; it holds up other tasks for as long (see decision 6 in docs/).
MAX_EVENTS_ON_LOOP = 16
MAX_BYTES_ON_LOOP = 65_536
MAX_SECONDS_ON_LOOP = 0.002
QUICK_COMMITS = 8  # in a row, before one is made on the loop
MOST_QUICK_COMMITS = 1_024  # the same after commits on the loop that were slow, each of which doubles it
COMMITS_ON_LOOP = 256  # in a row; then the thread makes one, in which SQLite may copy its write-ahead log

PAUSE_AFTER_TIDYING = 9  # times as long as the thread tidied, while the loop uses the writing connection


class PendingAppend:
    """An append that waits for its commit. If it is cancelled before its batch is made, it is never written."""

    __slots__ = ("abandoned", "outcome", "request")

    def __init__(self, request: AppendRequest) -> None:
        self.request = request
        self.outcome: asyncio.Future[Appended] | None = None  # once it has been handed in
        self.abandoned = False

    def complete(self, outcome: AppendResult) -> None:
        """Give the caller its result, if it still waits."""
        waiting = self.outcome
        if waiting is None or waiting.done():
            return
        if isinstance(outcome, Appended):
            waiting.set_result(outcome)
        else:
            waiting.set_exception(outcome)


def complete_all(
    batch: Sequence[PendingAppend], outcomes: Sequence[AppendResult], on_commit: Callable[[int], None]
) -> None:
    """Give each caller its result, then pass on the last position that one of them was given, or 0."""
    last = 0
    for pending, outcome in zip(batch, outcomes, strict=True):
        pending.complete(outcome)
        if isinstance(outcome, Appended) and outcome.last > last:
            last = outcome.last
    on_commit(last)


def failure_of(error: Exception) -> LeftfoldError:
    """Return the error for the callers of a commit that raised and has written nothing."""
    return error if isinstance(error, LeftfoldError) else StoreFailed("the commit", repr(error))


def may_be_one_request(failure: LeftfoldError) -> bool:
    """Return whether one request may have failed its batch; the batch is then halved until that request is alone."""
    return type(failure) in (StoreFailed, StoreFull)


def log_failed_alone(failure: LeftfoldError, request: AppendRequest) -> None:
    """Log which request failed its batch."""
    types = ", ".join(sorted({event.type for event in request.events[:3]}))
    log.warning("an append of %d events (%s) failed its batch: %s", len(request.events), types, failure)


class BatchBudget:
    """How much more one batch may take."""

    def __init__(self) -> None:
        self._events = MAX_EVENTS_PER_COMMIT
        self._bytes = MAX_BYTES_PER_COMMIT

    @property
    def left(self) -> bool:
        """Return whether anything is left."""
        return self._events > 0 and self._bytes > 0

    def take(self, request: AppendRequest) -> bool:
        """Take the share of a request; return whether anything is left."""
        self._events -= len(request.events)
        self._bytes -= request.size
        return self._events > 0 and self._bytes > 0


class CommitPace:
    """Decides whether the next commit is quick enough for the event loop, by how long recent ones took.

    The first commits are made in the thread. One that was slow sends the next ones there, until enough of them in a row
    were quick. How many are enough doubles with each slow commit that was made on the loop, unless very many quick ones
    came before it: then it is the least again.
    """

    def __init__(self) -> None:
        self._quick = 0  # commits in a row, on the loop or in the thread
        self._enough = QUICK_COMMITS
        self._on_loop = 0  # commits in a row

    def __repr__(self) -> str:
        return f"<CommitPace {self._quick} quick commits of {self._enough}, {self._on_loop} on the loop>"

    def allows(self, request: AppendRequest) -> bool:
        """Return whether to commit a request on the loop."""
        return (
            self._quick >= self._enough
            and self._on_loop < COMMITS_ON_LOOP
            and len(request.events) <= MAX_EVENTS_ON_LOOP
            and request.size <= MAX_BYTES_ON_LOOP
        )

    def note(self, seconds: float, *, on_loop: bool) -> None:
        """Note how long a small commit took."""
        self._on_loop = self._on_loop + 1 if on_loop else 0
        if seconds <= MAX_SECONDS_ON_LOOP:
            self._quick += 1
            return
        if on_loop:
            after_many = self._quick >= self._enough + MOST_QUICK_COMMITS
            self._enough = QUICK_COMMITS if after_many else min(2 * self._enough, MOST_QUICK_COMMITS)
        self._quick = 0


class WritingLock:
    """Held by whichever thread uses the writing connection; the event loop takes it only if it is free."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.wanted_on_loop = 0  # how often the loop wanted it, for a commit or a read

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *raised: object) -> None:
        self._lock.release()

    def __repr__(self) -> str:
        return f"<WritingLock {'held' if self._lock.locked() else 'free'}>"

    def take_on_loop(self) -> bool:
        """Take the lock, for `release`, unless a thread holds it; return whether it was taken."""
        self.wanted_on_loop += 1
        return self._lock.acquire(blocking=False)

    def release(self) -> None:
        """Release what `take_on_loop` took."""
        self._lock.release()


class Token(Enum):
    """What the thread is told beside appends."""

    WAKE = "there is work that can wait"
    END = "end after this commit"


class GroupCommit:
    """Commits whatever has been handed in since the last commit: no timer, no added latency when idle.

    Many appends share the commits of a thread. An append that comes alone is committed on the event loop, which saves
    two switches between threads: after one turn of the loop in which no other append came, and while commits are quick
    (see `CommitPace`). `on_loop` does that; if it raises `StoreBusy` the thread tries again, and waits for the lock.

    `commit` runs in the thread. Both return a result for each request in order, and raise only if nothing was written;
    `writing` is held meanwhile. A batch that fails is halved until the failing request is alone. With `queue` requests
    under way, further callers wait. After a commit, while no append waits, the thread calls `tidy`: it does a small
    part of the work that can wait, returns whether there is more, and never raises. While the loop uses the writing
    connection, the thread does so for a tenth of the time. Belongs to one event loop.
    """

    def __init__(
        self,
        commit: Commit,
        on_commit: Callable[[int], None],
        *,
        queue: int,
        tidy: Callable[[], bool] = lambda: False,
        on_loop: Commit | None = None,
    ) -> None:
        self._commit = commit
        self._on_commit = on_commit
        self._tidy = tidy
        self._on_loop = on_loop
        self._pace = CommitPace()
        self.writing = WritingLock()
        self._tidying = False  # whether the thread knows of work that can wait; changes while `writing` is held
        self._alone: PendingAppend | None = None  # handed in, while others may still join
        self._in_thread = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._slots = Slots(queue)
        self._gathering: SimpleQueue[PendingAppend | Token] = SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="leftfold group commit", daemon=True)
        self._thread.start()

    async def append(self, request: AppendRequest) -> Appended:
        """Commit the request with the next batch, and return its result."""
        if self._slots.free:
            self._slots.free -= 1
        else:
            await self._slots.wait()
        pending = PendingAppend(request)
        try:
            if self._closed:
                raise StoreClosed
            commit = self._on_loop
            if commit and not self._in_thread and self._alone is None and self._pace.allows(request):
                return await self._append_alone(pending, commit)
            self._in_thread += 1
            try:
                return await self._hand_in(pending)
            finally:
                self._in_thread -= 1
        except asyncio.CancelledError:
            pending.abandoned = True
            raise
        finally:
            self._slots.leave()

    async def _append_alone(self, pending: PendingAppend, commit: Commit) -> Appended:
        """Commit on the loop, unless another append comes within one turn of the loop, or the connection is in use."""
        self._alone = pending
        try:
            await asyncio.sleep(0)
        finally:
            is_alone = self._alone is pending
            if is_alone:
                self._alone = None
        if not is_alone or not self.writing.take_on_loop():
            return await self._append_in_thread(pending)
        begun = perf_counter()
        outcome: AppendResult | None = None
        try:
            [outcome] = commit([pending.request])
        except StoreBusy:  # the thread can wait for the lock
            pass
        except Exception as error:  # noqa: BLE001 as in the thread
            outcome = failure_of(error)
        finally:
            self.writing.release()
        if outcome is None:
            return await self._append_in_thread(pending)
        self._pace.note(perf_counter() - begun, on_loop=True)
        if isinstance(outcome, LeftfoldError):
            raise outcome
        try:
            self._on_commit(outcome.last)
        except Exception:  # it is committed
            log.exception("after a commit")
        return outcome

    async def _append_in_thread(self, pending: PendingAppend) -> Appended:
        self._in_thread += 1
        try:
            return await (pending.outcome or self._hand_in(pending))
        finally:
            self._in_thread -= 1

    def _hand_in(self, pending: PendingAppend) -> asyncio.Future[Appended]:
        """Hand an append to the thread, after the one that was alone until now."""
        alone, self._alone = self._alone, None
        if alone is not None:
            self._hand_in(alone)
        self._loop = asyncio.get_running_loop()
        pending.outcome = self._loop.create_future()
        self._gathering.put(pending)
        return pending.outcome

    def wake(self) -> None:
        """Let the thread tidy, in a commit on the loop."""
        if not self._tidying:
            self._tidying = True
            self._gathering.put(Token.WAKE)

    async def close(self) -> None:
        """Commit what has been handed in, then end the thread."""
        if not self._closed:
            self._closed = True
            alone, self._alone = self._alone, None
            if alone is not None:
                self._hand_in(alone)
            self._gathering.put(Token.END)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        closing = False
        resume = 0.0  # when to tidy again
        while not closing:
            batch, closing = self._gather(max(0.0, resume - perf_counter()) if self._tidying else None)
            if batch:
                with self.writing:
                    begun = perf_counter()
                    outcomes = self._outcomes(batch)
                    seconds = perf_counter() - begun
                self._answer(batch, outcomes, seconds)
            if not closing and perf_counter() >= resume:
                resume = self._tidy_while_idle()

    def _tidy_while_idle(self) -> float:
        """Tidy until an append comes or nothing is left; return when to go on, by `perf_counter`."""
        while self._gathering.empty():
            wanted, begun = self.writing.wanted_on_loop, perf_counter()
            with self.writing:
                self._tidying = self._tidy()
            if not self._tidying:
                break
            if wanted != self.writing.wanted_on_loop:
                ended = perf_counter()
                return ended + PAUSE_AFTER_TIDYING * (ended - begun)
        return 0.0

    def _gather(self, seconds: float | None) -> tuple[list[PendingAppend], bool]:
        """Wait for an append or a token, at most so many seconds, then take all others that wait too.

        Return them, and whether it is time to end.
        """
        batch: list[PendingAppend] = []
        budget = BatchBudget()
        try:
            pending = self._gathering.get(timeout=seconds)
            while pending is not Token.END:
                if pending is not Token.WAKE and not pending.abandoned:
                    batch.append(pending)
                    if not budget.take(pending.request):
                        return batch, False
                pending = self._gathering.get_nowait()
        except Empty:
            return batch, False
        return batch, True

    def _outcomes(self, batch: Sequence[PendingAppend], *, whole: bool = True) -> Sequence[AppendResult]:
        try:
            return self._commit([pending.request for pending in batch])
        except Exception as error:  # noqa: BLE001 the thread must survive whatever a driver raises
            failure = failure_of(error)
        if len(batch) > 1 and may_be_one_request(failure):
            middle = len(batch) // 2
            return [*self._outcomes(batch[:middle], whole=False), *self._outcomes(batch[middle:], whole=False)]
        if not whole:
            log_failed_alone(failure, batch[0].request)
        return [failure] * len(batch)

    def _answer(self, batch: Sequence[PendingAppend], outcomes: Sequence[AppendResult], seconds: float) -> None:
        is_small = sum(len(pending.request.events) for pending in batch) <= MAX_EVENTS_ON_LOOP

        def complete() -> None:
            if is_small:
                self._pace.note(seconds, on_loop=False)
            complete_all(batch, outcomes, self._on_commit)

        loop = self._loop
        try:
            if loop is not None:
                loop.call_soon_threadsafe(complete)
        except RuntimeError:  # the loop is closed, so nobody waits
            self._closed = True


AsyncCommit = Callable[[Sequence[AppendRequest]], Awaitable[Sequence[AppendResult]]]
Complete = Callable[[AppendResult | None], None]
Begin = Callable[[AppendRequest, Complete], bool]


class LoopCommit:
    """Commits, on the event loop, whatever has been handed in since the last commit: no timer, no thread to wake.

    `commit` returns a result for each request in order; it raises only if it has written nothing. A batch that fails is
    halved until the failing request is alone. An append that comes alone, after another one that came alone, does not
    wait for others: `begin` commits it without a task and completes it later, unless it returns False at once. If
    `begin` completes it with None, the request goes to `commit`. With `queue` requests under way, further callers wait.
    Belongs to one event loop.
    """

    def __init__(self, commit: AsyncCommit, begin: Begin, on_commit: Callable[[int], None], *, queue: int) -> None:
        self._commit = commit
        self._on_commit = on_commit
        self._begin = begin
        self._slots = Slots(queue)
        self._gathered: deque[PendingAppend] = deque()
        self._begun = False
        self._committing: asyncio.Task[None] | None = None
        self._alone = True
        self._closed = False
        self._drained: asyncio.Future[None] | None = None

    @property
    def idle(self) -> bool:
        """Return whether no append is under way."""
        return self._committing is None and not self._begun

    async def append(self, request: AppendRequest) -> Appended:
        """Commit the request with the next batch, and return its result."""
        if self._slots.free:
            self._slots.free -= 1
        else:
            await self._slots.wait()
        pending = PendingAppend(request)
        pending.outcome = asyncio.get_running_loop().create_future()
        try:
            self._take(pending)
            return await pending.outcome
        except asyncio.CancelledError:
            pending.abandoned = True
            raise
        finally:
            self._slots.leave()

    async def close(self) -> None:
        """Commit what has been handed in."""
        self._closed = True
        if self._begun:
            self._drained = asyncio.get_running_loop().create_future()
            await self._drained
        if self._committing is not None:
            await asyncio.wait([self._committing])

    def _take(self, pending: PendingAppend) -> None:
        if self._closed:
            raise StoreClosed
        if not (self.idle and self._alone and self._begin_alone(pending)):
            self._gathered.append(pending)
            self._start_commit()

    def _begin_alone(self, pending: PendingAppend) -> bool:
        self._begun = True  # `begin` may complete it before it returns
        try:
            begun = self._begin(pending.request, partial(self._on_result, pending))
        except Exception:
            begun = pending.outcome is not None and pending.outcome.done()  # a second commit would store it twice
            if begun:
                log.exception("an error after a commit; the events are stored")
        if not begun:
            self._begun = False
        return begun

    def _on_result(self, pending: PendingAppend, outcome: AppendResult | None) -> None:
        """Take the result of an append that was begun alone."""
        self._begun = False
        if outcome is None:
            self._gathered.appendleft(pending)
        else:
            pending.complete(outcome)
            self._on_commit(outcome.last if isinstance(outcome, Appended) else 0)
        self._start_commit()
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def _start_commit(self) -> None:
        """Start to commit what has been handed in, unless a commit is under way."""
        if self._gathered and self.idle:
            self._committing = asyncio.create_task(self._commit_all())

    async def _commit_all(self) -> None:
        """Commit batch after batch until no append waits."""
        try:
            while self._gathered:
                batch = self._batch()
                if batch:
                    self._alone = len(batch) == 1
                    self._answer(batch, await self._outcomes(batch))
        finally:
            self._committing = None

    def _batch(self) -> list[PendingAppend]:
        """Take all appends that wait, or as many as one commit may have."""
        batch: list[PendingAppend] = []
        budget = BatchBudget()
        while self._gathered and budget.left:
            pending = self._gathered.popleft()
            if not pending.abandoned:
                batch.append(pending)
                budget.take(pending.request)
        return batch

    async def _outcomes(self, batch: Sequence[PendingAppend], *, whole: bool = True) -> Sequence[AppendResult]:
        try:
            return await self._commit([pending.request for pending in batch])
        except Exception as error:  # noqa: BLE001 the callers would wait for ever
            failure = failure_of(error)
        if len(batch) > 1 and may_be_one_request(failure):
            middle = len(batch) // 2
            first = await self._outcomes(batch[:middle], whole=False)
            return [*first, *await self._outcomes(batch[middle:], whole=False)]
        if not whole:
            log_failed_alone(failure, batch[0].request)
        return [failure] * len(batch)

    def _answer(self, batch: Sequence[PendingAppend], outcomes: Sequence[AppendResult]) -> None:
        complete_all(batch, outcomes, self._on_commit)
