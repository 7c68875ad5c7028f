"""Group commit: concurrent appends share one transaction, and each gets its own outcome."""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
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


class Room:
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
        room = Room()
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
