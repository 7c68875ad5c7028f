"""Time as a test of leases has it: it passes, and holders are heard of, when the test says so."""

import asyncio
from collections.abc import Callable
from typing import Any

from leftfold.follow.lease import Terms


class Stopwatch:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Awake:
    """A process that takes its turns when it is let; unless it is, nothing is heard of it.

    Several lease holders of one process may pause at once: one that splits a model does so beside the first.
    """

    def __init__(self, me: str, now: Stopwatch) -> None:
        self._pausing: dict[asyncio.Task[Any], asyncio.Future[None]] = {}
        self._changed = asyncio.Event()
        self.terms = Terms(me, 5.0, now, self._pause)

    async def turn(self) -> None:
        """Let each task that pauses take one turn, and return when all have, or have ended."""
        await self._until(lambda: bool(self._pausing))
        let, self._pausing = self._pausing, {}
        for task, pause in let.items():
            task.add_done_callback(self._note)
            if not pause.done():
                pause.set_result(None)
        await self._until(lambda: all(task.done() or task in self._pausing for task in let))

    async def _pause(self, seconds: float) -> None:
        task = asyncio.current_task()
        assert task is not None, "holders run in tasks"
        pause = self._pausing[task] = asyncio.get_running_loop().create_future()
        self._changed.set()
        try:
            await pause
        except asyncio.CancelledError:
            self._pausing.pop(task, None)
            raise

    def _note(self, task: asyncio.Task[Any]) -> None:
        self._changed.set()

    async def _until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            self._changed.clear()
            await self._changed.wait()
