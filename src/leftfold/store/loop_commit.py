"""Group commit from the event loop, for a store whose commit is a message and its answer."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from leftfold.errors import StoreClosed
from leftfold.store.admission import AppendRequest
from leftfold.store.contract import Appended
from leftfold.store.group_commit import (
    Outcome,
    Room,
    Ticket,
    failure_of,
    handed_in,
    log_failed_alone,
    may_be_one,
)

log = logging.getLogger("leftfold.store")

Commit = Callable[[Sequence[AppendRequest]], Awaitable[Sequence[Outcome]]]
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

    def __init__(self, commit: Commit, begin: Begin, settled: Callable[[int], None], *, queue: int) -> None:
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
        room = Room()
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
