"""How far a read model is, whether its rows have changed, and the tasks that wait for either."""

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
    """Return the seconds since the first event after this position was committed; 0 if there is none."""
    try:
        waiting = await event_at(store, position + 1)
    except PositionAhead:
        return 0.0
    return max((clock.now() - waiting.time).total_seconds(), 0.0)


log = logging.getLogger("leftfold.projections")

NOT_TO_BE_ANSWERED_FROM = -1


class CheckpointMoved(Exception):
    """Another process has folded what was about to be folded; nothing was written."""


class Behind(BaseException):  # not an Exception: a query handler's own `except` must not catch it
    """Unwinds a query that touches a model which has not reached the position that the query needs."""

    def __init__(self, definition: ReadModelDefinition, position: int) -> None:
        super().__init__(definition, position)
        self.definition = definition
        self.position = position


class ProjectionProgress:
    """The position that a read model is known to have reached; wakes its waiters. Belongs to one event loop.

    `changes` counts how often its rows may have changed: not with every position, since most events concern other
    models, and without a new position when a parked key is retried or a rebuilt table replaces the present one.

    A model in shards is at the lowest position of its shards, and changes with each; a shard tells its `whole`.
    """

    def __init__(
        self,
        model: str,
        position: int,
        wanted: asyncio.Event | None = None,
        shards: int = 1,
        whole: "ProjectionProgress | None" = None,
    ) -> None:
        self._whole = whole
        self._shards = [ProjectionProgress(model, position, whole=self) for _ in range(shards)] if shards > 1 else []
        self.model = model
        self.position = position
        self.changes = 0
        self.ended: LeftfoldError | None = None
        self.trouble: LeftfoldError | None = None
        self.waiting: set[asyncio.Future[None]] = set()
        self.wanted = wanted  # set when a task begins to wait for a model that another process folds

    def __repr__(self) -> str:
        return f"<ProjectionProgress {self.model} at {self.position}{', ended' if self.ended else ''}>"

    @property
    def awaited(self) -> bool:
        """Whether a task waits for it, or for the whole model."""
        return bool(self.waiting) or (self._whole is not None and self._whole.awaited)

    def of(self, shard: Shard) -> "ProjectionProgress":
        """Return the progress of a shard; that of the model if it has one shard."""
        return self._shards[shard.number - 1] if self._shards else self

    def reached(self, position: int, *, changed: bool = True) -> None:
        """Note the position of the model, and whether its rows may have changed on the way."""
        if isinstance(self.ended, LogReplaced):
            return
        self.position = position
        self.changes += changed
        if self.trouble is not None:
            log.info("%s continues from position %d", self.model, position, extra=IN_STATUS)
        self.trouble = None
        self._wake(changed=changed)

    def rows_changed(self) -> None:
        """Note that rows may have changed while the position did not."""
        self.changes += 1
        self._wake()

    def get_into(self, trouble: LeftfoldError) -> None:
        """Note what prevents it from going on for the time being; log new trouble once, for all shards."""
        known = {in_words(each) for each in (self.trouble, self._whole and self._whole.trouble) if each}
        self.trouble = trouble
        if in_words(trouble) not in known:
            log.error("%s waits: %s", self.model, in_words(trouble), exc_info=loggable(trouble), extra=IN_STATUS)
        if self._whole is not None:
            self._whole.gather(changed=False)

    def hold_up(self, reason: ProjectionParked) -> None:
        """Note that a parked event holds it up until that event is retried or skipped."""
        self.trouble = reason
        self._wake()

    def diverged(self, reason: ReadModelDiverged) -> None:
        """Note that the rows are of another history: no query reads them, and they will be folded again."""
        if not isinstance(self.trouble, ReadModelDiverged):
            self.reached(NOT_TO_BE_ANSWERED_FROM)
        self.get_into(reason)

    def end(self, reason: LeftfoldError) -> None:
        """Note and log that the model will not go on, and why; every waiter raises that. Log it once for all."""
        is_known = self.ended is not None or (self._whole is not None and self._whole.ended is reason)
        if not is_known and not isinstance(reason, StoreClosed):
            log.error("%s has stopped: %s", self.model, in_words(reason), exc_info=loggable(reason), extra=IN_STATUS)
        self.ended = reason
        self._wake()

    def refuse(self, reason: LogReplaced) -> None:
        """Note that the rows are of another log than the one that this process reads."""
        self.reached(NOT_TO_BE_ANSWERED_FROM)
        self.end(reason)

    async def wait_for(self, position: int, timeout: float | None) -> None:
        """Wait until the model has reached `position`; raise `ReadModelBehind` after `timeout` seconds."""
        limit = asyncio.timeout(timeout)
        try:
            async with limit:
                while self.position < position:
                    self.check_going_on()
                    await _woken((self,))
        except TimeoutError:
            if not limit.expired():  # what the model has ended with
                raise
            raise ReadModelBehind(self.model, self.position, position, timeout or 0) from self.trouble

    async def wait_until_held_up(self, position: int) -> None:
        """Wait until the model has reached `position`, or a parked event holds it up."""
        while self.position < position and not isinstance(self.trouble, ProjectionParked):
            self.check_going_on()
            await _woken((self,))

    def check_going_on(self) -> None:
        """Raise the reason why the model has ended, if it has."""
        if self.ended is not None:
            raise self.ended.with_traceback(None)  # many tasks raise it: its traceback must not grow

    def gather(self, *, changed: bool) -> None:
        """Note what was noted of the shards."""
        self.position = min(shard.position for shard in self._shards)
        self.changes += changed
        self.ended = self.ended or next((shard.ended for shard in self._shards if shard.ended), None)
        self.trouble = next((shard.trouble for shard in self._shards if shard.trouble), None)
        self._wake()

    def _wake(self, *, changed: bool = False) -> None:
        for waiter in self.waiting:
            if not waiter.done():
                waiter.set_result(None)
        self.waiting.clear()
        if self._whole is not None:
            self._whole.gather(changed=changed)


Seen = Mapping[ProjectionProgress, int]
"""The read models behind an answer, and the `changes` of each before it was read."""


def unchanged(seen: Seen) -> bool:
    """Return whether the same rows would be read again."""
    return all(progress.changes == changes for progress, changes in seen.items())


async def change(seen: Seen) -> None:
    """Wait until other rows would be read; raise why a model has ended, unless it changed before that."""
    while True:
        for progress in seen:
            if isinstance(progress.ended, StoreClosed):
                progress.check_going_on()
        if not unchanged(seen):
            return
        for progress in seen:
            progress.check_going_on()
        await _woken(seen)


async def _woken(models: Iterable[ProjectionProgress]) -> None:
    """Wait until something new is noted of one of these models."""
    among = tuple(models)
    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    for progress in among:
        progress.waiting.add(waiter)
        if progress.wanted is not None:
            progress.wanted.set()
    try:
        await waiter
    finally:
        for progress in among:
            progress.waiting.discard(waiter)
