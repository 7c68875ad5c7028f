"""The sync facade: the async app on a loop thread of its own, for code without an event loop."""

import asyncio
import atexit
import logging
import threading
from collections.abc import Callable, Collection, Coroutine, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

from leftfold.audit import Step, Verification
from leftfold.command import BatchReceipt, Daily, DecisionModel, Receipt, Submission, Ticket, When
from leftfold.errors import InsideRunningLoop, LeftfoldError, StoreClosed
from leftfold.follow.lease_store import Entry
from leftfold.live import OPEN_OR_FAILED, LiveApp, OnVerified
from leftfold.model.criteria import Criteria
from leftfold.model.message import CommandLike, Query
from leftfold.model.metadata import Metadata
from leftfold.opening import Definition, Options, open_live
from leftfold.process import Instance, ProcessManager, Progress
from leftfold.query import ModelStatus, ParkedKey, ReadModel, Watch
from leftfold.reaction.progress import ReactorStatus
from leftfold.status import NeedsAttention, Status, WorkerStatus
from leftfold.store import StoredEvent
from leftfold.store.home import Home

D = TypeVar("D", bound=DecisionModel)
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
        """Run a coroutine to its end, in the caller's context, so within its `recording` blocks; Ctrl-C cancels it."""
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
        """Whether this is a forked child, in which the thread is not."""
        return self._home.is_elsewhere

    def close(self) -> None:
        """Let the calls of other threads come to their end, stop the loop and end the thread."""
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
        _check_no_loop()
        with self._handing_over:
            if self._closed:
                raise StoreClosed
            return asyncio.run_coroutine_threadsafe(work, self._loop)


class Opened:
    """What stands open on a loop thread of its own, until it is closed or the program ends."""

    def __init__(self, loop: LoopThread, leave: Callable[[], Coroutine[Any, Any, object]]) -> None:
        self._loop = loop
        self._leave = leave
        _open.add(self)

    def close(self) -> None:
        """Close it and its loop thread, once; a forked child leaves all to the parent."""
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
    """Wait for the other tasks: the app is closed, so they end; should one not, it is cancelled."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        _, late = await asyncio.wait(others, timeout=CLOSING_SECONDS)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)


class SyncLive:
    """`LiveApp` without `await`: the same names, the same arguments. Safe to use from several threads."""

    def __init__(self, live: LiveApp, loop: LoopThread, opening: AbstractAsyncContextManager[LiveApp]) -> None:
        self._live = live
        self._loop = loop
        self._opened = Opened(loop, partial(opening.__aexit__, None, None, None))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Finish what is under way and close the log. Closing twice is fine, and the end of the program closes too.

        In a forked child it leaves all to the parent.
        """
        self._opened.close()

    def __repr__(self) -> str:
        return f"<SyncLive on {self._live.store!r}>"

    def execute(
        self,
        command: CommandLike,
        *,
        key: str | None = None,
        metadata: Metadata | None = None,
        time: When | None = None,
        wait: Collection[type[ReadModel]] = (),
        timeout: float = 5.0,
    ) -> Receipt:
        """Decide a command and append its events; see `LiveApp.execute`."""
        options: Any = {"key": key, "metadata": metadata, "time": time, "wait": wait, "timeout": timeout}
        return self._loop.run(self._live.execute(command, **options))

    def execute_many(
        self,
        commands: Sequence[CommandLike],
        *,
        key: str | None = None,
        metadata: Metadata | None = None,
        time: When | None = None,
        wait: Collection[type[ReadModel]] = (),
        timeout: float = 5.0,
    ) -> BatchReceipt:
        """Decide commands in order and commit them in one append; see `LiveApp.execute_many`."""
        options: Any = {"key": key, "metadata": metadata, "time": time, "wait": wait, "timeout": timeout}
        return self._loop.run(self._live.execute_many(commands, **options))

    def submit(
        self,
        command: CommandLike,
        *,
        key: str | None = None,
        at: datetime | None = None,
        delay: timedelta | None = None,
        every: timedelta | Daily | None = None,
        metadata: Metadata | None = None,
    ) -> "SyncTicket":
        """Append a command to the log, to be handled by a worker; see `LiveApp.submit`."""
        submitting = self._live.submit(command, key=key, at=at, delay=delay, every=every, metadata=metadata)
        return SyncTicket(self._loop.run(submitting), self._loop)

    def ticket(self, id: str) -> "SyncTicket":
        """The ticket of a submitted command, by its id."""
        return SyncTicket(self._live.ticket(id), self._loop)

    def commands(self, state: str | Sequence[str] = OPEN_OR_FAILED) -> list[Submission]:
        """Submitted commands in these states; see `LiveApp.commands`."""
        return self._loop.run(self._live.commands(state))

    def process(self, process: type[ProcessManager], *key: Any) -> Instance:
        """An instance of a process; see `LiveApp.process`."""
        return self._loop.run(self._live.process(process, *key))

    def processes(self, process: type[ProcessManager] | None = None) -> list[Progress]:
        """How far the instances of processes have come; see `LiveApp.processes`."""
        return self._loop.run(self._live.processes(process))

    def retry_process(self, process: type[ProcessManager], *key: Any, metadata: Metadata | None = None) -> None:
        """Let a parked instance go on; see `LiveApp.retry_process`."""
        self._loop.run(self._live.retry_process(process, *key, metadata=metadata))

    def skip_process(self, process: type[ProcessManager], *key: Any, reason: str) -> None:
        """Let a parked instance leave out an event; see `LiveApp.skip_process`."""
        self._loop.run(self._live.skip_process(process, *key, reason=reason))

    def cancel_process(self, process: type[ProcessManager], *key: Any, reason: str) -> None:
        """Let an instance answer no more events; see `LiveApp.cancel_process`."""
        self._loop.run(self._live.cancel_process(process, *key, reason=reason))

    def reactors(self) -> list[ReactorStatus]:
        """The app's reactors; see `LiveApp.reactors`."""
        return self._loop.run(self._live.reactors())

    def retry_reactor(self, name: str, position: int | None = None, *, metadata: Metadata | None = None) -> int:
        """Give a reactor an event again, at once; see `LiveApp.retry_reactor`."""
        return self._loop.run(self._live.retry_reactor(name, position, metadata=metadata))

    def skip_reactor(self, name: str, position: int, *, reason: str) -> None:
        """Leave an event without a reaction; see `LiveApp.skip_reactor`."""
        self._loop.run(self._live.skip_reactor(name, position, reason=reason))

    def query(
        self,
        query: Query[R],
        *,
        after: Receipt | BatchReceipt | int | None = None,
        as_of: int | datetime | None = None,
        timeout: float = 5.0,
    ) -> R:
        """Answer a query from the read models; see `LiveApp.query`."""
        return self._loop.run(self._live.query(query, after=after, as_of=as_of, timeout=timeout))

    def watch(
        self, query: Query[R], *, after: Receipt | BatchReceipt | int | None = None, timeout: float = 5.0
    ) -> "SyncWatch[R]":
        """Answer a query now and whenever a read model behind it has changed; see `LiveApp.watch`."""
        return SyncWatch(self._live.watch(query, after=after, timeout=timeout), self._loop)

    def state(self, model: type[D], *key: Any, as_of: int | datetime | None = None) -> D:
        """The state of a decision model; see `LiveApp.state`."""
        return self._loop.run(self._live.state(model, *key, as_of=as_of))

    def criteria_of(self, model: type[Any], *key: Any) -> Criteria:
        """The criteria of the events that make a model's state for a key."""
        return self._live.criteria_of(model, *key)

    def explain(self, model: type[Any], *key: Any, as_of: int | datetime | None = None) -> list[Step]:
        """How a model's state came about; see `LiveApp.explain`."""
        return self._loop.run(self._live.explain(model, *key, as_of=as_of))

    def verify(self, *, snapshots: bool = False, progress: OnVerified | None = None) -> list[Verification]:
        """Check the log's own rules; see `LiveApp.verify`."""
        return self._loop.run(self._live.verify(snapshots=snapshots, progress=progress))

    def read_models(self) -> Sequence[ModelStatus]:
        """How far each read model has come; see `LiveApp.read_models`."""
        return self._loop.run(self._live.read_models())

    def leases(self) -> list[Entry]:
        """Which process does each piece of background work; see `LiveApp.leases`."""
        return self._loop.run(self._live.leases())

    def workers(self) -> tuple[WorkerStatus, ...]:
        """Where the background workers stand; see `LiveApp.workers`."""
        return self._live.workers()

    def status(self) -> Status:
        """Where everything stands; see `LiveApp.status`."""
        return self._loop.run(self._live.status())

    def run_until_quiet(self) -> None:
        """Do all background work that can be done now; see `LiveApp.run_until_quiet`."""
        self._loop.run(self._live.run_until_quiet())

    def parked(self) -> Sequence[ParkedKey]:
        """The keys that are held up by an event; see `LiveApp.parked`."""
        return self._loop.run(self._live.parked())

    def parked_events(self, model: type[ReadModel] | str, *key: Any, limit: int = 100) -> Sequence[StoredEvent]:
        """The events that a parked key waits with; see `LiveApp.parked_events`."""
        return self._loop.run(self._live.parked_events(model, *key, limit=limit))

    def parked_traceback(self, model: type[ReadModel] | str, *key: Any) -> str | None:
        """The traceback of the error that holds up a parked key; see `LiveApp.parked_traceback`."""
        return self._loop.run(self._live.parked_traceback(model, *key))

    @property
    def snapshot_trouble(self) -> str | None:
        """Why snapshots of decision models are not kept beside the log; see `LiveApp.snapshot_trouble`."""
        return self._live.snapshot_trouble

    def attention(self) -> NeedsAttention:
        """Count what failed for good and waits for a person; see `LiveApp.attention`."""
        return self._loop.run(self._live.attention())

    def retry(self, model: type[ReadModel] | str, *key: Any) -> Sequence[ParkedKey]:
        """Fold what a parked key waits with; see `LiveApp.retry`."""
        return self._loop.run(self._live.retry(model, *key))

    def skip(self, model: type[ReadModel] | str, *key: Any, reason: str) -> Sequence[ParkedKey]:
        """Leave the event that holds up a key out of its row; see `LiveApp.skip`."""
        return self._loop.run(self._live.skip(model, *key, reason=reason))


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


class SyncTicket:
    """`Ticket` without `await`."""

    def __init__(self, ticket: Ticket, loop: LoopThread) -> None:
        self.id = ticket.id
        self._ticket = ticket
        self._loop = loop

    def __repr__(self) -> str:
        return f"<SyncTicket {self.id}>"

    def result(self, timeout: float | None = None) -> Receipt:
        """The receipt, once the command is handled; see `Ticket.result`."""
        return self._loop.run(self._ticket.result(timeout))

    def state(self) -> Submission:
        """What has become of the command so far."""
        return self._loop.run(self._ticket.state())

    def retry(self, *, metadata: Metadata | None = None) -> None:
        """Try a command that failed, or was postponed, again at once; see `Ticket.retry`."""
        self._loop.run(self._ticket.retry(metadata=metadata))

    def cancel(self, *, metadata: Metadata | None = None) -> None:
        """See to it that the command is not handled; see `Ticket.cancel`."""
        self._loop.run(self._ticket.cancel(metadata=metadata))


def open_sync(app: Definition, log: str, options: Options) -> SyncLive:
    """Open a live app on a loop thread; closing it, or the end of the program, closes both."""
    _check_no_loop()
    loop = LoopThread()
    try:
        opening = open_live(app, log, options)
        return SyncLive(loop.run(opening.__aenter__()), loop, opening)
    except BaseException:
        loop.close()
        raise


def _close_all() -> None:
    """Close what the program left open, while threads can still be waited for."""
    for opened in list(_open):
        try:
            opened.close()
        except Exception:  # the others are closed too
            log.exception("%r was left open and could not be closed at the end of the program", opened)


# before the interpreter ends its thread pools; atexit would come after that
getattr(threading, "_register_atexit", atexit.register)(_close_all)


def _check_no_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise InsideRunningLoop
