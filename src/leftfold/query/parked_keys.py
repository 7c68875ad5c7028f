"""What a read model or projection has parked, and the verbs retry and skip."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from leftfold.errors import NotParked
from leftfold.model.criteria import Criteria
from leftfold.model.metadata import Metadata, encode_metadata
from leftfold.model.record import StoredEvent
from leftfold.model.registry import Registry
from leftfold.query.event_keys import Key, text_of_key
from leftfold.query.parking import EventSkipped, ParkedKey, Skips
from leftfold.query.read_model import ReadModelDefinition
from leftfold.store.contract import EventStore
from leftfold.store.time_travel import event_at

if TYPE_CHECKING:
    from leftfold.query.tables.folding import SqlFolding, StoredFolding
    from leftfold.query.tables.models_database import ModelsDatabase

AT_ONCE = 500
T = TypeVar("T")

log = logging.getLogger("leftfold.projections")


class ParkedKeys:
    """Shows, retries and skips what one read model could not fold. Writes go through the projection's own thread.

    `disturbed` is called when rows may have changed.
    """

    def __init__(
        self,
        definition: ReadModelDefinition,
        folding: "StoredFolding | SqlFolding",
        database: "ModelsDatabase",
        store: EventStore,
        registry: Registry,
        skips: Skips,
        writer: Executor,
        disturbed: Callable[[], None] = lambda: None,
    ) -> None:
        self._definition = definition
        self._folding = folding
        self._database = database
        self._store = store
        self._registry = registry
        self._skips = skips
        self._writer = writer
        self._disturbed = disturbed

    def __repr__(self) -> str:
        return f"<ParkedKeys of {self._definition.name}>"

    @property
    def count(self) -> int:
        """How many keys are parked, as far as this process knows."""
        return self._folding.parked

    def counted(self, count: int) -> None:
        """Note how many there are: another process folds, and parks, this model."""
        self._folding.parked = count

    async def all(self) -> list[ParkedKey]:
        """Every parked key, the one that is parked longest first."""
        return await self._in_writer(self._database.parked, self._definition)

    async def events(self, key: Key, limit: int) -> list[StoredEvent]:
        """The first events that a parked key waits with; the first of them is the one that could not be folded."""
        positions = await self._in_writer(self._database.queue, self._definition, key, limit)
        return [await event_at(self._store, position) for position in positions]

    async def traceback(self, key: Key) -> str | None:
        """The traceback of the error that holds up the key; None where a version before this one parked it."""
        await self._the_one(key)
        return await self._in_writer(self._database.parked_traceback, self._definition, key)

    async def retry(self, key: Key) -> list[ParkedKey]:
        """Fold what the key, or without one every parked key, waits with; what is stuck again is returned."""
        await self._skips.read(self._store, self._registry.decode)
        parked = [await self._the_one(key)] if key or not self._definition.fold.key else await self.all()
        return [stuck for each in parked if (stuck := await self._retry(each)) is not None]

    async def skip(self, key: Key, metadata: Metadata) -> list[ParkedKey]:
        """Leave the event that holds up the key out of its row, for good; the log records who decided so, and why."""
        parked = await self._the_one(key)
        fields: list[Any] = msgspec.to_builtins(list(key))
        event = EventSkipped(self._definition.table, fields, parked.position, parked.problem)
        said = msgspec.structs.replace(metadata, cause=parked.position)
        record = self._registry.encode(event, encode_metadata(said))
        once = f"leftfold skip {self._definition.table} {text_of_key(key)} {parked.position}"
        await self._store.append([record], key=once)
        log.warning("%s skips the event at %d: %s", self._called(key), parked.position, said.reason)
        return await self.retry(key)

    async def _retry(self, parked: ParkedKey) -> ParkedKey | None:
        before: ParkedKey | None = None
        now: ParkedKey | None = parked
        while now is not None and now != before:
            await self._release(now.key)
            before, now = now, await self._find(now.key)
        if now is None:
            log.info("%s is no longer parked", self._called(parked.key))
        return now

    def _called(self, key: Key) -> str:
        return " ".join((self._definition.name, *map(str, key)))

    async def _release(self, key: Key) -> None:
        events = await self.events(key, AT_ONCE)
        try:
            await self._in_writer(self._folding.release, key, events)
        finally:
            self._disturbed()  # the row may have changed; the position has not

    async def _the_one(self, key: Key) -> ParkedKey:
        found = await self._find(key)
        if found is None:
            count = await self._in_writer(self._database.parked_count, self._definition)
            raise NotParked(self._definition.name, key, count)
        return found

    async def _find(self, key: Key) -> ParkedKey | None:
        return await self._in_writer(self._database.parked_key, self._definition, key)

    async def _in_writer(self, work: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, partial(work, *arguments))


class ParkedProjection(ParkedKeys):
    """It has one key, the empty one, and what waits is what the log has from the event on that could not be handled."""

    def __repr__(self) -> str:
        return f"<ParkedProjection {self._definition.name}>"

    async def all(self) -> list[ParkedKey]:
        """The event that holds it up, if one does."""
        head = await self._store.head()
        return [with_queue(parked, head) for parked in await super().all()]

    async def retry(self, key: Key) -> list[ParkedKey]:
        """Handle what waits; the event that holds it up then, if one does, is returned."""
        stuck = await super().retry(key)
        head = await self._store.head()
        return [with_queue(parked, head) for parked in stuck]

    async def events(self, key: Key, limit: int) -> list[StoredEvent]:
        """The first events that wait; the first of them is the one that could not be handled."""
        criteria = self._registry.stored(self._definition.fold.all_criteria())
        parked = await self._find(key)
        if parked is None:
            return []
        return await events_from(self._store, criteria, parked.position, limit)


def with_queue(parked: ParkedKey, head: int) -> ParkedKey:
    """The same; `queued` is how many positions the log has from the event on."""
    return msgspec.structs.replace(parked, queued=head - parked.position + 1)


async def events_from(store: EventStore, criteria: Criteria, position: int, limit: int) -> list[StoredEvent]:
    """The first events that match, from a position on."""
    batches = store.read(criteria, after=position - 1, limit=limit)
    return [event async for batch in batches for event in batch.events]
