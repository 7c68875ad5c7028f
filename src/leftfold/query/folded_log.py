"""The log as projections and queries read it: decoded, without what is skipped, and with the identities of events."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping
from typing import Annotated, Any, TypeVar

import msgspec

from leftfold.model.criteria import EVERYTHING, Criteria, CriteriaItem
from leftfold.model.message import Event
from leftfold.model.record import StoredEvent
from leftfold.model.registry import Registry
from leftfold.model.tag import Tag
from leftfold.query.event_keys import text_of_key
from leftfold.query.read_model import ReadModelDefinition
from leftfold.store.contract import EventStore
from leftfold.store.identity import BEGINNING, identity_at, identity_of

NEAR_POSITIONS = 16  # read at once: this costs more than one event, and less than two reads
NOTED_IDENTITIES = 256
T = TypeVar("T")
ReadModelTable = Annotated[str, Tag("leftfold.read_model")]


class ReplayProgress(msgspec.Struct, frozen=True):
    """How far a replay is: at position `position` of `upto`, after `seconds`."""

    model: str
    position: int
    upto: int
    seconds: float


OnProgress = Callable[[ReplayProgress], None]


class EventSkipped(Event, wire="leftfold.event_skipped"):
    """The event at `position` is left out of the row of `key`, in every rebuild too; its metadata says who and why."""

    table: ReadModelTable
    key: list[Any]
    position: int
    problem: str


SKIPS = Criteria(CriteriaItem([vars(EventSkipped)["__wire__"]]))


class FoldedLog:
    """The log that read models and projections are folded from, as one process reads it.

    Coroutines run on the event loop; `identify` and `wait_for` may be called from any other thread.
    """

    def __init__(self, store: EventStore, registry: Registry, on_progress: OnProgress | None = None) -> None:
        self.store = store
        self.registry = registry
        self.decode = registry.decode
        self.on_progress = on_progress
        self.loop: asyncio.AbstractEventLoop | None = None
        self._skipped: dict[str, dict[int, set[str]]] = {}
        self._skips_known = 0
        self._noted: OrderedDict[int, str] = OrderedDict()

    def __repr__(self) -> str:
        return f"<FoldedLog {self.store!r}>"

    def criteria(self, definition: ReadModelDefinition) -> Criteria:
        """Return the criteria of the events that a model folds."""
        return self.registry.stored(definition.fold.all_criteria())

    async def events(
        self, definition: ReadModelDefinition, after: int, *, upto: int | None = None, limit: int | None = None
    ) -> list[StoredEvent]:
        """Return the events that a model folds, from after a position on."""
        batches = self.store.read(self.criteria(definition), after=after, upto=upto, limit=limit)
        return [event async for batch in batches for event in batch.events]

    def wait_for(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return the result of a coroutine, which runs on the event loop; not to be called there."""
        assert self.loop is not None, "nothing is folded before the read side is started"
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    # --- skipped events

    async def read_skips(self) -> None:
        """Read the skips that were appended since the last call."""
        async for batch in self.store.read(SKIPS, after=self._skips_known):
            for stored in batch.events:
                event: EventSkipped = self.decode(stored)
                skipped = self._skipped.setdefault(event.table, {})
                skipped.setdefault(event.position, set()).add(text_of_key(event.key))
            self._skips_known = batch.through

    def skipped_by(self, definition: ReadModelDefinition) -> Mapping[int, set[str]]:
        """Return what one read model skips: keys by position, as text. It grows when more are read."""
        return self._skipped.setdefault(definition.table, {})

    # --- identities: another event at the position of a checkpoint means another history

    async def identity_at(self, position: int) -> str | None:
        """Return the identity of the event at a position; None if the log does not reach that far."""
        return await identity_at(self.store, position)

    async def holds(self, position: int, identity: str | None, upto: int, seen: Mapping[int, StoredEvent]) -> bool:
        """Return whether the log still has the event of this identity at a position.

        The identity at `upto`, the end of a read, is noted for `identify`. Call this after that read: a log that was
        replaced before it is noticed now, and one that is replaced later is noticed by the next read. Events that the
        read has `seen` whole are not read again.
        """
        wanted = {position, upto} - {0}
        if wanted <= seen.keys():
            found = {0: BEGINNING} | {each: identity_of(seen[each]) for each in wanted}
        else:
            found = await self._identities(position, upto)
        if upto not in found or (identity is not None and found.get(position) != identity):
            return False
        self._noted[upto] = found[upto]
        if len(self._noted) > NOTED_IDENTITIES:
            self._noted.popitem(last=False)
        return True

    def identify(self, position: int) -> str:
        """Return the identity of the event at a position that has been read; not to be called on the event loop."""
        noted = self._noted.get(position, BEGINNING if position == 0 else None)
        if noted is None:
            noted = self.wait_for(self.identity_at(position))
        return "gone" if noted is None else noted  # an event that is gone by now is no longer what was read

    async def _identities(self, *positions: int) -> dict[int, str]:
        """Return the identities at one or two positions, as far as the log has them."""
        found = {0: BEGINNING}
        first, last = min(positions), max(positions)
        if last - first > NEAR_POSITIONS:
            return await self._identities(first) | await self._identities(last)
        async for batch in self.store.read(EVERYTHING, after=max(first - 1, 0), upto=last):
            found.update({each.position: identity_of(each) for each in batch.events if each.position in positions})
        return found
