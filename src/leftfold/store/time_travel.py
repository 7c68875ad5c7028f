"""Find the position for a time. Times never decrease along the log, so a binary search finds it."""

from datetime import datetime

from leftfold.errors import InvalidPosition, PositionAhead
from leftfold.model.clock import Clock, microseconds_of, to_microseconds
from leftfold.model.criteria import EVERYTHING
from leftfold.model.record import StoredEvent
from leftfold.store.contract import EventStore


async def position_at(store: EventStore, moment: datetime) -> int:
    """Return the position of the newest event that was committed at or before `moment`; 0 if there is none."""
    return await _newest_upto(store, to_microseconds(moment))


async def position_before(store: EventStore, moment: datetime) -> int:
    """Return the position of the newest event that was committed before `moment`; 0 if there is none."""
    return await _newest_upto(store, to_microseconds(moment) - 1)


async def _newest_upto(store: EventStore, microseconds: int) -> int:
    low, high = 0, await store.head()
    while low < high:
        middle = (low + high + 1) // 2
        event = await event_at(store, middle)
        if event.microseconds <= microseconds:
            low = middle
        else:
            high = middle - 1
    return low


async def event_at(store: EventStore, position: int) -> StoredEvent:
    """Return the event at a position, or raise `PositionAhead` if the log has not reached it."""
    async for batch in store.read(EVERYTHING, after=position - 1, upto=position):
        for event in batch.events:
            return event
    raise PositionAhead(position, await store.head())


async def resolve(store: EventStore, as_of: int | datetime, clock: Clock) -> int:
    """Return the position that `as_of` means, or raise `PositionAhead` if it is in the future."""
    head = await store.head()
    if isinstance(as_of, datetime):
        if to_microseconds(as_of) > microseconds_of(clock):
            raise PositionAhead(as_of, head)
        return await position_at(store, as_of)
    if type(as_of) is not int:
        raise InvalidPosition("as_of", as_of)
    if not 0 <= as_of <= head:
        raise PositionAhead(as_of, head)
    return as_of
