"""Given events, when a command, then events: handlers and read models tested without a store and without a loop.

    given(bank, Opened("a-1", "Ann"), Deposited("a-1", 5)).when(Withdraw("a-1", 9)).then_rejected("insufficient funds")
    given(bank, Opened("a-1", "Ann")).then_row(Balance("a-1", "Ann"))

Everything goes through the app's codec, as it would on its way to the log and back. A handler or an `evolve` that
changes what it is given is named: `ArgumentMutated`.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from copy import copy
from datetime import datetime
from typing import Any, Generic, TypeVar, overload
from uuid import UUID

from leftfold.app import App
from leftfold.command.batching import Decision, LookupDecision, StatesMissing
from leftfold.command.handler import CommandHandler
from leftfold.command.states import StagedStates, State
from leftfold.errors import NotHandled, Rejected, UnknownName, UsageError
from leftfold.model.clock import to_microseconds
from leftfold.model.fold import Fold
from leftfold.model.message import CommandLike, EventLike, Query
from leftfold.model.metadata import NOTHING_SAID, Metadata, encode_metadata, present_metadata
from leftfold.model.record import NewEvent, StoredEvent
from leftfold.model.registry import Registry
from leftfold.query import ReadModel, ReadModelDefinition
from leftfold.store.admission import AppendRequest
from leftfold.testing.clock import START, FakeClock
from leftfold.testing.difference import failure
from leftfold.testing.rows import Table, Tables

M = TypeVar("M", bound=ReadModel)
R = TypeVar("R")


def given(app: App, *events: EventLike, at: datetime = START, metadata: Metadata = NOTHING_SAID) -> "Given":
    """Start a scenario with what has happened, in its order: at which time, and with which metadata."""
    app.expand()
    return Given(app, stored(app.registry, events, at, metadata))


class Given:
    """What has happened, as it would stand in the log."""

    def __init__(self, app: App, log: Sequence[StoredEvent]) -> None:
        self._app = app
        self._log = log

    def __repr__(self) -> str:
        return f"<Given {len(self._log)} events of {self._app.name}>"

    def and_given(self, *events: EventLike, at: datetime, metadata: Metadata = NOTHING_SAID) -> "Given":
        """Add what happened at a later time, or with other metadata."""
        last = self._log[-1].time if self._log else at
        if at < last:
            raise UsageError(
                f"events are given at {at.isoformat()}, after an event at {last.isoformat()}",
                "the time of the last event, or a later one: times never decrease in a log",
                "give what happened in its order",
            )
        return Given(self._app, [*self._log, *stored(self._app.registry, events, at, metadata, len(self._log))])

    @overload
    def when(self, asked: Query[R]) -> "Answered[R]": ...  # type: ignore[overload-overlap]  # a query is no command
    @overload
    def when(self, asked: CommandLike, *, now: datetime = ..., metadata: Metadata = ...) -> "Decided": ...
    def when(self, asked: Any, *, now: datetime = START, metadata: Metadata = NOTHING_SAID) -> Any:
        """Decide a command, or answer a query.

        `now` and `metadata` are what a handler's `Context` has. Without a command id in `metadata` the id is always
        the same, and so are the context's new ids.
        """
        if issubclass(type(asked), Query):
            return self._answer(asked)
        return self._decide(asked, now, metadata.over(present_metadata()))

    def then_row(self, expected: ReadModel) -> None:
        """Assert that the read model's table has this row."""
        __tracebackhide__ = True
        table = self._table(type(expected))
        key = table.definition.fold.key_of(expected)
        found = [table.rows[key]] if key in table.rows else []
        if found != [expected]:
            raise failure(f"{table.name} does not have the expected row {key}", [expected], found)

    def then_rows(self, model: type[M], expected: Iterable[M]) -> None:
        """Assert that the read model's table has these rows and no others, in whatever order."""
        __tracebackhide__ = True
        table = self._table(model)
        key_of = table.definition.fold.key_of
        wanted = {key_of(row): row for row in expected}
        if table.rows != wanted:
            keys = sorted(wanted.keys() | table.rows.keys(), key=repr)
            differing = [key for key in keys if wanted.get(key) != table.rows.get(key)]
            raise failure(
                f"{table.name} does not have the expected rows: {len(differing)} of {len(keys)} differ",
                [wanted[key] for key in differing if key in wanted],
                [table.rows[key] for key in differing if key in table.rows],
            )

    def then_no_row(self, model: type[ReadModel], *key: Any) -> None:
        """Assert that the read model's table has no row with this key."""
        __tracebackhide__ = True
        table = self._table(model)
        key = table.definition.fold.key_from(key)
        if key in table.rows:
            raise failure(f"{table.name} has a row {key}", [], [table.rows[key]])

    def _decide(self, command: object, now: datetime, metadata: Metadata) -> "Decided":
        known = self._app.command_handlers
        if type(command) not in known:
            raise NotHandled(type(command).__qualname__, sorted(each.__qualname__ for each in known))
        handler = known[type(command)].unchanging()
        identity = metadata.command or UUID(int=1).hex
        decision = LookupDecision(handler, command, (), metadata, identity, None, handler.parameters)
        clock = FakeClock(now)
        staged = self._staged(decision, clock)
        values = decision.values(staged)
        decision.decide(self._app.registry, staged, clock)
        check(decision.records)
        return Decided(handler, decision, values)

    def _staged(self, decision: Decision, clock: FakeClock) -> StagedStates:
        """Return the states that a live app would decide on: one per model and key, folded by the model's criteria."""
        states: list[State] = []
        while True:
            staged = StagedStates(states, clock)
            with suppress(StatesMissing):
                decision.values(staged)
            if not staged.missing:
                return staged
            states += [self._state(*name) for name in staged.missing]

    def _state(self, fold: Fold, key: tuple[Any, ...]) -> State:
        state = State(fold.unchanging(), key, self._app.registry)
        concerned = [event for event in self._log if state.criteria.matches(event.type, event.tags)]
        value, _ = state.fold.fold(state.value, concerned, self._app.registry)
        state.advance(value, len(self._log), len(concerned))
        return state

    def _table(self, model: type[ReadModel]) -> Table:
        return Table(_unchanging(self._definition(model)), self._app.registry, self._log)

    def _definition(self, model: type[ReadModel]) -> ReadModelDefinition:
        known = self._app.read_models.get(model)
        if known is None:
            raise UnknownName(
                "read model", model.__qualname__, sorted(each.__qualname__ for each in self._app.read_models)
            )
        return known

    def _answer(self, query: object) -> "Answered[Any]":
        handler = self._app.query_handlers.get(type(query))
        if handler is None:
            known = (known.__qualname__ for known in self._app.query_handlers)
            raise NotHandled(type(query).__qualname__, sorted(known))
        with Tables([*map(_unchanging, self._app.kept)], self._app.registry) as tables:
            tables.fold(self._log)
            answer = tables.ask(lambda models: handler.answer(query, models))
        return Answered(handler.name, answer, [self._table(model) for model in self._app.read_models])


class Decided:
    """What came of a command: `events`, or `rejected`."""

    def __init__(self, handler: CommandHandler, decision: Decision, values: Iterable[Any]) -> None:
        self.events: tuple[Any, ...] = tuple(decision.events)
        self.rejected = decision.rejected
        self._name = handler.name
        self._states = {parameter.name: value for parameter, value in zip(handler.models, values, strict=True)}

    def __repr__(self) -> str:
        return f"<Decided {self.rejected or list(self.events)!r}>"

    def then(self, *expected: EventLike | Rejected) -> None:
        """Assert that exactly these events were decided, in this order; or this rejection, with its details."""
        __tracebackhide__ = True
        if self._found() != list(expected):
            raise self._failure("did not decide what was expected", expected)

    def then_nothing(self) -> None:
        """Assert that the handler decided that nothing has to happen."""
        __tracebackhide__ = True
        if self._found():
            raise self._failure("decided something", [])

    def then_rejected(self, reason: str, **details: Any) -> None:
        """Assert that the command was rejected for this reason, whatever further details were given."""
        __tracebackhide__ = True
        found = self.rejected
        if found is None or found.reason != reason or not details.items() <= found.details.items():
            raise self._failure("did not reject as expected", [Rejected(reason, **details)])

    def _found(self) -> list[Any]:
        return [self.rejected] if self.rejected is not None else list(self.events)

    def _failure(self, summary: str, expected: Iterable[Any]) -> AssertionError:
        return failure(f"{self._name} {summary}", expected, self._found(), decided_on=self._states)


class Answered(Generic[R]):
    """What a query handler answered: `answer`."""

    def __init__(self, name: str, answer: R, tables: Sequence[Table]) -> None:
        self.answer = answer
        self._name = name
        self._tables = tables

    def __repr__(self) -> str:
        return f"<Answered {self.answer!r}>"

    def then_answer(self, expected: R) -> None:
        """Assert that this was the answer."""
        __tracebackhide__ = True
        if self.answer != expected:
            rows = {table.name: list(table.rows.values()) for table in self._tables}
            raise failure(
                f"{self._name} did not answer what was expected", _several(expected), _several(self.answer), rows=rows
            )


def stored(
    registry: Registry,
    events: Iterable[object],
    at: datetime = START,
    metadata: Metadata = NOTHING_SAID,
    after: int = 0,
) -> list[StoredEvent]:
    """Return the events as a log would store them in one append after a position."""
    data, time = encode_metadata(metadata), to_microseconds(at)
    records = [registry.encode(event, data) for event in events]
    check(records)
    return [
        StoredEvent(position, time, record.type, record.version, record.data, record.metadata, record.tags)
        for position, record in enumerate(records, after + 1)
    ]


def _unchanging(definition: ReadModelDefinition) -> ReadModelDefinition:
    """Return a read model's definition whose evolve is not let change what it is given; a projection's as it is."""
    fold = getattr(definition, "fold", None)
    if isinstance(fold, Fold):
        definition = copy(definition)
        definition.fold = fold.unchanging()
    return definition


def check(records: Sequence[NewEvent]) -> None:
    """Raise what a store would raise for these events: a tag that cannot be kept, an event that is too large."""
    if records:
        AppendRequest(records, None, None).check()


def _several(answer: Any) -> list[Any]:
    return [*answer] if type(answer) in (list, tuple) else [answer]
