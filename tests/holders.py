"""Time as a test of leases has it: it passes, and holders are heard of, when the test says so."""

import asyncio

from leftfold.leases import Terms


class Stopwatch:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Awake:
    """A process that takes its turns when it is let; unless it is, nothing is heard of it."""

    def __init__(self, me: str, now: Stopwatch) -> None:
        self._turns: asyncio.Queue[None] = asyncio.Queue()
        self._paused = asyncio.Event()
        self.terms = Terms(me, 5.0, now, self._pause)

    async def turn(self) -> None:
        """Let it take one turn, and return when it has."""
        await self._paused.wait()
        self._paused.clear()
        self._turns.put_nowait(None)
        await self._paused.wait()

    async def _pause(self, seconds: float) -> None:
        self._paused.set()
        await self._turns.get()
