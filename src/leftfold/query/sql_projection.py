"""SQL projections: tables of the user's own, written by a handler in the transaction of the checkpoint."""

import collections.abc
import inspect
import types
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self, get_args, get_origin

from leftfold.errors import InvalidHandler, InvalidProjection, LeftfoldError, ReadModelChanged
from leftfold.model.context import EventContext
from leftfold.model.criteria import Criteria, CriteriaItem
from leftfold.model.fingerprint import Fingerprint, fingerprint_of_function
from leftfold.model.fold import Fold
from leftfold.model.message import MessageType, event_classes, with_subclasses
from leftfold.model.tag import hints_of, unaliased
from leftfold.query.read_model import ReadModelDefinition
from leftfold.query.shard import model_of

if TYPE_CHECKING:
    import sqlalchemy as sa


LONGEST_NAME = 100


class SqlProjection(ReadModelDefinition):
    """An SQL projection as an app has it. The read side keeps it as it keeps read models, without a key.

    A read model is identified by its class, an SQL projection by its name.
    """

    stops_at_errors = True

    def __init__(
        self,
        function: Callable[..., Any],
        name: str,
        tables: "sa.MetaData | Sequence[sa.Table]",
        *,
        version: int = 1,
    ) -> None:
        from leftfold.query.tables.own_schema import checked_tables, ddl_of

        _check_name(name)
        if type(version) is not int or version < 1:
            raise InvalidProjection(name, f"its version is {version!r}", "a whole number, 1 or more")
        self.name = self.table = name
        self.version = version
        self.history = False
        self.shards = 1
        self.handler = ProjectionHandler(function, name)
        self.fold = HandledEvents(name, self.handler.bases)
        self.schema: tuple[sa.Table, ...] = checked_tables(name, tables)
        self._ddl = ddl_of(self.schema)

    def __repr__(self) -> str:
        return f"<SqlProjection {self.name} in {' and '.join(self.tables)}>"

    @property
    def handle(self) -> str:
        """Its name."""
        return self.name

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of its tables; those that refer to others come before them."""
        return tuple(table.name for table in reversed(self.schema))

    @property
    def data_only(self) -> bool:
        """Whether the handler needs nothing of an event but its data."""
        return not self.handler.takes_context

    def fingerprint(self) -> Fingerprint:
        """Return what changes when the handler or the tables do."""
        return fingerprint_of_function(self.handler.function, self.fold.events).joined(self._ddl)

    def changed(self, stored: int) -> LeftfoldError:
        """Return the error for code that changed without its version."""
        decorator = f"@app.projection({self.name!r}, version={stored + 1}, ...)"
        return ReadModelChanged(self.name, stored, self.version, decorator)


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not name.strip() or name != name.strip() or not name.isprintable():
        raise InvalidProjection(
            repr(name), "it is not a valid name", "printable characters, without spaces at the ends"
        )
    if len(name) > LONGEST_NAME:
        raise InvalidProjection(name, f"its name has {len(name)} characters", f"at most {LONGEST_NAME}")
    if model_of(name) != name:
        raise InvalidProjection(
            name, "its name ends like the name of a shard", "a name that does not end in '#' and a number"
        )
    if name.startswith("leftfold"):
        raise InvalidProjection(name, "its name begins with 'leftfold'", "a name that leftfold does not use itself")


BATCH_TYPES = (collections.abc.Sequence, list)
WRITTEN = "write def handle(event: Opened | Closed, connection: sqlalchemy.Connection) -> None"


class ProjectionHandler:
    """A handler function, analysed when it is defined.

    `many`: it takes a batch at once, as a sequence. `takes_context`: it has a third parameter, an `EventContext`.
    """

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        if not isinstance(function, types.FunctionType):
            raise _invalid(f"the projection {name!r} is handled by {function!r}", "a function made with def")
        self.function: types.FunctionType = function
        self.name = function.__qualname__
        self.is_async = inspect.iscoroutinefunction(function)
        self._check_kind(function)
        hints = _parameters(function, self.name)
        self.many = get_origin(hints[0]) in BATCH_TYPES
        self.bases = _events_of(self.name, get_args(hints[0])[0] if self.many else hints[0])
        self._check_connection(hints[1])
        self.takes_context = len(hints) > 2
        if self.takes_context:
            self._check_context(hints[2])

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

    def _check_context(self, hint: Any) -> None:
        fits = (
            get_origin(hint) in BATCH_TYPES and get_args(hint) == (EventContext,) if self.many else hint is EventContext
        )
        if not fits:
            wanted = "Sequence[EventContext], like the events" if self.many else "leftfold.EventContext"
            raise _invalid(f"the third parameter of {self.name} is annotated with {hint!r}", wanted)


class HandledEvents(Fold):
    """The events that a handler takes, in place of a fold; there is no key and no state."""

    __slots__ = ()

    def __init__(self, name: str, bases: tuple[type, ...]) -> None:
        self.name = name
        self.key = ()
        self.has_functions = False
        self.bases = bases
        self.refresh()

    def __repr__(self) -> str:
        return f"<HandledEvents of {self.name}: {len(self.events)} event types>"

    def refresh(self) -> Self:
        """Include the subclasses of the event classes that were defined since."""
        self.events = tuple(MessageType(owner) for owner in with_subclasses(self.bases))
        return self

    def all_criteria(self) -> Criteria:
        """Return the criteria of every event that the handler takes."""
        return Criteria(CriteriaItem(event.wire for event in self.events))


def _parameters(function: Callable[..., Any], name: str) -> list[Any]:
    """Return the annotations of the parameters, in order."""
    hints = hints_of(function)
    parameters = list(inspect.signature(function).parameters.values())
    in_order = all(each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD) for each in parameters)
    if len(parameters) not in (2, 3) or not in_order:
        found = ", ".join(map(str, parameters)) or "nothing"
        raise _invalid(f"{name} takes {found}", "an event (or a sequence), a connection and perhaps an EventContext")
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
