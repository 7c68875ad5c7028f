"""The stretch of the log that a read has still to look at, batch by batch."""

from collections.abc import Sequence
from typing import NamedTuple

from leftfold.store.contract import StoredEvent

EVENTS_A_BATCH = 4_000
BYTES_A_BATCH = 16_777_216


class Range(NamedTuple):
    """Which part of the log: after < position <= upto, at most `limit` events, from one end or the other."""

    after: int
    upto: int | None = None
    limit: int | None = None
    reverse: bool = False
    data_only: bool = False


class Stretch:
    """What is left of a range; `complete` once nothing is."""

    def __init__(self, chosen: Range) -> None:
        self.chosen = chosen
        self.complete = False

    def __repr__(self) -> str:
        return f"<Stretch {self.chosen}{', complete' if self.complete else ''}>"

    @property
    def size(self) -> int:
        """How many events the next batch may have."""
        left = self.chosen.limit
        return EVENTS_A_BATCH if left is None else min(left, EVENTS_A_BATCH)

    def end_at(self, head: int) -> None:
        """Look no further than the head that was taken first: what is read is all there will ever be."""
        upto = self.chosen.upto
        self.chosen = self.chosen._replace(upto=head if upto is None else min(upto, head))

    def advance(self, events: Sequence[StoredEvent], *, cut: bool) -> int:
        """Note what has been read, and return how far reading is complete."""
        after, upto, limit, reverse, _ = self.chosen
        upto = upto or 0
        if not cut:
            self.complete = True
            return after if reverse else max(after, upto)
        if limit is not None:
            self.chosen = self.chosen._replace(limit=limit - len(events))
            self.complete = limit == len(events)
        if not events:  # a limit of 0
            return upto if reverse else after
        position = events[-1].position
        after, upto = (after, position - 1) if reverse else (position, upto)
        self.chosen = self.chosen._replace(after=after, upto=upto)
        return position
