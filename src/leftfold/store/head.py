"""The newest position that this process knows of, and those who wait for a newer one."""

import asyncio
from contextlib import suppress
from math import inf

from leftfold.errors import StoreUnavailable


class Head:
    """Wakes its waiters when the log grows. Belongs to one event loop.

    Who waits for more than is known so far goes on waiting, seen by `awaited`: a read may have been further than the
    newest look at the head, and whoever looks for commits of other processes must not stop then.
    """

    def __init__(self) -> None:
        self.known = 0
        self._waiting: dict[asyncio.Future[None], int] = {}

    def __repr__(self) -> str:
        return f"<Head {self.known}, {len(self._waiting)} waiting>"

    @property
    def awaited(self) -> bool:
        """Whether anyone waits."""
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
        """Send the waiters home with an error."""
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(error)
        self._waiting.clear()

    async def beyond(self, after: int, timeout: float | None) -> int:
        """Return once the head is beyond `after`, or when `timeout` seconds have passed."""
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


class News:
    """What was notified: hints that it is worth looking at the head, no more. Every role can send one with any text."""

    def __init__(self, head: Head) -> None:
        self.came = False  # whether the last wait ended by news
        self._head = head
        self._arrived = asyncio.Event()
        self._upto: float = 0

    def __repr__(self) -> str:
        return f"<News up to {self._upto:g}>"

    def hear(self, said: str) -> None:
        """Note a position up to which there may be events; of any other text nothing is believed."""
        is_position = said.isascii() and said.isdecimal() and len(said) < 20
        self._upto = max(self._upto, int(said) if is_position else inf)
        self._arrived.set()

    async def wait(self, seconds: float) -> None:
        """Return when something was heard that is not known yet, or when the time has passed."""
        self.came = False
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self.came:
                    await self._arrived.wait()
                    self._arrived.clear()
                    upto, self._upto = self._upto, 0
                    self.came = upto > self._head.known
