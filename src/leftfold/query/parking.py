"""Parking: an event that cannot be applied holds up its key, and the key's later events wait behind it."""

import logging
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from leftfold.errors import NotParked
from leftfold.model import failure
from leftfold.model.criteria import Criteria, Item
from leftfold.model.message import Event
from leftfold.model.metadata import Metadata, encode_metadata
from leftfold.model.record import StoredEvent
from leftfold.model.tag import Tag
from leftfold.query.event_keys import Key, text_of_key
from leftfold.query.projection_context import ProjectionContext
from leftfold.query.read_model import ReadModelDefinition
from leftfold.store.contract import EventStore
from leftfold.store.time_travel import event_at

if TYPE_CHECKING:
    from leftfold.query.tables.projector import Projector

RETRIED_EVENTS = 500  # in one transaction
NOTHING_HELD: AbstractSet[Key] = frozenset()

log = logging.getLogger("leftfold.projections")


class UndecodableEvent(msgspec.Struct, frozen=True, gc=False):
    """Stands for an event that could not be decoded; its tags name its keys."""

    problem: Exception


class ParkedEvent(msgspec.Struct, frozen=True):
    """An event that is parked under a key: the one that failed or, without a problem, one that waits behind it.

    `error` is the problem as it was raised, for its traceback.
    """

    key: Key
    position: int
    problem: str | None
    error: BaseException | None = None


class ParkedKey(msgspec.Struct, frozen=True):
    """A key of a read model that is held up by the event at `position`; `queued` events wait, including that one."""

    model: str
    table: str
    key: Key
    position: int
    problem: str
    queued: int


def problem_of(problem: BaseException) -> str:
    """Say what went wrong, on one line where the error is one of leftfold's or of Python's."""
    original = getattr(problem, "orig", None) or problem  # SQLAlchemy adds the statement, with all its rows
    primary = getattr(getattr(original, "diag", None), "message_primary", None)  # PostgreSQL's, without details
    return f"{type(original).__name__}: {primary}" if primary else failure.in_words(original)


class ReplayParkedEvents:
    """The parked keys of one replay, which writes none of them."""

    def __init__(self) -> None:
        self.keys: set[Key] = set()

    def held(self, connection: Any, keys: AbstractSet[Key]) -> AbstractSet[Key]:
        """Return those of the keys that a parked event holds up."""
        return self.keys & keys

    def park(self, connection: Any, events: Sequence[ParkedEvent]) -> None:
        """Hold up the keys of these events from now on."""
        self.keys.update(event.key for event in events)


ReadModelTable = Annotated[str, Tag("leftfold.read_model")]


class EventSkipped(Event, wire="leftfold.event_skipped"):
    """The event at `position` is left out of the row of `key`, in every rebuild too; its metadata says who and why."""

    table: ReadModelTable
    key: list[Any]
    position: int
    problem: str


SKIPS = Criteria(Item([vars(EventSkipped)["__wire__"]]))


class Skips:
    """The skipped events of a log, by read model."""

    def __init__(self) -> None:
        self._found: dict[str, dict[int, set[str]]] = {}
        self._position = 0

    def __repr__(self) -> str:
        return f"<Skips of {len(self._found)} read models up to {self._position}>"

    async def read(self, store: EventStore, decode: Callable[[StoredEvent], Any]) -> None:
        """Read the skips that were appended since the last call."""
        async for batch in store.read(SKIPS, after=self._position):
            for stored in batch.events:
                event: EventSkipped = decode(stored)
                skipped = self._found.setdefault(event.table, {})
                skipped.setdefault(event.position, set()).add(text_of_key(event.key))
            self._position = batch.through

    def of(self, definition: ReadModelDefinition) -> Mapping[int, set[str]]:
        """Return what one read model skips: keys by position, as text. It grows when more are read."""
        return self._found.setdefault(definition.table, {})


class ParkedKeys:
    """Lists, retries and skips what one read model or projection has parked.

    A projection has one key, the empty one; behind it waits everything that the log has from the parked event on.
    Writes go through the projection's own thread. `on_change` is called when rows may have changed.
    """

    def __init__(
        self,
        definition: ReadModelDefinition,
        projector: "Projector",
        context: ProjectionContext,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._definition = definition
        self._projector = projector
        self._context = context
        self._store = context.store
        self._registry = context.registry
        self._database = context.database
        self._on_change = on_change

    def __repr__(self) -> str:
        return f"<ParkedKeys of {self._definition.name}>"

    @property
    def count(self) -> int:
        """How many keys are parked, as far as this process knows."""
        return self._projector.parked_count

    def counted(self, count: int) -> None:
        """Note how many keys another process has parked."""
        self._projector.parked_count = count

    async def all(self) -> list[ParkedKey]:
        """Return every parked key, the one parked longest first."""
        return await self._with_queues(await self._parked())

    async def events(self, key: Key, limit: int) -> list[StoredEvent]:
        """Return the first events that wait under a key; the first of them is the one that failed."""
        if not self._definition.stops_at_errors:
            positions = await self._context.in_writer(self._database.parked_positions, self._definition, key, limit)
            return [await event_at(self._store, position) for position in positions]
        criteria = self._registry.stored(self._definition.fold.all_criteria())
        parked = await self._find(key)
        return [] if parked is None else await events_from(self._store, criteria, parked.position, limit)

    async def traceback(self, key: Key) -> str | None:
        """Return the traceback of the error that holds up the key; None if a former version parked it without one."""
        await self._get(key)
        return await self._context.in_writer(self._database.parked_traceback, self._definition, key)

    async def retry(self, key: Key) -> list[ParkedKey]:
        """Apply the events of a key, or without one those of every parked key; return the keys that are stuck again."""
        await self._context.read_skips()
        parked = [await self._get(key)] if key or not self._definition.fold.key else await self._parked()
        stuck = [await self._retry(each) for each in parked]
        return await self._with_queues([each for each in stuck if each is not None])

    async def skip(self, key: Key, metadata: Metadata) -> list[ParkedKey]:
        """Leave the event that holds up the key out of its row, for good; the log records who decided so, and why."""
        parked = await self._get(key)
        fields: list[Any] = msgspec.to_builtins(list(key))
        event = EventSkipped(self._definition.table, fields, parked.position, parked.problem)
        metadata = msgspec.structs.replace(metadata, cause=parked.position)
        record = self._registry.encode(event, encode_metadata(metadata))
        once = f"leftfold skip {self._definition.table} {text_of_key(key)} {parked.position}"
        await self._store.append([record], key=once)
        log.warning("%s skips the event at %d: %s", self._called(key), parked.position, metadata.reason)
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
        events = await self.events(key, RETRIED_EVENTS)
        try:
            await self._context.in_writer(self._projector.release, key, events)
        finally:
            self._on_change()  # the row may have changed; the position has not

    async def _get(self, key: Key) -> ParkedKey:
        found = await self._find(key)
        if found is None:
            raise NotParked(self._definition.name, key, len(await self._parked()))
        return found

    async def _find(self, key: Key) -> ParkedKey | None:
        return next(iter(await self._parked(key)), None)

    async def _parked(self, key: Key | None = None) -> list[ParkedKey]:
        return await self._context.in_writer(self._database.parked, self._definition, key)

    async def _with_queues(self, parked: list[ParkedKey]) -> list[ParkedKey]:
        if not (parked and self._definition.stops_at_errors):
            return parked
        head = await self._store.head()
        return [with_queue(each, head) for each in parked]


def with_queue(parked: ParkedKey, head: int) -> ParkedKey:
    """Return the parked key of a projection with `queued` as the positions that the log has from its event on."""
    return msgspec.structs.replace(parked, queued=head - parked.position + 1)


async def events_from(store: EventStore, criteria: Criteria, position: int, limit: int) -> list[StoredEvent]:
    """Return the first events that match, from a position on."""
    batches = store.read(criteria, after=position - 1, limit=limit)
    return [event async for batch in batches for event in batch.events]
