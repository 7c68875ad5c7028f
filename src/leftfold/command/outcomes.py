"""Outcomes: one reader of the log for all who await tickets."""

import asyncio
from collections import defaultdict

from leftfold.command.inbox_events import CommandCancelled, CommandFailed, CommandHandled, CommandRejected
from leftfold.criteria import criteria
from leftfold.errors import LeftfoldError
from leftfold.registry import Registry
from leftfold.store.contract import EventStore

OUTCOMES = criteria(CommandHandled, CommandRejected, CommandFailed, CommandCancelled)
Settled = asyncio.Future[None]


class Outcomes:
    """Wakes those who await a ticket once something final is said of it. Reads only while someone waits."""

    def __init__(self, store: EventStore, registry: Registry) -> None:
        self._store = store
        self._registry = registry
        self._waiting: defaultdict[str, set[Settled]] = defaultdict(set)
        self._following: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Outcomes of {len(self._waiting)} tickets>"

    async def expect(self, ticket: str) -> Settled:
        """A future that is done once the ticket is settled after this call returned; `forget` it in the end."""
        settled: Settled = asyncio.get_running_loop().create_future()
        self._waiting[ticket].add(settled)
        if self._following is None or self._following.done():
            self._following = asyncio.create_task(self._follow(await self._store.head()))
        return settled

    def forget(self, ticket: str, settled: Settled) -> None:
        """Nobody waits for it any more."""
        self._waiting[ticket].discard(settled)
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
            for settled in list(self._waiting.values()):
                self._wake(settled, error)

    def _wake(self, waiting: "set[Settled] | tuple[()]", error: LeftfoldError | None) -> None:
        for settled in waiting:
            if settled.done():
                continue
            if error is None:
                settled.set_result(None)
            else:
                settled.set_exception(error)
