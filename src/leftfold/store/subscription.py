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
    """Yield batches of matching events after position `after`, for ever.

    Save a batch's `through` as the checkpoint once the batch is handled. It never passes an event that was not
    delivered, and it also advances where nothing matches (the batch is then empty). The next batch is read when the
    caller asks for it, so a slow consumer only slows its own reading. `data_only` is that of `EventStore.read`.

    If the store cannot be reached or is busy, the subscription retries, with pauses that grow to 2 s, and resumes where
    it was: no event is left out or delivered twice. The logger `leftfold.subscription` gets a warning when an outage
    begins and when it is over. An outage longer than `patience` seconds raises the error of the store.
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
    """Retries while the store cannot be used."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._began: float | None = None
        self._pause = SHORTEST_PAUSE

    async def pause(self, trouble: StoreUnavailable, position: int) -> None:
        """Wait before the next attempt, longer each time; raise the error once patience has run out."""
        now = asyncio.get_running_loop().time()
        if self._began is None:
            self._began, self._pause = now, SHORTEST_PAUSE
            if self._patience > 0:
                log.warning("cannot read the log beyond position %s; trying again: %s", position, trouble.found)
        if now - self._began >= self._patience:
            raise trouble
        await asyncio.sleep(self._pause)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def over(self) -> None:
        """Note that the store can be used."""
        if self._began is not None:
            log.warning("the log can be read again, after %.1f s", asyncio.get_running_loop().time() - self._began)
            self._began = None
