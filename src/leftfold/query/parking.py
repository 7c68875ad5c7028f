"""Parking: an event that cannot be applied holds up its key, and the key's later events wait behind it."""

import logging
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from leftfold.errors import NotParked
from leftfold.model import failure
from leftfold.model.metadata import Metadata, encode_metadata
from leftfold.model.record import StoredEvent
from leftfold.query.event_keys import Key, text_of_key
from leftfold.query.folded_log import EventSkipped
from leftfold.query.read_model import ReadModelDefinition
from leftfold.store.time_travel import event_at

if TYPE_CHECKING:
    from leftfold.query.tables.models_database import ModelsDatabase
    from leftfold.query.tables.projector import Projector

T = TypeVar("T")
RETRIED_EVENTS = 500  # in one transaction
NOTHING_HELD: AbstractSet[Key] = frozenset()

log = logging.getLogger("leftfold.projections")


class UndecodableEvent(msgspec.Struct, frozen=True, gc=False):
    """Stands for an event that could not be decoded; its tags name its keys."""

    problem: Exception
    keys: Sequence[Key]


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


class ParkedKeys:
    """Lists, retries and skips what one read model or projection has parked.

    A projection has one key, the empty one; behind it waits everything that the log has from the parked event on.
    Writes go through the projection's own thread. `on_change` is called when rows may have changed.
    """

    def __init__(
        self,
        definition: ReadModelDefinition,
        projector: "Projector",
        database: "ModelsDatabase",
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._definition = definition
        self._projector = projector
        self._database = database
        self._stored = database.parked[definition]
        self._log = database.log
        self._on_change = on_change

    def __repr__(self) -> str:
        return f"<ParkedKeys of {self._definition.name}>"

    @property
    def count(self) -> int:
        """How many keys are parked, as far as this process knows."""
        return self._stored.count

    def counted(self, count: int) -> None:
        """Note how many keys another process has parked."""
        self._stored.count = count

    async def all(self) -> list[ParkedKey]:
        """Return every parked key, the one parked longest first."""
        return await self._with_queues(await self._parked())

    async def events(self, key: Key, limit: int) -> list[StoredEvent]:
        """Return the first events that wait under a key; the first of them is the one that failed."""
        if not self._definition.stops_at_errors:
            positions = await self._read(self._stored.positions, key, limit)
            return [await event_at(self._log.store, position) for position in positions]
        parked = await self._find(key)
        return [] if parked is None else await self._log.events(self._definition, parked.position - 1, limit=limit)

    async def traceback(self, key: Key) -> str | None:
        """Return the traceback of the error that holds up the key; None if a former version parked it without one."""
        await self._get(key)
        return await self._read(self._stored.traceback, key)

    async def retry(self, key: Key) -> list[ParkedKey]:
        """Apply the events of a key, or without one those of every parked key; return the keys that are stuck again."""
        await self._log.read_skips()
        parked = [await self._get(key)] if key or not self._definition.fold.key else await self._parked()
        stuck = [await self._retry(each) for each in parked]
        return await self._with_queues([each for each in stuck if each is not None])

    async def skip(self, key: Key, metadata: Metadata) -> list[ParkedKey]:
        """Leave the event that holds up the key out of its row, for good; the log records who decided so, and why."""
        parked = await self._get(key)
        fields: list[Any] = msgspec.to_builtins(list(key))
        event = EventSkipped(self._definition.table, fields, parked.position, parked.problem)
        metadata = msgspec.structs.replace(metadata, cause=parked.position)
        record = self._log.registry.encode(event, encode_metadata(metadata))
        once = f"leftfold skip {self._definition.table} {text_of_key(key)} {parked.position}"
        await self._log.store.append([record], key=once)
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
            await self._database.in_writer(self._projector.release, key, events)
        finally:
            self._on_change()  # the row may have changed; the position has not

    async def _get(self, key: Key) -> ParkedKey:
        found = await self._find(key)
        if found is None:
            raise NotParked(f"projection {self._definition.name}", key, len(await self._parked()))
        return found

    async def _find(self, key: Key) -> ParkedKey | None:
        return next(iter(await self._parked(key)), None)

    async def _parked(self, key: Key | None = None) -> list[ParkedKey]:
        return await self._read(self._stored.all, key)

    async def _read(self, work: Callable[..., T], *arguments: Any) -> T:
        return await self._database.in_writer(self._database.read, work, *arguments)

    async def _with_queues(self, parked: list[ParkedKey]) -> list[ParkedKey]:
        if not (parked and self._definition.stops_at_errors):
            return parked
        head = await self._log.store.head()
        return [with_queue(each, head) for each in parked]


def with_queue(parked: ParkedKey, head: int) -> ParkedKey:
    """Return the parked key of a projection with `queued` as the positions that the log has from its event on."""
    return msgspec.structs.replace(parked, queued=head - parked.position + 1)
