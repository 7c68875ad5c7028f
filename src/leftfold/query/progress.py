"""How far a read model has come, whether its rows have changed, and the tasks that wait for either."""

import asyncio
import logging
from collections.abc import Iterable, Mapping

from leftfold.errors import (
    LeftfoldError,
    LogReplaced,
    PositionAhead,
    ProjectionParked,
    ReadModelBehind,
    ReadModelDiverged,
    StoreClosed,
)
from leftfold.model.clock import Clock
from leftfold.model.failure import IN_STATUS, in_words, loggable
from leftfold.query.read_model import ReadModelDefinition
from leftfold.query.shard import Shard
from leftfold.store.contract import EventStore
from leftfold.store.time_travel import event_at


async def seconds_behind(store: EventStore, position: int, clock: Clock) -> float:
    """Seconds since the first event after this position was committed; 0 when there is none."""
    try:
        waiting = await event_at(store, position + 1)
    except PositionAhead:
        return 0.0
    return max((clock.now() - waiting.time).total_seconds(), 0.0)


log = logging.getLogger("leftfold.projections")

NOT_TO_BE_ANSWERED_FROM = -1


class CheckpointMoved(Exception):
    """Another process has folded what was about to be folded; nothing was written."""


class Behind(BaseException):  # not an Exception: a query handler's own `except` must not hold it up
    """Unwinds a query that touches a model which has not reached the position that the query needs."""

    def __init__(self, definition: ReadModelDefinition, position: int) -> None:
        super().__init__(definition, position)
        self.definition = definition
        self.position = position


class ProjectionProgress:
    """The position that a read model is known to have reached; wakes its waiters. Belongs to one event loop.

    `changes` counts how often its rows may have changed: not with a position alone, since most events concern other
    models, and without one when a parked key is retried or a rebuilt table is swapped in.
    """

    def __init__(self, model: str, position: int, wanted: asyncio.Event | None = None) -> None:
        self.model = model
        self.position = position
        self.changes = 0
        self.ended: LeftfoldError | None = None
        self.trouble: LeftfoldError | None = None
        self.waiting: set[asyncio.Future[None]] = set()
        self.wanted = wanted  # set when someone begins to wait: others fold the model, and have to be looked after

    def __repr__(self) -> str:
        return f"<ProjectionProgress {self.model} at {self.position}{', ended' if self.ended else ''}>"

    @property
    def awaited(self) -> bool:
        """Whether anyone waits."""
        return bool(self.waiting)

    def reached(self, position: int, *, changed: bool = True) -> None:
        """Note where the model stands now, and whether its rows may have changed on the way."""
        if isinstance(self.ended, LogReplaced):
            return
        self.position = position
        self.changes += changed
        if self.trouble is not None:
            log.info("%s goes on from position %d", self.model, position, extra=IN_STATUS)
        self.trouble = None
        self._wake()

    def get_into(self, trouble: LeftfoldError) -> None:
        """Note what keeps it from going on for the time being; new trouble is logged once."""
        before, self.trouble = self.trouble, trouble
        if before is None or in_words(before) != in_words(trouble):
            log.error("%s waits: %s", self.model, in_words(trouble), exc_info=loggable(trouble), extra=IN_STATUS)

    def diverged(self, reason: ReadModelDiverged) -> None:
        """Note that the rows are of another history: nothing is answered from them, and they will be folded again."""
        if not isinstance(self.trouble, ReadModelDiverged):
            self.reached(NOT_TO_BE_ANSWERED_FROM)
        self.get_into(reason)

    def disturbed(self) -> None:
        """Note that rows may have changed while the position did not."""
        self.changes += 1
        self._wake()

    def end(self, reason: LeftfoldError) -> None:
        """Note that the model will not go on, and why, and log it; whoever waits for more hears of it."""
        if self.ended is None and not isinstance(reason, StoreClosed):
            log.error("%s has stopped: %s", self.model, in_words(reason), exc_info=loggable(reason), extra=IN_STATUS)
        self.ended = reason
        self._wake()

    def refuse(self, reason: LogReplaced) -> None:
        """Note that what was folded, and what is being folded, is of another log than this process reads."""
        self.reached(NOT_TO_BE_ANSWERED_FROM)
        self.end(reason)

    def hold_up(self, reason: ProjectionParked) -> None:
        """Note that an event holds it up until someone lets it go on."""
        self.trouble = reason
        self._wake()

    async def settle(self, position: int) -> None:
        """Return once the model has reached `position`, or an event holds it up."""
        while self.position < position and not isinstance(self.trouble, ProjectionParked):
            self.check_going_on()
            await _woken((self,))

    async def reach(self, position: int, timeout: float | None) -> None:
        """Return once the model has reached `position`; `ReadModelBehind` after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                while self.position < position:
                    self.check_going_on()
                    await _woken((self,))
        except TimeoutError:
            raise ReadModelBehind(self.model, self.position, position, timeout or 0) from self.trouble

    def check_going_on(self) -> None:
        """Raise what the model has ended with, if it has."""
        if self.ended is not None:
            raise self.ended.with_traceback(None)  # it is raised for many: its traceback must not grow

    def _wake(self) -> None:
        for waiter in self.waiting:
            if not waiter.done():
                waiter.set_result(None)
        self.waiting.clear()


class ShardedProgress(ProjectionProgress):
    """The standing of a model in shards: it has come as far as the last of them, and changes with each."""

    def __init__(self, model: str, position: int, count: int, wanted: asyncio.Event | None = None) -> None:
        super().__init__(model, position, wanted)
        self.parts = [Part(self, position) for _ in range(count)]

    def gather(self, changed: bool) -> None:
        """Note what is noted of the shards."""
        self.position = min(part.position for part in self.parts)
        self.changes += changed
        self.ended = self.ended or next((part.ended for part in self.parts if part.ended), None)
        self.trouble = next((part.trouble for part in self.parts if part.trouble), None)
        self._wake()


class Part(ProjectionProgress):
    """The standing of one shard."""

    def __init__(self, whole: ShardedProgress, position: int) -> None:
        super().__init__(whole.model, position)
        self._whole = whole

    @property
    def awaited(self) -> bool:
        """Whether anyone waits for the model."""
        return self._whole.awaited

    def reached(self, position: int, *, changed: bool = True) -> None:
        """Note where the shard stands now."""
        super().reached(position, changed=changed)
        self._whole.gather(changed)

    def get_into(self, trouble: LeftfoldError) -> None:
        """Note what keeps the shard, and with it the model, from going on for the time being; logged once for both."""
        known = self._whole.trouble
        if known is not None and in_words(known) == in_words(trouble):
            self.trouble = trouble
        else:
            super().get_into(trouble)
        self._whole.gather(False)

    def end(self, reason: LeftfoldError) -> None:
        """Note that the shard will not go on, and so neither will the model; logged once for the model."""
        if self._whole.ended is reason:
            self.ended = reason
        else:
            super().end(reason)
        self._whole.gather(False)


Seen = Mapping[ProjectionProgress, int]
"""The read models behind an answer, and the `changes` of each before it was read."""


def progress_of(shard: Shard, whole: ProjectionProgress) -> ProjectionProgress:
    """The standing of a shard: the model's own where it is not split."""
    return whole.parts[shard.number - 1] if isinstance(whole, ShardedProgress) else whole


def unchanged(seen: Seen) -> bool:
    """Whether what was seen would be seen again."""
    return all(standing.changes == changes for standing, changes in seen.items())


async def change(seen: Seen) -> None:
    """Return once something would be seen otherwise; raises what a model has ended with, unless it changed before."""
    while True:
        for standing in seen:
            if isinstance(standing.ended, StoreClosed):
                standing.check_going_on()
        if not unchanged(seen):
            return
        for standing in seen:
            standing.check_going_on()
        await _woken(seen)


async def _woken(standings: Iterable[ProjectionProgress]) -> None:
    """Return when something new is noted of one of them."""
    among = tuple(standings)
    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    for standing in among:
        standing.waiting.add(waiter)
        if standing.wanted is not None:
            standing.wanted.set()
    try:
        await waiter
    finally:
        for standing in among:
            standing.waiting.discard(waiter)
