"""Projections: each read model follows the log in a task of its own."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING

from leftfold.errors import (
    LeaseLost,
    LeftfoldError,
    LogReplaced,
    ProjectionFailed,
    ProjectionParked,
    ReadModelDiverged,
    StoreClosed,
)
from leftfold.model.criteria import EVERYTHING, Criteria
from leftfold.model.failure import in_words
from leftfold.model.record import StoredEvent
from leftfold.query.progress import CheckpointMoved, ProjectionProgress
from leftfold.query.projection_context import ProjectionContext
from leftfold.store.bounds import POSITION_LIMIT
from leftfold.store.contract import Batch, EventStore
from leftfold.store.identity import BEGINNING, identity_at, identity_of

if TYPE_CHECKING:
    from leftfold.query.tables.projector import Projector

SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 2.0  # seconds
HELD_UP_PAUSE = 0.25  # seconds between two looks whether an event still holds up an SQL projection
FULL_BATCH = 1_000  # events in one batch, after which the log may be far ahead
EVENTS_PER_TRANSACTION, BYTES_PER_TRANSACTION = 16_000, 4_194_304
NEAR_POSITIONS = 16  # read at once: this costs more than one event, and less than two reads
NOTED_IDENTITIES = 256


class Projection:
    """Keeps one read model up with the log until it is cancelled, or until an event cannot be applied.

    It waits out trouble with a database, which `progress` shows meanwhile.
    """

    def __init__(
        self,
        context: ProjectionContext,
        criteria: Criteria,
        projector: "Projector",
        progress: ProjectionProgress,
        anchors: "Anchors",
        *,
        data_only: bool = True,
    ) -> None:
        self.progress = progress
        self._store = context.store
        self._in_writer = context.in_writer
        self._criteria = criteria
        self._projector = projector
        self._anchors = anchors
        self._reads = LiveReads(context.store, criteria, data_only=data_only)
        self._data_only = data_only
        self._pause = SHORTEST_PAUSE
        self._held_up = False
        self._moved = False  # whether something else may have moved the checkpoint

    def __repr__(self) -> str:
        return f"<Projection {self.progress!r}>"

    async def run(self) -> None:
        """Follow the log; raise `LeaseLost` if another process does so, `ReadModelDiverged` if the log is another."""
        try:
            while True:
                await self._follow_until_disturbed()
        except (ProjectionFailed, StoreClosed) as reason:
            self.progress.reached(self._projector.position)
            self.progress.end(reason)
        except LogReplaced as reason:
            self.progress.refuse(reason)
        except (LeaseLost, ReadModelDiverged):
            raise
        except Exception as error:  # noqa: BLE001 waiters would wait for ever if this ended without a word
            failed = ProjectionFailed(self.progress.model, self.progress.position, in_words(error))
            failed.__cause__ = error
            self.progress.end(failed)

    async def _follow_until_disturbed(self) -> None:
        try:
            await self._follow()
        except CheckpointMoved:
            self._moved = True
        except ProjectionParked as parked:
            self.progress.reached(self._projector.position)
            self.progress.hold_up(parked)
            self._held_up = True
        except (LeaseLost, LogReplaced, ProjectionFailed, ReadModelDiverged, StoreClosed):
            raise
        except LeftfoldError as trouble:
            self.progress.get_into(trouble)
            await asyncio.sleep(self._pause)
            self._pause = min(self._pause * 2, LONGEST_PAUSE)

    async def _follow(self) -> None:
        await self._resume()
        async for batch in self._full_batches(self._reads.after(self._projector.position)):
            at = self._projector.checkpoint
            if not await self._anchors.holds(at.position, at.identity, batch.through, self._reads.seen):
                raise ReadModelDiverged(self.progress.model, at.position)  # it does not follow on what was folded last
            try:
                await self._in_writer(self._projector.step, batch)
            except ProjectionFailed:
                if not self._data_only:
                    raise
                await self._step_with_tags(batch.through)
            self.progress.reached(batch.through, changed=bool(batch.events))
            self._pause = SHORTEST_PAUSE

    async def _step_with_tags(self, upto: int) -> None:
        """Go on with whole events: the tags of an event that cannot be decoded name its keys."""
        async for batch in self._store.read(self._criteria, after=self._projector.position, upto=upto):
            await self._in_writer(self._projector.step, batch)

    async def _full_batches(self, batches: AsyncIterator[Batch]) -> AsyncIterator[Batch]:
        """Join batches while the log is far ahead: a row that many events concern is then written once."""
        head, size, events = 0, 0, list[StoredEvent]()
        async for batch in batches:
            events += batch.events
            size += sum(len(event.data) + len(event.metadata) for event in batch.events)
            is_full = len(events) >= EVENTS_PER_TRANSACTION or size >= BYTES_PER_TRANSACTION
            if len(batch.events) >= FULL_BATCH and not is_full:
                if batch.through >= head:
                    head = await self._store.head()
                if batch.through < head:  # so that the next batch is sure to come
                    continue
            yield Batch(events, batch.through)
            size, events = 0, []

    async def _resume(self) -> None:
        """Wait until nothing holds it up; go on from the stored checkpoint if something else may have moved it."""
        while self._held_up:
            await asyncio.sleep(HELD_UP_PAUSE)
            self._held_up = await self._in_writer(self._projector.is_held_up)
            self._moved = True
        if not self._moved:
            return
        await self._in_writer(self._projector.reload)
        at = self._projector.checkpoint
        if not await self._anchors.holds(at.position, at.identity, at.position, {}):
            raise ReadModelDiverged(self.progress.model, at.position)
        self.progress.reached(self._projector.position)
        self._moved = False


class Anchors:
    """Tells which events the log has at the positions of checkpoints: another event there is another history.

    Coroutines run on the event loop; `identify` may be called from any other thread.
    """

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self.loop: asyncio.AbstractEventLoop | None = None  # on which `identify` reads
        self._noted: OrderedDict[int, str] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Anchors of {self._store!r}>"

    async def at(self, position: int) -> str | None:
        """Return the identity of the event at a position; None if the log does not reach that far."""
        return await identity_at(self._store, position)

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
            assert self.loop is not None, "nothing is folded before the read side is started"
            noted = asyncio.run_coroutine_threadsafe(self.at(position), self.loop).result()
        return "gone" if noted is None else noted  # an event that is gone by now is no longer what was read

    async def _identities(self, *positions: int) -> dict[int, str]:
        """Return the identities at one or two positions, as far as the log has them."""
        found = {0: BEGINNING}
        first, last = min(positions), max(positions)
        if last - first > NEAR_POSITIONS:
            return await self._identities(first) | await self._identities(last)
        async for batch in self._store.read(EVERYTHING, after=max(first - 1, 0), upto=last):
            found.update({each.position: identity_of(each) for each in batch.events if each.position in positions})
        return found


class LiveReads:
    """The reads of one projection: a few new events are read together with the event before them, their anchor.

    `seen` has each event of such a read by its position, and nothing after any other read.
    """

    def __init__(self, store: EventStore, criteria: Criteria, *, data_only: bool) -> None:
        self._store = store
        self._criteria = criteria
        self._data_only = data_only
        self._few = False  # whether the last read had few new events, so that the next may have few
        self.seen: Mapping[int, StoredEvent] = {}

    def __repr__(self) -> str:
        return f"<LiveReads of {self._store!r}>"

    async def after(self, position: int) -> AsyncIterator[Batch]:
        """Yield batches from a position on, for ever; raise trouble with the store at once."""
        while True:
            near = await self._near(position) if self._few else None
            if near is not None:
                position = near.through
                yield near
            else:
                async for batch in self._far(position):
                    position = batch.through
                    yield batch
            await self._store.wait(position)

    async def _near(self, after: int) -> Batch | None:
        """Read the new events with their anchor; return None if there are too many for that."""
        upto = min(after + NEAR_POSITIONS, POSITION_LIMIT)
        found = [each async for each in self._store.read(EVERYTHING, after=max(after - 1, 0), upto=upto)]
        events, through = [event for each in found for event in each.events], found[-1].through
        if not after < through < after + NEAR_POSITIONS:
            return None
        self.seen = {event.position: event for event in events}
        matches = self._criteria.matches
        return Batch([each for each in events if each.position > after and matches(each.type, each.tags)], through)

    async def _far(self, after: int) -> AsyncIterator[Batch]:
        self.seen = {}
        async for batch in self._store.read(self._criteria, after=after, data_only=self._data_only):
            self._few = batch.through < after + NEAR_POSITIONS
            if batch.through != after:
                after = batch.through
                yield batch
