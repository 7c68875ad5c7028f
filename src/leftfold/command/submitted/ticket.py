"""Tickets: what `submit` returns, to ask for the outcome in this process or in any other."""

import asyncio
from collections import defaultdict
from collections.abc import Callable

from leftfold.command.receipt import Receipt
from leftfold.command.submitted.commands import Inbox
from leftfold.command.submitted.events import CommandCancelled, CommandFailed, CommandHandled, CommandRejected
from leftfold.command.submitted.submission import Submission
from leftfold.errors import LeftfoldError, Rejected, TicketCancelled, TicketFailed, TicketOpen
from leftfold.model.criteria import criteria
from leftfold.model.metadata import Metadata
from leftfold.model.registry import Registry
from leftfold.store.contract import EventStore
from leftfold.store.home import Home

OUTCOMES = criteria(CommandHandled, CommandRejected, CommandFailed, CommandCancelled)
Completion = asyncio.Future[None]


class Outcomes:
    """Wakes the callers that wait for a ticket once it is completed. Reads the log only while a caller waits."""

    def __init__(self, store: EventStore, registry: Registry) -> None:
        self._store = store
        self._registry = registry
        self._waiting: defaultdict[str, set[Completion]] = defaultdict(set)
        self._following: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Outcomes of {len(self._waiting)} tickets>"

    async def expect(self, ticket: str) -> Completion:
        """Return a future that is done once the ticket is completed after this call; `forget` it in the end."""
        completion: Completion = asyncio.get_running_loop().create_future()
        self._waiting[ticket].add(completion)
        if self._following is None or self._following.done():
            self._following = asyncio.create_task(self._follow(await self._store.head()))
        return completion

    def forget(self, ticket: str, completion: Completion) -> None:
        """Stop waiting for a ticket."""
        self._waiting[ticket].discard(completion)
        if not self._waiting[ticket]:
            del self._waiting[ticket]

    async def close(self) -> None:
        """End the reading."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)

    async def _follow(self, position: int) -> None:
        try:
            while self._waiting:
                async for batch in self._store.read(OUTCOMES, after=position):
                    position = batch.through
                    for event in self._registry.decode_all(batch.events):
                        self._wake(self._waiting.get(event.ticket, ()), None)
                await self._store.wait(position, 1.0)
        except LeftfoldError as error:
            for completion in list(self._waiting.values()):
                self._wake(completion, error)

    def _wake(self, waiting: "set[Completion] | tuple[()]", error: LeftfoldError | None) -> None:
        for completion in waiting:
            if completion.done():
                continue
            if error is None:
                completion.set_result(None)
            else:
                completion.set_exception(error)


class Ticket:
    """A submitted command. Its `id` is all that has to be kept: `live.ticket(id)` is the same ticket, anywhere."""

    def __init__(
        self, id: str, inbox: Inbox, outcomes: Outcomes, home: Home, check_said: Callable[[Metadata | None], None]
    ) -> None:
        self.id = id
        self._inbox = inbox
        self._outcomes = outcomes
        self._home = home
        self._check_said = check_said

    def __repr__(self) -> str:
        return f"<Ticket {self.id}>"

    async def result(self, timeout: float | None = None) -> Receipt:
        """Return the receipt once any process has handled the command; `TicketOpen` after `timeout` seconds.

        Raises `Rejected` as the handler did, `TicketFailed` after the last attempt, or `TicketCancelled`.
        """
        self._home.check()
        limit = asyncio.timeout(timeout)
        try:
            async with limit:
                await self._completed()
        except TimeoutError:
            if not limit.expired():  # an error of the store, such as StoreBusy
                raise
            raise TicketOpen(self.id, timeout or 0) from None
        record = await self._inbox.read(self.id)
        submission = record.submission
        match submission.state:
            case "rejected":
                raise Rejected(submission.reason, **submission.details)
            case "failed":
                raise TicketFailed(self.id, submission.attempts, submission.error or "")
            case "cancelled":
                raise TicketCancelled(self.id)
            case _:
                return await self._inbox.receipt(record)

    async def state(self) -> Submission:
        """Return what has become of the command so far."""
        self._home.check()
        return (await self._inbox.read(self.id)).submission

    async def retry(self, *, metadata: Metadata | None = None) -> None:
        """Try a command that failed or was postponed again at once; `AlreadyEnded` if it is in another state."""
        self._home.check()
        self._check_said(metadata)
        await self._inbox.retry(self.id, metadata)

    async def cancel(self, *, metadata: Metadata | None = None) -> None:
        """Cancel a command that has not been handled yet; `AlreadyEnded` if it was handled, rejected or cancelled."""
        self._home.check()
        self._check_said(metadata)
        await self._inbox.cancel(self.id, metadata)

    async def _completed(self) -> None:
        completion = await self._outcomes.expect(self.id)
        try:
            if not (await self._inbox.read(self.id)).submission.completed:
                await completion
        finally:
            self._outcomes.forget(self.id, completion)
