"""Opening an app on a log: everything that a live app consists of, and its end in reverse order."""

import asyncio
import os
import random
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol, get_args
from uuid import UUID

import msgspec

from leftfold.audit import TypeMismatch, known_to_others, mismatches_of, tell_of_others, warn_of
from leftfold.command import (
    CommandFollower,
    CommandHandler,
    Executor,
    Inbox,
    Listing,
    Outcomes,
    Snapshots,
    States,
    lease_name,
)
from leftfold.errors import InvalidOption, MissingOption, StoreClosed, StoreUnavailable
from leftfold.follow.backoff import Backoff
from leftfold.follow.lease import LEASE_SECONDS, LeaseTerms
from leftfold.follow.workers import WorkerRole, Workers, beside, chosen, roles_of
from leftfold.live import LiveApp
from leftfold.model.clock import Clock, SystemClock
from leftfold.model.fold import Fold
from leftfold.model.ids import RandomIds
from leftfold.model.registry import Registry
from leftfold.parked import ParkedWork
from leftfold.process import ProcessDefinition, Processes, ProcessFollower
from leftfold.query import (
    OnChange,
    OnProgress,
    QueryHandler,
    ReadModelDefinition,
    ReadSide,
    models_url,
)
from leftfold.reaction.follower import ReactorFollower
from leftfold.reaction.reactor import ReactorDefinition
from leftfold.reaction.reactors import Reactors
from leftfold.store import EventStore, MemoryStore, open_store
from leftfold.store.home import Home
from leftfold.store.identity import identity_at
from leftfold.store.open import is_read_only, path_in, snapshot_table, split_url, url_of
from leftfold.store.snapshot_store import SnapshotStore
from leftfold.store.sqlite.snapshots import MEMORY, SQLiteSnapshots
from leftfold.trace import Tracer


class Rule(NamedTuple):
    """What the value of an option must be: in words, and as a test."""

    expected: str
    fits: Callable[[object], bool]


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 1


def _is_collection(value: object) -> bool:
    return isinstance(value, Collection) and not isinstance(value, str | bytes)


def _is_roles(value: object) -> bool:
    return isinstance(value, bool) or _is_collection(value)


def _is_lease(value: object) -> bool:
    return isinstance(value, timedelta) and value > timedelta()


def _is_clock(value: object) -> bool:
    return callable(getattr(value, "now", None))


def _is_url(value: object) -> bool:
    return isinstance(value, os.PathLike) or (isinstance(value, str) and bool(value))


def _is_a(kind: type) -> Callable[[object], bool]:
    def is_one(value: object) -> bool:
        return isinstance(value, kind)

    return is_one


RULES: Mapping[str, Rule] = {
    "attempts": Rule("a whole number from 1 on", _is_count),
    "backoff": Rule("a leftfold.Backoff, such as Backoff(attempts=3)", _is_a(Backoff)),
    "clock": Rule("an object with now()", _is_clock),
    "lease": Rule("a timedelta of more than nothing, such as timedelta(seconds=5)", _is_lease),
    "models": Rule("a URL in SQLAlchemy's form, or a Path", _is_url),
    "new_id": Rule("a function that returns a UUID", callable),
    "on_progress": Rule("a function that takes a Progress", callable),
    "on_change": Rule("'refuse' or 'rebuild'", get_args(OnChange).__contains__),
    "only": Rule("a collection of read models and names of projections", _is_collection),
    "randomness": Rule("a random.Random", _is_a(random.Random)),
    "state_bytes": Rule("a whole number from 1 on", _is_count),
    "states": Rule("a whole number from 1 on", _is_count),
    "work": Rule('True, False, or roles such as work=("commands", "processes")', _is_roles),
}

STATES = 65_536
STATE_BYTES = 268_435_456
ATTEMPTS = 16
LEASE = timedelta(seconds=LEASE_SECONDS)


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What `App.open` takes beside the log; described there. None stands for the default."""

    models: str | os.PathLike[str] | None = None
    work: bool | Collection[WorkerRole] | None = None
    only: Collection[type | str] | None = None
    lease: timedelta = LEASE
    on_change: OnChange = "refuse"
    backoff: Backoff | None = None
    attempts: int = ATTEMPTS
    states: int = STATES
    state_bytes: int = STATE_BYTES
    on_progress: OnProgress | None = None
    clock: Clock | None = None
    new_id: Callable[[], UUID] | None = None
    randomness: random.Random | None = None

    def __post_init__(self) -> None:
        for field, default in zip(self.__struct_fields__, self.__struct_defaults__, strict=True):
            value, rule = getattr(self, field), RULES[field]
            if value is not default and not rule.fits(value):
                raise InvalidOption(field, value, rule.expected)


class Definition(Protocol):
    """What a live app needs to know of an `App`."""

    name: str
    requires: tuple[str, ...]
    registry: Registry
    commands: Registry
    command_handlers: dict[type, CommandHandler]
    query_handlers: dict[type, QueryHandler]
    read_models: dict[type, ReadModelDefinition]
    processes: dict[type, ProcessDefinition]
    reactors: dict[str, ReactorDefinition]
    warned: set[tuple[str, frozenset[tuple[str, str]]]]

    @property
    def decision_models(self) -> tuple[Fold, ...]:
        """The decision models that the command handlers take."""
        ...

    def expand(self) -> None:
        """Take in every subclass of the event classes that models and handlers name."""
        ...

    @property
    def kept(self) -> tuple[ReadModelDefinition, ...]:
        """The read models and the projections."""
        ...


class OpenedHere(AsyncExitStack):
    """What is closed by the process that opened it; a forked child leaves all of it to the parent."""

    def __init__(self) -> None:
        super().__init__()
        self._home = Home()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> bool:
        if self._home.is_elsewhere:
            self.pop_all()
        return bool(await super().__aexit__(kind, error, trace))


@asynccontextmanager
async def open_live(app: Definition, log: str | EventStore, options: Options) -> AsyncGenerator[LiveApp]:
    """Open everything that a live app consists of, and close it in reverse order."""
    if not isinstance(log, str):
        _check_store(app, log, options)
    roles = roles_of(True if options.work is None else options.work)
    wanted = _wanted(app, options)
    app.expand()
    async with OpenedHere() as opened:
        if isinstance(log, str):
            store, url = await opened.enter_async_context(open_store(log, clock=options.clock)), log
        else:
            store, url = log, "memory:"
        yield await _Opening(app, store, url, opened, options, roles, wanted).live()


def _check_store(app: Definition, store: EventStore, options: Options) -> None:
    """Refuse to guess what a store object does not say: where its read models are, and which other processes work.

    Nothing of a `MemoryStore` outlives the process, and no other process sees it.
    """
    if isinstance(store, MemoryStore):
        return
    if options.models is None and (app.kept or app.query_handlers):
        raise MissingOption("models", repr(store))
    if options.work is None:
        raise MissingOption("work", repr(store))


def _wanted(app: Definition, options: Options) -> Collection[ReadModelDefinition]:
    """Return the read models and projections that this process may fold; `only` may use any of their names."""
    names: dict[ReadModelDefinition, tuple[object, ...]] = {
        each: (each.name, each.table, each.handle) for each in app.kept
    }
    return list(names) if options.only is None else chosen(options.only, names)


class LiveWhenOpen:
    """The live app, for reactors: they may be called before everything is open."""

    def __init__(self) -> None:
        self._live: LiveApp | None = None
        self._known = asyncio.Event()

    async def __call__(self) -> LiveApp:
        """Return the live app once it is open; raise `StoreClosed` if it does not open."""
        await self._known.wait()
        if self._live is None:
            raise StoreClosed
        return self._live

    def open(self, live: LiveApp) -> None:
        """Let reactors use it."""
        self._live = live
        self._known.set()

    def end(self) -> None:
        """Let no reactor wait any more."""
        self._known.set()


class _Opening:
    """The parts of one live app, each made once, in the order in which they need each other."""

    def __init__(
        self,
        app: Definition,
        store: EventStore,
        url: str,
        opened: AsyncExitStack,
        options: Options,
        roles: frozenset[WorkerRole],
        wanted: Collection[ReadModelDefinition],
    ) -> None:
        self._app = app
        self._store = store
        self._url = url
        self._opened = opened
        self._options = options
        self._roles = roles
        self._wanted = wanted
        self._clock = options.clock or SystemClock()
        self._new_id = options.new_id or RandomIds()
        self._randomness = options.randomness or random.Random()
        self._backoff = options.backoff or Backoff()
        self._terms = LeaseTerms.present(options.lease.total_seconds(), app.name)
        self._live = LiveWhenOpen()
        self._like = Path(path_in(url)) if split_url(url).scheme == "sqlite" else None

    async def live(self) -> LiveApp:
        """Make all parts, start the background work, and return the live app."""
        app, store, options = self._app, self._store, self._options
        snapshots = await self._snapshots()
        states = States(store, app.registry, snapshots, capacity=options.states, most_bytes=options.state_bytes)
        executor = Executor(
            store,
            app.registry,
            app.command_handlers,
            states,
            clock=self._clock,
            new_id=self._new_id,
            randomness=self._randomness,
            attempts=options.attempts,
        )
        inbox = Inbox(store, app.registry, app.commands, executor, clock=self._clock, new_id=self._new_id)
        outcomes = Outcomes(store, app.registry)
        self._opened.push_async_callback(outcomes.close)
        read_side = await self._read_side()
        reactors = Reactors(store, app.registry, app.reactors)
        workers = await self._workers(executor, inbox, reactors)
        processes = Processes(store, app.registry)
        listing = Listing(store, app.registry, self._clock)
        live = LiveApp(
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
            reactors,
            workers,
            app.decision_models,
            listing,
            self._clock,
            app.name,
            ParkedWork(read_side, app.kept, processes, app.processes.values(), reactors, inbox, listing),
            Tracer(store, app.registry, read_side, app.kept, app.reactors, self._clock),
            app.requires,
            await self._mismatches(workers),
        )
        self._live.open(live)
        return live

    async def _snapshots(self) -> Snapshots:
        store = self._store
        place = await _snapshot_store(self._url, store.log_id)
        snapshots = Snapshots(place, self._app.registry.codec, partial(identity_at, store))
        self._opened.push_async_callback(snapshots.close)
        await snapshots.forget_beyond(await store.head())
        return snapshots

    async def _read_side(self) -> ReadSide | None:
        app, options = self._app, self._options
        if not (app.kept or app.query_handlers):
            return None
        read_side = ReadSide(
            self._store,
            app.registry,
            app.kept,
            url_of(options.models) if options.models else models_url(self._url),
            on_progress=options.on_progress,
            clock=options.clock,
            folds=[each.handle for each in self._wanted if "projections" in self._roles],
            terms=self._terms,
            on_change=options.on_change,
            named=bool(options.models),
            like=self._like,
        )
        await read_side.start()
        self._opened.push_async_callback(read_side.close)
        return read_side

    async def _workers(self, executor: Executor, inbox: Inbox, reactors: Reactors) -> Workers:
        app = self._app
        workers = Workers(self._store, app.registry, self._url, self._roles, self._terms, self._clock)
        if app.command_handlers:
            lease = lease_name(app.name, (each.command for each in app.command_handlers.values()))
            workers.add("commands", "commands", partial(self._command_follower, executor, inbox), lease=lease)
        for process in app.processes.values():
            make_process = partial(self._process_follower, inbox, process)
            workers.add(f"process {process.name}", "processes", make_process, types=len(process.fold.events))
        for reactor in () if is_read_only(self._url) else app.reactors.values():
            await reactors.begin(reactor)
            make = partial(self._reactor_follower, reactor)
            workers.add(f"reactor {reactor.name}", "reactors", make, types=len(reactor.events))
        workers.start()
        self._opened.push_async_callback(workers.close)
        self._opened.callback(self._live.end)
        return workers

    def _command_follower(self, executor: Executor, inbox: Inbox, store: EventStore) -> CommandFollower:
        return CommandFollower(
            inbox,
            executor.on(store),
            self._app.commands,
            clock=self._clock,
            randomness=self._randomness,
            backoff=self._backoff,
            store=store,
        )

    def _process_follower(self, inbox: Inbox, process: ProcessDefinition, store: EventStore) -> ProcessFollower:
        return ProcessFollower(process, Processes(store, self._app.registry), inbox)

    def _reactor_follower(self, reactor: ReactorDefinition, store: EventStore) -> ReactorFollower:
        reactors = Reactors(store, self._app.registry, self._app.reactors)
        follower = ReactorFollower(
            reactor,
            reactors,
            clock=self._clock,
            randomness=self._randomness,
            backoff=self._backoff,
            live=self._live,
        )
        self._opened.callback(follower.close)
        return follower

    async def _mismatches(self, workers: Workers) -> tuple[TypeMismatch, ...]:
        """Return what neither this app nor another one on the log knows; warn once for each log and set of types.

        Tell the other apps which types this one knows.
        """
        app, store = self._app, self._store
        await workers.tell_types(app.name)
        found = await mismatches_of(store, app.registry)
        others: Mapping[str, frozenset[str]] = {}
        if any(each.kind == "unknown" for each in found):
            others = await workers.types_of_others(app.name)
        known = known_to_others(found, others)
        found = tuple(each for each in found if each not in known)
        warning = (store.log_id, frozenset((each.type, each.kind) for each in (*found, *known)))
        if warning not in app.warned:
            app.warned.add(warning)
            warn_of(found, app.name, store)
            tell_of_others(known, app.name, store)
        return found


async def _snapshot_store(url: str, log_id: str) -> SnapshotStore:
    """Return the place beside the log, or one in memory for a log that has none or does not let it be used."""
    if split_url(url).scheme == "sqlite":
        place = beside(url, "snapshots")
        return SQLiteSnapshots(place, log_id, read_only=is_read_only(url), like=Path(path_in(url)))
    table = snapshot_table(url)
    if table is None:
        return SQLiteSnapshots(MEMORY, log_id)
    try:
        if await table.look():
            return table
    except StoreUnavailable:
        return table  # perhaps it can be used later
    await table.close()
    return SQLiteSnapshots(MEMORY, log_id, read_only=is_read_only(url), problem=table.problem)
