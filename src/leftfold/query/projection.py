"""Projections: each read model follows the log in a task of its own."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from leftfold.errors import (
    LeaseLost,
    LeftfoldError,
    LogReplaced,
    ProjectionFailed,
    ProjectionParked,
    ReadModelDiverged,
    StoreClosed,
)
from leftfold.model.criteria import Criteria
from leftfold.model.failure import in_words
from leftfold.model.record import StoredEvent
from leftfold.query.anchors import Anchors, LiveReads
from leftfold.query.progress import CheckpointMoved, ProjectionProgress
from leftfold.store.contract import Batch, EventStore

if TYPE_CHECKING:
    from leftfold.query.tables.folding import SqlFolding, StoredFolding

SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 2.0  # seconds
HELD_UP_PAUSE = 0.25  # seconds between two looks whether an event still holds up a free-form projection
MANY = 1_000  # events in one batch, after which it is worth a look how far the log is ahead
AT_ONCE, BYTES_AT_ONCE = 16_000, 4_194_304  # when events are enough for one transaction

T = TypeVar("T")


class Projection:
    """Keeps one read model up with the log until it is cancelled, or until an event cannot be folded.

    Trouble with a database is waited out; `standing` tells of it meanwhile.
    """

    def __init__(
        self,
        store: EventStore,
        criteria: Criteria,
        folding: "StoredFolding | SqlFolding",
        standing: ProjectionProgress,
        writer: Executor,
        anchors: Anchors,
        *,
        data_only: bool = True,
    ) -> None:
        self.standing = standing
        self._store = store
        self._criteria = criteria
        self._folding = folding
        self._writer = writer
        self._anchors = anchors
        self._reads = LiveReads(store, criteria, data_only=data_only)
        self._data_only = data_only
        self._pause = SHORTEST_PAUSE

    def __repr__(self) -> str:
        return f"<Projection {self.standing!r}>"

    async def run(self) -> None:
        """Follow the log; `LeaseLost` when another process does so now, `ReadModelDiverged` when the log is another."""
        try:
            while True:
                await self._follow_until_disturbed()
        except (ProjectionFailed, StoreClosed) as reason:
            self.standing.reached(self._folding.position)
            self.standing.end(reason)
        except LogReplaced as reason:
            self.standing.refuse(reason)
        except (LeaseLost, ReadModelDiverged):
            raise
        except Exception as error:  # noqa: BLE001 waiters would wait for ever if this ended unseen
            failed = ProjectionFailed(self.standing.model, self.standing.position, in_words(error))
            failed.__cause__ = error
            self.standing.end(failed)

    async def _follow_until_disturbed(self) -> None:
        try:
            await self._follow_until_held_up()
        except (LeaseLost, LogReplaced, ProjectionFailed, ReadModelDiverged, StoreClosed):
            raise
        except LeftfoldError as trouble:
            self.standing.get_into(trouble)
            await asyncio.sleep(self._pause)
            self._pause = min(self._pause * 2, LONGEST_PAUSE)

    async def _follow_until_held_up(self) -> None:
        try:
            await self._follow()
        except CheckpointMoved:
            await self._reload()
        except ProjectionParked as parked:
            self.standing.reached(self._folding.position)
            self.standing.hold_up(parked)
            await self._until_released()

    async def _follow(self) -> None:
        async for batch in self._together(self._reads.after(self._folding.position)):
            await self._check_history(batch.through)
            await self._fold(batch)
            self.standing.reached(batch.through, changed=bool(batch.events))
            self._pause = SHORTEST_PAUSE

    async def _check_history(self, through: int) -> None:
        """Refuse what was just read if it does not follow on the event that was folded last."""
        at = self._folding.checkpoint
        if not await self._anchors.holds(at.position, at.identity, through, self._reads.seen):
            raise ReadModelDiverged(self.standing.model, at.position)

    async def _fold(self, batch: Batch) -> None:
        try:
            await self._in_writer(partial(self._folding.step, batch))
        except ProjectionFailed:
            if not self._data_only:
                raise
            await self._fold_with_tags(batch.through)

    async def _fold_with_tags(self, through: int) -> None:
        """Go on with whole events: the tags name the keys of one whose data cannot be read."""
        async for batch in self._store.read(self._criteria, after=self._folding.position, upto=through):
            await self._in_writer(partial(self._folding.step, batch))

    async def _together(self, batches: AsyncIterator[Batch]) -> AsyncIterator[Batch]:
        """Several batches as one while the log is far ahead: a row that many events concern is then written once."""
        head, size, events = 0, 0, list[StoredEvent]()
        async for batch in batches:
            events += batch.events
            size += sum(len(event.data) + len(event.metadata) for event in batch.events)
            if len(batch.events) >= MANY and len(events) < AT_ONCE and size < BYTES_AT_ONCE:
                if batch.through >= head:
                    head = await self._store.head()
                if batch.through < head:  # so that the next batch is sure to come
                    continue
            yield Batch(events, batch.through)
            size, events = 0, []

    async def _until_released(self) -> None:
        """Until someone, here or in another process, has let it go on."""
        held_up = True
        while held_up:
            await asyncio.sleep(HELD_UP_PAUSE)
            held_up = await self._in_writer(self._folding.is_held_up)
        await self._reload()

    async def _reload(self) -> None:
        """Go on from the checkpoint as it is stored now, if the log has the event there: anybody may have moved it."""
        await self._in_writer(self._folding.reload)
        at = self._folding.checkpoint
        if not await self._anchors.holds(at.position, at.identity, at.position, {}):
            raise ReadModelDiverged(self.standing.model, at.position)
        self.standing.reached(self._folding.position)

    async def _in_writer(self, step: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, step)
