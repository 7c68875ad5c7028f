"""Where something open belongs: the process and the event loop that use it. Elsewhere it would wait for ever."""

import asyncio
import ctypes
import os
from weakref import WeakSet

from leftfold.errors import ForkedStore, WrongLoop

_kept: "WeakSet[object]" = WeakSet()


class _Here:
    """This process. The system is not asked each time: that took longer than the rest of `Home.check`."""

    process = os.getpid()


class Home:
    """The process that opened a thing, and the event loop that first used it.

    What `moves` may go on in another loop when its own is closed: nothing of it was in the old one.
    """

    __slots__ = ("loop", "moves", "process")

    def __init__(self, *, moves: bool = False) -> None:
        self.process = _Here.process
        self.moves = moves
        self.loop: asyncio.AbstractEventLoop | None = None

    def __repr__(self) -> str:
        return f"<Home in process {self.process}>"

    @property
    def is_elsewhere(self) -> bool:
        """Whether this is another process: a child that was forked."""
        return _Here.process != self.process

    @property
    def is_gone(self) -> bool:
        """Whether the event loop is closed."""
        return self.loop is not None and self.loop.is_closed()

    def check(self) -> None:
        """Raise `ForkedStore` or `WrongLoop` in another place than that of before."""
        if _Here.process != self.process:
            raise ForkedStore(self.process, _Here.process)
        running = asyncio.get_running_loop()
        if running is not self.loop:
            if self.loop is not None and not (self.moves and self.loop.is_closed()):
                raise WrongLoop(closed=self.loop.is_closed())
            self.loop = running

    def check_process(self) -> None:
        """Raise `ForkedStore` in a forked child."""
        if _Here.process != self.process:
            raise ForkedStore(self.process, _Here.process)


def keep_in_children(opened: object) -> None:
    """Never let a forked child free this: to close what the parent has open could change files under the parent."""
    _kept.add(opened)


def _begin_in_child() -> None:
    _Here.process = os.getpid()
    for opened in list(_kept):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(opened))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)
