"""The newest position that this process knows, and the callers that wait for a newer one."""

import asyncio
from contextlib import suppress
from math import inf

from leftfold.errors import StoreUnavailable


class Head:
    """Wakes its waiters when the log grows. Belongs to one event loop.

    A waiter stays until the head is beyond its position, even if that is far ahead: a read may have gone further than
    the last look at the head. While `awaited` is true, the store must go on looking for commits of other processes.
    """

    def __init__(self) -> None:
        self.known = 0
        self._waiting: dict[asyncio.Future[None], int] = {}

    def __repr__(self) -> str:
        return f"<Head {self.known}, {len(self._waiting)} waiting>"

    @property
    def awaited(self) -> bool:
        """Return whether anyone waits."""
        return bool(self._waiting)

    def advance(self, position: int) -> None:
        """Note that the log has grown to `position`; an older position changes nothing."""
        if position <= self.known:
            return
        self.known = position
        for waiter in [waiter for waiter, after in self._waiting.items() if after < position]:
            del self._waiting[waiter]
            if not waiter.done():
                waiter.set_result(None)

    def fail(self, error: StoreUnavailable) -> None:
        """End all waits with an error."""
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(error)
        self._waiting.clear()

    async def beyond(self, after: int, timeout: float | None) -> int:
        """Return the head once it is beyond `after`, or after `timeout` seconds."""
        limit = asyncio.timeout(timeout)
        try:
            async with limit:
                while self.known <= after:
                    await self._next(after)
        except TimeoutError:
            if not limit.expired():  # an error of the store, such as StoreBusy
                raise
        return self.known

    async def _next(self, after: int) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiting[waiter] = after
        try:
            await waiter
        finally:
            self._waiting.pop(waiter, None)


class Notifications:
    """Collects notifications. They are only hints to look at the head, because any role can send any text."""

    def __init__(self, head: Head) -> None:
        self.is_new = False  # whether the last wait ended by a notification of a position beyond the head
        self._head = head
        self._signal = asyncio.Event()
        self._upto: float = 0

    def __repr__(self) -> str:
        return f"<Notifications up to {self._upto:g}>"

    def note(self, text: str) -> None:
        """Note a position up to which there may be events. Any other text only means that there may be some."""
        is_position = text.isascii() and text.isdecimal() and len(text) < 20
        self._upto = max(self._upto, int(text) if is_position else inf)
        self._signal.set()

    async def wait(self, seconds: float) -> None:
        """Return at a notification of something beyond the known head, or after so many seconds."""
        self.is_new = False
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self.is_new:
                    await self._signal.wait()
                    self._signal.clear()
                    upto, self._upto = self._upto, 0
                    self.is_new = upto > self._head.known
