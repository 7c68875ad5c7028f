"""Handlers of free-form projections: a function that writes what follows from events with SQL of its own."""

import collections.abc
import inspect
import types
from collections.abc import Callable
from typing import Any, Self, get_args, get_origin

from leftfold.criteria import Criteria, Item
from leftfold.errors import InvalidHandler
from leftfold.events import MessageType, event_classes, with_subclasses
from leftfold.fold import Fold
from leftfold.query.recorded import Recorded
from leftfold.tags import hints_of, unaliased

MANY = (collections.abc.Sequence, list)
WRITTEN = "write def handle(event: Opened | Closed, connection: sqlalchemy.Connection) -> None"


class ProjectionHandler:
    """A handler function, understood when it is defined.

    `many`: it takes a batch at once, as a sequence. `asks_recorded`: it has a third parameter for `Recorded`.
    """

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        if not isinstance(function, types.FunctionType):
            raise _invalid(f"the projection {name!r} is handled by {function!r}", "a function made with def")
        self.function: types.FunctionType = function
        self.name = function.__qualname__
        self.is_async = inspect.iscoroutinefunction(function)
        self._check_kind(function)
        hints = _parameters(function, self.name)
        self.many = get_origin(hints[0]) in MANY
        self.bases = _events_of(self.name, get_args(hints[0])[0] if self.many else hints[0])
        self._check_connection(hints[1])
        self.asks_recorded = len(hints) > 2
        if self.asks_recorded:
            self._check_recorded(hints[2])

    def __repr__(self) -> str:
        return f"<ProjectionHandler {self.name} of {len(self.bases)} event types>"

    def _check_kind(self, function: Callable[..., Any]) -> None:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise _invalid(f"{self.name} has a yield", "def or async def that returns nothing")

    def _check_connection(self, hint: Any) -> None:
        wanted = "AsyncConnection" if self.is_async else "Connection"
        module, found = getattr(hint, "__module__", ""), getattr(hint, "__qualname__", repr(hint))
        if not (module.startswith("sqlalchemy.") and found == wanted):
            kind = "async def takes sqlalchemy.ext.asyncio.AsyncConnection, def takes sqlalchemy.Connection"
            raise _invalid(f"the second parameter of {self.name} is annotated with {found}", kind)

    def _check_recorded(self, hint: Any) -> None:
        fits = get_origin(hint) in MANY and get_args(hint) == (Recorded,) if self.many else hint is Recorded
        if not fits:
            wanted = "Sequence[Recorded], as the events are a sequence" if self.many else "leftfold.Recorded"
            raise _invalid(f"the third parameter of {self.name} is annotated with {hint!r}", wanted)


class HandledEvents(Fold):
    """The events that a handler takes: what it has of a fold. There is no key and no state."""

    __slots__ = ()

    def __init__(self, name: str, bases: tuple[type, ...]) -> None:
        self.name = name
        self.key = ()
        self.bases = bases
        self.refresh()

    def __repr__(self) -> str:
        return f"<HandledEvents of {self.name}: {len(self.events)} event types>"

    def refresh(self) -> Self:
        """Take in the subclasses of the event classes that have been defined since."""
        self.events = tuple(MessageType(owner) for owner in with_subclasses(self.bases))
        return self

    def all_criteria(self) -> Criteria:
        """Every event that the handler takes."""
        return Criteria(Item(event.wire for event in self.events))


def _parameters(function: Callable[..., Any], name: str) -> list[Any]:
    """The annotations of the parameters, in order."""
    hints = hints_of(function)
    parameters = list(inspect.signature(function).parameters.values())
    in_order = all(each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD) for each in parameters)
    if len(parameters) not in (2, 3) or not in_order:
        found = ", ".join(map(str, parameters)) or "nothing"
        raise _invalid(f"{name} takes {found}", "an event (or a sequence), a connection and, if wanted, Recorded")
    return [unaliased(hints.get(parameter.name)) for parameter in parameters]


def _events_of(name: str, hint: Any) -> tuple[type, ...]:
    found = event_classes(hint)
    if isinstance(found, str):
        raise _invalid(
            f"the first parameter of {name} is annotated with {hint!r}" + ("" if hint is None else f": {found}"),
            "one event class, a union of them, a base class of them, or a Sequence of these",
        )
    return found


def _invalid(found: str, expected: str) -> InvalidHandler:
    return InvalidHandler(found, expected, WRITTEN)
