"""Find the position for a time. Times never decrease along the log, so a binary search finds it."""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

import msgspec

from leftfold.errors import InvalidPosition, PositionAhead, UsageError
from leftfold.model.clock import Clock, from_microseconds, microseconds_of, to_microseconds
from leftfold.model.criteria import EVERYTHING
from leftfold.model.record import StoredEvent
from leftfold.store.contract import EventStore
from leftfold.store.inspection import counts_of

MAX_BUCKETS = 1_000


async def position_at(store: EventStore, moment: datetime) -> int:
    """Return the position of the newest event that was committed at or before `moment`; 0 if there is none."""
    return await _newest_upto(store, to_microseconds(moment))


async def position_before(store: EventStore, moment: datetime) -> int:
    """Return the position of the newest event that was committed before `moment`; 0 if there is none."""
    return await _newest_upto(store, to_microseconds(moment) - 1)


class TimeBucket(msgspec.Struct, frozen=True):
    """A stretch of time, from `begin` until just before `end`, and the `events` in it.

    They are at positions from `after` + 1 to `upto`; only if all types are counted, these are all of them.
    """

    begin: datetime
    end: datetime
    after: int
    upto: int
    events: int


async def time_buckets(
    store: EventStore, begin: datetime, end: datetime, buckets: int, types: Sequence[str] | None
) -> list[TimeBucket]:
    """Count events by time. Binary search finds the positions at the edges, so nothing in between is read."""
    first, last = to_microseconds(begin), to_microseconds(end)
    if not 1 <= buckets <= MAX_BUCKETS or last <= first:
        raise UsageError(
            f"{buckets} buckets from {begin} to {end}", f"1 to {MAX_BUCKETS:,} buckets of time", "correct the arguments"
        )
    times = [first + (last - first) * place // buckets for place in range(buckets + 1)]
    edges, low, head = list[int](), 0, await store.head()
    for time in times:
        low = await _newest_between(store, low, head, time - 1)
        edges.append(low)
    counts = (
        [upto - after for after, upto in pairwise(edges)] if types is None else await counts_of(store, types, edges)
    )
    moments = [from_microseconds(time) for time in times]
    return [TimeBucket(*each) for each in zip(moments[:-1], moments[1:], edges[:-1], edges[1:], counts, strict=True)]


async def _newest_upto(store: EventStore, microseconds: int) -> int:
    return await _newest_between(store, 0, await store.head(), microseconds)


async def _newest_between(store: EventStore, low: int, high: int, microseconds: int) -> int:
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
