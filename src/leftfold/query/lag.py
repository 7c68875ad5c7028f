"""Lag as people feel it: for how long the oldest event that is not folded yet has been in the log."""

from leftfold.clock import Clock
from leftfold.errors import PositionAhead
from leftfold.store.contract import EventStore
from leftfold.store.time_travel import event_at


async def seconds_behind(store: EventStore, position: int, clock: Clock) -> float:
    """Seconds since the first event after this position was committed; 0 when there is none."""
    try:
        waiting = await event_at(store, position + 1)
    except PositionAhead:
        return 0.0
    return max((clock.now() - waiting.time).total_seconds(), 0.0)
