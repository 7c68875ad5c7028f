"""Group commit: concurrent appends share one transaction, and each gets its own outcome."""

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

Outcome = Appended | LeftfoldError
Commit = Callable[[Sequence[AppendRequest]], Sequence[Outcome]]

log = logging.getLogger("leftfold.store")

EVENTS_A_BATCH = 10_000
BYTES_A_BATCH = 16_777_216


class Ticket:
    """One append on its way: cancelled before its batch is gathered, it is never written."""

    __slots__ = ("abandoned", "outcome", "request")

    def __init__(self, request: AppendRequest, outcome: asyncio.Future[Appended]) -> None:
        self.request = request
        self.outcome = outcome
        self.abandoned = False

    def settle(self, outcome: Outcome) -> None:
        """Answer the caller, if it still waits."""
        if self.outcome.done():
            return
        if isinstance(outcome, Appended):
            self.outcome.set_result(outcome)
        else:
            self.outcome.set_exception(outcome)


async def handed_in(request: AppendRequest, places: asyncio.Semaphore, take: Callable[[Ticket], None]) -> Appended:
    """Hand an append in when there is a place for it, and wait for its outcome."""
    ticket = Ticket(request, asyncio.get_running_loop().create_future())
    await places.acquire()
    try:
        take(ticket)
        return await ticket.outcome
    except asyncio.CancelledError:
        ticket.abandoned = True
        raise
    finally:
        places.release()


def failure_of(error: Exception) -> LeftfoldError:
    """What an error of a commit that has written nothing means for those who wait."""
    return error if isinstance(error, LeftfoldError) else StoreFailed("the commit", repr(error))


def may_be_one(failure: LeftfoldError) -> bool:
    """Whether one request may have failed a whole batch: then the batch is halved until that request is alone."""
    return type(failure) in (StoreFailed, StoreFull)


def log_failed_alone(failure: LeftfoldError, request: AppendRequest) -> None:
    """Log which request of a batch has failed all of it."""
    types = ", ".join(sorted({event.type for event in request.events[:3]}))
    log.warning("an append of %d events (%s) failed its batch: %s", len(request.events), types, failure)


class BatchBudget:
    """How much more one batch may take."""

    def __init__(self) -> None:
        self._events = EVENTS_A_BATCH
        self._bytes = BYTES_A_BATCH

    @property
    def left(self) -> bool:
        """Whether there is any."""
        return self._events > 0 and self._bytes > 0

    def take(self, request: AppendRequest) -> None:
        """Give a request its place."""
        self._events -= len(request.events)
        self._bytes -= request.size


class GroupCommit:
    """A thread that commits whatever has gathered since its last commit: no timer, no added latency when idle.

    `commit` runs in that thread and answers each request in order; it raises only if it has written nothing. A batch
    that fails is halved until the request that fails is alone. Beyond `queue` requests under way, callers wait
    their turn. After a commit, for as long as nobody waits for the next, `tidy` is called: it does a little of what
    can wait, says whether there is more, and raises nothing. Belongs to one event loop.
    """

    def __init__(
        self,
        commit: Commit,
        settled: Callable[[int], None],
        *,
        queue: int,
        tidy: Callable[[], bool] = lambda: False,
    ) -> None:
        self._commit = commit
        self._settled = settled
        self._tidy = tidy
        self._places = asyncio.Semaphore(queue)
        self._gathering: SimpleQueue[Ticket | None] = SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="leftfold group commit", daemon=True)
        self._thread.start()

    async def append(self, request: AppendRequest) -> Appended:
        """Hand the request to the next batch and wait for its outcome."""
        return await handed_in(request, self._places, self._take)

    async def close(self) -> None:
        """Commit what has been handed in, then end the thread."""
        if not self._closed:
            self._closed = True
            self._gathering.put(None)
        await asyncio.to_thread(self._thread.join)

    def _take(self, ticket: Ticket) -> None:
        if self._closed:
            raise StoreClosed
        self._gathering.put(ticket)

    def _run(self) -> None:
        closing = False
        while not closing:
            batch, closing = self._gather()
            if batch:
                self._answer(batch, self._outcomes(batch))
            while self._gathering.empty() and not closing and self._tidy():
                pass

    def _gather(self) -> tuple[list[Ticket], bool]:
        """Wait for a first ticket, then take along all that are there."""
        batch: list[Ticket] = []
        room = BatchBudget()
        ticket = self._gathering.get()
        while ticket is not None:
            if not ticket.abandoned:
                batch.append(ticket)
                room.take(ticket.request)
            if not room.left:
                return batch, False
            try:
                ticket = self._gathering.get_nowait()
            except Empty:
                return batch, False
        return batch, True

    def _outcomes(self, batch: Sequence[Ticket], *, whole: bool = True) -> Sequence[Outcome]:
        try:
            return self._commit([ticket.request for ticket in batch])
        except Exception as error:  # noqa: BLE001 the thread must outlive whatever a driver raises
            failure = failure_of(error)
        if len(batch) > 1 and may_be_one(failure):
            middle = len(batch) // 2
            return [*self._outcomes(batch[:middle], whole=False), *self._outcomes(batch[middle:], whole=False)]
        if not whole:
            log_failed_alone(failure, batch[0].request)
        return [failure] * len(batch)

    def _answer(self, batch: Sequence[Ticket], outcomes: Sequence[Outcome]) -> None:
        loop = batch[0].outcome.get_loop()

        def settle() -> None:
            for ticket, outcome in zip(batch, outcomes, strict=True):
                ticket.settle(outcome)
            self._settled(max((outcome.last for outcome in outcomes if isinstance(outcome, Appended)), default=0))

        try:
            loop.call_soon_threadsafe(settle)
        except RuntimeError:  # the loop is closed: nobody waits any more
            self._closed = True


AsyncCommit = Callable[[Sequence[AppendRequest]], Awaitable[Sequence[Outcome]]]
Settle = Callable[[Outcome | None], None]
Begin = Callable[[AppendRequest, Settle], bool]


class LoopCommit:
    """Commits whatever has gathered since the last commit: no timer, no thread that has to be woken.

    `commit` answers each request in order; it raises only if it has written nothing, and a batch that fails is halved
    until the request that fails is alone. An append that comes alone, as the last one did, need not wait for others
    to gather: `begin` commits it without a task, and settles it later, unless it says False at once. What it settles
    with None is handed to `commit`. Beyond `queue` requests under way, callers wait their turn. Belongs to one event
    loop.
    """

    def __init__(self, commit: AsyncCommit, begin: Begin, settled: Callable[[int], None], *, queue: int) -> None:
        self._commit = commit
        self._settled = settled
        self._begin = begin
        self._places = asyncio.Semaphore(queue)
        self._gathered: deque[Ticket] = deque()
        self._begun = False
        self._committing: asyncio.Task[None] | None = None
        self._alone = True
        self._closed = False
        self._left: asyncio.Future[None] | None = None

    @property
    def idle(self) -> bool:
        """Whether no append is under way."""
        return self._committing is None and not self._begun

    async def append(self, request: AppendRequest) -> Appended:
        """Hand the request to the next batch and wait for its outcome."""
        return await handed_in(request, self._places, self._take)

    async def close(self) -> None:
        """Commit what has been handed in."""
        self._closed = True
        if self._begun:
            self._left = asyncio.get_running_loop().create_future()
            await self._left
        if self._committing is not None:
            await asyncio.wait([self._committing])

    def _take(self, ticket: Ticket) -> None:
        if self._closed:
            raise StoreClosed
        if not (self.idle and self._alone and self._begin_alone(ticket)):
            self._gathered.append(ticket)
            self._go_on()

    def _begin_alone(self, ticket: Ticket) -> bool:
        self._begun = True  # it may be settled before `begin` returns
        try:
            begun = self._begin(ticket.request, partial(self._came, ticket))
        except Exception:
            begun = ticket.outcome.done()  # a second commit would store it twice
            if begun:
                log.exception("after a commit")
        if not begun:
            self._begun = False
        return begun

    def _came(self, ticket: Ticket, outcome: Outcome | None) -> None:
        """What came of an append that was begun alone."""
        self._begun = False
        if outcome is None:
            self._gathered.appendleft(ticket)
        else:
            ticket.settle(outcome)
            self._settled(outcome.last if isinstance(outcome, Appended) else 0)
        self._go_on()
        if self._left is not None and not self._left.done():
            self._left.set_result(None)

    def _go_on(self) -> None:
        """See to it that what has gathered is committed."""
        if self._gathered and self.idle:
            self._committing = asyncio.create_task(self._commit_all())

    async def _commit_all(self) -> None:
        """Commit batch after batch until nobody waits."""
        try:
            while self._gathered:
                batch = self._batch()
                if batch:
                    self._alone = len(batch) == 1
                    self._answer(batch, await self._outcomes(batch))
        finally:
            self._committing = None

    def _batch(self) -> list[Ticket]:
        """Take all that have gathered, or as many as one commit may have."""
        batch: list[Ticket] = []
        room = BatchBudget()
        while self._gathered and room.left:
            ticket = self._gathered.popleft()
            if not ticket.abandoned:
                batch.append(ticket)
                room.take(ticket.request)
        return batch

    async def _outcomes(self, batch: Sequence[Ticket], *, whole: bool = True) -> Sequence[Outcome]:
        try:
            return await self._commit([ticket.request for ticket in batch])
        except Exception as error:  # noqa: BLE001 those who wait would wait for ever
            failure = failure_of(error)
        if len(batch) > 1 and may_be_one(failure):
            middle = len(batch) // 2
            first = await self._outcomes(batch[:middle], whole=False)
            return [*first, *await self._outcomes(batch[middle:], whole=False)]
        if not whole:
            log_failed_alone(failure, batch[0].request)
        return [failure] * len(batch)

    def _answer(self, batch: Sequence[Ticket], outcomes: Sequence[Outcome]) -> None:
        for ticket, outcome in zip(batch, outcomes, strict=True):
            ticket.settle(outcome)
        self._settled(max((outcome.last for outcome in outcomes if isinstance(outcome, Appended)), default=0))
