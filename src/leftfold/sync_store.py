"""A store without `await`: the same verbs, on a loop thread of its own."""

import math
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar

from leftfold.errors import LeftfoldError
from leftfold.loop_thread import LoopThread, Opened, check_no_loop
from leftfold.model.clock import Clock
from leftfold.model.criteria import EVERYTHING, Criteria
from leftfold.store import AppendCondition, Appended, Batch, EventStore, IdempotencyKey, NewEvent, open_store, subscribe

T = TypeVar("T")

INSTEAD = "async with open_store(url) as store:"


class SyncStore:
    """`EventStore` without `await`: the same names, the same arguments. Safe to use from several threads."""

    def __init__(self, store: EventStore, loop: LoopThread) -> None:
        self._store = store
        self._loop = loop
        self._opened = Opened(loop, store.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<SyncStore on {self._store!r}>"

    @property
    def log_id(self) -> str:
        """What tells this log from any other."""
        return self._store.log_id

    def append(
        self,
        events: Sequence[NewEvent],
        *,
        condition: AppendCondition | Iterable[AppendCondition] | None = None,
        key: str | IdempotencyKey | Sequence[IdempotencyKey] | None = None,
    ) -> Appended:
        """Append all events or none, durably; see `EventStore.append`."""
        return self._run(lambda: self._store.append(events, condition=condition, key=key))

    def read(
        self,
        criteria: Criteria = EVERYTHING,
        *,
        after: int = 0,
        upto: int | None = None,
        limit: int | None = None,
        reverse: bool = False,
        data_only: bool = False,
    ) -> Iterator[Batch]:
        """Read matching events in batches; see `EventStore.read`."""
        options: Any = {"after": after, "upto": upto, "limit": limit, "reverse": reverse, "data_only": data_only}
        return self._batches(self._store.read(criteria, **options))

    def subscribe(
        self,
        criteria: Criteria = EVERYTHING,
        *,
        after: int = 0,
        data_only: bool = False,
        patience: float = math.inf,
    ) -> Iterator[Batch]:
        """Read what there is, then follow the log for as long as batches are taken; see `leftfold.subscribe`."""
        return self._batches(subscribe(self._store, criteria, after=after, data_only=data_only, patience=patience))

    def head(self) -> int:
        """Return the position of the newest event; 0 when the log is empty."""
        return self._run(self._store.head)

    def wait(self, after: int, timeout: float | None = None) -> int:
        """Return the head once it is beyond `after`, or as it is when `timeout` seconds have passed."""
        return self._run(lambda: self._store.wait(after, timeout))

    def lookup(self, key: str | IdempotencyKey) -> Appended | None:
        """Where the append with this idempotency key lies, or None when there was none."""
        return self._run(lambda: self._store.lookup(key))

    def close(self) -> None:
        """Commit what has been handed in and close the log. Closing twice is fine.

        The end of the program closes too. In a forked child it leaves all to the parent.
        """
        self._opened.close()

    def _batches(self, batches: AsyncIterator[Batch]) -> Iterator[Batch]:
        try:
            while (batch := self._run(lambda: _next(batches))) is not None:
                yield batch
        finally:
            with suppress(LeftfoldError):  # of a store that is closed by now, or another process's
                self._run(lambda: _end(batches))

    def _run(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        check_no_loop(INSTEAD)
        return self._loop.run(call())


def open_store_sync(url: str | os.PathLike[str], *, clock: Clock | None = None) -> SyncStore:
    """Open the log at `url` for code without an event loop: `with open_store_sync("sqlite:///file.db") as store`.

    It is open when this returns, so `store = open_store_sync(url)` serves a whole program; `store.close()`, or the end
    of the program, closes it. It belongs to the process that opened it: a server that forks opens it afterwards. The
    URL is that of `open_store`. Called from inside a running event loop it raises `InsideRunningLoop`.
    """
    check_no_loop(INSTEAD)
    loop = LoopThread()
    try:
        return SyncStore(loop.run(_opened(url, clock)), loop)
    except BaseException:
        loop.close()
        raise


async def _opened(url: str | os.PathLike[str], clock: Clock | None) -> EventStore:
    return await open_store(url, clock=clock).__aenter__()


async def _next(batches: AsyncIterator[Batch]) -> Batch | None:
    return await anext(batches, None)


async def _end(batches: Any) -> None:
    await batches.aclose()
