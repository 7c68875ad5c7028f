"""Subscriptions: catch up with the log, then follow it live. Written once, over any store."""

from collections.abc import AsyncIterator

from leftfold.criteria import ALL, Criteria
from leftfold.store.contract import Batch, EventStore


async def subscribe(
    store: EventStore, criteria: Criteria = ALL, *, after: int = 0, data_only: bool = False
) -> AsyncIterator[Batch]:
    """Yield batches of matching events from position `after` on, for ever.

    A batch's `through` is the checkpoint to keep once the batch is dealt with: it never passes an event that was not
    delivered, and moves on over stretches where nothing matched (the batch is then empty). The next batch is read
    when it is asked for, so a slow consumer slows its own reading only. `data_only` is that of `EventStore.read`.
    """
    while True:
        async for batch in store.read(criteria, after=after, data_only=data_only):
            if batch.through == after:
                continue
            after = batch.through
            yield batch
        await store.wait(after)
