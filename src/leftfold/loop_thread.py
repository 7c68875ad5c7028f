"""An event loop for the sync facades: in a thread of its own, or in the thread of a lone caller."""

import asyncio
import atexit
import inspect
import logging
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import CancelledError, Future
from functools import partial
from time import perf_counter
from typing import Any, Protocol, TypeVar

from leftfold.errors import InsideRunningLoop, LeftfoldError, StoreClosed
from leftfold.query import Watch
from leftfold.signals import DelayedInterrupt, SignalHandlers
from leftfold.store.home import Home

R = TypeVar("R")
T = TypeVar("T")

CLOSING_SECONDS = 5.0
PAUSE = 0.002  # seconds without a call, after which the thread runs the loop again; its tasks wait as long at most
PAUSE_AFTER_SEVERAL = 0.1  # the same after calls of several threads, before callers run the loop again
DEEP_STACK = 400  # frames
_open: "set[Opened]" = set()
log = logging.getLogger("leftfold.app")


class LoopThread:
    """An event loop for callers without one. Runs in a thread of its own, or in the thread of a lone caller.

    To hand a call to another thread and to wait for its answer takes longer than many a command. So if one call follows
    another within `PAUSE`, the thread lets go of the loop, and a caller runs the loop itself until its call is done.
    One thread at a time runs it, while it holds `_running`, and all tasks of the loop go on. If no call came for
    `PAUSE`, or if several threads call, the thread runs the loop again. See decision 18 in docs/.

    A caller does not run the loop if `callers_run_it` is False, as for apps with async code of users, which may depend
    on its thread; if a signal handler could raise in its thread; or if its stack is deep.
    """

    def __init__(self, *, callers_run_it: bool = True) -> None:
        self._loop = asyncio.new_event_loop()
        self._callers_run_it = callers_run_it and isinstance(self._loop, asyncio.SelectorEventLoop)
        self._running = threading.Lock()
        self._is_in_thread = False
        self._handing_over = threading.Lock()
        self._handed_over = 0  # calls to the thread that are not done
        self._several_at = 0.0  # when calls of several threads last met
        self._left_at = 0.0  # when the last call was done
        self._due = threading.Event()  # set after a change that the thread waits for
        self._is_awaited = False  # whether the thread waits until a caller lets go of the loop
        self._closed = False
        self._ended = False
        self._home = Home()
        self._signals = SignalHandlers()
        self._thread = threading.Thread(target=self._run_when_due, name="leftfold loop", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine and return its result. The caller's `recording` blocks apply; Ctrl-C cancels it."""
        try:
            self._home.check_process()
            check_no_loop()
        except LeftfoldError:
            work.close()
            raise
        if self._is_in_thread or not self._callers_run_it or self._signals.may_raise_here() or _is_stack_deep():
            return self._run_in_thread(work)
        with DelayedInterrupt(self._stop_soon) as interrupt:  # first: a lock would never be released
            if self._running.acquire(blocking=False):
                try:
                    return self._run_here(work, interrupt)
                finally:
                    self._let_go()
        return self._run_in_thread(work)

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
            self._handed_over += 1  # the thread runs the loop until the end
            others = asyncio.run_coroutine_threadsafe(_end_of_others(), self._loop)
        self._due.set()
        others.result()
        self._ended = True
        self._stop_soon()
        self._thread.join()
        with self._running:
            self._loop.close()

    def _stop_soon(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)

    # --- the loop in the caller's thread

    def _run_here(self, work: Coroutine[Any, Any, T], interrupt: DelayedInterrupt) -> T:
        if self._closed:
            work.close()
            raise StoreClosed
        task = self._loop.create_task(work)
        task.add_done_callback(lambda _: self._loop.stop())
        try:
            while not task.done() and not interrupt.came:
                self._loop.run_forever()
        finally:
            if not task.done():
                self._loop.call_soon_threadsafe(task.cancel)
        if not task.done():
            raise KeyboardInterrupt
        if task.cancelled():
            raise CancelledError
        return task.result()

    def _let_go(self) -> None:
        self._left_at = perf_counter()
        self._running.release()
        if self._is_awaited:
            self._due.set()

    # --- the loop in its thread

    def _run_in_thread(self, work: Coroutine[Any, Any, T]) -> T:
        with self._handing_over:
            if self._closed:
                work.close()
                raise StoreClosed
            now = perf_counter()
            if self._handed_over or (self._running.locked() and not self._is_in_thread):
                self._several_at = now
            follows = now - self._left_at < PAUSE
            self._handed_over += 1
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        self._due.set()
        future.add_done_callback(partial(self._on_done, follows))
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def _on_done(self, follows: bool, _: Future[Any]) -> None:
        """Let go of the loop if this call followed another one and no other thread calls."""
        with self._handing_over:
            self._handed_over -= 1
            self._left_at = now = perf_counter()
            is_alone = follows and not self._handed_over and now - self._several_at > PAUSE_AFTER_SEVERAL
        if is_alone and self._is_in_thread and self._callers_run_it:
            self._stop_soon()

    def _run_when_due(self) -> None:
        while self._wait_until_due():
            with self._running:
                if self._ended:
                    return
                self._is_in_thread = True
                try:
                    self._loop.run_forever()
                finally:
                    self._is_in_thread = False

    def _wait_until_due(self) -> bool:
        """Wait for a call to this thread, or until no caller has run the loop for `PAUSE`; return False at the end."""
        while not self._handed_over:
            if self._due.wait(PAUSE):
                self._due.clear()
            elif self._running.locked():
                self._is_awaited = True
                if self._running.locked():  # otherwise the caller may have looked before
                    self._due.wait()
                self._is_awaited = False
                self._due.clear()
            elif perf_counter() - self._left_at >= PAUSE:
                break
        self._due.clear()
        return not self._ended


class LoopCaller(Protocol):
    """Runs coroutines on the event loop of an app, for callers in other threads."""

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine and return its result."""
        ...


class RunningLoop:
    """The event loop that runs in this thread, for callers in other threads; it goes on without them."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine and return its result. The caller's `recording` blocks apply."""
        try:
            check_no_loop()
        except LeftfoldError:
            work.close()
            raise
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def _is_stack_deep() -> bool:
    """Return whether tasks that run on the stack of this thread could meet Python's limit of recursion."""
    frame = inspect.currentframe()
    for _ in range(DEEP_STACK):
        if frame is None:
            return False
        frame = frame.f_back
    return True


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

    def __init__(self, watch: Watch[R], loop: LoopCaller) -> None:
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
