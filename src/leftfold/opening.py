"""Opening an app on a log: everything that a live app consists of, and its end in reverse order."""

import os
import random
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, NamedTuple, Protocol, TypedDict, Unpack, get_args
from uuid import UUID

from leftfold.audit import TypeMismatch, known_to_others, mismatches_of, tell_of_others, warn_of
from leftfold.command import (
    CommandHandler,
    Executor,
    Inbox,
    InboxWorker,
    Outcomes,
    Snapshots,
    States,
    lease_name,
)
from leftfold.errors import InvalidOption, StoreUnavailable, UnknownOption
from leftfold.follow.backoff import Backoff
from leftfold.follow.lease import LEASE_SECONDS, Terms
from leftfold.follow.workers import Role, Workers, beside, chosen, roles_of
from leftfold.live import LiveApp
from leftfold.model.clock import Clock, SystemClock
from leftfold.model.fold import Fold
from leftfold.model.ids import RandomIds
from leftfold.model.registry import Registry
from leftfold.process import ProcessDefinition, Processes, ProcessWorker
from leftfold.query import (
    OnChange,
    OnProgress,
    QueryHandler,
    ReadModelDefinition,
    ReadSide,
    models_url,
)
from leftfold.reaction.follower import ReactorWorker
from leftfold.reaction.reactor import ReactorDefinition
from leftfold.reaction.reactors import Reactors
from leftfold.store import EventStore, open_store
from leftfold.store.home import Home
from leftfold.store.identity import identity_at
from leftfold.store.open import is_read_only, path_in, snapshot_table, split_url, url_of
from leftfold.store.snapshot_store import SnapshotStore
from leftfold.store.sqlite.snapshots import MEMORY, SQLiteSnapshots


class Rule(NamedTuple):
    """What a value must be, in words and as a test."""

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
    "only": Rule("a collection of read models and names of projections", _is_collection),
    "randomness": Rule("a random.Random", _is_a(Random)),
    "state_bytes": Rule("a whole number from 1 on", _is_count),
    "states": Rule("a whole number from 1 on", _is_count),
    "work": Rule('True, False, or roles such as work=("commands", "processes")', _is_roles),
}
MEANS_DEFAULT = ("backoff", "clock", "models", "new_id", "on_progress", "randomness")


def check_options(options: Mapping[str, Any], known: Iterable[str]) -> None:
    """Raise `UnknownOption` or `InvalidOption` for the first option that is not understood.

    None stands for the default where no other value could mean it.
    """
    names = sorted(known)
    for name, value in options.items():
        if name not in names:
            raise UnknownOption(name, names)
        rule = RULES.get(name)
        if rule is None or (value is None and name in MEANS_DEFAULT):
            continue
        if not rule.fits(value):
            raise InvalidOption(name, value, rule.expected)


STATES = 65_536
STATE_BYTES = 268_435_456
ATTEMPTS = 16


class Options(TypedDict, total=False):
    """What `App.open` takes beside the log.

    `states` and `state_bytes` (256 MiB) bound the decision models held in memory, `attempts` how often a command is
    decided before `TooManyConflicts`; `clock`, `new_id` and `randomness` are passed in by tests; `models` is the
    URL of the read models' database (in SQLAlchemy's form), or the path of an SQLite file, when it is not to lie
    beside the log; `on_progress` is told when a query of the past replays for more than two seconds. `backoff` says
    when a submitted command that failed is tried again.

    `work` says what this process does in the background: all roles (True), none (False), or some of them, as in
    `work=("commands", "processes")`. What it leaves is for other processes on the same log; read models that others
    fold are queried all the same. `only` restricts the role "projections" to these read models. `lease` is how long
    nothing may be heard of the process that does a piece of the work before another one takes over: 5 seconds, and the
    same for all processes on a log. `on_change="rebuild"`, for development, rebuilds read models and projections whose
    code has changed although their versions have not, in place of refusing them.
    """

    clock: Clock
    states: int
    state_bytes: int
    attempts: int
    new_id: Callable[[], UUID]
    randomness: random.Random
    models: str | os.PathLike[str]
    on_progress: OnProgress
    work: bool | Collection[Role]
    only: Collection[type | str]
    lease: timedelta
    backoff: Backoff
    on_change: OnChange


class Definition(Protocol):
    """What a live app needs to know of an `App`."""

    name: str
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
async def open_live(app: Definition, log: str | EventStore, **options: Unpack[Options]) -> AsyncGenerator[LiveApp]:
    """Open everything that a live app consists of, and close it in reverse order."""
    roles = _checked_roles(app, options)
    clock = options.get("clock") or SystemClock()
    randomness = options.get("randomness") or random.Random()
    app.expand()
    async with OpenedHere() as opened:
        if isinstance(log, str):
            store = await opened.enter_async_context(open_store(log, clock=clock))
        else:
            store = log
        url, read_only = (log, is_read_only(log)) if isinstance(log, str) else ("memory:", False)
        snapshots = await _snapshots(app, store, url, opened)
        capacity, most_bytes = options.get("states", STATES), options.get("state_bytes", STATE_BYTES)
        states = States(store, app.registry, snapshots, capacity=capacity, most_bytes=most_bytes)
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
        terms = _terms(options, app.name)
        read_side = await _open_read_side(app, store, url, opened, options, roles, terms)
        processes = Processes(store, app.registry)
        workers = Workers(store, app.registry, url, roles, terms, clock)
        if app.command_handlers:
            backoff = options.get("backoff") or Backoff()
            make_commands = partial(_inbox_worker, app, inbox, executor, clock, randomness, backoff)
            lease = lease_name(app.name, (each.command for each in app.command_handlers.values()))
            workers.add("commands", "commands", make_commands, lease=lease)
        for each in app.processes.values():
            make_process = partial(_process_worker, app, inbox, each)
            workers.add(f"process {each.name}", "processes", make_process, types=len(each.fold.events))
        reactors = Reactors(store, app.registry, app.reactors)
        for reactor in () if read_only else app.reactors.values():
            await reactors.begin(reactor)
            trying = options.get("backoff") or Backoff()
            make = partial(_reactor_worker, app, reactor, clock, randomness, trying, opened)
            workers.add(f"reactor {reactor.name}", "reactors", make, types=len(reactor.events))
        workers.start()
        opened.push_async_callback(workers.close)
        mismatches = await _look_for_mismatches(app, store, workers)
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
            reactors,
            workers,
            app.decision_models,
            clock,
            app.name,
            mismatches,
        )


async def _look_for_mismatches(app: Definition, store: EventStore, workers: Workers) -> tuple[TypeMismatch, ...]:
    """What neither the app nor another that works on the log knows of it; each log and set of types is told once.

    The others are told what this one knows.
    """
    await workers.tell_types(app.name)
    found = await mismatches_of(store, app.registry)
    others: Mapping[str, frozenset[str]] = {}
    if any(each.kind == "unknown" for each in found):
        others = await workers.types_of_others(app.name)
    known = known_to_others(found, others)
    found = tuple(each for each in found if each not in known)
    said = (store.log_id, frozenset((each.type, each.kind) for each in (*found, *known)))
    if said not in app.warned:
        app.warned.add(said)
        warn_of(found, app.name, store)
        tell_of_others(known, app.name, store)
    return found


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


def _reactor_worker(
    app: Definition,
    reactor: ReactorDefinition,
    clock: Clock,
    randomness: random.Random,
    backoff: Backoff,
    opened: AsyncExitStack,
    store: EventStore,
) -> ReactorWorker:
    reactors = Reactors(store, app.registry, app.reactors)
    worker = ReactorWorker(reactor, reactors, clock=clock, randomness=randomness, backoff=backoff)
    opened.callback(worker.close)
    return worker


def _checked_roles(app: Definition, options: Options) -> frozenset[Role]:
    """The roles of this process, once all options are found to be ones that can be meant."""
    check_options(options, Options.__annotations__)
    _on_change(options)
    if "only" in options:
        chosen(options["only"], _names(app))
    return roles_of(options.get("work", True))


def _names(app: Definition) -> dict[ReadModelDefinition, tuple[object, ...]]:
    """By what `only` may name each read model and projection."""
    return {each: (each.name, each.table, each.handle) for each in app.kept}


def _terms(options: Options, app: str) -> Terms:
    """On what this process takes part in leases."""
    lease = options.get("lease", timedelta(seconds=LEASE_SECONDS))
    return Terms.present(lease.total_seconds(), app)


def _on_change(options: Options) -> OnChange:
    """What becomes of read models whose code has changed."""
    chosen = options.get("on_change", "refuse")
    if chosen not in get_args(OnChange):
        raise InvalidOption("on_change", chosen, "'refuse' or 'rebuild'")
    return chosen


async def _open_read_side(
    app: Definition,
    store: EventStore,
    url: str,
    opened: AsyncExitStack,
    options: Options,
    roles: frozenset[Role],
    terms: Terms,
) -> ReadSide | None:
    if not (app.kept or app.query_handlers):
        return None
    given = options.get("models")
    models = url_of(given) if given else models_url(url)
    on_progress = options.get("on_progress")
    named = _names(app)
    wanted = chosen(options["only"], named) if "only" in options else list(named)
    folds = [each.handle for each in wanted if "projections" in roles]
    clock = options.get("clock")
    read_side = ReadSide(
        store,
        app.registry,
        named,
        models,
        on_progress=on_progress,
        clock=clock,
        folds=folds,
        terms=terms,
        on_change=_on_change(options),
        named=bool(given),
        like=Path(path_in(url)) if split_url(url).scheme == "sqlite" else None,
    )
    await read_side.start()
    opened.push_async_callback(read_side.close)
    return read_side


async def _snapshots(app: Definition, store: EventStore, url: str, opened: AsyncExitStack) -> Snapshots:
    snapshots = Snapshots(await _snapshot_store(url, store.log_id), app.registry.codec, partial(identity_at, store))
    opened.push_async_callback(snapshots.close)
    await snapshots.forget_beyond(await store.head())
    return snapshots


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
