"""The process and the event loop that an open object belongs to. Used elsewhere, it would wait for ever."""

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
        """Return the descriptor of the socket, or raise if it is closed."""
        ...


_kept: "WeakSet[object]" = WeakSet()
_loops: "WeakSet[asyncio.AbstractEventLoop]" = WeakSet()
_connections: "WeakSet[Connected]" = WeakSet()


class _Here:
    """The id of this process. To ask the system each time would take longer than the rest of `Home.check`."""

    process = os.getpid()


class Home:
    """The process that opened an object, and the event loop that first used it.

    An object that `moves` can be used on another loop after its own was closed, because it left nothing there.
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
        """Return whether this is another process: a forked child."""
        return _Here.process != self.process

    @property
    def is_gone(self) -> bool:
        """Return whether the event loop is closed."""
        return self.loop is not None and self.loop.is_closed()

    def check(self) -> None:
        """Raise `ForkedStore` in another process, `WrongLoop` on another event loop."""
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
    """Keep a forked child from freeing an object: to close it could change the files of the parent."""
    _kept.add(opened)


def part_in_children(connection: Connected) -> None:
    """Detach forked children from a connection: the server must only hear the parent, even when a child ends."""
    _connections.add(connection)


def _begin_in_child() -> None:
    _Here.process = os.getpid()
    for opened in list(_kept):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(opened))
    with suppress(OSError), open(os.devnull, "r+b") as nothing:
        for connection in list(_connections):
            with suppress(Exception):  # the driver has closed it
                os.dup2(nothing.fileno(), connection.fileno(), inheritable=False)
    for loop in list(_loops):
        with suppress(OSError, ValueError):  # the loop is closed, or there are no free descriptors
            _part_from_parent(loop)


def _part_from_parent(loop: asyncio.AbstractEventLoop) -> None:
    """Give the child an epoll instance and a wake-up socket of its own, under the descriptors that it inherited.

    Otherwise they are shared with the parent. A child that runs, closes or frees the loop would remove descriptors from
    the parent's epoll set, and the parent would wait for ever. There is no public way to do this, see
    https://github.com/python/cpython/issues/66197 . Loops other than asyncio's own are left as they are.
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
            with suppress(OSError):  # a detached descriptor cannot be watched
                own.register(key.fd, events)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)
