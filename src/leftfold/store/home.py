"""Where something open belongs: the process and the event loop that use it. Elsewhere it would wait for ever."""

import asyncio
import ctypes
import os
import select
import socket
from contextlib import suppress
from selectors import EVENT_READ, EVENT_WRITE, EpollSelector
from typing import Protocol
from weakref import WeakSet

from leftfold.errors import ForkedStore, WrongLoop


class Connected(Protocol):
    """Something that talks to a server over a socket."""

    def fileno(self) -> int:
        """Return the descriptor of the socket; raises where it is closed."""
        ...


_kept: "WeakSet[object]" = WeakSet()
_loops: "WeakSet[asyncio.AbstractEventLoop]" = WeakSet()
_connections: "WeakSet[Connected]" = WeakSet()


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
            _loops.add(running)

    def check_process(self) -> None:
        """Raise `ForkedStore` in a forked child."""
        if _Here.process != self.process:
            raise ForkedStore(self.process, _Here.process)


def keep_in_children(opened: object) -> None:
    """Never let a forked child free this: to close what the parent has open could change files under the parent."""
    _kept.add(opened)


def part_in_children(connection: Connected) -> None:
    """Part a forked child from this connection: the server must hear the parent alone, also when the child ends."""
    _connections.add(connection)


def _begin_in_child() -> None:
    _Here.process = os.getpid()
    for opened in list(_kept):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(opened))
    with suppress(OSError), open(os.devnull, "r+b") as nothing:
        for connection in list(_connections):
            with suppress(Exception):  # it is closed, in the driver's own way
                os.dup2(nothing.fileno(), connection.fileno(), inheritable=False)
    for loop in list(_loops):
        with suppress(OSError, ValueError):  # the loop is closed, or no descriptor is left
            _part_from_parent(loop)


def _part_from_parent(loop: asyncio.AbstractEventLoop) -> None:
    """Give the child an epoll instance and a wake-up socket of its own, under the descriptors that it inherited.

    They are shared with the parent otherwise: a child that runs or closes the loop, or frees it when it exits, would
    take descriptors out of the parent's epoll set, which then waits for ever. There is no public way to do this, see
    https://github.com/python/cpython/issues/66197 ; a loop of another kind than asyncio's own is left as it is.
    """
    selector = getattr(loop, "_selector", None)
    if not isinstance(selector, EpollSelector):
        return
    with select.epoll() as own:
        os.dup2(own.fileno(), selector.fileno(), inheritable=False)
        wake_ups = getattr(loop, "_ssock", None), getattr(loop, "_csock", None)
        for mine, inherited in zip(socket.socketpair(), wake_ups, strict=True):
            with mine:
                mine.setblocking(False)
                if inherited is not None:
                    os.dup2(mine.fileno(), inherited.fileno(), inheritable=False)
        for key in selector.get_map().values():
            events = select.EPOLLIN * bool(key.events & EVENT_READ) | select.EPOLLOUT * bool(key.events & EVENT_WRITE)
            with suppress(OSError):  # what was parted from the parent cannot be watched
                own.register(key.fd, events)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)
