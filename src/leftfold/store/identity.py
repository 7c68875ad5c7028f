"""The identity of a record, and the state of a log that was replaced under an open store."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from typing import NoReturn, Protocol, runtime_checkable

from leftfold.errors import LogReplaced
from leftfold.model.criteria import EVERYTHING
from leftfold.model.record import StoredEvent
from leftfold.store.contract import EventStore

BEGINNING = ""
"""The identity of position 0, which stands before the first event."""

LEAF = b"\0"  # as RFC 6962 has it, so that no record can be taken for a node of a tree over records
FORM = b"leftfold record 1"


def identity_of(record: StoredEvent) -> str:
    """Return the SHA-256 of a whole record, as 64 hexadecimal digits.

    It covers what a copy of a log preserves: position, time, type, version, tags, and the stored bytes of data and
    metadata. It is the same on every backend and in every release. A record that was read with `data_only` lacks some
    of that, so it has no identity.
    """
    digest = sha256(LEAF + FORM)
    digest.update(record.position.to_bytes(8, "big") + record.microseconds.to_bytes(8, "big", signed=True))
    digest.update(record.version.to_bytes(8, "big") + len(record.tags).to_bytes(8, "big"))
    for part in (record.type, *sorted(record.tags)):
        digest.update(_framed(part.encode("utf-8", "surrogatepass")))
    digest.update(_framed(record.data))
    digest.update(_framed(record.metadata))
    return digest.hexdigest()


async def identity_at(store: EventStore, position: int) -> str | None:
    """Return the identity of the event at a position, or None if the log does not reach it."""
    if position == 0:
        return BEGINNING
    async for batch in store.read(EVERYTHING, after=position - 1, upto=position):
        for record in batch.events:
            return identity_of(record)
    return None


def _framed(part: bytes) -> bytes:
    """Put the length in front, so that different records never become the same bytes."""
    return len(part).to_bytes(8, "big") + part


Listener = Callable[[LogReplaced], None]


class Replacement:
    """Keeps in `found` why the log is another one, once any thread finds it replaced; calls each listener once."""

    def __init__(self, where: str) -> None:
        self._where = where
        self.found: LogReplaced | None = None
        self._listeners: dict[Listener, asyncio.AbstractEventLoop] = {}

    def __repr__(self) -> str:
        return f"<Replacement of {self._where}: {self.found or 'not found'}>"

    def listen(self, listener: Listener) -> None:
        """Call a listener on the running event loop when the log is found replaced; at once if it was already."""
        self._listeners[listener] = asyncio.get_running_loop()
        if self.found is not None:
            listener(self.found)

    def leave(self, listener: Listener) -> None:
        """Remove a listener."""
        self._listeners.pop(listener, None)

    def check(self) -> None:
        """Raise `LogReplaced` if the log was found replaced before."""
        if self.found is not None:
            raise self.found.with_traceback(None)

    def refuse(self, problem: str, *, written: bool = False) -> NoReturn:
        """Raise `LogReplaced`, now and at every later check. The listeners are called before this raises."""
        reason = LogReplaced(self._where, problem, written=written)
        if self.found is None:
            self.found = reason
            for listener, loop in tuple(self._listeners.items()):
                _call(listener, loop, reason)
        raise reason


@runtime_checkable
class Replaceable(Protocol):
    """A store that notices when its log is replaced."""

    @property
    def replacement(self) -> Replacement:
        """Return the state, which knows the listeners."""
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
