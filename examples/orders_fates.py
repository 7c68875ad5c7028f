"""What became of each order, by the raw log alone: no app, no model, no fold of leftfold's."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from leftfold import EventStore

ORDER = "order:"
FATES: Mapping[tuple[str, ...], str] = {
    ("order.placed", "order.paid", "order.shipped"): "shipped",
    ("order.placed", "order.paid", "order.cancelled", "order.refunded"): "refunded",
    ("order.placed", "order.cancelled"): "cancelled",
}
COUNTED = {"order.placed", "order.paid", "order.shipped", "order.cancelled", "order.refunded"}


class Fates(NamedTuple):
    """The one fate of each order that has one, and what the log says of every other order."""

    ended: Mapping[str, str]
    wrong: Mapping[str, str]

    @property
    def counts(self) -> dict[str, int]:
        """How many orders have which fate."""
        return dict(sorted(Counter(self.ended.values()).items()))


async def fates_in(store: EventStore) -> Fates:
    """Read all of the log. An order is right if its events, in their order, are those of exactly one fate."""
    lives: defaultdict[str, list[str]] = defaultdict(list)
    async for batch in store.read():
        for event in batch.events:
            if event.type in COUNTED:
                [order] = [tag.removeprefix(ORDER) for tag in event.tags if tag.startswith(ORDER)]
                lives[order].append(event.type)
    ended = {order: FATES[tuple(life)] for order, life in lives.items() if tuple(life) in FATES}
    wrong = {order: ", ".join(life) for order, life in lives.items() if tuple(life) not in FATES}
    return Fates(ended, wrong)
