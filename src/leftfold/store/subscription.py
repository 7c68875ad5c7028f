"""Subscriptions: catch up with the log, then follow it live. Written once, over any store."""

import asyncio
import logging
import math
from collections.abc import AsyncIterator

from leftfold.errors import StoreBusy, StoreUnavailable, StoreUnreachable
from leftfold.model.criteria import EVERYTHING, Criteria
from leftfold.store.contract import Batch, EventStore

SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 2.0  # seconds

log = logging.getLogger("leftfold.subscription")


async def subscribe(
    store: EventStore,
    criteria: Criteria = EVERYTHING,
    *,
    after: int = 0,
    data_only: bool = False,
    patience: float = math.inf,
) -> AsyncIterator[Batch]:
    """Yield batches of matching events from position `after` on, for ever.

    A batch's `through` is the checkpoint to keep once the batch is dealt with: it never passes an event that was not
    delivered, and moves on over stretches where nothing matched (the batch is then empty). The next batch is read
    when it is asked for, so a slow consumer slows its own reading only. `data_only` is that of `EventStore.read`.

    While the store is out of reach or busy it is tried again, with pauses that grow to 2 s, and the subscription goes
    on where it was: nothing is left out, nothing comes twice. The log `leftfold.subscription` has a warning when that
    begins and when it is over. After `patience` seconds of it the store's error is raised.
    """
    outage = Outage(patience)
    while True:
        try:
            async for batch in store.read(criteria, after=after, data_only=data_only):
                if batch.through == after:
                    continue
                after = batch.through
                outage.over()
                yield batch
            await store.wait(after)
            outage.over()
        except (StoreBusy, StoreUnreachable) as trouble:
            await outage.pause(trouble, after)


class Outage:
    """What a subscription does while its store cannot be used."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._began: float | None = None
        self._pause = SHORTEST_PAUSE

    async def pause(self, trouble: StoreUnavailable, position: int) -> None:
        """Wait before the next attempt, longer each time; the trouble is raised when there was enough of it."""
        now = asyncio.get_running_loop().time()
        if self._began is None:
            self._began, self._pause = now, SHORTEST_PAUSE
            if self._patience > 0:
                log.warning("at position %s nothing more can be read for now: %s", position, trouble.found)
        if now - self._began >= self._patience:
            raise trouble
        await asyncio.sleep(self._pause)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def over(self) -> None:
        """The store can be used."""
        if self._began is not None:
            log.warning("the log can be read again, after %.1f s", asyncio.get_running_loop().time() - self._began)
            self._began = None
