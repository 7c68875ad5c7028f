"""What a backend may offer beside the contract: counts that read no event, its keys, a look at its own storage."""

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec

from leftfold.model.criteria import EVERYTHING
from leftfold.model.record import StoredEvent
from leftfold.store.contract import EventStore


class TypeCount(msgspec.Struct, frozen=True):
    """How many events of a type the log has, and the positions of the first and the last."""

    type: str
    events: int
    first: int
    last: int


class StoreFile(msgspec.Struct, frozen=True):
    """The file of a log. `pending` is the size in bytes of what is committed beside it and not moved into it yet."""

    path: Path
    size: int
    pending: int
    format: int
    durable: bool


class Statistics(msgspec.Struct, frozen=True):
    """Figures of a log as of one moment; None is what the backend does not tell."""

    types: tuple[TypeCount, ...]
    created: datetime | None = None
    keys: int | None = None
    file: StoreFile | None = None


class StoredKey(msgspec.Struct, frozen=True, gc=False):
    """An idempotency key as it is stored: the positions it stands for, and the digest of what was appended there."""

    value: str
    first: int
    last: int
    digest: bytes


class TypeSample(msgspec.Struct, frozen=True):
    """The oldest and the newest event of a type, and how many there are; counting stops at a bound."""

    type: str
    events: int
    oldest: StoredEvent
    newest: StoredEvent


@runtime_checkable
class Sampled(Protocol):
    """A store that can show the types of its events without reading the log."""

    async def type_samples(self, *, at_most: int) -> list[TypeSample]:
        """Of every type in the log the oldest and the newest event; no more than `at_most` of each are counted."""
        ...


@runtime_checkable
class Inspectable(Protocol):
    """A store that can be looked into."""

    async def statistics(self) -> Statistics:
        """The log's figures, without reading its events."""
        ...

    async def self_check(self) -> list[str]:
        """What is wrong with the storage itself, one sentence each; nothing when it is sound."""
        ...


@runtime_checkable
class KeyedLog(EventStore, Protocol):
    """A store whose idempotency keys can be listed."""

    def stored_keys(self) -> AsyncIterator[Sequence[StoredKey]]:
        """Every key, some at a time, in an order of the store's own.

        Keys of appends that are committed meanwhile may be among them or not.
        """
        ...


async def statistics_of(store: EventStore) -> Statistics:
    """The figures of any store; one that cannot be looked into is read from end to end."""
    if isinstance(store, Inspectable):
        return await store.statistics()
    counts: dict[str, TypeCount] = {}
    async for batch in store.read(EVERYTHING):
        for event in batch.events:
            known = counts.get(event.type, TypeCount(event.type, 0, event.position, 0))
            counts[event.type] = TypeCount(event.type, known.events + 1, known.first, event.position)
    return Statistics(tuple(counts[type] for type in sorted(counts)))


def type_samples_from(extents: Iterable[tuple[str, int, int, int]], events: Iterable[StoredEvent]) -> list[TypeSample]:
    """Samples from each type's count and its first and last position, and the events at those positions."""
    by_position = {event.position: event for event in events}
    return [TypeSample(type, count, by_position[first], by_position[last]) for type, count, first, last in extents]
