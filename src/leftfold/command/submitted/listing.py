"""Listing and counting submitted commands by their states, with as little of the log as these states need."""

import asyncio
from collections.abc import Iterable

import msgspec

from leftfold.command.submitted.commands import TICKETS
from leftfold.command.submitted.events import CommandFailed, CommandSubmitted, InboxCheckpoint
from leftfold.command.submitted.submission import Submission
from leftfold.follow.journal import Journal
from leftfold.model.clock import Clock
from leftfold.model.criteria import Criteria, CriteriaItem, criteria
from leftfold.model.registry import Registry
from leftfold.store.contract import EventStore

[ABOUT_TICKETS] = TICKETS.items
UNFINISHED = frozenset(("pending", "scheduled", "failed"))
FINISHED = frozenset(("handled", "rejected", "cancelled"))
TICKETS_PER_READ = 25
Placed = dict[str, tuple[int, Submission]]  # a ticket's submission, and where it was submitted


class CommandCounts(msgspec.Struct, frozen=True):
    """How many submitted commands are unfinished, by their state."""

    pending: int = 0
    scheduled: int = 0
    failed: int = 0


class Listing:
    """Lists submissions by their states. Keeps those that are unfinished, and reads only what is new about them.

    A command that is not finished is in the newest checkpoint of a worker or was submitted after it, or has failed at
    some time. A finished command can be anywhere.
    """

    def __init__(self, store: EventStore, registry: Registry, clock: Clock) -> None:
        self._store = store
        self._registry = registry
        self._clock = clock
        self._open: Placed = {}
        self._position: int | None = None  # up to which they are known
        self._reading = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<Listing of {self._store!r}>"

    async def in_states(self, states: Iterable[str]) -> list[Submission]:
        """Return the submissions in these states, in the order in which they were submitted."""
        wanted = frozenset(states)
        found = await self._unfinished() if wanted <= UNFINISHED else (await self._folded(TICKETS, {}, 0))[0]
        now = self._clock.now()
        placed = sorted((each for each in found.values() if each[1].state_at(now) in wanted), key=lambda each: each[0])
        return [submission for _, submission in placed]

    async def counts(self) -> CommandCounts:
        """Return how many are unfinished now."""
        now = self._clock.now()
        states = [submission.state_at(now) for _, submission in (await self._unfinished()).values()]
        return CommandCounts(**{state: states.count(state) for state in CommandCounts.__struct_fields__})

    async def _unfinished(self) -> Placed:
        async with self._reading:
            if self._position is None:
                await self._begin()
            else:
                self._open, _, self._position = await self._folded(TICKETS, self._open, self._position, FINISHED)
            return self._open

    async def _begin(self) -> None:
        """Read what the newest checkpoint lists, what has failed, and what follows."""
        position, older = await self._checkpoint()
        found, unknown, through = await self._folded(TICKETS, {}, position, FINISHED)
        async for batch in self._store.read(criteria(CommandFailed), upto=position):
            older |= {event.ticket for event in self._registry.decode_all(batch.events)}
        tickets = sorted((older | unknown) - found.keys())
        for start in range(0, len(tickets), TICKETS_PER_READ):
            group = tickets[start : start + TICKETS_PER_READ]
            about = Criteria(*(CriteriaItem(ABOUT_TICKETS.types, [f"leftfold.ticket:{ticket}"]) for ticket in group))
            found, _, _ = await self._folded(about, found, 0, FINISHED, upto=through)
        self._open, self._position = found, through

    async def _folded(
        self,
        about: Criteria,
        known: Placed,
        after: int,
        leave_out: frozenset[str] = frozenset(),
        upto: int | None = None,
    ) -> tuple[Placed, set[str], int]:
        """Fold a part of the log into what is known of submissions.

        Return also the tickets in it that were submitted before, and the position up to which it was read.
        """
        found = dict(known)
        unknown: set[str] = set()
        async for batch in self._store.read(about, after=after, upto=upto, data_only=True):
            for stored in batch.events:
                event = self._registry.decode(stored)
                position, submission = found.get(event.ticket, (stored.position, Submission(event.ticket)))
                if submission.state == "unknown" and not isinstance(event, CommandSubmitted):
                    unknown.add(event.ticket)
                else:
                    found[event.ticket] = (position, submission.evolve(event))
            if leave_out:
                found = {ticket: each for ticket, each in found.items() if each[1].state not in leave_out}
            after = batch.through
        return found, unknown, after

    async def _checkpoint(self) -> tuple[int, set[str]]:
        """Return the position up to which only these tickets were unfinished."""
        for event in await Journal(self._store, self._registry).newest(criteria(InboxCheckpoint)):
            return event.position, set(event.open)
        return 0, set()
