"""Listing and counting submitted commands by their states, with as little of the log as these states need."""

import asyncio
from collections.abc import Iterable
from typing import Any

import msgspec

from leftfold.command.submitted.commands import TICKETS
from leftfold.command.submitted.events import CommandFailed, CommandSubmitted, InboxCheckpoint
from leftfold.command.submitted.submission import Submission
from leftfold.follow.journal import Journal
from leftfold.model.clock import Clock
from leftfold.model.criteria import Criteria, Item, criteria
from leftfold.model.registry import Registry
from leftfold.store.contract import EventStore

[ABOUT_TICKETS] = TICKETS.items
UNFINISHED = frozenset(("pending", "scheduled", "failed"))
FINISHED = frozenset(("handled", "rejected", "cancelled"))
TICKETS_PER_READ = 25
Placed = dict[str, tuple[int, Submission]]  # a ticket's submission, and where it was submitted


class Listing:
    """Reads the submissions in some states from the log; keeps nothing.

    A command that is not finished is in the newest checkpoint of a worker or was submitted after it, or has failed at
    some time. A finished command can be anywhere.
    """

    def __init__(self, store: EventStore, registry: Registry, clock: Clock) -> None:
        self._store = store
        self._registry = registry
        self._clock = clock

    def __repr__(self) -> str:
        return f"<Listing of {self._store!r}>"

    async def in_states(self, states: Iterable[str]) -> list[Submission]:
        """Return the submissions in these states, in the order in which they were submitted."""
        wanted = frozenset(states)
        found = await (self._unfinished("failed" in wanted) if wanted <= UNFINISHED else self._everything())
        now = self._clock.now()
        placed = sorted((each for each in found.values() if each[1].state_at(now) in wanted), key=lambda each: each[0])
        return [submission for _, submission in placed]

    async def _everything(self) -> Placed:
        found, _ = await self._folded(TICKETS, 0)
        return found

    async def _unfinished(self, with_failed: bool) -> Placed:
        position, older = await self._checkpoint()
        found, unknown = await self._folded(TICKETS, position, leave_out=FINISHED)
        older |= unknown
        if with_failed:
            older |= await self._ever_failed(position)
        tickets = sorted(older - found.keys())
        for start in range(0, len(tickets), TICKETS_PER_READ):
            group = tickets[start : start + TICKETS_PER_READ]
            about = Criteria(*(Item(ABOUT_TICKETS.types, [f"leftfold.ticket:{ticket}"]) for ticket in group))
            found |= (await self._folded(about, 0))[0]
        return found

    async def _folded(
        self, about: Criteria, after: int, leave_out: frozenset[str] = frozenset()
    ) -> tuple[Placed, set[str]]:
        """Return the submissions of a part of the log, and the tickets in it that were submitted before."""
        found: Placed = {}
        unknown: set[str] = set()
        async for batch in self._store.read(about, after=after):
            for stored in batch.events:
                event = self._registry.decode(stored)
                position, submission = found.get(event.ticket, (stored.position, Submission(event.ticket)))
                if submission.state == "unknown" and not isinstance(event, CommandSubmitted):
                    unknown.add(event.ticket)
                else:
                    found[event.ticket] = (position, submission.evolve(event))
            if leave_out:
                found = {ticket: each for ticket, each in found.items() if each[1].state not in leave_out}
        return found, unknown

    async def _checkpoint(self) -> tuple[int, set[str]]:
        """Return the position up to which only these tickets were unfinished."""
        for event in await Journal(self._store, self._registry).newest(criteria(InboxCheckpoint)):
            return event.position, set(event.open)
        return 0, set()

    async def _ever_failed(self, upto: int) -> set[str]:
        read = self._store.read(criteria(CommandFailed), upto=upto)
        return {event.ticket async for batch in read for event in self._registry.decode_all(batch.events)}


class CommandCounts(msgspec.Struct, frozen=True):
    """How many submitted commands are unfinished, by their state."""

    pending: int = 0
    scheduled: int = 0
    failed: int = 0


class OpenCommands:
    """Counts unfinished commands. The first count reads every submission of the log."""

    def __init__(self, store: EventStore, registry: Registry, clock: Clock) -> None:
        self._store = store
        self._registry = registry
        self._clock = clock
        self._position = 0
        self._open: dict[str, Submission] = {}
        self._reading = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<OpenCommands: {len(self._open)} at {self._position}>"

    async def counts(self) -> CommandCounts:
        """Return how many there are now."""
        async with self._reading:
            await self._read()
        now = self._clock.now()
        states = [submission.state_at(now) for submission in self._open.values()]
        return CommandCounts(**{state: states.count(state) for state in CommandCounts.__struct_fields__})

    async def _read(self) -> None:
        async for batch in self._store.read(TICKETS, after=self._position, data_only=True):
            for event in self._registry.decode_all(batch.events):
                self._take(event.ticket, event)
            self._position = batch.through

    def _take(self, ticket: str, event: Any) -> None:
        submission = (self._open.pop(ticket, None) or Submission(ticket)).evolve(event)
        if submission.state not in FINISHED:
            self._open[ticket] = submission
