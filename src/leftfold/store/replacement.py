"""Whether the log under an open store was found replaced: the store refuses everything then, and tells who listens."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn, Protocol, runtime_checkable

from leftfold.errors import LogReplaced

Listener = Callable[[LogReplaced], None]


class Replacement:
    """Keeps the reason once the log was found replaced, by whatever thread found it, and calls the listeners once."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._reason: LogReplaced | None = None
        self._listeners: dict[Listener, asyncio.AbstractEventLoop] = {}

    def __repr__(self) -> str:
        return f"<Replacement of {self._where}: {self._reason or 'not found'}>"

    def listen(self, listener: Listener) -> None:
        """Call it on the running event loop when the log is found replaced; now, if it was found already."""
        self._listeners[listener] = asyncio.get_running_loop()
        if self._reason is not None:
            listener(self._reason)

    def leave(self, listener: Listener) -> None:
        """Call this listener no more."""
        self._listeners.pop(listener, None)

    def check(self) -> None:
        """Raise `LogReplaced` if the log was found replaced before."""
        if self._reason is not None:
            raise self._reason.with_traceback(None)

    def refuse(self, problem: str, *, written: bool = False) -> NoReturn:
        """Raise `LogReplaced`, now and from now on. The listeners are called before the caller of the store hears."""
        reason = LogReplaced(self._where, problem, written=written)
        if self._reason is None:
            self._reason = reason
            for listener, loop in tuple(self._listeners.items()):
                _call(listener, loop, reason)
        raise reason


@runtime_checkable
class Replaceable(Protocol):
    """A store that notices when its log is replaced."""

    @property
    def replacement(self) -> Replacement:
        """Whether it was, and who is told of it."""
        ...


def _call(listener: Listener, loop: asyncio.AbstractEventLoop, reason: LogReplaced) -> None:
    try:
        here = asyncio.get_running_loop()
    except RuntimeError:
        here = None
    if here is loop:
        listener(reason)
    else:
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(listener, reason)
