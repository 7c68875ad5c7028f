"""Tickets: what `submit` gives, to ask for the outcome from here or from any other process."""

import asyncio

from leftfold.command.inbox import Inbox
from leftfold.command.outcomes import Outcomes
from leftfold.command.receipt import Receipt
from leftfold.command.submission import Submission
from leftfold.errors import Rejected, TicketCancelled, TicketFailed, TicketOpen
from leftfold.home import Home
from leftfold.metadata import Metadata


class Ticket:
    """A submitted command. Its `id` is all that has to be kept: `live.ticket(id)` is the same ticket, anywhere."""

    def __init__(self, id: str, inbox: Inbox, outcomes: Outcomes, home: Home) -> None:
        self.id = id
        self._inbox = inbox
        self._outcomes = outcomes
        self._home = home

    def __repr__(self) -> str:
        return f"<Ticket {self.id}>"

    async def result(self, timeout: float | None = None) -> Receipt:
        """The receipt, once the command is handled by whichever process; `TicketOpen` after `timeout` seconds.

        Raises `Rejected` as the handler did, `TicketFailed` after the last attempt, or `TicketCancelled`.
        """
        self._home.check()
        try:
            async with asyncio.timeout(timeout):
                await self._settled()
        except TimeoutError:
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
        """What has become of the command so far."""
        self._home.check()
        return (await self._inbox.read(self.id)).submission

    async def retry(self, *, metadata: Metadata | None = None) -> None:
        """Try a command that failed, or was postponed, again at once; `TicketClosed` if it is in another state."""
        self._home.check()
        await self._inbox.retry(self.id, metadata)

    async def cancel(self, *, metadata: Metadata | None = None) -> None:
        """See to it that the command is not handled; `TicketClosed` if it has been, or was rejected or cancelled."""
        self._home.check()
        await self._inbox.cancel(self.id, metadata)

    async def _settled(self) -> None:
        settled = await self._outcomes.expect(self.id)
        try:
            if not (await self._inbox.read(self.id)).submission.settled:
                await settled
        finally:
            self._outcomes.forget(self.id, settled)
