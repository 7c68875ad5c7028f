"""Anchors: which events the log has at the positions of checkpoints. Another one there is another history."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping

from leftfold.model.criteria import EVERYTHING, Criteria
from leftfold.model.record import StoredEvent
from leftfold.store.bounds import POSITION_LIMIT
from leftfold.store.contract import Batch, EventStore
from leftfold.store.identity import BEGINNING, identity_at, identity_of

NEAR = 16  # positions that are read in one go: dearer than one event, cheaper than two reads
NOTED = 256


class Anchors:
    """Tells the identities of events, on the event loop and, for who writes checkpoints, from any thread."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self.loop: asyncio.AbstractEventLoop | None = None  # that `identify` reads on
        self._noted: OrderedDict[int, str] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Anchors of {self._store!r}>"

    async def at(self, position: int) -> str | None:
        """Return the identity of the event at a position; None where the log does not reach that far."""
        return await identity_at(self._store, position)

    async def holds(self, position: int, identity: str | None, through: int, seen: Mapping[int, StoredEvent]) -> bool:
        """Return whether the log still has the event of this identity at a position.

        The one at `through`, up to where something has just been read, is noted for `identify`. To be asked after that
        read: if the log was replaced before it, that is seen now, and if it is replaced later, with the next read.
        Events that were `seen` whole by that read itself are not read once more.
        """
        wanted = {position, through} - {0}
        if wanted <= seen.keys():
            found = {0: BEGINNING} | {each: identity_of(seen[each]) for each in wanted}
        else:
            found = await self._identities(position, through)
        if through not in found or (identity is not None and found.get(position) != identity):
            return False
        self._noted[through] = found[through]
        if len(self._noted) > NOTED:
            self._noted.popitem(last=False)
        return True

    def identify(self, position: int) -> str:
        """Return the identity of the event at a position that has been read; for a thread other than the loop's."""
        noted = self._noted.get(position, BEGINNING if position == 0 else None)
        if noted is None:
            assert self.loop is not None, "nothing is folded before the read side is started"
            noted = asyncio.run_coroutine_threadsafe(self.at(position), self.loop).result()
        return "gone" if noted is None else noted  # what is gone by now is no longer what was read

    async def _identities(self, *positions: int) -> dict[int, str]:
        """The identities at one or two positions, those that the log has."""
        found = {0: BEGINNING}
        first, last = min(positions), max(positions)
        if last - first > NEAR:
            return await self._identities(first) | await self._identities(last)
        async for batch in self._store.read(EVERYTHING, after=max(first - 1, 0), upto=last):
            found.update({each.position: identity_of(each) for each in batch.events if each.position in positions})
        return found


class LiveReads:
    """The reads of one projection: few new events come in one read with the event before them, its anchor.

    `seen` has each event of such a read by its position, and nothing after any other read.
    """

    def __init__(self, store: EventStore, criteria: Criteria, *, data_only: bool) -> None:
        self._store = store
        self._criteria = criteria
        self._data_only = data_only
        self._few = False  # whether few events were new at the last read, so that few may be at the next
        self.seen: Mapping[int, StoredEvent] = {}

    def __repr__(self) -> str:
        return f"<LiveReads of {self._store!r}>"

    async def after(self, position: int) -> AsyncIterator[Batch]:
        """Yield batches from a position on, for ever; trouble with the store is raised at once."""
        while True:
            near = await self._near(position) if self._few else None
            if near is not None:
                position = near.through
                yield near
            else:
                async for batch in self._far(position):
                    position = batch.through
                    yield batch
            await self._store.wait(position)

    async def _near(self, after: int) -> Batch | None:
        """Read the new events with their anchor; None where there are more of them than that is good for."""
        found = [
            each
            async for each in self._store.read(
                EVERYTHING, after=max(after - 1, 0), upto=min(after + NEAR, POSITION_LIMIT)
            )
        ]
        events, through = [event for each in found for event in each.events], found[-1].through
        if not after < through < after + NEAR:
            return None
        self.seen = {event.position: event for event in events}
        matches = self._criteria.matches
        return Batch([each for each in events if each.position > after and matches(each.type, each.tags)], through)

    async def _far(self, after: int) -> AsyncIterator[Batch]:
        self.seen = {}
        async for batch in self._store.read(self._criteria, after=after, data_only=self._data_only):
            self._few = batch.through < after + NEAR
            if batch.through != after:
                after = batch.through
                yield batch
