"""An event loop on a thread of its own, which the sync facades run their calls on."""

import asyncio
import atexit
import logging
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

from leftfold.errors import InsideRunningLoop, LeftfoldError, StoreClosed
from leftfold.query import Watch
from leftfold.store.home import Home

R = TypeVar("R")
T = TypeVar("T")

CLOSING_SECONDS = 5.0
_open: "set[Opened]" = set()
log = logging.getLogger("leftfold.app")


class LoopThread:
    """An event loop that runs in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._handing_over = threading.Lock()
        self._closed = False
        self._home = Home()
        self._thread = threading.Thread(target=self._loop.run_forever, name="leftfold loop", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine and return its result. The caller's `recording` blocks apply; Ctrl-C cancels it."""
        try:
            future = self._hand_over(work)
        except LeftfoldError:
            work.close()
            raise
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    @property
    def is_elsewhere(self) -> bool:
        """Whether this is a forked child, which has no such thread."""
        return self._home.is_elsewhere

    def close(self) -> None:
        """Wait for the calls of other threads, stop the loop and end the thread."""
        if self.is_elsewhere:
            return
        with self._handing_over:
            self._closed = True
        asyncio.run_coroutine_threadsafe(_end_of_others(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _hand_over(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        self._home.check_process()
        check_no_loop()
        with self._handing_over:
            if self._closed:
                raise StoreClosed
            return asyncio.run_coroutine_threadsafe(work, self._loop)


class Opened:
    """Something open on a loop thread of its own, until it is closed or the program ends."""

    def __init__(self, loop: LoopThread, leave: Callable[[], Coroutine[Any, Any, object]]) -> None:
        self._loop = loop
        self._leave = leave
        _open.add(self)

    def close(self) -> None:
        """Close it and its loop thread, once. In a forked child this does nothing: the parent closes it."""
        if self not in _open:
            return
        _open.discard(self)
        if self._loop.is_elsewhere:
            return
        try:
            self._loop.run(self._leave())
        finally:
            self._loop.close()


async def _end_of_others() -> None:
    """Wait for the other tasks, which end because the app is closed; cancel any that does not."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        _, late = await asyncio.wait(others, timeout=CLOSING_SECONDS)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)


class SyncWatch(Iterator[R]):
    """`Watch` without `await`: an iterator that ends when the app is closed."""

    def __init__(self, watch: Watch[R], loop: LoopThread) -> None:
        self._watch = watch
        self._loop = loop

    def __repr__(self) -> str:
        return repr(self._watch)

    def __next__(self) -> R:
        try:
            return self._loop.run(anext(self._watch))
        except (StopAsyncIteration, StoreClosed):
            raise StopIteration from None


def _close_all() -> None:
    """Close what the program left open, while threads can still be waited for."""
    for opened in list(_open):
        try:
            opened.close()
        except Exception:  # the others are closed too
            log.exception("%r was left open and could not be closed at the end of the program", opened)


# before the interpreter ends its thread pools; atexit would come after that
getattr(threading, "_register_atexit", atexit.register)(_close_all)


def check_no_loop(instead: str | None = None) -> None:
    """Refuse to block the event loop that runs in this thread; `instead` is what to write."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise InsideRunningLoop(instead) if instead else InsideRunningLoop
