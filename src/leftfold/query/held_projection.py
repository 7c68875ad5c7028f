"""A free-form projection that an event holds up: what waits, and the verbs that let it go on."""

import msgspec

from leftfold.criteria import Criteria
from leftfold.query.event_keys import Key
from leftfold.query.parked_keys import ParkedKeys
from leftfold.query.parking import ParkedKey
from leftfold.store.contract import EventStore, StoredEvent


class HeldProjection(ParkedKeys):
    """It has one key, the empty one, and what waits is what the log has from the event on that could not be handled."""

    def __repr__(self) -> str:
        return f"<HeldProjection {self._definition.name}>"

    async def all(self) -> list[ParkedKey]:
        """The event that holds it up, if one does."""
        head = await self._store.head()
        return [with_queue(parked, head) for parked in await super().all()]

    async def retry(self, key: Key) -> list[ParkedKey]:
        """Handle what waits; the event that holds it up then, if one does, is returned."""
        stuck = await super().retry(key)
        head = await self._store.head()
        return [with_queue(parked, head) for parked in stuck]

    async def events(self, key: Key, limit: int) -> list[StoredEvent]:
        """The first events that wait; the first of them is the one that could not be handled."""
        criteria = self._registry.stored(self._definition.fold.all_criteria())
        parked = await self._find(key)
        if parked is None:
            return []
        return await events_from(self._store, criteria, parked.position, limit)


def with_queue(parked: ParkedKey, head: int) -> ParkedKey:
    """The same; `queued` is how many positions the log has from the event on."""
    return msgspec.structs.replace(parked, queued=head - parked.position + 1)


async def events_from(store: EventStore, criteria: Criteria, position: int, limit: int) -> list[StoredEvent]:
    """The first events that match, from a position on."""
    batches = store.read(criteria, after=position - 1, limit=limit)
    return [event async for batch in batches for event in batch.events]
