"""Group commit: concurrent appends share one transaction, and each gets its own result."""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from queue import Empty, SimpleQueue

from leftfold.errors import LeftfoldError, StoreClosed, StoreFailed, StoreFull
from leftfold.store.admission import AppendRequest
from leftfold.store.contract import Appended

AppendResult = Appended | LeftfoldError
Commit = Callable[[Sequence[AppendRequest]], Sequence[AppendResult]]

log = logging.getLogger("leftfold.store")

MAX_EVENTS_PER_COMMIT = 10_000
MAX_BYTES_PER_COMMIT = 16_777_216


class PendingAppend:
    """An append that waits for its commit. If it is cancelled before its batch is made, it is never written."""

    __slots__ = ("abandoned", "outcome", "request")

    def __init__(self, request: AppendRequest, outcome: asyncio.Future[Appended]) -> None:
        self.request = request
        self.outcome = outcome
        self.abandoned = False

    def complete(self, outcome: AppendResult) -> None:
        """Give the caller its result, if it still waits."""
        if self.outcome.done():
            return
        if isinstance(outcome, Appended):
            self.outcome.set_result(outcome)
        else:
            self.outcome.set_exception(outcome)


async def submit(request: AppendRequest, slots: asyncio.Semaphore, take: Callable[[PendingAppend], None]) -> Appended:
    """Hand in an append as soon as a slot is free, and wait for its result."""
    pending = PendingAppend(request, asyncio.get_running_loop().create_future())
    await slots.acquire()
    try:
        take(pending)
        return await pending.outcome
    except asyncio.CancelledError:
        pending.abandoned = True
        raise
    finally:
        slots.release()


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

    def take(self, request: AppendRequest) -> None:
        """Take the share of a request."""
        self._events -= len(request.events)
        self._bytes -= request.size


class GroupCommit:
    """Commits, in a thread, whatever has been handed in since its last commit: no timer, no added latency when idle.

    `commit` runs in that thread and returns a result for each request in order; it raises only if it has written
    nothing. A batch that fails is halved until the failing request is alone. With `queue` requests under way, further
    callers wait. After a commit, while no append waits, `tidy` is called: it does a small part of the work that can
    wait, returns whether there is more, and never raises. Belongs to one event loop.
    """

    def __init__(
        self,
        commit: Commit,
        on_commit: Callable[[int], None],
        *,
        queue: int,
        tidy: Callable[[], bool] = lambda: False,
    ) -> None:
        self._commit = commit
        self._on_commit = on_commit
        self._tidy = tidy
        self._slots = asyncio.Semaphore(queue)
        self._gathering: SimpleQueue[PendingAppend | None] = SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="leftfold group commit", daemon=True)
        self._thread.start()

    async def append(self, request: AppendRequest) -> Appended:
        """Hand the request to the next batch, and wait for its result."""
        return await submit(request, self._slots, self._take)

    async def close(self) -> None:
        """Commit what has been handed in, then end the thread."""
        if not self._closed:
            self._closed = True
            self._gathering.put(None)
        await asyncio.to_thread(self._thread.join)

    def _take(self, pending: PendingAppend) -> None:
        if self._closed:
            raise StoreClosed
        self._gathering.put(pending)

    def _run(self) -> None:
        closing = False
        while not closing:
            batch, closing = self._gather()
            if batch:
                self._answer(batch, self._outcomes(batch))
            while self._gathering.empty() and not closing and self._tidy():
                pass

    def _gather(self) -> tuple[list[PendingAppend], bool]:
        """Wait for an append, then take all others that are waiting too; return whether it is time to end."""
        batch: list[PendingAppend] = []
        budget = BatchBudget()
        pending = self._gathering.get()
        while pending is not None:
            if not pending.abandoned:
                batch.append(pending)
                budget.take(pending.request)
            if not budget.left:
                return batch, False
            try:
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

    def _answer(self, batch: Sequence[PendingAppend], outcomes: Sequence[AppendResult]) -> None:
        loop = batch[0].outcome.get_loop()

        def complete() -> None:
            for pending, outcome in zip(batch, outcomes, strict=True):
                pending.complete(outcome)
            self._on_commit(max((outcome.last for outcome in outcomes if isinstance(outcome, Appended)), default=0))

        try:
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
        self._slots = asyncio.Semaphore(queue)
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
        """Hand the request to the next batch, and wait for its result."""
        return await submit(request, self._slots, self._take)

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
            begun = pending.outcome.done()  # then a second commit would store it twice
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
        for pending, outcome in zip(batch, outcomes, strict=True):
            pending.complete(outcome)
        self._on_commit(max((outcome.last for outcome in outcomes if isinstance(outcome, Appended)), default=0))
