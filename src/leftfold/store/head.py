"""The newest position that this process knows of, and those who wait for a newer one."""

import asyncio

from leftfold.errors import StoreUnavailable


class Head:
    """Wakes its waiters when the log grows. Belongs to one event loop."""

    def __init__(self) -> None:
        self.known = 0
        self._waiting: set[asyncio.Future[None]] = set()
        self._callers = 0  # also those who have been woken, and may find that the head is not far enough yet

    def __repr__(self) -> str:
        return f"<Head {self.known}, {len(self._waiting)} waiting>"

    @property
    def awaited(self) -> bool:
        """Whether anyone waits."""
        return self._callers > 0

    def advance(self, position: int) -> None:
        """Note that the log has grown to `position`; an older position changes nothing."""
        if position <= self.known:
            return
        self.known = position
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
        self._waiting.clear()

    def fail(self, error: StoreUnavailable) -> None:
        """Send the waiters home with an error."""
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(error)
        self._waiting.clear()

    async def beyond(self, after: int, timeout: float | None) -> int:
        """Return once the head is beyond `after`, or when `timeout` seconds have passed."""
        self._callers += 1
        try:
            async with asyncio.timeout(timeout):
                while self.known <= after:
                    await self._next()
        except TimeoutError:
            pass
        finally:
            self._callers -= 1
        return self.known

    async def _next(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        try:
            await waiter
        finally:
            self._waiting.discard(waiter)
