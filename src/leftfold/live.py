"""The live app: commands, queries, states and explanations over one open log."""

import random
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol, TypedDict, TypeVar, Unpack
from urllib.parse import urlsplit
from uuid import UUID

from leftfold.audit import Step, Verification, explain, verify_log, verify_snapshots
from leftfold.backoff import Backoff
from leftfold.clock import Clock, SystemClock
from leftfold.command import (
    BatchReceipt,
    CommandHandler,
    DecisionModel,
    Executor,
    Inbox,
    InboxWorker,
    Outcomes,
    Receipt,
    Snapshots,
    States,
    Submission,
    Ticket,
)
from leftfold.command.states import criteria_of
from leftfold.errors import NotHandled, UnknownProcess, UnknownReadModel, UsageError
from leftfold.events import CommandLike, Query
from leftfold.fold import Fold, fold_of
from leftfold.ids import RandomIds
from leftfold.leases import LEASE_SECONDS, Entry, Terms
from leftfold.metadata import Metadata, present_metadata
from leftfold.process import Instance, ProcessDefinition, Processes, ProcessManager, ProcessWorker, Progress
from leftfold.query import (
    ModelStatus,
    OnProgress,
    ParkedKey,
    QueryHandler,
    ReadModel,
    ReadModelDefinition,
    ReadSide,
    models_url,
)
from leftfold.query.event_keys import row_concerns
from leftfold.query.parked_keys import ParkedKeys
from leftfold.registry import Registry
from leftfold.roles import Role, chosen, roles_of
from leftfold.store import EventStore, StoredEvent, open_store
from leftfold.store.time_travel import resolve
from leftfold.workers import Workers, beside

D = TypeVar("D", bound=DecisionModel)
R = TypeVar("R")

STATES = 65_536
ATTEMPTS = 16
OPEN_OR_FAILED = ("pending", "scheduled", "failed")
OnVerified = Callable[[int, int], None]


class Options(TypedDict, total=False):
    """What `App.open` takes beside the log.

    `states` bounds the decision models held in memory, `attempts` how often a command is decided before
    `DecisionContended`; `clock`, `new_id` and `randomness` are passed in by tests; `models` is the URL of the read
    models' database (in SQLAlchemy's form), when it is not to lie beside the log; `on_progress` is told when a query
    of the past replays for more than two seconds. `backoff` says when a submitted command that failed is tried again.

    `work` says what this process does in the background: all roles (True), none (False), or some of them, as in
    `work=("commands", "processes")`. What it leaves is for other processes on the same log; read models that others
    fold are queried all the same. `only` restricts the role "projections" to these read models. `lease` is how long
    nothing may be heard of the process that does a piece of the work before another one takes over: 5 seconds, and the
    same for all processes on a log.
    """

    clock: Clock
    states: int
    attempts: int
    new_id: Callable[[], UUID]
    randomness: random.Random
    models: str
    on_progress: OnProgress
    work: bool | Collection[Role]
    only: Collection[type | str]
    lease: timedelta
    backoff: Backoff


class Definition(Protocol):
    """What a live app needs to know of an `App`."""

    registry: Registry
    commands: Registry
    command_handlers: dict[type, CommandHandler]
    query_handlers: dict[type, QueryHandler]
    read_models: dict[type, ReadModelDefinition]
    processes: dict[type, ProcessDefinition]

    @property
    def decision_models(self) -> tuple[Fold, ...]:
        """The decision models that the command handlers take."""
        ...


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
        workers: Workers,
        decision_models: Sequence[Fold],
        clock: Clock,
    ) -> None:
        self.store = store
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
        self._workers = workers
        self._decision_models = decision_models
        self._clock = clock

    def __repr__(self) -> str:
        return f"<LiveApp on {self.store!r}>"

    async def execute(
        self,
        command: CommandLike,
        *,
        key: str | None = None,
        metadata: Metadata | None = None,
        time: datetime | None = None,
    ) -> Receipt:
        """Decide a command and append its events; durable when this returns.

        `key` makes it idempotent: the same command with the same key is carried out once, and later calls get the
        first receipt with `duplicate=True`. `time` is for imports: when it happened, never before the newest event.
        Raises `Rejected` by the handler, `DecisionContended` after too many conflicts, or a `StoreError`.
        """
        return await self._executor.execute(command, key=key, metadata=metadata, time=time)

    async def execute_many(
        self,
        commands: Sequence[CommandLike],
        *,
        key: str | None = None,
        metadata: Metadata | None = None,
        time: Callable[[Any], datetime] | None = None,
    ) -> BatchReceipt:
        """Decide commands one after the other, each on the outcome of those before, and commit all in one append.

        A rejected command is an outcome, not an exception, and does not stop the others. For imports and bulk loads:
        `time(command)` says when its events happened.
        """
        return await self._executor.execute_many(commands, key=key, metadata=metadata, time=time)

    async def submit(
        self,
        command: CommandLike,
        *,
        key: str | None = None,
        at: datetime | None = None,
        delay: timedelta | None = None,
        metadata: Metadata | None = None,
    ) -> Ticket:
        """Append a command to the log, to be handled by a worker: at once, at a time, or after a delay.

        Durable when this returns. `key` makes it idempotent: the same command with the same key is one ticket. Await
        `ticket.result()` for the outcome. A time that is past is due at once.
        """
        due = self._inbox.due(at, delay)
        return self.ticket(await self._inbox.submit(command, key=key, due=due, metadata=metadata))

    def ticket(self, id: str) -> Ticket:
        """The ticket of a submitted command, by its id; the log is asked when the ticket is."""
        return Ticket(id, self._inbox, self._outcomes)

    async def commands(self, state: str | Sequence[str] = OPEN_OR_FAILED) -> list[Submission]:
        """Submitted commands in these states, in the order of their submission; without `state` those not done with.

        States are `pending`, `scheduled`, `handled`, `rejected`, `failed` and `cancelled`. Reads all submissions of
        the log.
        """
        return await self._inbox.list((state,) if isinstance(state, str) else state)

    async def process(self, process: type[ProcessManager], *key: Any) -> Instance:
        """An instance of a process: its state, how far it has come, and its history."""
        return await self._processes.instance(self._definition_of(process), key)

    async def processes(self, process: type[ProcessManager] | None = None) -> list[Progress]:
        """How far the instances of a process, or of all, have come: those that answered anything, or are parked."""
        chosen = self._process_definitions.values() if process is None else [self._definition_of(process)]
        return await self._processes.all(chosen)

    async def retry_process(self, process: type[ProcessManager], *key: Any, metadata: Metadata | None = None) -> None:
        """Let a parked instance go on with the event that it could not answer, else `InstanceNotParked`."""
        await self._processes.retry(self._definition_of(process).instance(key), metadata)

    def _definition_of(self, process: type) -> ProcessDefinition:
        found = self._process_definitions.get(process)
        if found is None:
            known = sorted(definition.name for definition in self._process_definitions.values())
            raise UnknownProcess(process.__qualname__, known)
        return found

    async def query(
        self,
        query: Query[R],
        *,
        after: Receipt | int | None = None,
        as_of: int | datetime | None = None,
        timeout: float = 5.0,
    ) -> R:
        """Answer a query from the read models.

        Without `after` the answer is as the read models stand (eventual). `after=receipt` waits, at most `timeout`
        seconds, until they include it (read your writes), else `ReadModelBehind`. `as_of` asks the past.
        """
        handler = self._queries.get(type(query))
        if handler is None or self._read_side is None:
            raise NotHandled(type(query).__qualname__, sorted(known.__qualname__ for known in self._queries))
        position = after.position if isinstance(after, Receipt) else after
        moment = None if as_of is None else await resolve(self.store, as_of, self._clock)
        answer: R = await self._read_side.answer(handler, query, after=position, as_of=moment, timeout=timeout)
        return answer

    async def state(self, model: type[D], *key: Any, as_of: int | datetime | None = None) -> D:
        """The state of a decision model, strongly consistent, or as of a position or a time."""
        fold = fold_of(model)
        if as_of is not None:
            moment = await resolve(self.store, as_of, self._clock)
            past: D = await self._states.at(fold, key, moment)
            return past
        state = self._states.of(fold, key)
        await self._states.refresh(state)
        present: D = state.value
        return present

    async def explain(self, model: type[Any], *key: Any, as_of: int | datetime | None = None) -> list[Step]:
        """Each event that made a model's state: the state before and after, when, who, why, and caused by what."""
        fold = fold_of(model)
        start = fold.start(key)
        upto = await self.store.head() if as_of is None else await resolve(self.store, as_of, self._clock)
        criteria = self._registry.stored(criteria_of(fold, start))
        concerns = row_concerns(fold, key) if issubclass(model, ReadModel) else None
        return await explain(self.store, self._registry, fold, start, criteria, upto=upto, concerns=concerns)

    async def verify(self, *, snapshots: bool = False, progress: OnVerified | None = None) -> list[Verification]:
        """Check the log's own rules and that every event decodes; with `snapshots`, compute each snapshot again."""
        found = [await verify_log(self.store, self._registry, progress)]
        if snapshots:
            found.append(await verify_snapshots(self._snapshots, list(self._decision_models), self._states.replay))
        return found

    async def read_models(self) -> Sequence[ModelStatus]:
        """How far each read model has come: name, position, lag in positions, parked keys, and why it stopped if so."""
        return await self._read_side.status() if self._read_side else ()

    async def leases(self) -> list[Entry]:
        """Which process does each piece of background work, and when it was last heard of; none of a log in memory."""
        entries = await self._workers.leases()
        entries += await self._read_side.leases() if self._read_side else []
        return sorted(entries, key=lambda entry: entry.name)

    async def run_until_quiet(self) -> None:
        """Do all background work that can be done now: handle what is due, let processes answer, bring read models up.

        For tests and for programs that open the app with `work=("projections",)` and do the rest when told to. Read
        models that other processes fold are not waited for.
        """
        busy, head = True, await self.store.head()
        while busy:
            before = head
            busy = await self._workers.step()
            head = await self.store.head()
            busy = busy or head > before
        if self._read_side is not None:
            for model in self._read_side.folded_here:
                await self._read_side.wait(model, head)

    async def parked(self) -> Sequence[ParkedKey]:
        """The keys that are held up by an event which their read model could not fold, and why."""
        return await self._read_side.parked() if self._read_side else ()

    async def parked_events(self, model: type[ReadModel], *key: Any, limit: int = 100) -> Sequence[StoredEvent]:
        """The first events that a parked key waits with: the one that could not be folded, and those behind it."""
        return await self._parked_keys(model).events(key, limit)

    async def retry(self, model: type[ReadModel], *key: Any) -> Sequence[ParkedKey]:
        """Fold what a parked key waits with, in order; without a key, that of every parked key of the model.

        What could not be folded this time either is returned, empty when all is level. `NotParked` when nothing is
        parked under this key.
        """
        return await self._parked_keys(model).retry(key)

    async def skip(self, model: type[ReadModel], *key: Any, reason: str) -> Sequence[ParkedKey]:
        """Leave the event that holds up a key out of its row, for good, and let the key go on.

        The log records it as an event, with the reason and the actor of the surrounding `recording` block. Returns
        what holds up the key next, if anything does.
        """
        said = Metadata(reason=reason).over(present_metadata())
        return await self._parked_keys(model).skip(key, said)

    def _parked_keys(self, model: type[ReadModel]) -> ParkedKeys:
        if self._read_side is None:
            raise UnknownReadModel(model.__qualname__, ())
        return self._read_side.parked_keys(model)


@asynccontextmanager
async def open_live(app: Definition, log: str | EventStore, **options: Unpack[Options]) -> AsyncGenerator[LiveApp]:
    """Open everything that a live app consists of, and close it in reverse order."""
    clock = options.get("clock") or SystemClock()
    randomness = options.get("randomness") or random.Random()
    roles = roles_of(options.get("work", True))
    async with AsyncExitStack() as opened:
        if isinstance(log, str):
            store = await opened.enter_async_context(open_store(log, clock=clock))
        else:
            store = log
        url = log if isinstance(log, str) else "memory:"
        read_only = "mode=ro" in urlsplit(url).query
        snapshots = Snapshots(snapshots_path(url), store.log_id, app.registry.codec, read_only=read_only)
        opened.push_async_callback(snapshots.close)
        await snapshots.forget_beyond(await store.head())
        states = States(store, app.registry, snapshots, capacity=options.get("states", STATES))
        new_id = options.get("new_id") or RandomIds()
        executor = Executor(
            store,
            app.registry,
            app.command_handlers,
            states,
            clock=clock,
            new_id=new_id,
            randomness=randomness,
            attempts=options.get("attempts", ATTEMPTS),
        )
        inbox = Inbox(store, app.registry, app.commands, executor, clock=clock, new_id=new_id)
        outcomes = Outcomes(store, app.registry)
        opened.push_async_callback(outcomes.close)
        terms = _terms(options)
        read_side = await _open_read_side(app, store, url, opened, options, roles, terms)
        processes = Processes(store, app.registry)
        workers = Workers(store, app.registry, url, roles, terms, clock)
        if app.command_handlers:
            backoff = options.get("backoff") or Backoff()
            workers.add(
                "commands", "commands", partial(_inbox_worker, app, inbox, executor, clock, randomness, backoff)
            )
        for each in app.processes.values():
            workers.add(f"process {each.name}", "processes", partial(_process_worker, app, inbox, each))
        workers.start()
        opened.push_async_callback(workers.close)
        yield LiveApp(
            store,
            app.registry,
            executor,
            inbox,
            outcomes,
            states,
            snapshots,
            app.query_handlers,
            read_side,
            processes,
            app.processes,
            workers,
            app.decision_models,
            clock,
        )


def _inbox_worker(
    app: Definition,
    inbox: Inbox,
    executor: Executor,
    clock: Clock,
    randomness: random.Random,
    backoff: Backoff,
    store: EventStore,
) -> InboxWorker:
    own = executor.on(store)
    return InboxWorker(inbox, own, app.commands, clock=clock, randomness=randomness, backoff=backoff, store=store)


def _process_worker(app: Definition, inbox: Inbox, process: ProcessDefinition, store: EventStore) -> ProcessWorker:
    return ProcessWorker(process, Processes(store, app.registry), inbox)


def _terms(options: Options) -> Terms:
    """On what this process takes part in leases."""
    lease = options.get("lease", timedelta(seconds=LEASE_SECONDS))
    if lease <= timedelta():
        raise UsageError(f"lease={lease!r}", "a time, such as timedelta(seconds=5)", "leave it out for 5 seconds")
    return Terms.present(lease.total_seconds())


async def _open_read_side(
    app: Definition,
    store: EventStore,
    url: str,
    opened: AsyncExitStack,
    options: Options,
    roles: frozenset[Role],
    terms: Terms,
) -> ReadSide | None:
    if not (app.read_models or app.query_handlers):
        return None
    models = options.get("models") or models_url(url)
    on_progress = options.get("on_progress")
    named = {each: (each.name, each.table, each.owner) for each in app.read_models.values()}
    wanted = chosen(options["only"], named) if "only" in options else list(named)
    folds = [each.owner for each in wanted if "projections" in roles]
    read_side = ReadSide(store, app.registry, named, models, on_progress=on_progress, folds=folds, terms=terms)
    await read_side.start()
    opened.push_async_callback(read_side.close)
    return read_side


def snapshots_path(url: str) -> str:
    """The snapshots' file for a log: beside the log's own, or in memory where it has none."""
    return ":memory:" if urlsplit(url).scheme != "sqlite" else beside(url, "snapshots")
