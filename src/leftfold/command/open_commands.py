"""How many submitted commands are not done with, kept up from the log: each look reads only what is new."""

import asyncio
from typing import Any

import msgspec

from leftfold.clock import Clock
from leftfold.command.inbox import TICKETS
from leftfold.command.listing import DONE_WITH
from leftfold.command.submission import Submission
from leftfold.registry import Registry
from leftfold.store.contract import EventStore


class CommandCounts(msgspec.Struct, frozen=True):
    """Submitted commands that are not done with, by their state."""

    pending: int = 0
    scheduled: int = 0
    failed: int = 0


class OpenCommands:
    """Counts them. The first look reads every submission of the log."""

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
        """How many there are now."""
        async with self._reading:
            await self._read()
        now = self._clock.now()
        standings = [submission.standing(now) for submission in self._open.values()]
        return CommandCounts(**{state: standings.count(state) for state in CommandCounts.__struct_fields__})

    async def _read(self) -> None:
        async for batch in self._store.read(TICKETS, after=self._position, data_only=True):
            for event in self._registry.decode_all(batch.events):
                self._take(event.ticket, event)
            self._position = batch.through

    def _take(self, ticket: str, event: Any) -> None:
        submission = (self._open.pop(ticket, None) or Submission(ticket)).evolve(event)
        if submission.state not in DONE_WITH:
            self._open[ticket] = submission
