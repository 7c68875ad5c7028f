"""The app: where messages, handlers and models are registered, and what is opened to go live."""

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from datetime import timedelta
from functools import partial
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload
from uuid import UUID

from leftfold.command import INBOX_EVENTS, CommandHandler
from leftfold.errors import (
    DuplicateHandler,
    InvalidHandler,
    InvalidModel,
    InvalidOption,
    InvalidProjection,
    NotAMessage,
    UnresolvedAnnotation,
)
from leftfold.follow.backoff import Backoff
from leftfold.follow.worker_lease import WorkerReplaced
from leftfold.follow.workers import WorkerRole
from leftfold.live import LiveApp
from leftfold.live_sync import SyncLive, open_sync, sync_live
from leftfold.model.clock import Clock
from leftfold.model.codec import Codec
from leftfold.model.fold import Fold
from leftfold.model.message import EventLike, event_classes, with_subclasses
from leftfold.model.registry import Registry, Upcaster
from leftfold.model.signature import is_redefined, needs_arguments
from leftfold.opening import ATTEMPTS, LEASE, STATE_BYTES, STATES, Options, open_live
from leftfold.process import PROCESS_EVENTS, AfterEnd, ProcessDefinition, ProcessManager
from leftfold.query import (
    EventSkipped,
    Indexes,
    OnChange,
    OnProgress,
    QueryHandler,
    ReadModel,
    ReadModelDefinition,
    SqlProjection,
)
from leftfold.reaction.events import REACTOR_EVENTS
from leftfold.reaction.reactor import DEFAULT_CONCURRENCY, LiveKinds, ReactorDefinition, Start
from leftfold.store import EventStore, MemoryStore
from leftfold.store.open import url_of

if TYPE_CHECKING:
    import sqlalchemy as sa

P = TypeVar("P", bound=ProcessManager)
M = TypeVar("M", bound=ReadModel)
E = TypeVar("E", bound=type)
U = TypeVar("U", bound=Upcaster)
H = TypeVar("H", bound=Callable[..., EventLike | Iterable[EventLike] | None])
Q = TypeVar("Q", bound=Callable[..., Any])
F = TypeVar("F", bound=Callable[..., Any])


def _checked_requirements(requires: Iterable[str]) -> tuple[str, ...]:
    names = (requires,) if isinstance(requires, str) else tuple(requires)
    for name in names:
        if name not in ("actor", "reason"):
            raise InvalidOption("requires", name, "'actor', 'reason', or both in a tuple")
    return names


LIVE_KINDS: LiveKinds = {LiveApp: (True, lambda live: live), SyncLive: (False, sync_live)}


class App:
    """One bounded context: its event types, command handlers, read models, projections and query handlers.

    Everything is checked when it is registered; `open` then needs only the URL of a log. `ignores` names the events
    that other apps append to the same log, by their wire names or patterns of them: `ignores=["sales.*"]`.
    `requires=("actor", "reason")` refuses every command, and every retry, skip and cancel, that does not say so in its
    metadata or in a `recording` block; what processes do needs neither.
    """

    def __init__(
        self,
        name: str,
        *,
        codec: Codec | None = None,
        ignores: Iterable[str] = (),
        requires: Iterable[Literal["actor", "reason"]] = (),
    ) -> None:
        self.name = name
        self.requires = _checked_requirements(requires)
        self.registry = Registry(codec, ignores=ignores)
        self.commands = Registry(codec)
        self.command_handlers: dict[type, CommandHandler] = {}
        self.query_handlers: dict[type, QueryHandler] = {}
        self.read_models: dict[type, ReadModelDefinition] = {}
        self.projections: dict[str, SqlProjection] = {}
        self.processes: dict[type, ProcessDefinition] = {}
        self.reactors: dict[str, ReactorDefinition] = {}
        self.warned: set[tuple[str, frozenset[tuple[str, str]]]] = set()
        self._bases: dict[type, None] = {}
        self.event(*INBOX_EVENTS, *PROCESS_EVENTS, *REACTOR_EVENTS, WorkerReplaced)

    def __repr__(self) -> str:
        return (
            f"<App {self.name}: {len(self.command_handlers)} commands, {len(self.query_handlers)} queries, "
            f"{len(self.read_models)} read models, {len(self.projections)} projections>"
        )

    @property
    def decision_models(self) -> tuple[Fold, ...]:
        """The decision models that the command handlers take, by name."""
        folds = {model.fold for handler in self.command_handlers.values() for model in handler.models}
        return tuple(sorted(folds, key=lambda fold: fold.name))

    @property
    def kept(self) -> tuple[ReadModelDefinition, ...]:
        """What is kept in tables: the read models, then the projections."""
        return (*self.read_models.values(), *self.projections.values())

    @overload
    def handles(self, function: H, /) -> H: ...
    @overload
    def handles(self, /) -> Callable[[H], H]: ...
    def handles(self, function: Any = None, /) -> Any:
        """Register a command handler: `def withdraw(command: Withdraw, account: Account) -> Withdrawn`.

        One parameter is the command; decision models are loaded by the command's tagged fields; a `Context` may be
        asked for. Raises a `DefinitionError` when the signature leaves anything open.
        """
        return self._add_command_handler if function is None else self._add_command_handler(function)

    def _add_command_handler(self, function: H) -> H:
        handler = CommandHandler(function)
        _forget_former(self.command_handlers, handler.command.owner)
        known = self.command_handlers.get(handler.command.owner)
        if known is not None and not is_redefined(known.function, function):
            raise DuplicateHandler(handler.command.owner.__qualname__, known.name, handler.name)
        self.commands.add(handler.command.owner)
        for model in handler.models:
            self.event(*model.fold.bases)
        self.event(*handler.events)
        self.command_handlers[handler.command.owner] = handler
        return function

    @overload
    def read_model(self, owner: type[M], /) -> type[M]: ...
    @overload
    def read_model(
        self, /, *, history: bool = False, version: int = 1, shards: int = 1, indexes: Indexes | None = None
    ) -> Callable[[type[M]], type[M]]: ...
    def read_model(
        self,
        owner: type[M] | None = None,
        /,
        *,
        history: bool = False,
        version: int = 1,
        shards: int = 1,
        indexes: Indexes | None = None,
    ) -> Any:
        """Keep a read model as a table: `@app.read_model`, or `@app.read_model(history=True)` to ask it as of the past.

        History keeps every version of a row with the positions between which it was true. Raise `version` when the
        code changes: the table is then rebuilt beside the present one, which answers until they are swapped.
        `shards=4` splits the keys, so that up to four processes fold the model at the same time.
        `indexes=["customer", ("customer", "-total")]` makes indexes for what queries look for and sort by.
        """

        def add(owner: type[M]) -> type[M]:
            definition = ReadModelDefinition(owner, history=history, version=version, shards=shards, indexes=indexes)
            self.event(*definition.fold.bases, EventSkipped)
            _forget_former(self.read_models, owner)
            self.read_models[owner] = definition
            return owner

        return add if owner is None else add(owner)

    @needs_arguments('@app.projection("name", tables=[...])')
    def projection(
        self, name: str, /, *, tables: "sa.MetaData | Sequence[sa.Table]", version: int = 1
    ) -> Callable[[Q], Q]:
        """Keep tables of your own, written by a handler: `def handle(event: A | B, connection: sa.Connection) -> None`.

        The annotation of the event says which events it is called with, in order. The transaction of the connection
        holds the checkpoint too, so each event is handled exactly once. An `async def` takes an `AsyncConnection`;
        `events: Sequence[A | B]` takes a batch at once; a third parameter annotated with `EventContext` says where
        and when the event was recorded. Raise `version` when the code or a table changes: all events are then
        handled again.
        """

        def register(function: Q) -> Q:
            definition = SqlProjection(function, name, tables, version=version)
            known = self.projections.get(name)
            if known is not None and not is_redefined(known.handler.function, function):
                other = self.projections[name].handler.name
                raise InvalidProjection(name, f"{other} has the same name", "a different name for each projection")
            self.event(*definition.fold.bases, EventSkipped)
            self.projections[name] = definition
            return function

        return register

    @overload
    def process(self, owner: type[P], /) -> type[P]: ...
    @overload
    def process(self, /, *, from_now: bool = False, after_end: AfterEnd = "ignore") -> Callable[[type[P]], type[P]]: ...
    def process(
        self, owner: type[P] | None = None, /, *, from_now: bool = False, after_end: AfterEnd = "ignore"
    ) -> Any:
        """Run a process manager: `@app.process`, which answers all events of the log, those of the past included.

        `@app.process(from_now=True)` answers only events that come after it was first run on the log. `after_end` says
        what an instance that has ended does with a later event: "ignore" it, "reopen" and answer it, or "park".
        """
        if owner is None:
            return partial(self._add_process, from_now=from_now, after_end=after_end)
        return self._add_process(owner, from_now=from_now, after_end=after_end)

    @needs_arguments('@app.reactor("name", start="from_now"), or start="from_start"')
    def reactor(
        self,
        name: str,
        *,
        start: Start,
        in_order: bool = False,
        at_once: int = DEFAULT_CONCURRENCY,
        backoff: Backoff | None = None,
    ) -> Callable[[F], F]:
        """Run a function for its effect outside, at least once for each event: `async def welcome(event: Opened)`.

        Further parameters may ask for a `Delivery` and for the live app: `live: LiveApp`, in a plain function
        `live: SyncLive`. Plain functions run in threads. `start` is "from_start" for all
        events of the log, or "from_now" for those after the app was first opened on it. At most `at_once` events are
        given at a time; with `in_order` one, and one that fails holds up those behind it.
        """

        def register(function: F) -> F:
            definition = ReactorDefinition(
                name,
                function,
                start=start,
                in_order=in_order,
                at_once=at_once,
                backoff=backoff,
                live_kinds=LIVE_KINDS,
            )
            self._add_reactor(definition)
            return function

        return register

    @overload
    def answers(self, function: Q, /) -> Q: ...
    @overload
    def answers(self, /, *, cache: bool | int = False) -> Callable[[Q], Q]: ...
    def answers(self, function: Callable[..., Any] | None = None, /, *, cache: bool | int = False) -> Any:
        """Register a query handler: `def richest(query: Richest, models: ReadModels) -> list[Balance]`.

        `@app.answers(cache=1_000)` keeps that many answers, those asked for last, and gives them again as long as no
        read model behind them has changed; `cache=True` keeps a thousand. Such an answer must depend on the query and
        the read models alone, and what is in it is shared by everyone who asks.
        """
        if function is None:
            return partial(self._add_query_handler, cache=cache)
        return self._add_query_handler(function, cache=cache)

    def event(self, *owners: type) -> None:
        """Register event types that neither a handler nor a model of this app names, and the subclasses of each."""
        for owner in owners:
            if isinstance(event_classes(owner), str):
                raise NotAMessage(owner)
        self._bases.update(dict.fromkeys(owners))
        for owner in with_subclasses(owners):
            self.registry.add(owner)

    @needs_arguments('@app.upcasts("wire.name", 1), with the version that the function takes')
    def upcasts(self, wire: str, version: int, *, to: str | None = None) -> Callable[[U], U]:
        """Register a function that turns the raw data of `wire` at `version` into that of the next version.

        With `to`, the next version has another wire name. Steps are chained from any older version. `wire` names an
        event type, or a command type whose commands may be waiting to be handled. Of an event the function may take
        an `EventContext` as well: `def upcast(data: dict[str, Any], context: EventContext) -> dict[str, Any]`.
        """

        def register(upcaster: U) -> U:
            self.registry.upcast(wire, version, upcaster, to=to)
            self.commands.upcast(wire, version, upcaster, to=to)
            return upcaster

        return register

    def renamed(self, old: str, new: str) -> None:
        """Read events that were stored as `old` as events of type `new`; the same for submitted commands."""
        self.registry.rename(old, new)
        self.commands.rename(old, new)

    def expand(self) -> None:
        """Take in every subclass of the event classes that models and handlers name; done whenever the app is opened.

        From then on a subclass that is defined later is refused when it is to be appended. A type that has no stored
        form is refused here at the latest.
        """
        self.event(*self._bases)
        for fold in self.decision_models:
            fold.refresh()
            self._expanded(fold)
        kept_or_run: tuple[ReadModelDefinition | ProcessDefinition, ...] = (*self.kept, *self.processes.values())
        for definition in kept_or_run:
            definition.refresh()
            self._expanded(definition.fold)
        for reactor in self.reactors.values():
            reactor.refresh()
            self._expanded(reactor)
        self.registry.check()
        self.commands.check()

    def open(
        self,
        log: str | os.PathLike[str] | EventStore,
        *,
        models: str | os.PathLike[str] | None = None,
        work: bool | Collection[WorkerRole] | None = None,
        only: Collection[type | str] | None = None,
        lease: timedelta = LEASE,
        on_change: OnChange = "refuse",
        backoff: Backoff | None = None,
        attempts: int = ATTEMPTS,
        states: int = STATES,
        state_bytes: int = STATE_BYTES,
        on_progress: OnProgress | None = None,
        clock: Clock | None = None,
        new_id: Callable[[], UUID] | None = None,
        randomness: Random | None = None,
    ) -> AbstractAsyncContextManager[LiveApp]:
        """Go live on a log: `async with app.open("sqlite:///bank.db") as live`.

        `log` is a URL, or the path of an SQLite file. It may also be a store object, which stays open afterwards;
        unless that is a `MemoryStore` it needs `work=`, because its workers take no leases and nothing stops a second
        process from doing the same work, and `models=` if the app has read models or queries (else `MissingOption`).

        - `models`: the URL of the read models' database (in SQLAlchemy's form), or the path of an SQLite file; by
          default they are kept beside the log.
        - `work`: the background work of this process: all of it (True, the default), none (False), or some roles, as
          in `work=("commands", "processes")`. Other processes on the log do the rest.
        - `only`: fold only these read models and projections; other processes fold the others.
        - `lease`: how long a process may stay silent before another one takes over its work; the same on a log.
        - `on_change`: "refuse" read models whose code changed without a new version, or "rebuild" them.
        - `backoff`: when a submitted command or a reaction that failed is tried again.
        - `attempts`: how often a command is decided before `TooManyConflicts`.
        - `states`, `state_bytes`: how many decision models are held in memory, and how many bytes (256 MiB).
        - `on_progress`: called while a query of the past replays, once that takes more than two seconds.
        - `clock`, `new_id`, `randomness`: passed in by tests.
        """
        options = Options(
            models=models,
            work=work,
            only=only,
            lease=lease,
            on_change=on_change,
            backoff=backoff,
            attempts=attempts,
            states=states,
            state_bytes=state_bytes,
            on_progress=on_progress,
            clock=clock,
            new_id=new_id,
            randomness=randomness,
        )
        given: Any = log
        return open_live(self, given if _is_store(given) else url_of(given), options)

    def open_sync(
        self,
        log: str | os.PathLike[str],
        *,
        models: str | os.PathLike[str] | None = None,
        work: bool | Collection[WorkerRole] | None = None,
        only: Collection[type | str] | None = None,
        lease: timedelta = LEASE,
        on_change: OnChange = "refuse",
        backoff: Backoff | None = None,
        attempts: int = ATTEMPTS,
        states: int = STATES,
        state_bytes: int = STATE_BYTES,
        on_progress: OnProgress | None = None,
        clock: Clock | None = None,
        new_id: Callable[[], UUID] | None = None,
        randomness: Random | None = None,
    ) -> SyncLive:
        """Go live without an event loop: `with app.open_sync("sqlite:///bank.db") as live`. Takes what `open` takes.

        It is open when this returns, so `live = app.open_sync(url)` serves a whole program; `live.close()`, or the end
        of the program, closes it. It belongs to the process that opened it: a server that forks opens it afterwards.
        """
        options = Options(
            models=models,
            work=work,
            only=only,
            lease=lease,
            on_change=on_change,
            backoff=backoff,
            attempts=attempts,
            states=states,
            state_bytes=state_bytes,
            on_progress=on_progress,
            clock=clock,
            new_id=new_id,
            randomness=randomness,
        )
        return open_sync(open_live(self, url_of(log), options), callers_run_it=not self._has_async_code)

    @property
    def _has_async_code(self) -> bool:
        """Whether code of users may run on the event loop and await there: what it awaits may depend on its thread."""
        return bool(self.reactors) or any(projection.handler.is_async for projection in self.projections.values())

    def test(self, clock: Clock) -> AbstractAsyncContextManager[LiveApp]:
        """Open the whole app in memory, to be tested: nothing happens by itself, and the same happens each time.

        `clock` is a `FakeClock`. After each thing that a test does, `await live.run_until_quiet()` handles what is due,
        lets processes answer and brings read models up to the log. Ids count from 1, and randomness has one seed.
        """
        ids = count(1)
        work: tuple[WorkerRole, ...] = ("projections",)
        return self.open(
            MemoryStore(clock),
            work=work,
            clock=clock,
            new_id=lambda: UUID(int=next(ids)),
            randomness=Random(0),
        )

    def _expanded(self, fold: Fold | ReactorDefinition) -> None:
        if not fold.events:
            raise _nothing_to_fold(fold)
        self.registry.folded.update(fold.bases)

    def _add_query_handler(self, function: Q, *, cache: bool | int) -> Q:
        handler = QueryHandler(function, cache=cache)
        _forget_former(self.query_handlers, handler.query_type)
        known = self.query_handlers.get(handler.query_type)
        if known is not None and not is_redefined(known.function, function):
            raise DuplicateHandler(handler.query_type.__qualname__, known.name, handler.name)
        with suppress(UnresolvedAnnotation):
            self.registry.query_form(handler.query_type)
        self.query_handlers[handler.query_type] = handler
        return function

    def _add_process(self, owner: type[P], *, from_now: bool, after_end: AfterEnd) -> type[P]:
        definition = ProcessDefinition(owner, from_now=from_now, after_end=after_end)
        self.event(*definition.fold.bases)
        _forget_former(self.processes, owner)
        self.processes[owner] = definition
        return owner

    def _add_reactor(self, definition: ReactorDefinition) -> None:
        known = self.reactors.get(definition.name)
        if known is not None and not is_redefined(known.function, definition.function):
            raise InvalidHandler(
                f"two reactors are called {definition.name!r}",
                "a different name for each reactor",
                "rename one of them",
            )
        self.event(*definition.bases)
        self.reactors[definition.name] = definition


def _forget_former(known: dict[type, Any], owner: type) -> None:
    """Leave out what a class of before stands for that this one replaces."""
    for former in [each for each in known if each is not owner and is_redefined(each, owner)]:
        del known[former]


def _is_store(log: object) -> bool:
    return all(hasattr(log, verb) for verb in ("append", "read", "head", "wait"))


def _nothing_to_fold(fold: Fold | ReactorDefinition) -> InvalidModel:
    named = " and ".join(base.__qualname__ for base in fold.bases)
    return InvalidModel(
        f"{fold.name} takes {named}, which has no event class that is not abstract",
        "at least one event class that derives from it before the app is opened",
        "import the modules that define the events before the app is opened",
    )
