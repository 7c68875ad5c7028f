"""Background work: a worker that steps whenever there is something to do, and is stopped between two steps."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Protocol

from leftfold.errors import ForkedStore, LeaseLost, LogReplaced, StoreClosed
from leftfold.model.failure import IN_STATUS, in_words, loggable

SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 2.0  # seconds

log = logging.getLogger("leftfold.background")


class Worker(Protocol):
    """Something that follows the log and acts on it, one step at a time."""

    async def step(self) -> bool:
        """Do what can be done now; whether there was anything to do."""
        ...

    async def until_there_is_work(self) -> None:
        """Return when another step may find something to do."""
        ...


class Turn(Protocol):
    """Whether the work is this process's to do: where several may do it, one does."""

    @property
    def trouble(self) -> Exception | None:
        """What keeps the work from this process although waiting will not help."""
        ...

    @property
    def held(self) -> bool:
        """Whether it is."""
        ...

    async def until_held(self) -> None:
        """Return once it is."""
        ...

    async def until_decided(self) -> None:
        """Return once it is known whether it is."""
        ...

    def refused(self) -> None:
        """The work was refused, so it is another process's."""
        ...


class Background:
    """Runs a worker in a task once it is started; trouble is waited out and shown as `trouble`.

    With a `turn`, the worker steps only while it is this process's. Each new trouble is logged once, with its
    traceback, and so is its end.
    """

    def __init__(self, worker: Worker, turn: Turn | None = None) -> None:
        self._trouble: Exception | None = None
        self._worker = worker
        self._turn = turn
        self._closing = False
        self._stepping = asyncio.Lock()
        self._idle: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Background {self._worker!r}>"

    @property
    def trouble(self) -> Exception | None:
        """What the worker ran into, or what keeps the work from it."""
        return self._trouble if self._turn is None else self._trouble or self._turn.trouble

    @property
    def name(self) -> str:
        """What the worker is."""
        return str(getattr(self._worker, "name", type(self._worker).__name__))

    @property
    def state(self) -> str:
        """Where the worker is, in its own words."""
        return repr(self._worker).strip("<>")

    @property
    def running(self) -> bool:
        """Whether it steps by itself."""
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        """Step whenever there is something to do."""
        self._task = asyncio.create_task(self._run(), name=repr(self._worker))

    async def step(self) -> bool:
        """Let the worker do what can be done now, if it is this process's to do; one step at a time, whoever asks."""
        async with self._stepping:
            if self._turn is None:
                return await self._worker.step()
            await self._turn.until_decided()
            try:
                return self._turn.held and await self._worker.step()
            except LeaseLost:
                log.info("%r: what it appended was refused", self._worker)
                self._turn.refused()
                return False

    async def close(self) -> None:
        """Finish the step under way, then stop."""
        self._closing = True
        if self._idle is not None:
            self._idle.cancel()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        pause = SHORTEST_PAUSE
        while not self._closing:
            try:
                if self._turn is not None:
                    await self._idle_until(self._turn.until_held())
                while not self._closing and await self.step():
                    pause = SHORTEST_PAUSE
                self._note(None)
                await self._idle_until(self._worker.until_there_is_work())
            except (StoreClosed, ForkedStore):  # the parent's own goes on
                return
            except LogReplaced as reason:  # for good: the store refuses everything from now on
                return self._end(reason)
            except Exception as trouble:  # noqa: BLE001 a worker that ends unseen is worse than one that tries again
                self._note(trouble)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)

    def _end(self, reason: LogReplaced) -> None:
        self._trouble = reason
        log.error("%s has stopped: %s", self.name, in_words(reason), exc_info=loggable(reason), extra=IN_STATUS)

    def _note(self, trouble: Exception | None) -> None:
        before, self._trouble = self._trouble, trouble
        if trouble is not None and (before is None or in_words(before) != in_words(trouble)):
            log.error(
                "%s failed and is tried again: %s",
                self.name,
                in_words(trouble),
                exc_info=loggable(trouble),
                extra=IN_STATUS,
            )
        elif trouble is None and before is not None:
            log.info("%s goes on", self.name, extra=IN_STATUS)

    async def _idle_until(self, something: Coroutine[Any, Any, None]) -> None:
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
