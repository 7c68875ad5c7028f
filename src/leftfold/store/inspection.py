"""What a backend may offer beyond the contract: statistics, its idempotency keys, and checks of its own storage."""

from bisect import bisect_left
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec

from leftfold.model.criteria import EVERYTHING, criteria
from leftfold.model.record import StoredEvent
from leftfold.store.contract import EventStore


class TypeCount(msgspec.Struct, frozen=True):
    """How many events of a type the log has, and the positions of the first and the last of them."""

    type: str
    events: int
    first: int
    last: int


class StoreFile(msgspec.Struct, frozen=True):
    """The file of a log. `pending` is the size in bytes of commits beside it that have not been moved into it yet."""

    path: Path
    size: int
    pending: int
    format: int
    durable: bool


class Statistics(msgspec.Struct, frozen=True):
    """Statistics of a log at one moment; None where the backend has no value."""

    types: tuple[TypeCount, ...]
    created: datetime | None = None
    keys: int | None = None
    file: StoreFile | None = None


class StoredKey(msgspec.Struct, frozen=True, gc=False):
    """A stored idempotency key: the positions that it stands for, and the digest of its payload."""

    value: str
    first: int
    last: int
    digest: bytes


class TypeSample(msgspec.Struct, frozen=True):
    """The oldest and the newest event of a type, and how many events it has; counting stops at a bound."""

    type: str
    events: int
    oldest: StoredEvent
    newest: StoredEvent


# What a check of the tables can find, in words. The values are those of the row that shows it.
FINDINGS = {
    "missing positions": "positions {} to {} are missing",
    "unknown type": "the event at {} has a type that the log does not name",
    "impossible version": "the event at {} has version {}, which no event can have",
    "stray tag": "the tag index has {1!r} at {0}, but the event there does not have it",
    "missing tags": "the tag index does not have the tags of the event at {}",
    "stray key": "the idempotency key {!r} names positions {} to {}, not all in the log",
    "overlapping keys": "the idempotency key {!r} names positions {} to {}, some of which the key {!r} names too, "
    "although they were not appended together",
    "short digest": "the idempotency key {!r} has a digest of {} byte(s), too few to tell one payload from another",
}


@runtime_checkable
class Sampled(Protocol):
    """A store that can show the types of its events without reading the log."""

    async def type_samples(self, *, at_most: int) -> list[TypeSample]:
        """Return the oldest and the newest event of every type; it counts at most `at_most` events of each."""
        ...


@runtime_checkable
class Searchable(Protocol):
    """A store that can look for a text in the metadata of its events, without handing all of them over."""

    async def mentions(self, text: bytes, *, after: int, upto: int) -> list[StoredEvent]:
        """Return the events at positions from `after` + 1 to `upto` whose metadata contains the text, in order."""
        ...


@runtime_checkable
class Counted(Protocol):
    """A store that can count the events of a type without reading them."""

    async def counts(self, types: Sequence[str], edges: Sequence[int]) -> list[int]:
        """Return how many events of these types are at the positions after each edge, up to the next one."""
        ...


@runtime_checkable
class Inspectable(Protocol):
    """A store with statistics and checks of its storage."""

    async def statistics(self) -> Statistics:
        """Return the statistics of the log, without reading its events."""
        ...

    async def self_check(self) -> list[str]:
        """Return what is wrong with the storage, one sentence for each finding; an empty list if it is sound."""
        ...


@runtime_checkable
class KeyedLog(EventStore, Protocol):
    """A store whose idempotency keys can be listed."""

    def stored_keys(self) -> AsyncIterator[Sequence[StoredKey]]:
        """Yield all keys in pages, in an order that depends on the store.

        It may or may not yield keys of appends that commit meanwhile.
        """
        ...


async def counts_of(store: EventStore, types: Sequence[str], edges: Sequence[int]) -> list[int]:
    """Return how many events of these types are at the positions after each edge, up to the next one."""
    if not types:
        return [0] * (len(edges) - 1)
    if isinstance(store, Counted):
        return await store.counts(types, edges)
    counts = [0] * (len(edges) - 1)
    async for batch in store.read(criteria(*types), after=edges[0], upto=edges[-1]):
        for event in batch.events:
            counts[bisect_left(edges, event.position) - 1] += 1
    return counts


POSITIONS_PER_SEARCH = 50_000
SearchProgress = Callable[[int, int], None]
"""It is called with the position that a search has reached, and the one at which it ends."""


async def mentioning(
    store: EventStore, text: bytes, *, after: int, upto: int, progress: SearchProgress | None = None
) -> AsyncIterator[StoredEvent]:
    """Yield the events whose metadata contains a text, in order: a scan of the log, because metadata has no index."""
    while after < upto:
        end = min(after + POSITIONS_PER_SEARCH, upto)
        if isinstance(store, Searchable):
            for event in await store.mentions(text, after=after, upto=end):
                yield event
        else:
            async for batch in store.read(EVERYTHING, after=after, upto=end):
                for event in batch.events:
                    if text in event.metadata:
                        yield event
        after = end
        if progress is not None:
            progress(after, upto)


async def statistics_of(store: EventStore) -> Statistics:
    """Return the statistics of any store. If it is not `Inspectable`, all of its events are read."""
    if isinstance(store, Inspectable):
        return await store.statistics()
    counts: dict[str, TypeCount] = {}
    async for batch in store.read(EVERYTHING):
        for event in batch.events:
            known = counts.get(event.type, TypeCount(event.type, 0, event.position, 0))
            counts[event.type] = TypeCount(event.type, known.events + 1, known.first, event.position)
    return Statistics(tuple(counts[type] for type in sorted(counts)))


def type_samples_from(extents: Iterable[tuple[str, int, int, int]], events: Iterable[StoredEvent]) -> list[TypeSample]:
    """Return samples from the count, the first and the last position of each type, and the events there."""
    by_position = {event.position: event for event in events}
    return [TypeSample(type, count, by_position[first], by_position[last]) for type, count, first, last in extents]
