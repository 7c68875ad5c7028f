"""Group commit from the event loop, for a store whose commit is a message and its answer."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from leftfold.errors import LeftfoldError, StoreClosed, StoreFailed
from leftfold.store.admission import AppendRequest
from leftfold.store.contract import Appended
from leftfold.store.group_commit import Outcome, Room, Ticket

Commit = Callable[[Sequence[AppendRequest]], Awaitable[Sequence[Outcome]]]


class LoopCommit:
    """Commits whatever has gathered since the last commit: no timer, no thread that has to be woken.

    `commit` answers each request in order. Beyond `queue` requests under way, callers wait their turn. Belongs to one
    event loop.
    """

    def __init__(self, commit: Commit, settled: Callable[[int], None], *, queue: int) -> None:
        self._commit = commit
        self._settled = settled
        self._places = asyncio.Semaphore(queue)
        self._gathered: deque[Ticket] = deque()
        self._committing: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def idle(self) -> bool:
        """Whether no append is under way."""
        return self._committing is None

    async def append(self, request: AppendRequest) -> Appended:
        """Hand the request to the next batch and wait for its outcome."""
        ticket = Ticket(request, asyncio.get_running_loop().create_future())
        async with self._places:
            if self._closed:
                raise StoreClosed
            self._gathered.append(ticket)
            if self._committing is None:
                self._committing = asyncio.create_task(self._commit_all())
            try:
                return await ticket.outcome
            except asyncio.CancelledError:
                ticket.abandoned = True
                raise

    async def close(self) -> None:
        """Commit what has been handed in."""
        self._closed = True
        if self._committing is not None:
            await asyncio.wait([self._committing])

    async def _commit_all(self) -> None:
        """Commit batch after batch until nobody waits."""
        try:
            while self._gathered:
                batch = self._batch()
                if batch:
                    self._answer(batch, await self._outcomes(batch))
        finally:
            self._committing = None

    def _batch(self) -> list[Ticket]:
        """Take all that have gathered, or as many as one commit may have."""
        batch: list[Ticket] = []
        room = Room()
        while self._gathered and room.left:
            ticket = self._gathered.popleft()
            if not ticket.abandoned:
                batch.append(ticket)
                room.take(ticket.request)
        return batch

    async def _outcomes(self, batch: Sequence[Ticket]) -> Sequence[Outcome]:
        try:
            return await self._commit([ticket.request for ticket in batch])
        except LeftfoldError as error:
            return [error] * len(batch)
        except Exception as error:  # noqa: BLE001 those who wait would wait for ever
            if len(batch) > 1:  # nothing is written yet: one bad request must not fail its neighbours
                return [(await self._outcomes([ticket]))[0] for ticket in batch]
            return [StoreFailed("the commit", repr(error))] * len(batch)

    def _answer(self, batch: Sequence[Ticket], outcomes: Sequence[Outcome]) -> None:
        self._settled(max((outcome.last for outcome in outcomes if isinstance(outcome, Appended)), default=0))
        for ticket, outcome in zip(batch, outcomes, strict=True):
            ticket.settle(outcome)
