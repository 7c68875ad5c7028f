"""Projections: each read model follows the log in a task of its own."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
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
from leftfold.model.record import StoredEvent, bytes_of_data, joined
from leftfold.query.folded_log import NEAR_POSITIONS
from leftfold.query.progress import CheckpointMoved, ProjectionProgress
from leftfold.query.read_model import ReadModelDefinition
from leftfold.store.bounds import POSITION_LIMIT
from leftfold.store.contract import Batch, EventStore

if TYPE_CHECKING:
    from leftfold.query.tables.models_database import ModelsDatabase
    from leftfold.query.tables.projector import Projector

SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 2.0  # seconds
HELD_UP_PAUSE = 0.25  # seconds between two looks whether an event still holds up an SQL projection
FULL_BATCH = 1_000  # events in one batch, after which the log may be far ahead
EVENTS_PER_TRANSACTION, BYTES_PER_TRANSACTION = 16_000, 4_194_304


class Projection:
    """Keeps one read model up with the log until it is cancelled, or until an event cannot be applied.

    It waits out trouble with a database, which `progress` shows meanwhile.
    """

    def __init__(
        self,
        definition: ReadModelDefinition,
        database: "ModelsDatabase",
        projector: "Projector",
        progress: ProjectionProgress,
    ) -> None:
        self.progress = progress
        self._log = database.log
        self._store = database.log.store
        self._writer = database.writer
        self._criteria = database.log.criteria(definition)
        self._projector = projector
        self._data_only = definition.data_only and not database.log.registry.needs_records
        self._reads = LiveReads(self._store, self._criteria, data_only=self._data_only)
        self._pause = SHORTEST_PAUSE
        self._held_up = False
        self._moved = False  # whether something else may have moved the checkpoint

    def __repr__(self) -> str:
        return f"<Projection {self.progress!r}>"

    async def run(self) -> None:
        """Follow the log until that is over; show why it is over, or what it waits for, as `progress`.

        Raise `LeaseLost` if another process follows it, `ReadModelDiverged` if the log is another.
        """
        while True:
            try:
                await self._follow()
            except CheckpointMoved:
                self._moved = True
            except ProjectionParked as parked:
                self.progress.reached(self._projector.position)
                self.progress.hold_up(parked)
                self._held_up = True
            except (LeaseLost, ReadModelDiverged):
                raise
            except LogReplaced as reason:
                return self.progress.refuse(reason)
            except (ProjectionFailed, StoreClosed) as reason:
                self.progress.reached(self._projector.position)
                return self.progress.end(reason)
            except LeftfoldError as trouble:
                self.progress.get_into(trouble)
                await asyncio.sleep(self._pause)
                self._pause = min(self._pause * 2, LONGEST_PAUSE)

    async def _follow(self) -> None:
        await self._resume()
        loop = asyncio.get_running_loop()
        async for batch in self._full_batches(self._reads.after(self._projector.position)):
            at = self._projector.checkpoint
            if not await self._log.holds(at.position, at.identity, batch.through, self._reads.seen):
                raise ReadModelDiverged(self.progress.model, at.position)  # it does not follow on what was folded last
            try:
                await loop.run_in_executor(self._writer, self._projector.step, batch)
            except ProjectionFailed:
                if not self._data_only:
                    raise
                await self._step_with_tags(batch.through)
            self.progress.reached(batch.through, changed=bool(batch.events))
            self._pause = SHORTEST_PAUSE

    async def _step_with_tags(self, upto: int) -> None:
        """Go on with whole events: the tags of an event that cannot be decoded name its keys."""
        async for batch in self._store.read(self._criteria, after=self._projector.position, upto=upto):
            await asyncio.get_running_loop().run_in_executor(self._writer, self._projector.step, batch)

    async def _full_batches(self, batches: AsyncIterator[Batch]) -> AsyncIterator[Batch]:
        """Join batches while the log is far ahead: a row that many events concern is then written once."""
        head, size, count, parts = 0, 0, 0, list[Sequence[StoredEvent]]()
        async for batch in batches:
            parts.append(batch.events)
            count += len(batch.events)
            size += bytes_of_data(batch.events)
            is_full = count >= EVENTS_PER_TRANSACTION or size >= BYTES_PER_TRANSACTION
            if len(batch.events) >= FULL_BATCH and not is_full:
                if batch.through >= head:
                    head = await self._store.head()
                if batch.through < head:  # so that the next batch is sure to come
                    continue
            yield Batch(joined(parts), batch.through)
            size, count, parts = 0, 0, []

    async def _resume(self) -> None:
        """Wait until nothing holds it up; go on from the stored checkpoint if something else may have moved it."""
        in_writer = partial(asyncio.get_running_loop().run_in_executor, self._writer)
        while self._held_up:
            await asyncio.sleep(HELD_UP_PAUSE)
            self._held_up = await in_writer(self._projector.is_held_up)
            self._moved = True
        if not self._moved:
            return
        await in_writer(self._projector.reload)
        at = self._projector.checkpoint
        if not await self._log.holds(at.position, at.identity, at.position, {}):
            raise ReadModelDiverged(self.progress.model, at.position)
        self.progress.reached(self._projector.position)
        self._moved = False


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
