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

    Several keepers of one process may pause at once, as one that splits a model does for a while beside the first.
    """

    def __init__(self, me: str, now: Stopwatch) -> None:
        self._pausing: dict[asyncio.Task[Any], asyncio.Future[None]] = {}
        self._changed = asyncio.Event()
        self.terms = Terms(me, 5.0, now, self._pause)

    async def turn(self) -> None:
        """Let each keeper that pauses take one turn, and return when all have, or have ended."""
        await self._until(lambda: bool(self._pausing))
        let, self._pausing = self._pausing, {}
        for keeper, pause in let.items():
            keeper.add_done_callback(self._note)
            if not pause.done():
                pause.set_result(None)
        await self._until(lambda: all(keeper.done() or keeper in self._pausing for keeper in let))

    async def _pause(self, seconds: float) -> None:
        keeper = asyncio.current_task()
        assert keeper is not None, "keepers run in tasks"
        pause = self._pausing[keeper] = asyncio.get_running_loop().create_future()
        self._changed.set()
        try:
            await pause
        except asyncio.CancelledError:
            self._pausing.pop(keeper, None)
            raise

    def _note(self, keeper: asyncio.Task[Any]) -> None:
        self._changed.set()

    async def _until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            self._changed.clear()
            await self._changed.wait()
