"""The live app: commands, queries, states and explanations over one open log."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from leftfold.audit import ExplainedEvent, TypeMismatch, Verification, explain, verify_log, verify_snapshots
from leftfold.audit.explanation import check_field, setting
from leftfold.command import (
    OPEN_OR_FAILED,
    BatchReceipt,
    Daily,
    DecisionModel,
    Executor,
    Inbox,
    Listing,
    Outcomes,
    Receipt,
    Snapshots,
    States,
    Submission,
    SubmissionState,
    Ticket,
    When,
)
from leftfold.command.states import criteria_of
from leftfold.errors import MissingMetadata, NotHandled, UnknownName, UsageError
from leftfold.follow.follower import Worker
from leftfold.follow.journal import requested
from leftfold.follow.lease_store import LeaseEntry
from leftfold.follow.workers import Workers
from leftfold.model.clock import Clock
from leftfold.model.criteria import NOTHING, Criteria, criteria
from leftfold.model.fold import Fold, fold_of
from leftfold.model.message import CommandLike, Query
from leftfold.model.metadata import NOTHING_SAID, Metadata
from leftfold.model.registry import Registry
from leftfold.parked import Parked, ParkedWork
from leftfold.process import ProcessDefinition, Processes, ProcessInstance, ProcessManager, ProcessProgress
from leftfold.query import (
    ModelStatus,
    QueryHandler,
    ReadModel,
    ReadSide,
    RowChange,
    StatementPlan,
    Watch,
)
from leftfold.query.event_keys import row_concerns
from leftfold.query.parking import ParkedKeys
from leftfold.query.read_models import name_of
from leftfold.reaction.reactors import Reactors, ReactorStatus
from leftfold.status import Attention, NeedsAttention, Status, WorkerStatus
from leftfold.store import EventStore, StoredEvent
from leftfold.store.home import Home
from leftfold.store.inspection import SearchProgress
from leftfold.store.time_travel import TimeBucket, event_at, resolve, time_buckets
from leftfold.trace import Trace, Tracer

D = TypeVar("D", bound=DecisionModel)
R = TypeVar("R")

OnVerified = Callable[[int, int], None]


class LiveApp:
    """An app over an open log. Made by `App.open`; belongs to the event loop that opened it."""

    def __init__(
        self,
        store: EventStore,
        registry: Registry,
        executor: Executor,
        inbox: Inbox,
        outcomes: Outcomes,
        states: States,
        snapshots: Snapshots,
        queries: Mapping[type, QueryHandler],
        read_side: ReadSide | None,
        processes: Processes,
        process_definitions: Mapping[type, ProcessDefinition],
        reactors: Reactors,
        workers: Workers,
        decision_models: Sequence[Fold],
        listing: Listing,
        clock: Clock,
        name: str,
        parked: ParkedWork,
        tracer: Tracer,
        requires: tuple[str, ...] = (),
        mismatches: tuple[TypeMismatch, ...] = (),
    ) -> None:
        self.store = store
        self._home = Home()
        self._home.check()  # it belongs to this loop from now on
        self._mismatches = mismatches
        self._parked = parked
        self._tracer = tracer
        self._requires = requires
        self._name = name
        names = [definition.name for definition in process_definitions.values()]
        self._attention = Attention(store, registry, names, list(reactors.definitions))
        self._registry = registry
        self._executor = executor
        self._inbox = inbox
        self._outcomes = outcomes
        self._states = states
        self._snapshots = snapshots
        self._queries = queries
        self._read_side = read_side
        self._processes = processes
        self._process_definitions = process_definitions
        self._reactors = reactors
        self._workers = workers
        self._decision_models = decision_models
        self._listing = listing
        self._clock = clock

    def __repr__(self) -> str:
        return f"<LiveApp on {self.store!r}>"

    async def execute(
        self,
        command: CommandLike,
        *,
        key: str | None = None,
        metadata: Metadata | None = None,
        time: When | None = None,
        wait: Collection[type[ReadModel]] = (),
        wait_timeout: float = 5.0,
    ) -> Receipt:
        """Decide a command and append its events; durable when this returns.

        `key` makes it idempotent: the same command with the same key is carried out once, and later calls get the
        first receipt with `duplicate=True`. `time` is for imports: when it happened, never before the newest event.
        As in `execute_many` that is a datetime, or a function of the command that gives one.
        With `wait=[Balance]` this returns once these read models include the events. `wait_timeout` bounds that wait
        alone, in seconds; then `ExecutedButBehind` has the receipt. To bound the whole call, cancel it: a cancelled
        call has committed everything or nothing, and the same command with the same key tells which.
        Raises `Rejected` by the handler, `TooManyConflicts` after too many conflicts, or a `StoreError`.
        """
        self._home.check()
        if self._requires:
            self._check_said(metadata)
        if wait:
            self._check_known(wait)
        receipt = await self._executor.execute(command, key=key, metadata=metadata, time=time)
        if wait:
            await self._include(wait, receipt, wait_timeout)
        return receipt

    async def execute_many(
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

        A rejected command is an outcome, not an exception, and does not stop the others. For imports and bulk loads:
        `time` says when their events happened, one datetime for all or a function of the command. `wait` and
        `wait_timeout` are those of `execute`.
        """
        self._home.check()
        self._check_said(metadata)
        self._check_known(wait)
        receipt = await self._executor.execute_many(commands, key=key, metadata=metadata, time=time)
        await self._include(wait, receipt, wait_timeout)
        return receipt

    def _check_said(self, metadata: Metadata | None) -> None:
        """Raise `MissingMetadata` unless a call says what the app requires, itself or in a `recording` block."""
        said = requested(metadata) if self._requires else NOTHING_SAID
        missing = [name for name in self._requires if not getattr(said, name)]
        if missing:
            raise MissingMetadata(self._name, missing)

    def _check_known(self, models: Collection[type[ReadModel]]) -> None:
        """Refuse a model that cannot be waited for before anything is decided."""
        if self._read_side is not None:
            self._read_side.check_known(models)
        elif models:
            raise UnknownName("read model", next(iter(models)).__qualname__)

    async def _include(
        self, models: Collection[type[ReadModel]], receipt: Receipt | BatchReceipt, timeout: float
    ) -> None:
        if models and self._read_side is not None:
            await self._read_side.include(models, receipt, timeout)

    async def submit(
        self,
        command: CommandLike,
        *,
        key: str | None = None,
        at: datetime | None = None,
        delay: timedelta | None = None,
        every: timedelta | Daily | None = None,
        metadata: Metadata | None = None,
    ) -> Ticket:
        """Append a command to the log, to be handled by a worker: at once, at a time, or after a delay.

        Durable when this returns. `key` makes it idempotent: the same command with the same key is one ticket. Await
        `ticket.result()` for the outcome. A time that is past is due at once.

        With `every` it recurs: once it is completed it is submitted again, for the next time of its schedule. It needs
        a key; cancelling any ticket of the series ends it.
        """
        self._home.check()
        self._check_said(metadata)
        due = self._inbox.due(at, delay)
        return self.ticket(await self._inbox.submit(command, key=key, due=due, every=every, metadata=metadata))

    def ticket(self, id: str) -> Ticket:
        """Return the ticket of a submitted command by its id; the log is read when the ticket is awaited."""
        return Ticket(id, self._inbox, self._outcomes, self._home, self._check_said)

    async def commands(
        self, state: SubmissionState | str | Sequence[SubmissionState | str] = OPEN_OR_FAILED
    ) -> list[Submission]:
        """List submitted commands in these states, in the order of their submission; by default the unfinished ones.

        Those are pending, scheduled or failed; to list them reads the log from a worker's newest checkpoint. For the
        other states every submission of the log is read. Raises `UnknownName`.
        """
        self._home.check()
        states = [SubmissionState.named(each) for each in ((state,) if isinstance(state, str) else state)]
        return await self._listing.in_states(states)

    async def process(self, process: type[ProcessManager], *key: Any) -> ProcessInstance:
        """Return an instance of a process: its state, how far it has come, and its history."""
        self._home.check()
        definition = self._definition_of(process)
        return await self._processes.instance(definition, definition.fold.key_from(key))

    async def processes(self, process: type[ProcessManager] | None = None) -> list[ProcessProgress]:
        """How far the instances of a process, or of all, have come: those that answered anything, or are parked."""
        self._home.check()
        chosen = self._process_definitions.values() if process is None else [self._definition_of(process)]
        return await self._processes.all(chosen)

    async def reactors(self) -> list[ReactorStatus]:
        """Return the app's reactors: position, lag, and the events that are postponed or parked, with errors."""
        self._home.check()
        return await self._reactors.all()

    def _definition_of(self, process: type) -> ProcessDefinition:
        found = self._process_definitions.get(process)
        if found is None:
            known = sorted(definition.name for definition in self._process_definitions.values())
            raise UnknownName("process manager", process.__qualname__, known)
        return found

    async def query(
        self,
        query: Query[R],
        *,
        after: Receipt | BatchReceipt | int | None = None,
        as_of: int | datetime | None = None,
        wait_timeout: float = 5.0,
    ) -> R:
        """Answer a query from the read models.

        Without `after` the answer is as the read models stand (eventual). `after=receipt` waits, at most
        `wait_timeout` seconds, until they include it (read your writes), else `ReadModelBehind`. `as_of` asks the past.
        """
        self._home.check()
        read_side, handler = self._handler_of(query)
        moment = None if as_of is None else await resolve(self.store, as_of, self._clock)
        position = _position_of(after)
        found = await read_side.answering.answer(handler, query, after=position, as_of=moment, timeout=wait_timeout)
        answer: R = found.value
        return answer

    async def plan(
        self,
        query: Query[Any],
        *,
        after: Receipt | BatchReceipt | int | None = None,
        as_of: int | datetime | None = None,
        wait_timeout: float = 5.0,
    ) -> Sequence[StatementPlan]:
        """Answer a query as `query` does, and return how the database runs its statements, with which indexes."""
        self._home.check()
        read_side, handler = self._handler_of(query)
        moment = None if as_of is None else await resolve(self.store, as_of, self._clock)
        found = await read_side.answering.answer(
            handler, query, after=_position_of(after), as_of=moment, timeout=wait_timeout, planned=True
        )
        plans: Sequence[StatementPlan] = found.value
        return plans

    def watch(
        self, query: Query[R], *, after: Receipt | BatchReceipt | int | None = None, wait_timeout: float = 5.0
    ) -> Watch[R]:
        """Answer a query at once, and again whenever a read model behind the answer has changed.

        `async for answer in live.watch(query)` continues until you leave it or the app is closed. A slow reader gets
        the newest answer next. `after` and `wait_timeout` are those of `query`, for each answer.
        """
        read_side, handler = self._handler_of(query)
        return read_side.answering.watch(
            handler, query, after=_position_of(after), timeout=wait_timeout, home=self._home
        )

    def _handler_of(self, query: Query[Any]) -> tuple[ReadSide, QueryHandler]:
        handler = self._queries.get(type(query))
        if handler is None or self._read_side is None:
            raise NotHandled(type(query).__qualname__, sorted(known.__qualname__ for known in self._queries))
        form = self._registry.query_form(handler.query_type)
        if form is not None:
            form.check(query)  # refuses what its fields' types do not allow
        return self._read_side, handler

    async def state(self, model: type[D], *key: Any, as_of: int | datetime | None = None) -> D:
        """Return the state of a decision model, strongly consistent, or as of a position or a time."""
        self._home.check()
        fold = fold_of(model)
        key = fold.key_from(key)
        if as_of is not None:
            moment = await resolve(self.store, as_of, self._clock)
            past: D = await self._states.at(fold, key, moment)
            return past
        try:
            state = self._states.of(fold, key)
        except TypeError:  # a part that cannot be hashed, which is no key
            fold.start(key)
            raise
        await self._states.refresh(state)
        present: D = fold.apart(state.value)
        return present

    def criteria_of(self, model: type[Any], *key: Any) -> Criteria:
        """Return the criteria that select the events of a model's state for a key."""
        fold = fold_of(model)
        return self._registry.stored(criteria_of(fold, fold.start(key)))

    async def explain(
        self, model: type[Any], *key: Any, as_of: int | datetime | None = None, field: str | None = None
    ) -> list[ExplainedEvent]:
        """Each event that made a model's state: the state before and after, when, who, why, and caused by what.

        With `field` only the event that gave this part of the state its value, if one did: `"status"`, or a part of
        a field as `ExplainedEvent.changes` names it, such as `"seats[12A]"`.
        """
        self._home.check()
        fold = fold_of(model)
        if field is not None:
            check_field(model, field)
        if fold.fanned_out:
            raise UsageError(
                f"explain({fold.name}), whose concerns says which events change a row",
                "a model whose rows have only events that carry their keys",
                "ask the row as_of each position; with history=True that is quick",
            )
        start = fold.start(key)
        upto = await self.store.head() if as_of is None else await resolve(self.store, as_of, self._clock)
        criteria = self._registry.stored(criteria_of(fold, start))
        concerns = row_concerns(fold, fold.key_from(key)) if issubclass(model, ReadModel) else None
        steps = await explain(self.store, self._registry, fold, start, criteria, upto=upto, concerns=concerns)
        return steps if field is None else setting(steps, field)

    async def trace(
        self, of: Receipt | int | str, *, wait_timeout: float = 0.0, progress: SearchProgress | None = None
    ) -> Trace:
        """Return what a request led to: the tree from its command to events, reactions and later commands.

        `of` is a receipt, the position of an event, or the id of a command, a ticket or a correlation. The log is
        searched from the first command on, because metadata has no index; `progress` is called with the position
        reached and the head. Rows of read models with history are shown before and after each event, if the model has
        come so far, or does so within `wait_timeout` seconds. Raises `UnknownTrace`.
        """
        self._home.check()
        if isinstance(of, Receipt):  # the position of one without events is that of an event of others
            of = of.position if of.events else of.command_id
        return await self._tracer.trace(of, wait_timeout, progress)

    async def changes(
        self,
        model: type[ReadModel],
        *,
        after: int | datetime = 0,
        upto: int | datetime | None = None,
        limit: int = 10_000,
        wait_timeout: float = 5.0,
    ) -> list[RowChange]:
        """Return how the rows of a read model with history changed, event by event, oldest first.

        The changes are those by the events at positions from `after` + 1 to `upto`, by default the head; two times
        mean the events after the one and up to the other. After `limit` changes the rest is left out, but never a part
        of what one event changed: go on after the last position. Raises `ReadModelBehind`, or `UsageError` for a model
        without history.
        """
        self._home.check()
        if self._read_side is None:
            raise UnknownName("read model", model.__qualname__)
        if type(limit) is not int or limit < 1:
            raise UsageError(f"changes(limit={limit!r})", "a whole number from 1 on", "leave it out for 10,000")
        begin = await resolve(self.store, after, self._clock)
        end = await self.store.head() if upto is None else await resolve(self.store, upto, self._clock)
        return await self._read_side.changes(model, begin, end, limit=limit, timeout=wait_timeout)

    async def count_by_time(
        self,
        begin: datetime | None = None,
        end: datetime | None = None,
        *,
        buckets: int = 60,
        types: Collection[type | str] | None = None,
    ) -> list[TimeBucket]:
        """Count the events of the log in stretches of time of equal length, without reading what lies between.

        From the first event until now by default; an event at `end` is not counted. With `types`, classes or wire
        names, only events of these count; without, leftfold's own events count too.
        """
        self._home.check()
        names: list[str] | None = None
        if types is not None:
            wanted = self._registry.stored(criteria(*types)) if types else NOTHING
            names = sorted({name for item in wanted.items for name in item.types})
        if begin is None:
            begin = (await event_at(self.store, 1)).time if await self.store.head() else self._clock.now()
        end = max(self._clock.now(), begin) + timedelta(microseconds=1) if end is None else end
        return await time_buckets(self.store, begin, end, buckets, names)

    async def verify(self, *, snapshots: bool = False, progress: OnVerified | None = None) -> list[Verification]:
        """Check the log's own rules and that every event decodes; with `snapshots`, compute each snapshot again."""
        self._home.check()
        found = [await verify_log(self.store, self._registry, progress, self._clock)]
        if snapshots:
            found.append(await verify_snapshots(self._snapshots, list(self._decision_models), self._states.replay))
        return found

    async def read_models(self) -> Sequence[ModelStatus]:
        """How far each read model has come: name, position, lag in positions, parked keys, and why it stopped if so."""
        self._home.check()
        return await self._read_side.status() if self._read_side else ()

    async def leases(self) -> list[LeaseEntry]:
        """Return which process does each kind of background work; nothing for a log in memory."""
        self._home.check()
        entries = await self._workers.leases()
        entries += await self._read_side.leases() if self._read_side else []
        return sorted(entries, key=lambda entry: entry.name)

    def workers(self) -> tuple[WorkerStatus, ...]:
        """Where the background workers stand, and what they ran into; also once the app is closed."""
        return tuple(_worker_status(worker) for worker in self._workers)

    @property
    def snapshot_trouble(self) -> str | None:
        """Why snapshots of decision models are not kept beside the log, or cannot be used; None if they are."""
        return self._snapshots.trouble

    async def attention(self) -> NeedsAttention:
        """Count what failed for good and waits for a person: commands, instances of processes, events of reactors.

        Parked keys of read models are counted by `read_models`. The first call reads all failures of the log.
        """
        self._home.check()
        return await self._attention.look()

    async def status(self) -> Status:
        """Where everything stands: the log, read models, background workers, open commands, cached answers.

        The first call reads every submitted command of the log, later calls only what is new.
        """
        self._home.check()
        caches = [self._read_side.answering.cache(each) for each in self._queries.values()] if self._read_side else []
        return Status(
            app=self._name,
            head=await self.store.head(),
            read_models=tuple(await self.read_models()),
            workers=self.workers(),
            commands=await self._listing.counts(),
            caches=tuple(cache.status for cache in caches if cache is not None),
            mismatches=self._mismatches,
            attention=await self.attention(),
            snapshots=self.snapshot_trouble,
        )

    async def run_until_quiet(self) -> None:
        """Do all background work that can be done now: handle what is due, answer, react, bring read models up.

        For tests and for programs that open the app with `work=("projections",)` and do the rest when told to. Read
        models that other processes fold are not waited for.
        """
        self._home.check()
        busy, head = True, await self.store.head()
        while busy:
            before = head
            busy = await self._workers.step()
            head = await self.store.head()
            busy = busy or head > before
        if self._read_side is not None:
            await self._read_side.catch_up(head)

    async def parked(self, name: type[ReadModel | ProcessManager] | str | None = None) -> Sequence[Parked]:
        """List the work that has stopped and needs attention, of everything or of what `name` says.

        `name` is the class of a read model or process, or a text as in `Parked.name`: "projection Balance", "process
        Fulfilment", "reactor mail", "commands" for submitted commands that failed. The kind may be left out if only one
        thing has the name; else `UnknownName`.
        """
        self._home.check()
        return await self._parked.all(name)

    async def parked_events(self, model: type[ReadModel] | str, *key: Any, limit: int = 100) -> Sequence[StoredEvent]:
        """Return the first events queued for a parked key: the event that failed, and those behind it.

        An SQL projection is named by its name, and has no key.
        """
        self._home.check()
        return await self._parked_keys(model).events(key, limit)

    async def parked_traceback(self, model: type[ReadModel] | str, *key: Any) -> str | None:
        """Return the traceback of the error that parked a key; None if a version without tracebacks parked it."""
        self._home.check()
        return await self._parked_keys(model).traceback(key)

    async def retry(
        self, name: type[ReadModel | ProcessManager] | str, *key: Any, metadata: Metadata | None = None
    ) -> Sequence[Parked]:
        """Try parked work again at once, and return what is still parked.

        `name` and `key` are those of `parked`. Without a key all parked work of the name is tried, except that a
        process needs the key of one instance. A reactor's event or a submitted command that waits for its next attempt
        may be retried too. Raises `NotParked` or `AlreadyEnded`.
        """
        self._home.check()
        self._check_said(metadata)
        return await self._parked.retry(name, key, metadata)

    async def skip(self, name: type[ReadModel | ProcessManager] | str, *key: Any, reason: str) -> Sequence[Parked]:
        """Leave the event that is parked under a key out for good, and go on with those behind it.

        The log records the reason, and the actor of the surrounding `recording` block. Returns what is parked under the
        key next, if anything is. Commands cannot be skipped: `cancel` them.
        """
        self._home.check()
        self._check_said(Metadata(reason=reason))
        return await self._parked.skip(name, key, reason)

    async def cancel(self, name: type[ProcessManager] | str, *key: Any, reason: str) -> None:
        """Cancel an instance of a process, with its commands that are still open, or a submitted command.

        `live.cancel(Fulfilment, "o-1", reason=...)`, `live.cancel("commands", ticket.id, reason=...)`. The log records
        who and why. Raises `AlreadyEnded` if it is too late.
        """
        self._home.check()
        self._check_said(Metadata(reason=reason))
        await self._parked.cancel(name, key, reason)

    def _parked_keys(self, model: type[ReadModel] | str) -> ParkedKeys:
        if self._read_side is None:
            raise UnknownName("read model", name_of(model))
        return self._read_side.parked_keys(model)


def _position_of(after: Receipt | BatchReceipt | int | None) -> int | None:
    return after.position if isinstance(after, Receipt | BatchReceipt) else after


def _worker_status(worker: Worker) -> WorkerStatus:
    trouble = None if worker.trouble is None else f"{type(worker.trouble).__name__}: {worker.trouble}"
    return WorkerStatus(worker.name, worker.state, worker.running, trouble)
