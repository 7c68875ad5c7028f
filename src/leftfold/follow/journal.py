"""Journals: what the log records about a subject, such as a submitted command, a process instance or a reactor."""

from collections.abc import Iterable
from typing import Any

from leftfold.errors import CannotDecode, Conflict
from leftfold.model.criteria import EVERYTHING, Criteria
from leftfold.model.metadata import Metadata, encode_metadata, present_metadata
from leftfold.model.record import NewEvent, StoredEvent
from leftfold.model.registry import Registry
from leftfold.store.contract import AppendCondition, EventStore


class Journal:
    """Reads and appends what the log records about subjects. Keeps nothing."""

    def __init__(self, store: EventStore, registry: Registry) -> None:
        self.store = store
        self.registry = registry

    def __repr__(self) -> str:
        return f"<Journal in {self.store!r}>"

    async def read(self, about: Criteria, *, after: int = 0) -> tuple[list[Any], int]:
        """Return the events about a subject after a position, and the position up to which these are all."""
        events: list[Any] = []
        async for batch in self.store.read(about, after=after):
            events += self.registry.decode_all(batch.events)
            after = batch.through
        return events, after

    async def newest(self, about: Criteria, count: int = 1) -> list[Any]:
        """Return the newest events about a subject, the newest first: its last checkpoint, for one."""
        return list(self.registry.decode_all(await self.stored(about, limit=count, reverse=True)))

    async def stored(
        self,
        about: Criteria,
        *,
        after: int = 0,
        upto: int | None = None,
        limit: int | None = None,
        reverse: bool = False,
    ) -> list[StoredEvent]:
        """Return events as they are stored."""
        read = self.store.read(about, after=after, upto=upto, limit=limit, reverse=reverse)
        return [stored async for batch in read for stored in batch.events]

    async def at(self, position: int) -> StoredEvent:
        """Return the event at a position."""
        [stored] = await self.stored(EVERYTHING, after=position - 1, upto=position)
        return stored

    def decoded(self, stored: StoredEvent) -> Any:
        """Return the event, or the error that says why it cannot be decoded."""
        try:
            return self.registry.decode(stored)
        except CannotDecode as error:
            return error

    def encode(self, events: Iterable[Any], metadata: Metadata | None = None) -> list[NewEvent]:
        """Encode events that leftfold appends."""
        encoded = b"{}" if metadata is None else encode_metadata(metadata)
        return [self.registry.encode(event, encoded) for event in events]

    async def record(self, events: Iterable[Any], metadata: Metadata, *unchanged: AppendCondition) -> bool:
        """Append events unless something was recorded that a condition excludes; whether they were appended."""
        try:
            await self.store.append(self.encode(events, metadata), condition=unchanged)
        except Conflict:
            return False
        return True


def requested(metadata: Metadata | None) -> Metadata:
    """Return the metadata of a person's request, completed by the surrounding `recording` blocks."""
    return present_metadata() if metadata is None else metadata.over(present_metadata())
