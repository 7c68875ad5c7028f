"""The app without `await`. Written by `make sync-twin` from live.py: change that file, not this one."""

from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

from leftfold.audit import ExplainedEvent, Verification
from leftfold.command import (
    OPEN_OR_FAILED,
    BatchReceipt,
    Daily,
    DecisionModel,
    Receipt,
    Submission,
    SubmissionState,
    Ticket,
    When,
)
from leftfold.follow.lease_store import LeaseEntry
from leftfold.live import LiveApp, OnVerified
from leftfold.loop_thread import LoopCaller, LoopThread, Opened, RunningLoop, SyncWatch, check_no_loop
from leftfold.model.criteria import Criteria
from leftfold.model.message import CommandLike, Query
from leftfold.model.metadata import Metadata
from leftfold.parked import Parked
from leftfold.process import ProcessInstance, ProcessManager, ProcessProgress
from leftfold.query import ModelStatus, ReadModel, RowChange, StatementPlan
from leftfold.reaction.reactors import ReactorStatus
from leftfold.status import NeedsAttention, Status, WorkerStatus
from leftfold.store import StoredEvent
from leftfold.store.inspection import SearchProgress
from leftfold.store.time_travel import TimeBucket
from leftfold.trace import Trace

D = TypeVar("D", bound=DecisionModel)
R = TypeVar("R")


class SyncTicket:
    """`Ticket` without `await`."""

    def __init__(self, ticket: Ticket, loop: LoopCaller) -> None:
        self.id = ticket.id
        self._ticket = ticket
        self._loop = loop

    def __repr__(self) -> str:
        return f"<SyncTicket {self.id}>"

    def result(self, timeout: float | None = None) -> Receipt:
        """Return the receipt once any process has handled the command; `TicketOpen` after `timeout` seconds.

        See `Ticket.result`.
        """
        return self._loop.run(self._ticket.result(timeout))

    def state(self) -> Submission:
        """Return what has become of the command so far. See `Ticket.state`."""
        return self._loop.run(self._ticket.state())

    def retry(self, *, metadata: Metadata | None = None) -> None:
        """Try a command that failed or was postponed again at once; `AlreadyEnded` if it is in another state.

        See `Ticket.retry`.
        """
        self._loop.run(self._ticket.retry(metadata=metadata))

    def cancel(self, *, metadata: Metadata | None = None) -> None:
        """Cancel a command that has not been handled yet; `AlreadyEnded` if it was handled, rejected or cancelled.

        See `Ticket.cancel`.
        """
        self._loop.run(self._ticket.cancel(metadata=metadata))


class SyncLive:
    """`LiveApp` without `await`: the same names, the same arguments. Safe to use from several threads."""

    def __init__(self, live: LiveApp, loop: LoopCaller, opened: Opened | None = None) -> None:
        self._live = live
        self._loop = loop
        self._opened = opened

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Finish the calls that are running and close the log. Closing twice is fine.

        The end of the program closes it too. In a forked child this does nothing: the parent closes it. Nor does it
        in a reactor: the app that calls the reactor stays open.
        """
        if self._opened is not None:
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
        wait_timeout: float = 5.0,
    ) -> Receipt:
        """Decide a command and append its events; durable when this returns. See `LiveApp.execute`."""
        return self._loop.run(
            self._live.execute(command, key=key, metadata=metadata, time=time, wait=wait, wait_timeout=wait_timeout)
        )

    def execute_many(
        self,
        commands: Sequence[CommandLike],
        *,
        key: str | None = None,
        metadata: Metadata | None = None,
        time: When | None = None,
        wait: Collection[type[ReadModel]] = (),
        wait_timeout: float = 5.0,
    ) -> BatchReceipt:
        """Decide commands one after the other, each on the outcome of those before, and commit all in one append.

        See `LiveApp.execute_many`.
        """
        return self._loop.run(
            self._live.execute_many(
                commands, key=key, metadata=metadata, time=time, wait=wait, wait_timeout=wait_timeout
            )
        )

    def submit(
        self,
        command: CommandLike,
        *,
        key: str | None = None,
        at: datetime | None = None,
        delay: timedelta | None = None,
        every: timedelta | Daily | None = None,
        metadata: Metadata | None = None,
    ) -> SyncTicket:
        """Append a command to the log, to be handled by a worker: at once, at a time, or after a delay.

        See `LiveApp.submit`.
        """
        return SyncTicket(
            self._loop.run(self._live.submit(command, key=key, at=at, delay=delay, every=every, metadata=metadata)),
            self._loop,
        )

    def ticket(self, id: str) -> SyncTicket:
        """Return the ticket of a submitted command by its id; the log is read when the ticket is awaited.

        See `LiveApp.ticket`.
        """
        return SyncTicket(self._live.ticket(id), self._loop)

    def commands(
        self, state: SubmissionState | str | Sequence[SubmissionState | str] = OPEN_OR_FAILED
    ) -> list[Submission]:
        """List submitted commands in these states, in the order of their submission; by default the unfinished ones.

        See `LiveApp.commands`.
        """
        return self._loop.run(self._live.commands(state))

    def process(self, process: type[ProcessManager], *key: Any) -> ProcessInstance:
        """Return an instance of a process: its state, how far it has come, and its history. See `LiveApp.process`."""
        return self._loop.run(self._live.process(process, *key))

    def processes(self, process: type[ProcessManager] | None = None) -> list[ProcessProgress]:
        """How far the instances of a process, or of all, have come: those that answered anything, or are parked.

        See `LiveApp.processes`.
        """
        return self._loop.run(self._live.processes(process))

    def reactors(self) -> list[ReactorStatus]:
        """Return the app's reactors: position, lag, and the events that are postponed or parked, with errors.

        See `LiveApp.reactors`.
        """
        return self._loop.run(self._live.reactors())

    def query(
        self,
        query: Query[R],
        *,
        after: Receipt | BatchReceipt | int | None = None,
        as_of: int | datetime | None = None,
        wait_timeout: float = 5.0,
    ) -> R:
        """Answer a query from the read models. See `LiveApp.query`."""
        return self._loop.run(self._live.query(query, after=after, as_of=as_of, wait_timeout=wait_timeout))

    def plan(
        self,
        query: Query[Any],
        *,
        after: Receipt | BatchReceipt | int | None = None,
        as_of: int | datetime | None = None,
        wait_timeout: float = 5.0,
    ) -> Sequence[StatementPlan]:
        """Answer a query as `query` does, and return how the database runs its statements, with which indexes.

        See `LiveApp.plan`.
        """
        return self._loop.run(self._live.plan(query, after=after, as_of=as_of, wait_timeout=wait_timeout))

    def watch(
        self, query: Query[R], *, after: Receipt | BatchReceipt | int | None = None, wait_timeout: float = 5.0
    ) -> SyncWatch[R]:
        """Answer a query at once, and again whenever a read model behind the answer has changed.

        See `LiveApp.watch`.
        """
        return SyncWatch(self._live.watch(query, after=after, wait_timeout=wait_timeout), self._loop)

    def state(self, model: type[D], *key: Any, as_of: int | datetime | None = None) -> D:
        """Return the state of a decision model, strongly consistent, or as of a position or a time.

        See `LiveApp.state`.
        """
        return self._loop.run(self._live.state(model, *key, as_of=as_of))

    def criteria_of(self, model: type[Any], *key: Any) -> Criteria:
        """Return the criteria that select the events of a model's state for a key. See `LiveApp.criteria_of`."""
        return self._live.criteria_of(model, *key)

    def explain(
        self, model: type[Any], *key: Any, as_of: int | datetime | None = None, field: str | None = None
    ) -> list[ExplainedEvent]:
        """Each event that made a model's state: the state before and after, when, who, why, and caused by what.

        See `LiveApp.explain`.
        """
        return self._loop.run(self._live.explain(model, *key, as_of=as_of, field=field))

    def trace(
        self, of: Receipt | int | str, *, wait_timeout: float = 0.0, progress: SearchProgress | None = None
    ) -> Trace:
        """Return what a request led to: the tree from its command to events, reactions and later commands.

        See `LiveApp.trace`.
        """
        return self._loop.run(self._live.trace(of, wait_timeout=wait_timeout, progress=progress))

    def changes(
        self,
        model: type[ReadModel],
        *,
        after: int | datetime = 0,
        upto: int | datetime | None = None,
        limit: int = 10000,
        wait_timeout: float = 5.0,
    ) -> list[RowChange]:
        """Return how the rows of a read model with history changed, event by event, oldest first.

        See `LiveApp.changes`.
        """
        return self._loop.run(self._live.changes(model, after=after, upto=upto, limit=limit, wait_timeout=wait_timeout))

    def count_by_time(
        self,
        begin: datetime | None = None,
        end: datetime | None = None,
        *,
        buckets: int = 60,
        types: Collection[type | str] | None = None,
    ) -> list[TimeBucket]:
        """Count the events of the log in stretches of time of equal length, without reading what lies between.

        See `LiveApp.count_by_time`.
        """
        return self._loop.run(self._live.count_by_time(begin, end, buckets=buckets, types=types))

    def verify(self, *, snapshots: bool = False, progress: OnVerified | None = None) -> list[Verification]:
        """Check the log's own rules and that every event decodes; with `snapshots`, compute each snapshot again.

        See `LiveApp.verify`.
        """
        return self._loop.run(self._live.verify(snapshots=snapshots, progress=progress))

    def read_models(self) -> Sequence[ModelStatus]:
        """How far each read model has come: name, position, lag in positions, parked keys, and why it stopped if so.

        See `LiveApp.read_models`.
        """
        return self._loop.run(self._live.read_models())

    def leases(self) -> list[LeaseEntry]:
        """Return which process does each kind of background work; nothing for a log in memory. See `LiveApp.leases`."""
        return self._loop.run(self._live.leases())

    def workers(self) -> tuple[WorkerStatus, ...]:
        """Where the background workers stand, and what they ran into; also once the app is closed.

        See `LiveApp.workers`.
        """
        return self._live.workers()

    @property
    def snapshot_trouble(self) -> str | None:
        """Why snapshots of decision models are not kept beside the log, or cannot be used; None if they are.

        See `LiveApp.snapshot_trouble`.
        """
        return self._live.snapshot_trouble

    def attention(self) -> NeedsAttention:
        """Count what failed for good and waits for a person: commands, instances of processes, events of reactors.

        See `LiveApp.attention`.
        """
        return self._loop.run(self._live.attention())

    def status(self) -> Status:
        """Where everything stands: the log, read models, background workers, open commands, cached answers.

        See `LiveApp.status`.
        """
        return self._loop.run(self._live.status())

    def run_until_quiet(self) -> None:
        """Do all background work that can be done now: handle what is due, answer, react, bring read models up.

        See `LiveApp.run_until_quiet`.
        """
        self._loop.run(self._live.run_until_quiet())

    def parked(self, name: type[ReadModel | ProcessManager] | str | None = None) -> Sequence[Parked]:
        """List the work that has stopped and needs attention, of everything or of what `name` says.

        See `LiveApp.parked`.
        """
        return self._loop.run(self._live.parked(name))

    def parked_events(self, model: type[ReadModel] | str, *key: Any, limit: int = 100) -> Sequence[StoredEvent]:
        """Return the first events queued for a parked key: the event that failed, and those behind it.

        See `LiveApp.parked_events`.
        """
        return self._loop.run(self._live.parked_events(model, *key, limit=limit))

    def parked_traceback(self, model: type[ReadModel] | str, *key: Any) -> str | None:
        """Return the traceback of the error that parked a key; None if a version without tracebacks parked it.

        See `LiveApp.parked_traceback`.
        """
        return self._loop.run(self._live.parked_traceback(model, *key))

    def retry(
        self, name: type[ReadModel | ProcessManager] | str, *key: Any, metadata: Metadata | None = None
    ) -> Sequence[Parked]:
        """Try parked work again at once, and return what is still parked. See `LiveApp.retry`."""
        return self._loop.run(self._live.retry(name, *key, metadata=metadata))

    def skip(self, name: type[ReadModel | ProcessManager] | str, *key: Any, reason: str) -> Sequence[Parked]:
        """Leave the event that is parked under a key out for good, and go on with those behind it.

        See `LiveApp.skip`.
        """
        return self._loop.run(self._live.skip(name, *key, reason=reason))

    def cancel(self, name: type[ProcessManager] | str, *key: Any, reason: str) -> None:
        """Cancel an instance of a process, with its commands that are still open, or a submitted command.

        See `LiveApp.cancel`.
        """
        self._loop.run(self._live.cancel(name, *key, reason=reason))


def open_sync(opening: AbstractAsyncContextManager[LiveApp], *, callers_run_it: bool) -> SyncLive:
    """Open a live app on a loop thread, see `LoopThread`; closing it, or the end of the program, closes both."""
    check_no_loop()
    loop = LoopThread(callers_run_it=callers_run_it)
    try:
        live = loop.run(opening.__aenter__())
        return SyncLive(live, loop, Opened(loop, partial(opening.__aexit__, None, None, None)))
    except BaseException:
        loop.close()
        raise


def sync_live(live: LiveApp) -> SyncLive:
    """Return a live app of the event loop that runs in this thread, for other threads; it stays open."""
    return SyncLive(live, RunningLoop())
