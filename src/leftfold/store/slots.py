"""Slots: how many callers may work at once."""

import asyncio
from collections import deque


class Slots:
    """Lets so many callers work at once; others wait in the order in which they came. Belongs to one event loop.

    A caller takes a slot by `if slots.free: slots.free -= 1`, and `else: await slots.wait()`. `asyncio.Semaphore` does
    the same, but takes a tenth of the time of a whole append.
    """

    __slots__ = ("_waiting", "free")

    def __init__(self, number: int) -> None:
        self.free = number
        self._waiting: deque[asyncio.Future[None]] = deque()

    def __repr__(self) -> str:
        return f"<Slots {self.free} free, {len(self._waiting)} waiting>"

    async def wait(self) -> None:
        """Wait until another caller leaves its slot to this one."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.leave()
            raise

    def leave(self) -> None:
        """Leave a slot to the first caller who waits."""
        if not self._waiting:
            self.free += 1
            return
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self.free += 1
