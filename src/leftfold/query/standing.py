"""How far a read model has come, and those who wait for it to come further."""

import asyncio

from leftfold.errors import LeftfoldError, ReadModelBehind
from leftfold.query.read_model import ReadModelDefinition


class Overtaken(Exception):
    """Another process has folded what was about to be folded; nothing was written."""


class Behind(BaseException):  # not an Exception: a query handler's own `except` must not hold it up
    """Unwinds a query that touches a model which has not reached the position that the query needs."""

    def __init__(self, definition: ReadModelDefinition, position: int) -> None:
        super().__init__(definition, position)
        self.definition = definition
        self.position = position


class Standing:
    """The position that a read model is known to have reached; wakes its waiters. Belongs to one event loop."""

    def __init__(self, model: str, position: int, wanted: asyncio.Event | None = None) -> None:
        self.model = model
        self.position = position
        self.ended: LeftfoldError | None = None
        self.trouble: LeftfoldError | None = None
        self._waiting: set[asyncio.Future[None]] = set()
        self._wanted = wanted  # set when someone begins to wait: others fold the model, and have to be looked after

    def __repr__(self) -> str:
        return f"<Standing {self.model} at {self.position}{', ended' if self.ended else ''}>"

    @property
    def awaited(self) -> bool:
        """Whether anyone waits."""
        return bool(self._waiting)

    def reached(self, position: int) -> None:
        """Note where the model stands now."""
        self.position = position
        self.trouble = None
        self._wake()

    def end(self, reason: LeftfoldError) -> None:
        """Note that the model will not go on, and why; whoever waits for more hears of it."""
        self.ended = reason
        self._wake()

    async def reach(self, position: int, timeout: float | None) -> None:
        """Return once the model has reached `position`; `ReadModelBehind` after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                while self.position < position:
                    await self._change()
        except TimeoutError:
            raise ReadModelBehind(self.model, max(self.position, 0), position, timeout or 0) from self.trouble

    async def _change(self) -> None:
        if self.ended is not None:
            raise self.ended.with_traceback(None)  # it is raised for many: its traceback must not grow
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        if self._wanted is not None:
            self._wanted.set()
        try:
            await waiter
        finally:
            self._waiting.discard(waiter)

    def _wake(self) -> None:
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
        self._waiting.clear()
