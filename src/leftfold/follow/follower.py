"""Followers: what reads the log and acts on it, and the one loop that runs them."""

import asyncio
import logging
from collections.abc import Coroutine
from datetime import datetime
from typing import Any, Protocol

import msgspec

from leftfold.errors import ForkedStore, LeaseLost, LogReplaced, StoreClosed
from leftfold.follow.worker_lease import WorkerLease
from leftfold.model.clock import Clock
from leftfold.model.criteria import Criteria
from leftfold.model.failure import IN_STATUS, in_words, loggable
from leftfold.model.record import StoredEvent
from leftfold.store.contract import Batch, EventStore

SHORTEST_RETRY, LONGEST_RETRY = 0.05, 2.0  # seconds before a step that failed is tried again
LONGEST_WAIT = 1.0  # seconds: a step of the wall clock is noticed this late at most

log = logging.getLogger("leftfold.background")


class Pauses(msgspec.Struct, frozen=True):
    """How many seconds events gather once the log has grown, so that not each of them needs a read.

    From `shortest` the pause doubles up to `longest` while the follower finds nothing to do. `hurry` ends it at once.
    """

    shortest: float = 0.002
    longest: float = 0.002
    hurry: asyncio.Event = msgspec.field(default_factory=asyncio.Event)


class Follower(Protocol):
    """Something that reads events from a position on and acts on them: `limit` events of its `criteria` at a time."""

    name: str
    criteria: Criteria
    limit: int
    pauses: Pauses

    @property
    def progress(self) -> str:
        """What the follower has done, for a status; empty if its position says it all."""
        ...

    async def start(self) -> int:
        """Return the position to go on from. Called before the first batch, and again after `handle` failed."""
        ...

    async def handle(self, batch: Batch) -> int:
        """Act on a batch and on what is due, and record that; return the position to go on from.

        That is `batch.through`, or an earlier position for what has to be read again.
        """
        ...

    def due(self) -> datetime | None:
        """When `handle` is to be called although nothing was appended; None if no such time is known."""
        ...


class Worker:
    """Runs a follower: in a task once it is started, or step by step. With a lease only while this process holds it.

    If a step fails the worker tries again. It shows the error as `trouble`, and logs each new one once with its
    traceback.
    """

    def __init__(self, follower: Follower, store: EventStore, clock: Clock, lease: WorkerLease | None = None) -> None:
        self.follower = follower
        self._store = store
        self._clock = clock
        self._lease = lease
        self._trouble: Exception | None = None
        self._is_started = False
        self._position = 0
        self._seen = 0  # there is nothing to do before something is appended after this position, or is due
        self._is_held_up = False
        self._pause = follower.pauses.shortest
        self._closing = False
        self._stepping = asyncio.Lock()
        self._idle: asyncio.Task[object] | None = None
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Worker {self.name}, {self.state}>"

    @property
    def name(self) -> str:
        """The name of the follower."""
        return self.follower.name

    @property
    def trouble(self) -> Exception | None:
        """The error of the last step, or what keeps this process from the lease."""
        return self._trouble if self._lease is None else self._trouble or self._lease.trouble

    @property
    def state(self) -> str:
        """How far the follower has come, in words."""
        return ", ".join(filter(None, (f"at {self._position}", self.follower.progress)))

    @property
    def running(self) -> bool:
        """Whether the worker steps by itself."""
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        """Step whenever there is something to do."""
        self._task = asyncio.create_task(self._run(), name=self.name)

    async def step(self) -> bool:
        """Do what can be done now, unless another process holds the lease. Returns whether there was anything to do."""
        async with self._stepping:
            if self._lease is None:
                return await self._step()
            await self._lease.decided.wait()
            try:
                return self._lease.held.is_set() and await self._step()
            except LeaseLost:
                log.info("%s: the log refused an append, because another process has taken over the work", self.name)
                self._lease.refused()
                return False

    async def close(self) -> None:
        """Finish the step under way, then stop."""
        self._closing = True
        if self._idle is not None:
            self._idle.cancel()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _step(self) -> bool:
        follower = self.follower
        if not self._is_started:
            self._position = await follower.start()
        due = follower.due()
        is_due = due is not None and due <= self._clock.now()
        head = await self._store.head() if self._is_held_up else 0
        before, batch = self._position, await self._read()
        self._is_started = False  # start again if this fails
        self._position = await follower.handle(batch)
        self._is_started = True
        self._is_held_up = before == self._position < batch.through
        self._seen = head if self._is_held_up else self._position
        found = is_due or (bool(batch.events) and before != self._position)
        pauses = follower.pauses
        self._pause = pauses.shortest if found else min(2 * self._pause, pauses.longest)
        return found

    async def _read(self) -> Batch:
        events, through = list[StoredEvent](), self._position
        read = self._store.read(self.follower.criteria, after=self._position, limit=self.follower.limit)
        async for batch in read:
            events += batch.events
            through = batch.through
        return Batch(events, through)

    async def _run(self) -> None:
        retry = SHORTEST_RETRY
        while not self._closing:
            try:
                if self._lease is not None:
                    await self._idle_until(self._lease.held.wait())
                while not self._closing and await self.step():
                    retry = SHORTEST_RETRY
                self._note(None)
                await self._idle_until(self._until_there_is_work())
            except (StoreClosed, ForkedStore):  # the parent's own goes on
                return
            except LogReplaced as reason:  # for good: the store refuses everything from now on
                return self._end(reason)
            except Exception as trouble:  # noqa: BLE001 a worker that ends unseen is worse than one that tries again
                self._note(trouble)
                await asyncio.sleep(retry)
                retry = min(retry * 2, LONGEST_RETRY)

    async def _until_there_is_work(self) -> None:
        """Wait until the log has grown, and a little for more, or until something is due."""
        due, pauses = self.follower.due(), self.follower.pauses
        timeout = None if due is None else min(max((due - self._clock.now()).total_seconds(), 0.0), LONGEST_WAIT)
        time = asyncio.get_running_loop().time
        began = time()
        head = await self._store.wait(self._seen, timeout)
        if time() - began > pauses.longest:
            self._pause = pauses.shortest
        if head > self._seen:
            try:
                async with asyncio.timeout(self._pause):
                    await pauses.hurry.wait()
            except TimeoutError:
                pass
            pauses.hurry.clear()

    async def _idle_until(self, something: Coroutine[Any, Any, object]) -> None:
        if self._closing:
            something.close()
            return
        self._idle = asyncio.create_task(something)
        try:
            await asyncio.wait([self._idle])
            if not self._idle.cancelled():
                self._idle.result()
        finally:
            self._idle.cancel()
            self._idle = None

    def _end(self, reason: LogReplaced) -> None:
        self._trouble = reason
        log.error("%s has stopped: %s", self.name, in_words(reason), exc_info=loggable(reason), extra=IN_STATUS)

    def _note(self, trouble: Exception | None) -> None:
        before, self._trouble = self._trouble, trouble
        if trouble is None and before is not None:
            log.info("%s works again", self.name, extra=IN_STATUS)
        elif trouble is not None and (before is None or in_words(before) != in_words(trouble)):
            what, details = "%s failed and tries again: %s", loggable(trouble)
            log.error(what, self.name, in_words(trouble), exc_info=details, extra=IN_STATUS)
