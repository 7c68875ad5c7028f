"""Every error that leftfold raises on purpose.

LeftfoldError
├── Rejected                    a handler said no; the only one that users raise
├── DefinitionError             the app is put together wrongly; raised while it is defined
│   ├── UnresolvedAnnotation    an annotation names something that cannot be found
│   ├── NotAMessage             a class is used as a message but is not one
│   ├── AbstractMessage         a class that is only a base for others is used as a message
│   ├── DefinedTooLate          an event class was defined after the app whose models fold its base was opened
│   ├── InvalidCriteria         criteria name a class that stands for no events
│   ├── UntaggableType          a Tag sits on a type that has no stable text
│   ├── UnstorableType          a field's type has no stored form that gives its values back
│   ├── ShadowedField           a property or constant has the name of a field
│   ├── TaglessEvent            a model folds an event that carries none of its tags
│   ├── InvalidModel            a model's fields or evolve do not have the needed shape
│   ├── InvalidHandler          a handler's signature does not have the needed shape
│   ├── InvalidProjection       a projection's name, version or tables cannot be used
│   ├── UnmatchedParameter      no field of the command keys a handler's parameter
│   ├── AmbiguousParameter      several fields of the command could key it
│   ├── DuplicateHandler        two handlers for one command or query
│   ├── WireNameClash           two message types with one wire name
│   └── ReservedWireName        a message type is named like leftfold's own
├── UsageError                  a call asks for what cannot be done
│   ├── NotHandled              no handler for this command or query
│   ├── NaiveDatetime           a datetime without a time zone
│   ├── UnsupportedValue        a value that no column can hold so that it keeps its order and comes back equal
│   ├── UnsupportedExpression   SQL that would not give the same on every database
│   ├── PositionAhead           as_of or after lies beyond the newest event
│   ├── InvalidPosition         a read, a condition or a limit asks for what is no position or number of events
│   ├── InvalidKey              a key does not fit the model
│   ├── InvalidMetadata         metadata that could not be read back as it is
│   ├── NotAnEvent              a handler decided something that is no event
│   ├── WrongAnswer             a query handler answered something else than the query's type
│   ├── InvalidUrl              a store URL that is not understood
│   ├── MissingExtra            an optional dependency is not installed
│   ├── AppNotFound             `--app` names no app that can be imported
│   ├── MissingOption           a store object was given to `open` without `models=` or `work=`
│   ├── InvalidOption           an option of `open` has a value that cannot be meant
│   ├── UnknownRole             `work=` names something that is no role of a process
│   ├── NothingToRun            a worker was started that has nothing to do
│   ├── PortUnavailable         the health of a worker cannot be served on this port
│   ├── UnknownProcess          the app has no such process manager
│   ├── InstanceNotParked       a process that is not parked was to be retried
│   ├── InstanceEnded           a process that is done or cancelled was to be cancelled
│   ├── UnknownInstance         no event of the log concerns this instance of a process
│   ├── UnknownReactor          the app has no such reactor
│   ├── EventNotWaiting         a reactor was to retry or skip an event that neither waits nor is parked
│   ├── UnknownModel            the command line asks for a model that the app does not have
│   ├── LogNotEmpty             a log that is to be tortured holds events
│   ├── SameLog                 a log is to be copied onto itself
│   ├── ForeignTarget           the log to copy to holds something else than the beginning of the copy
│   ├── UnknownNemesis          `leftfold torture` knows no such fault
│   ├── WrongLoop               a store or a live app was used from another event loop than its own
│   ├── ForkedStore             a store or a live app was used in a forked child of the process that opened it
│   └── InsideRunningLoop       the sync facade was called from async code
├── CodecError
│   ├── CannotDecode            stored data does not fit its type
│   └── InvalidMessage          a message would not be read back as it is; nothing was written
│       └── CannotEncode        a message cannot be written as data
├── StoreError
│   ├── InvalidAppend           nothing was written
│   │   ├── EmptyAppend
│   │   ├── AppendTooLarge
│   │   ├── EventTooLarge
│   │   ├── CriteriaTooLarge
│   │   ├── InvalidEvent
│   │   ├── InvalidIdempotencyKey
│   │   │   └── ReservedKey     it begins like leftfold's own keys
│   │   ├── InvalidTag
│   │   ├── InvalidType
│   │   └── TimeRefused
│   ├── Conflict                an append condition failed; nothing was written
│   ├── KeyReused               an idempotency key came back with another payload
│   ├── LeaseLost               another process does this work now; nothing was written
│   ├── LeaseOfAnotherApp       another app on this log has a worker of the same name
│   ├── PartsAppended           keys of parts of an append were used before; nothing was written
│   ├── OutcomeUnknown          the commit may or may not have happened
│   └── StoreUnavailable        nothing was written
│       ├── StoreClosed
│       ├── StoreNotFound
│       ├── LogUnderFormerName
│       ├── StoreUnreachable
│       ├── StoreBusy
│       ├── StoreFull
│       ├── StoreReadOnly
│       ├── ClockJumped         an event would be dated further ahead than is plausible
│       ├── UnsuitableDatabase
│       ├── RoleTaken
│       ├── StoreCorrupt
│       │   └── StoreCopied     the file and its -wal are not of one moment: a copy, or a backup beside another -wal
│       └── StoreFailed
│           └── LogReplaced     the log was moved, replaced or restored while it was open
├── EvolveFailed                a model's evolve raised, or returned something that is no state
├── ArgumentMutated             a handler, evolve or react changed what it was given
├── TooManyConflicts           a command lost to concurrent ones too often
├── TicketError                 a submitted command has no receipt, or cannot be changed
│   ├── UnknownTicket           nothing was submitted under this id
│   ├── TicketOpen              it was not settled in time
│   ├── TicketFailed            its last attempt failed
│   ├── TicketCancelled         someone cancelled it
│   └── TicketClosed            it cannot be retried or cancelled any more
└── ReadModelError
    ├── ReadModelBehind         a read model did not reach the asked position in time
    │   └── ExecutedButBehind   nor did one that `execute` was to wait for; the command was carried out
    ├── ProjectionFailed        a read model stopped: which keys an event concerns cannot be known
    ├── ProjectionParked        a projection waits at an event that its handler could not handle
    ├── ReadModelChanged        the code of a read model has changed, its version has not
    │   ├── ProjectionChanged   the same of a free-form projection
    │   └── ReadModelsChanged   the same of several at once
    ├── ReadModelDiverged       a read model was folded from another history than the log has now
    ├── NotKept                 a read model was to be rebuilt that has no table yet
    ├── NotParked               a key was to be retried or skipped that is not parked
    ├── TableTaken              a table of this name is another log's, or none of leftfold's
    ├── ModelsUnavailable       the models database cannot be used as it stands
    └── UnknownReadModel        a query uses a read model that the app does not have
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from difflib import get_close_matches
from math import isfinite
from shlex import quote
from typing import Any

from leftfold.passwords import without_password, without_password_of, without_passwords

SHOWN_CHARACTERS = 200


class LeftfoldError(Exception):
    """The root: what was found, what was expected, what to do next. None of it shows the password of a URL."""

    def __init__(self, found: str, expected: str, remedy: str) -> None:
        self.found, self.expected, self.remedy = map(without_passwords, (found, expected, remedy))
        super().__init__(f"{self.found}\n  expected: {self.expected}\n  to do: {self.remedy}")


class Rejected(LeftfoldError):
    """A command handler's no: `raise Rejected("insufficient funds", balance=12)`."""

    def __init__(self, reason: str, **details: Any) -> None:
        self.reason = reason
        self.details = details
        given = ", ".join(f"{name}={value!r}" for name, value in details.items())
        super().__init__(
            f"rejected: {reason}" + (f" ({given})" if given else ""),
            "a command that the present state allows",
            "show the reason to whoever sent the command",
        )

    def __repr__(self) -> str:
        details = "".join(f", {name}={value!r}" for name, value in self.details.items())
        return f"{type(self).__name__}({self.reason!r}{details})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rejected) and (self.reason, self.details) == (other.reason, other.details)

    def __hash__(self) -> int:
        return hash(self.reason)


class DefinitionError(LeftfoldError):
    """The app is put together wrongly."""


class UnresolvedAnnotation(DefinitionError):
    """An annotation names something that cannot be found."""

    def __init__(self, owner: str, problem: str) -> None:
        self.owner = owner
        super().__init__(
            f"the annotations of {owner} cannot be resolved: {problem}",
            "annotations that name what the module defines or imports at run time",
            "define the classes at module level and import them outside `if TYPE_CHECKING`",
        )


class NotAMessage(DefinitionError):
    """A class is used as a message but is not one."""

    def __init__(self, owner: object) -> None:
        self.owner = owner
        super().__init__(
            f"{getattr(owner, '__qualname__', owner)!r} is used as a message",
            "a subclass of Event, Command or Query, or a class marked with @message(...)",
            "derive from Event, or put @message(wire=..., version=...) above the class itself",
        )


class AbstractMessage(DefinitionError):
    """A class that is only a base for others is used as a message."""

    def __init__(self, owner: type) -> None:
        self.owner = owner
        super().__init__(
            f"{owner.__qualname__} is defined with abstract=True and is used as a message",
            "a class that is not abstract: there are no messages of an abstract one",
            f"use a subclass of {owner.__qualname__}, or leave out abstract=True",
        )


class DefinedTooLate(DefinitionError):
    """An event class was defined after the app whose models fold its base was opened."""

    def __init__(self, owner: type, base: type) -> None:
        self.owner, self.base = owner, base
        super().__init__(
            f"{owner.__qualname__} was defined after the app was opened, and its models fold {base.__qualname__}",
            "every subclass of an event class that models fold to be defined before the app is opened",
            f"import the module that defines {owner.__qualname__} first, and open the app again",
        )


class InvalidCriteria(DefinitionError):
    """Criteria name a class that stands for no events."""

    def __init__(self, owner: type, problem: str) -> None:
        self.owner = owner
        super().__init__(
            f"criteria({getattr(owner, '__qualname__', owner)}): {problem}",
            "wire names, event classes, or base classes whose subclasses are defined by now",
            "name the events, or make the criteria in a function that is called once all events are defined",
        )


class UntaggableType(DefinitionError):
    """A Tag sits on a type that has no stable text."""

    def __init__(self, owner: str, field: str, found: object) -> None:
        self.owner, self.field = owner, field
        super().__init__(
            f"{owner}.{field} is tagged but holds {getattr(found, '__name__', found)}",
            "str, int, UUID, Enum or date, optional or in a list, tuple or set",
            "tag a field of one of these types",
        )


class UnstorableType(DefinitionError):
    """A field's type has no stored form that gives its values back."""

    def __init__(self, owner: str, field: str, problem: str) -> None:
        self.owner, self.field, self.problem = owner, field, problem
        super().__init__(
            f"{owner}{field and '.'}{field} has a type that cannot be stored: {problem}",
            "types whose values come back equal from JSON; docs/events.md lists them",
            "in a union, give each struct a tag (class Card(msgspec.Struct, tag=True)) and keep only one type that is "
            "written as text; for any other type, use one of the list",
        )


class ShadowedField(DefinitionError):
    """A property, method or constant has the name of a field, so Python reads another value than is stored."""

    def __init__(self, owner: str, field: str, found: object) -> None:
        self.owner, self.field, self.hidden_by = owner, field, found
        super().__init__(
            f"{owner}.{field} is a field, and also {_kind_of_attribute(found)}",
            "one meaning a name: the value that is stored is the one that Python reads",
            "rename one of the two; to compute a value, give the property a name of its own",
        )


def _kind_of_attribute(found: object) -> str:
    if isinstance(found, property):
        return "a property"
    return "a method" if callable(found) else f"the constant {shown(found)}"


class TaglessEvent(DefinitionError):
    """A model folds an event that carries none of its tags."""

    def __init__(
        self, model: str, event: str, missing: Sequence[str], carried: Sequence[str], *, criteria: bool = False
    ) -> None:
        self.model, self.event, self.missing, self.carried = model, event, tuple(missing), tuple(carried)
        super().__init__(
            f"{model}.evolve takes {event}, which carries {_listed(carried)}",
            f"an event that carries {_listed(missing)}",
            f"type the field of {event} that names the entity with the tagged type, drop the event from evolve, "
            + ("define `criteria(self)` on the model, " if criteria else "")
            + f"or, if {event} is only a base for other events, say class {event}(..., abstract=True)",
        )


class InvalidModel(DefinitionError):
    """A model's fields or evolve do not have the needed shape."""


class InvalidHandler(DefinitionError):
    """A handler's signature does not have the needed shape."""


class InvalidProjection(DefinitionError):
    """A projection's name, version or tables cannot be used."""

    def __init__(self, projection: str, problem: str, expected: str) -> None:
        self.projection = projection
        super().__init__(
            f"the projection {projection}: {problem}",
            expected,
            "write @app.projection('daily totals', version=1, tables=[daily_totals]) above its handler",
        )


class UnmatchedParameter(DefinitionError):
    """No field of the command keys a handler's parameter."""

    def __init__(self, handler: str, parameter: str, tag: str, choices: Sequence[str]) -> None:
        self.handler, self.parameter, self.tag, self.choices = handler, parameter, tag, tuple(choices)
        super().__init__(
            f"parameter {parameter!r} of {handler} needs a key tagged {tag!r}; the command has {_listed(choices)}",
            f"a command field that carries the tag {tag!r}",
            "add the field to the command, typed with the tagged type",
        )


class AmbiguousParameter(DefinitionError):
    """Several fields of the command could key a handler's parameter."""

    def __init__(self, handler: str, parameter: str, tag: str, choices: Sequence[str]) -> None:
        self.handler, self.parameter, self.tag, self.choices = handler, parameter, tag, tuple(choices)
        super().__init__(
            f"parameter {parameter!r} of {handler} could be keyed by {_listed(choices)}",
            f"one command field that carries the tag {tag!r}, or one with the parameter's name",
            f"name the parameter like the field it means: {_listed(choices)}",
        )


class DuplicateHandler(DefinitionError):
    """Two handlers for one command or query."""

    def __init__(self, message: str, first: str, second: str) -> None:
        self.message, self.first, self.second = message, first, second
        super().__init__(
            f"{message} is handled by {first} and by {second}",
            "one handler for each command and each query",
            "remove one of them, or give it a message type of its own",
        )


class WireNameClash(DefinitionError):
    """Two message types with one wire name."""

    def __init__(self, wire: str, first: str, second: str) -> None:
        self.wire, self.first, self.second = wire, first, second
        super().__init__(
            f"{first} and {second} both have the wire name {wire!r}",
            "a wire name of its own for each type",
            f"give one of them another name: class {second.rpartition('.')[2]}(Event, wire=...)",
        )


class ReservedWireName(DefinitionError):
    """A message type is named like leftfold's own."""

    def __init__(self, wire: str, owner: str) -> None:
        self.wire, self.owner = wire, owner
        super().__init__(
            f"{owner} has the wire name {wire!r}",
            "a name that does not begin with 'leftfold.': so the log's own events are called",
            f"give it another name: class {owner.rpartition('.')[2]}(Event, wire=...)",
        )


class UsageError(LeftfoldError):
    """A call asks for what cannot be done."""


class NotHandled(UsageError):
    """No handler for this command or query."""

    def __init__(self, message: str, known: Sequence[str]) -> None:
        self.message, self.known = message, tuple(known)
        super().__init__(
            f"nothing handles {message}",
            f"one of {_listed(known)}",
            "define a handler with @app.handles or @app.answers before the app is opened",
        )


class NaiveDatetime(UsageError):
    """A datetime without a time zone."""

    def __init__(self, found: datetime) -> None:
        self.value = found
        super().__init__(
            f"the datetime {found.isoformat()} has no time zone",
            "an aware datetime",
            "say which zone is meant: datetime(..., tzinfo=UTC), or 2026-01-31T09:30Z in text",
        )


class UnsupportedValue(UsageError):
    """A value that no column can hold so that it keeps its order and comes back equal."""

    def __init__(self, found: object, expected: str, remedy: str) -> None:
        self.value = found
        super().__init__(f"{found!r} cannot be kept in a column", expected, remedy)


class UnsupportedExpression(UsageError):
    """SQL over a column of a type with which the databases do not do the same, or nothing right."""

    def __init__(self, operation: str, kind: str, remedy: str) -> None:
        self.operation, self.kind = operation, kind
        super().__init__(f"{operation} of {kind}", "what gives the same on every database, and in Python", remedy)


class PositionAhead(UsageError):
    """as_of or after lies beyond the newest event."""

    def __init__(self, asked: int | datetime, head: int, option: str = "as_of") -> None:
        self.asked, self.head, self.option = asked, head, option
        super().__init__(
            f"{option} {asked} has not happened yet; the newest event is at position {head}",
            f"a position from 0 to {head}" + (", or a time that is past" if option == "as_of" else ""),
            f"leave {option} out to ask for the present"
            if option == "as_of"
            else "take the position from a receipt of this log, or leave after out",
        )


class InvalidPosition(UsageError):
    """A read, a condition or a limit asks for what is no position or number of events."""

    def __init__(self, name: str, found: object) -> None:
        self.name, self.value = name, found
        super().__init__(
            f"{name}={found!r}",
            "a whole number from 0 to 9,223,372,036,854,775,807",
            f"pass the position of an event, or 0 for the beginning; leave {name} out for no bound",
        )


class InvalidKey(UsageError):
    """A key does not fit the model."""

    def __init__(self, model: str, found: Sequence[object], fields: Sequence[str]) -> None:
        self.model, self.fields = model, tuple(fields)
        super().__init__(
            f"{model} was asked for with the key {tuple(found)!r}",
            f"one value for each of {_listed(fields)}, of the field's type",
            "pass the key's values in the order of the model's fields",
        )


class InvalidMetadata(UsageError):
    """Metadata that could not be read back as it is; nothing was written."""

    def __init__(self, field: str, given: object, expected: str) -> None:
        self.field, self.given = field, given
        super().__init__(
            f"{field} is {shown(given)}, of type {type(given).__name__}",
            expected,
            f"give it as text, as in {field}=str(...)",
        )


class NotAnEvent(UsageError):
    """A handler decided something that is no event."""

    def __init__(self, handler: str, found: object) -> None:
        self.handler, self.value = handler, found
        super().__init__(
            f"{handler} returned {found!r}",
            "an event, several events, or None",
            "return instances of Event (or of classes marked with @message)",
        )


class WrongAnswer(UsageError):
    """A query handler answered something else than the query's type."""

    def __init__(self, handler: str, query: str, expected: Sequence[type], found: object, place: str = "") -> None:
        self.handler, self.query, self.value, self.place = handler, query, found, place
        super().__init__(
            f"{handler} answered {query} with {f'{place} ' if place else ''}{type(found).__name__}: {shown(found)}",
            " or ".join(each.__name__ for each in expected),
            f"return what {query} says, or correct the type in `class {query}(Query[...])`",
        )


class InvalidUrl(UsageError):
    """A store URL that is not understood."""

    def __init__(self, url: str, problem: str) -> None:
        self.url = without_password(url)
        super().__init__(
            f"the store URL {self.url!r} is not understood: {without_password_of(url, problem)}",
            "sqlite:///relative.db, sqlite:////absolute.db, postgresql://host/database?log=name, memory: or a Path",
            "correct the URL; the options are listed in docs/store.md",
        )


def unknown_option(name: str, known: Sequence[str]) -> str:
    """What to say of an option that there is not: what may be meant, or all that there are."""
    near = get_close_matches(name, known, 3)
    said = f"did you mean {' or '.join(map(repr, near))}?" if near else f"the options are {', '.join(known)}"
    return f"there is no option {name!r}; {said}"


class MissingExtra(UsageError):
    """An optional dependency is not installed."""

    def __init__(self, module: str, extra: str) -> None:
        self.module, self.extra = module, extra
        super().__init__(
            f"the package {module!r} is not installed",
            f"leftfold with the extra {extra!r}",
            f"pip install 'leftfold[{extra}]'",
        )


class AppNotFound(UsageError):
    """The app that the command line names cannot be imported."""

    def __init__(self, target: str, problem: str, known: Sequence[str] = ()) -> None:
        self.target, self.known = without_password(target), tuple(known)
        super().__init__(
            f"--app {self.target}: {problem}",
            "module:attribute of an App in the working directory or on the Python path, like bank:bank",
            f"try --app {known[0]}" if known else "correct the name, or go to the folder that has the module",
        )


class UnknownModel(UsageError):
    """The command line asks for a model that the app does not have."""

    def __init__(self, model: str, known: Sequence[str], kind: str = "decision model or read model") -> None:
        self.model, self.known, self.kind = without_password(model), tuple(known), kind
        super().__init__(
            f"the app has no {kind} {self.model!r}",
            f"one of {_listed(known)}",
            "correct the name; a decision model is found if a command handler takes it"
            if "decision" in kind
            else "correct the name; a read model goes by its class's name, a projection by the name that it was given",
        )


class LogNotEmpty(UsageError):
    """A log that is to be tortured holds events."""

    def __init__(self, url: str, head: int) -> None:
        self.url, self.head = without_password(url), head
        super().__init__(
            f"the log {self.url} has {head} events, and torture fills it with nonsense",
            "an empty log",
            "name a new file or schema",
        )


class SameLog(UsageError):
    """A log is to be copied onto itself."""

    def __init__(self, log: str) -> None:
        self.log = without_password(log)
        super().__init__(
            f"both are the log {self.log}",
            "two logs: a copy has an identity of its own",
            "name another file or schema to copy to; a file that was copied by other means is still the same log",
        )


class ForeignTarget(UsageError):
    """The log to copy to holds something else than the beginning of the copy."""

    def __init__(self, position: int, difference: str) -> None:
        self.position, self.difference = position, difference
        super().__init__(
            f"the log to copy to differs from the source at position {position}: {difference}",
            "a log that is empty, or holds what an earlier copy of this source has written, and no other writer",
            "copy to a new file or schema, or delete this one if nobody needs it",
        )


class UnknownNemesis(UsageError):
    """`leftfold torture` knows no such fault."""

    def __init__(self, nemesis: str, known: Sequence[str]) -> None:
        self.nemesis, self.known = nemesis, tuple(known)
        super().__init__(
            f"there is no fault {nemesis!r}",
            f"one of {_listed(known)}, or none",
            "correct the name; leave it out for all that are available",
        )


class MissingOption(UsageError):
    """A store object was given to `open` without an option that its URL would have stood for."""

    def __init__(self, name: str, store: str) -> None:
        self.name, self.store = name, store
        super().__init__(
            f"open was given {store} without {name}=",
            f"{name}=, because a store object does not say where its log is kept",
            f"add {name}=, or open the log by its URL",
        )


class InvalidOption(UsageError):
    """An option of `open` has a value that cannot be meant."""

    def __init__(self, name: str, value: object, expected: str) -> None:
        self.name, self.value = name, value
        super().__init__(f"{name}={value!r:.100}", expected, f"correct the value, or leave out {name}= for the default")


class UnknownRole(UsageError):
    """`work=` names something that is no role of a process."""

    def __init__(self, role: object, known: Sequence[str]) -> None:
        self.role, self.known = role, tuple(known)
        super().__init__(
            f"work={role!r} is no collection of roles" if role in known else f"work= names {role!r}, which is no role",
            f"True, False, or a collection of {_listed(known)}",
            _role_remedy(role, known),
        )


def _role_remedy(role: object, known: Sequence[str]) -> str:
    near = get_close_matches(str(role), known, 1)
    if near:
        return f'write work=("{near[0]}",), a tuple'
    return f"name only such roles, as in work={tuple(known[:2])}, or leave work= out to have all of them"


class NothingToRun(UsageError):
    """A worker was started that has nothing to do."""

    def __init__(self, app: str, roles: Sequence[str]) -> None:
        self.app, self.roles = app, tuple(roles)
        super().__init__(
            f"the app {app} has nothing to run: no {', no '.join(roles)}",
            "command handlers, process managers or read models that the chosen roles run",
            "choose other roles with --only, or leave it out",
        )


class PortUnavailable(UsageError):
    """The health of a worker cannot be served on this port."""

    def __init__(self, host: str, port: int, problem: str) -> None:
        self.host, self.port = host, port
        super().__init__(
            f"port {port} of {host} cannot be used: {problem}",
            "a free port that this user may use",
            "stop what uses it, or choose another; 0 takes any free one and prints which",
        )


class UnknownProcess(UsageError):
    """The app has no such process manager."""

    def __init__(self, process: str, known: Sequence[str]) -> None:
        self.process, self.known = process, tuple(known)
        super().__init__(
            f"{process} is not a process of this app",
            f"one of {_listed(known)}",
            "put @app.process above the class, or correct the name",
        )


class InstanceNotParked(UsageError):
    """A process that is not parked was to be retried."""

    def __init__(self, instance: str, standing: str) -> None:
        self.instance, self.standing = instance, standing
        super().__init__(
            f"the process {instance} is {standing}",
            "one that is parked at an event that it could not answer",
            "nothing has to be done; `leftfold processes` lists those that are parked",
        )


class InstanceEnded(UsageError):
    """A process that is done or cancelled was to be cancelled."""

    def __init__(self, instance: str, standing: str) -> None:
        self.instance, self.standing = instance, standing
        super().__init__(
            f"the process {instance} is {standing}",
            "one that still answers events",
            "nothing has to be done: it answers no more events",
        )


class UnknownInstance(UsageError):
    """No event of the log concerns this instance of a process."""

    def __init__(self, instance: str) -> None:
        self.instance = instance
        super().__init__(
            f"no event of the log concerns the process {instance}",
            "the key of an instance whose events are in the log",
            "correct the key; `leftfold processes` lists the instances that have answered anything",
        )


class UnknownReactor(UsageError):
    """The app has no such reactor."""

    def __init__(self, reactor: str, known: Sequence[str]) -> None:
        self.reactor, self.known = reactor, tuple(known)
        super().__init__(
            f"{reactor!r} is not a reactor of this app",
            f"one of {_listed(known)}",
            "put @app.reactor above the function, or correct the name",
        )


class EventNotWaiting(UsageError):
    """A reactor was to retry or skip an event that neither waits nor is parked."""

    def __init__(self, reactor: str, position: int, outstanding: int) -> None:
        self.reactor, self.position, self.outstanding = reactor, position, outstanding
        super().__init__(
            f"the reactor {reactor!r} does not wait with the event at position {position}",
            f"one of the {outstanding} events that wait or are parked"
            if outstanding
            else "an event that waits or is parked; there is none",
            "list them with `leftfold reactors show`; what was reacted to needs nothing",
        )


class WrongLoop(UsageError):
    """A store or a live app was used from another event loop than its own."""

    def __init__(self, closed: bool = False) -> None:
        self.closed = closed
        super().__init__(
            "this was first used in another event loop" + (", which is closed by now" if closed else ""),
            "the event loop that opened it: a store and a live app belong to one",
            "open it inside each asyncio.run, or share one loop between threads by app.open_sync(url)",
        )


class ForkedStore(UsageError):
    """A store or a live app was used in a forked child of the process that opened it."""

    def __init__(self, opened_in: int, used_in: int) -> None:
        self.opened_in, self.used_in = opened_in, used_in
        super().__init__(
            f"this was opened in process {opened_in} and is used in process {used_in}, which was forked from it",
            "the process that opened it: threads and connections do not survive a fork",
            "open it in each worker, after the fork: on the first request, or in gunicorn's post_fork",
        )


class InsideRunningLoop(UsageError):
    """The sync facade was called from async code."""

    def __init__(self, instead: str = "async with app.open(url) as live:") -> None:
        super().__init__(
            "the sync facade was called from inside a running event loop",
            "a thread without a running loop",
            f"use `{instead}` and await its methods",
        )


class CodecError(LeftfoldError):
    """Data and types do not fit together."""


class CannotDecode(CodecError):
    """Stored data does not fit its type."""

    def __init__(self, wire: str, version: int, position: int | None, problem: str) -> None:
        self.wire, self.version, self.position = wire, version, position
        where = f" at position {position}" if position else ""
        super().__init__(
            f"{wire} v{version}{where} cannot be read: {problem}",
            f"data that fits the class registered for {wire!r}",
            "add an upcaster for this version, or deploy the code that knows it",
        )


class InvalidMessage(CodecError):
    """A message would not be read back as it is; nothing was written.

    `field` is the place in the message, such as `lines[2].price`, and `given` the value that stands there.
    """

    def __init__(self, message: object, place: str, given: object, problem: str) -> None:
        self.owner, self.field, self.given = type(message).__qualname__, place.removeprefix("."), given
        super().__init__(
            f"{self.owner}{place} is {shown(given)}, which {problem}",
            "values that come back equal from their stored form",
            f"{_value_remedy(self.field or 'each field', given, problem)}; nothing was written",
        )


def _value_remedy(field: str, given: object, problem: str) -> str:
    """What to do about a value that would not come back as it is."""
    if "is also a tag of" in problem:
        return f"give {field} another value, or one of the two tags a name without a colon"
    if "nested too deeply" in problem:
        return f"keep {field} flatter: some 100 levels are always read back"
    if isinstance(given, datetime) and given.tzinfo is None:
        return f"give {field} a time zone, as in datetime.now(UTC)"
    if (isinstance(given, float) and not isfinite(given)) or (isinstance(given, Decimal) and not given.is_finite()):
        return f"keep None in {field} where there is no finite number, and annotate it so"
    return f"give {field} a value of its annotated type, or annotate the type that it has"


class CannotEncode(InvalidMessage):
    """A message cannot be written as data."""

    def __init__(self, message: object, problem: str, field: str = "", given: object = None) -> None:
        self.owner, self.field, self.given = type(message).__qualname__, field, given
        CodecError.__init__(
            self,
            f"{self.owner} cannot be encoded: {f'{field} is {shown(given)}: ' if field else ''}{problem}",
            "fields of types that have a JSON form",
            "use str, int, float, bool, datetime, Decimal, UUID, Enum, lists, dicts and structs of these",
        )


class StoreError(LeftfoldError):
    """The event store said no, or could not do its work."""


class InvalidAppend(StoreError):
    """The append itself is malformed; nothing was written."""


class EmptyAppend(InvalidAppend):
    """An append without events."""

    def __init__(self) -> None:
        super().__init__(
            "an append of 0 events", "at least one event", "leave the call out when there is nothing to say"
        )


class AppendTooLarge(InvalidAppend):
    """More than one append may hold."""

    def __init__(self, found: str, limit: str) -> None:
        super().__init__(f"the append has {found}", f"at most {limit}", "divide it into several appends")


class EventTooLarge(InvalidAppend):
    """An event over the size limit. Sizes are bytes of data, metadata and tags."""

    def __init__(self, index: int, type: str, size: int, limit: int) -> None:
        self.index, self.type, self.size, self.limit = index, type, size, limit
        super().__init__(
            f"event {index} of the append ({type}) has {size:,} bytes of data, metadata and tags",
            f"at most {limit:,} bytes",
            "store the large part elsewhere and its address in the event, or open the log with a larger ?event_limit=",
        )


class CriteriaTooLarge(InvalidAppend):
    """Criteria have more items, or an item has more tags, than can be looked for."""

    def __init__(self, found: str, limit: str) -> None:
        super().__init__(
            f"the criteria have {found}",
            f"at most {limit}",
            "ask for fewer entities at once, or for the events by their types alone",
        )


class InvalidEvent(InvalidAppend):
    """An event whose parts are not of the types that a log keeps."""

    def __init__(self, index: int, problem: str) -> None:
        self.index = index
        super().__init__(
            f"event {index} of the append {problem}",
            "a NewEvent of str, bytes, a tuple of up to 10,000 tags, int, bytes, and a datetime or None",
            "encode data and metadata to bytes first, and pass tags as a tuple",
        )


class InvalidIdempotencyKey(InvalidAppend):
    """An idempotency key that cannot be kept."""

    def __init__(
        self,
        key: object,
        problem: str,
        remedy: str = "use a shorter name for the request, such as its UUID or a digest of it",
    ) -> None:
        self.key = key
        super().__init__(
            f"the idempotency key {_cut(key)} {problem}",
            "text of 1 to 1,024 bytes in UTF-8, used once in an append",
            remedy,
        )


class ReservedKey(InvalidIdempotencyKey):
    """An idempotency key that begins like those that leftfold makes."""

    def __init__(self, key: str) -> None:
        super().__init__(
            key,
            "begins with 'leftfold.', as leftfold's own keys do",
            "put a name of your own in front of keys that come from elsewhere, such as 'api/'",
        )


class InvalidTag(InvalidAppend):
    """A tag that is empty, too long, or has characters that cannot be kept; `index` is None in criteria."""

    def __init__(self, index: int | None, tag: object, problem: str) -> None:
        self.index, self.tag = index, tag
        super().__init__(
            f"{_event_or_criteria(index)} the tag {_cut(tag)}, which {problem}",
            "1 to 512 printable characters, no control characters",
            "clean the value before it becomes part of an event or of criteria",
        )


class InvalidType(InvalidAppend):
    """A type name or version that cannot be kept; `index` is None in criteria."""

    def __init__(self, index: int | None, type: object, problem: str) -> None:
        self.index, self.type = index, type
        super().__init__(
            f"{_event_or_criteria(index)} the type {_cut(type)}, which {problem}",
            "a name of 1 to 256 printable characters and a version from 1 to 2,147,483,647",
            "correct the wire name of the event class",
        )


def _event_or_criteria(index: int | None) -> str:
    return "the criteria have" if index is None else f"event {index} of the append has"


def _cut(found: object) -> str:
    """The text of a value, cut where it is long."""
    text = shown(found)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


class TimeRefused(InvalidAppend):
    """An imported event's time lies before its predecessor's or in the future."""

    def __init__(self, index: int, time: datetime, earliest: datetime, now: datetime) -> None:
        self.index, self.time, self.earliest, self.now = index, time, earliest, now
        super().__init__(
            f"event {index} of the append has the time {time.isoformat()}",
            f"a time from {earliest.isoformat()} (the newest event's) to {now.isoformat()} (now)",
            "import events in the order of their times, into a log that has no later ones",
        )


class Conflict(StoreError):
    """An append condition failed; nothing of the append was written.

    `item` is the failing criteria item, `matches` the first stored events that match it after `after`.
    """

    def __init__(self, item: Any, after: int, matches: Sequence[Any]) -> None:
        self.item, self.after, self.matches = item, after, tuple(matches)
        shown = "; ".join(f"{match.type} at {match.position} with {_listed(match.tags)}" for match in self.matches)
        super().__init__(
            f"events that match {item!r} were appended after position {after}: {shown}",
            f"no such event after position {after}",
            "read again from that position, decide again, append with the new position",
        )

    @property
    def positions(self) -> tuple[int, ...]:
        """The positions of the first matching events."""
        return tuple(match.position for match in self.matches)


class KeyReused(StoreError):
    """An idempotency key came back with another payload."""

    def __init__(self, key: str, first: int, last: int, digest: bytes | None = None) -> None:
        self.key, self.first, self.last, self.digest = key, first, last, digest
        super().__init__(
            f"the key {key!r} was used before, for other content, at positions {first} to {last}",
            "the same content with the same key",
            "use a new key for a new request",
        )


class LeaseLost(StoreError):
    """Another process does this work now; nothing was written."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"another process has taken over {name!r}; nothing was written",
            "one process at a time to do it",
            "nothing: this process stops doing it, and takes over again when the other one ends",
        )


class LeaseOfAnotherApp(StoreError):
    """Another app on this log has a worker of the same name, and does the work; shown in the status, not raised."""

    def __init__(self, name: str, app: str, holder: str) -> None:
        self.name = name
        self.app = app
        self.holder = holder
        super().__init__(
            f"{name!r} of the app {app!r} waits: the app {holder!r} works on this log under the same name",
            "a name for each process manager and reactor that only one of the apps on a log uses",
            "give it another name in one of the apps (a process manager by `wire=`), or stop running it in one of them",
        )


class PartsAppended(StoreError):
    """Some of an append's several keys were used before, for the same content; nothing was written."""

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = tuple(keys)
        super().__init__(
            f"of an append in parts these were appended before: {', '.join(map(repr, self.keys))}",
            "parts whose keys are new",
            "ask `lookup` where those parts lie, and append the others without them",
        )


class OutcomeUnknown(StoreError):
    """The commit may or may not have happened."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"the connection failed while a commit was on its way: {problem}",
            "an answer to the commit",
            "append again with the same idempotency key; without one, read first",
        )


class StoreUnavailable(StoreError):
    """The store cannot be used as it stands; nothing was written."""


class StoreClosed(StoreUnavailable):
    """The store has been closed."""

    def __init__(self) -> None:
        super().__init__(
            "the store is closed", "an open store", "open it again, or keep it open for as long as it is used"
        )


class StoreNotFound(StoreUnavailable):
    """There is no log to read."""

    def __init__(self, where: str) -> None:
        self.where = where
        super().__init__(
            f"there is no {where} that this user may read",
            "a log; reading creates none",
            "check the URL: sqlite:///relative.db has three slashes, sqlite:////absolute/path.db four; "
            "a log in PostgreSQL is made by `leftfold init`",
        )


class LogUnderFormerName(StoreUnavailable):
    """The log of a URL with a `#` lies in the file that earlier releases opened for it."""

    def __init__(self, path: str, former: str) -> None:
        self.path, self.former = path, former
        super().__init__(
            f"there is no file {path}, and {former} is a log: earlier releases ended a file's name at '#'",
            f"the file {path}",
            f"while no program has it open, rename {former} (and {former}-wal, if it is there) to {path}; where "
            f"several URLs shared it, open it as {former}; or write %23 for the '#' to begin a new log",
        )


class StoreUnreachable(StoreUnavailable):
    """The server of the log does not answer."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(
            f"the server of {where} cannot be reached: {problem}",
            "a PostgreSQL server that answers at the URL's host and port",
            "start the server or correct the URL; the next call connects again by itself",
        )


class StoreBusy(StoreUnavailable):
    """Another process held the write lock for too long."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(
            f"{where} stayed locked by another process: {problem}",
            "other writers that commit within the busy timeout",
            "find the process that holds a write transaction open, or raise ?busy_timeout= (seconds)",
        )


class StoreFull(StoreUnavailable):
    """No space is left."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(
            f"no space is left for {where}: {problem}",
            "room for the append and its journal",
            "free disk space and append again; nothing was written",
        )


class StoreReadOnly(StoreUnavailable):
    """The file or its folder cannot be written."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(
            f"{where} cannot be written: {problem}",
            "a file and a folder, or a log in PostgreSQL, that this user may write",
            "correct the permissions; reading works with ?mode=ro",
        )


class ClockJumped(StoreUnavailable):
    """An append would date an event further ahead than is plausible; nothing was written."""

    def __init__(self, time: datetime, latest: datetime, now: datetime) -> None:
        self.time, self.latest, self.now = time, latest, now
        if now < time:
            found = f"the newest event of the log has the time {time.isoformat()}, and the clock says {now.isoformat()}"
        else:
            found = f"the clock says {now.isoformat()}, and the log and the time that has passed speak against it"
        moment = time.isoformat(timespec="seconds").replace("+00:00", "Z")
        super().__init__(
            f"an event would be dated too far ahead: {found}",
            f"a time up to {latest.isoformat()}",
            f"set the clock right; if it is right, open the log with ?accept_time={moment}; if events of the "
            "log have a wrong time, repair it with `leftfold copy --latest`",
        )


class UnsuitableDatabase(StoreUnavailable):
    """A database on a server that cannot hold a log or read models."""

    def __init__(self, where: str, problem: str) -> None:
        self.where = where
        super().__init__(
            f"{where} cannot be used: {problem}",
            "a database in UTF-8",
            "make another one: CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0",
        )


class RoleTaken(StoreUnavailable):
    """A role that is to be made for a log has rights elsewhere on the server."""

    def __init__(self, role: str, elsewhere: str) -> None:
        self.role, self.elsewhere = role, elsewhere
        super().__init__(
            f"the role {role} has rights in {elsewhere}: roles belong to the whole server, so it would reach both",
            "roles of this log alone",
            "name them otherwise: `leftfold init URL --roles --called NAME` makes NAME_writer and NAME_reader",
        )


class StoreCorrupt(StoreUnavailable):
    """The file is not a leftfold log, or is damaged."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(
            f"{where} is not an undamaged leftfold log: {problem}",
            "a file that leftfold made",
            "check the path; if it is right, keep the file, restore a backup beside it and run `leftfold verify`",
        )


class StoreCopied(StoreCorrupt):
    """The parts of a log's file, or the file and its -wal, are not of one moment."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(where, problem)
        LeftfoldError.__init__(
            self,
            f"{where} is not of one moment: {problem}",
            "a file as SQLite left it, with the -wal file that was beside it",
            "if it is a backup that was put in place, move the -wal and -shm files beside it away and keep them; if it "
            "was copied while it was written, make the copy again with sqlite3's .backup or VACUUM INTO",
        )


class StoreFailed(StoreUnavailable):
    """The store's database reported an error that has no name of its own."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(
            f"{where} failed: {problem}",
            "a file on a working local disk, or a server without trouble of its own",
            "look at the log of the system or of the server; nothing was written",
        )


class LogReplaced(StoreFailed):
    """The log under an open store is not the one any more that the store was reading and writing."""

    def __init__(self, where: str, problem: str, *, written: bool = False) -> None:
        super().__init__(where, problem)
        LeftfoldError.__init__(
            self,
            f"{where} is another log, or an older copy: {problem}",
            "the log that was opened, with everything that was seen of it",
            "open it again: what is kept outside of the log is then compared with it"
            + ("" if written else "; nothing was written"),
        )


class EvolveFailed(LeftfoldError):
    """A model's evolve raised, or returned something that is no state.

    What it raised is the cause. `position` is None for an event that was just decided and is not stored.
    """

    def __init__(self, model: str, key: Sequence[object], event: str, position: int | None, problem: str) -> None:
        self.model, self.key, self.event, self.position, self.problem = model, tuple(key), event, position, problem
        where = "which was just decided" if position is None else f"at position {position}"
        super().__init__(
            f"{model}({', '.join(map(repr, key))}).evolve {problem}, for {event} {where}",
            f"an evolve that returns a {model} for every event of its types that was ever stored",
            "correct evolve; nothing was written",
        )


class ArgumentMutated(LeftfoldError):
    """A handler, `evolve` or `react` changed what it was given; seen with `python -X dev` and in `leftfold.testing`."""

    def __init__(self, function: str, place: str, before: object, after: object) -> None:
        self.function, self.place, self.before, self.after = function, place, before, after
        super().__init__(
            f"{function} changed its argument {place}: {shown(before)} became {shown(after)}",
            "arguments left as they are: a state that is held serves later decisions too, also after a rejection",
            "return a changed copy, as in replace(self, items=[*self.items, item]), or use tuples, frozensets and "
            "frozen classes",
        )


class TooManyConflicts(LeftfoldError):
    """A command lost to concurrent ones too often."""

    def __init__(self, command: str, attempts: int, conflict: Conflict) -> None:
        self.command, self.attempts, self.conflict = command, attempts, conflict
        super().__init__(
            f"{command} was decided {attempts} times and lost each time; the last conflict: {conflict.found}",
            "fewer writers on the same entities at once",
            "send the command again, or open the app with more attempts=",
        )


class TicketError(LeftfoldError):
    """A submitted command has no receipt, or cannot be changed."""


class UnknownTicket(TicketError):
    """Nothing was submitted under this id."""

    def __init__(self, ticket: str) -> None:
        self.ticket = ticket
        super().__init__(
            f"the log has no submitted command {ticket!r}",
            "the id of a ticket that `submit` returned",
            "list them: live.commands(), or `leftfold commands`",
        )


class TicketOpen(TicketError):
    """It was not settled in time."""

    def __init__(self, ticket: str, timeout: float) -> None:
        self.ticket, self.timeout = ticket, timeout
        super().__init__(
            f"the command {ticket!r} has no outcome after {timeout:g} s",
            "a worker that handles it, once its time has come",
            "ask again later (nothing is lost), and see that an app with workers is open on this log",
        )


class TicketFailed(TicketError):
    """Its last attempt failed."""

    def __init__(self, ticket: str, attempts: int, error: str) -> None:
        self.ticket, self.attempts, self.error = ticket, attempts, error
        super().__init__(
            f"the command {ticket!r} failed {attempts} times, the last time with {error}",
            "a handler that decides",
            "remove the cause, then retry it: live.ticket(id).retry(), or `leftfold commands --retry`",
        )


class TicketCancelled(TicketError):
    """Someone cancelled it."""

    def __init__(self, ticket: str) -> None:
        self.ticket = ticket
        super().__init__(
            f"the command {ticket!r} was cancelled",
            "a command that is handled",
            "submit it anew if it is wanted after all; the log says who cancelled it",
        )


class TicketClosed(TicketError):
    """It cannot be retried or cancelled any more."""

    def __init__(self, ticket: str, verb: str, state: str) -> None:
        self.ticket, self.verb, self.state = ticket, verb, state
        super().__init__(
            f"{verb}: the command {ticket!r} is {state}",
            "a command that failed or was postponed, to retry it; one that is not settled, to cancel it",
            "submit a new command if something else has to happen",
        )


class ReadModelError(LeftfoldError):
    """A read model cannot answer."""


class ReadModelBehind(ReadModelError):
    """A read model did not reach the asked position in time.

    `lag` is what is missing in positions, `seconds` for how long the oldest event of it has been in the log, where
    that is known. A `position` below 0 says that nothing was folded from this log; it is kept as 0.
    """

    def __init__(self, model: str, position: int, asked: int, timeout: float, seconds: float | None = None) -> None:
        self.model, self.position, self.asked, self.timeout = model, max(position, 0), asked, timeout
        self.lag, self.seconds = asked - self.position, seconds
        self.begun = position >= 0
        super().__init__(
            f"{_standing(self)}, after {timeout:g} s",
            f"{model} at position {asked} or later" if self.begun else f"{model} folded from this log by this code",
            "ask again, give a longer timeout=, or ask without after= for the answer as it stands"
            if self.begun
            else f"see that a process runs that folds {model} (`leftfold work`, or an app opened with work=): it folds "
            "the log from the beginning, then the query is answered",
        )


class ExecutedButBehind(ReadModelBehind):
    """A command was carried out, and a read model that was to include it did not come so far in time.

    `receipt` is the command's.
    """

    def __init__(
        self, model: str, position: int, asked: int, timeout: float, seconds: float | None, receipt: Any
    ) -> None:
        super().__init__(model, position, asked, timeout, seconds)
        self.receipt = receipt
        LeftfoldError.__init__(
            self,
            f"the command was carried out, but {_standing(self)}, after {timeout:g} s",
            f"{model} at position {asked} or later",
            "do not execute the command again: take this error's receipt, and query with after=receipt",
        )


class ProjectionFailed(ReadModelError):
    """A read model stopped: which keys an event concerns cannot be known."""

    def __init__(self, model: str, position: int, problem: str) -> None:
        self.model, self.position, self.problem = model, position, problem
        super().__init__(
            f"{model} stopped at position {position}: {problem}",
            "an event that can be decoded, or whose tags tell the keys of its rows, and an evolve that folds it",
            "correct evolve, or add an upcaster for the event, and open the app again",
        )


class ReadModelChanged(ReadModelError):
    """The code of a read model has changed, its version has not."""

    def __init__(self, model: str, stored: int, version: int) -> None:
        self.model, self.stored, self.version = model, stored, version
        super().__init__(
            f"{model} is version {version} in the code, and its table was made by other code, as version {stored}",
            "the code that made the table, or a higher version",
            f"{self._how_to_raise()}, or run `leftfold rebuild --app MODULE:ATTR URL {quote(model)}`",
        )

    def _how_to_raise(self) -> str:
        return f"write @app.read_model(version={self.stored + 1})"


class ProjectionChanged(ReadModelChanged):
    """The code or the tables of a free-form projection have changed, its version has not."""

    def _how_to_raise(self) -> str:
        return f"write @app.projection({self.model!r}, version={self.stored + 1}, ...)"


class ReadModelsChanged(ReadModelChanged):
    """The code of several read models or projections has changed, their versions have not: `changed` has each of them.

    `model`, `stored` and `version` are those of the first.
    """

    def __init__(self, first: ReadModelChanged, others: Sequence[ReadModelChanged]) -> None:
        self.changed = changed = (first, *others)
        self.model, self.stored, self.version = first.model, first.stored, first.version
        LeftfoldError.__init__(
            self,
            "; ".join(each.found for each in changed),
            "the code that made the tables, or higher versions",
            "; ".join(each.remedy for each in changed) + '; while developing, open(..., on_change="rebuild")',
        )


class ProjectionParked(ReadModelError):
    """A projection waits at an event that its handler could not handle."""

    def __init__(self, projection: str, position: int, problem: str) -> None:
        self.projection, self.position, self.problem = projection, position, problem
        super().__init__(
            f"{projection} waits at position {position}: {problem}",
            "a handler that handles the event there",
            f"remove the cause, then `leftfold projections ... retry {quote(projection)}`, or skip the event with a "
            "reason; a corrected handler with a raised version is rebuilt, and goes on by itself",
        )


class ReadModelDiverged(ReadModelError):
    """A read model was folded from another history than the log has now."""

    def __init__(self, model: str, position: int) -> None:
        self.model = model
        self.position = position
        super().__init__(
            f"the log does not have the event at position {position} that {model} folded last",
            "the log that the read model was folded from, or a later state of it",
            "nothing, if the log was restored or replaced on purpose: the process that folds the read model empties it "
            "and folds it again, and it answers no query until then",
        )


class NotKept(ReadModelError):
    """A read model was to be rebuilt that has no table yet."""

    def __init__(self, model: str) -> None:
        self.model = model
        super().__init__(
            f"{model} has no table that was made from this log",
            "a read model that is kept in a database beside the log",
            "open the app: its tables are made then",
        )


class NotParked(ReadModelError):
    """A key was to be retried or skipped that is not parked."""

    def __init__(self, model: str, key: Sequence[object], parked: int) -> None:
        self.model, self.key, self.parked = model, tuple(key), parked
        super().__init__(
            f"{model} has no parked key {', '.join(map(str, key)) or '()'}",
            f"one of its {parked} parked keys" if parked else "a parked key; none is parked",
            "list them with `leftfold projections`; a key that is level needs nothing",
        )


class TableTaken(ReadModelError):
    """A table of this name is another log's, or none of leftfold's."""

    def __init__(self, model: str, table: str, where: str, owner: str | None, log_id: str) -> None:
        self.model, self.table, self.where, self.owner = model, table, where, owner
        whose = f"was made from the log {owner}" if owner else "was not made by leftfold"
        super().__init__(
            f"{model} is to be kept in the table {table!r} of {where}, and the one that is there {whose}",
            f"no table of that name, or one that was made from this log, {log_id}",
            "keep these models in a database or schema of their own, with ?schema=NAME behind the URL; "
            "if nobody needs what is there, drop the table or delete the file: read models are folded again",
        )


class ModelsUnavailable(ReadModelError):
    """The models database cannot be used as it stands."""

    def __init__(self, where: str, problem: str) -> None:
        self.where = where
        super().__init__(
            f"the models database {where} cannot be used: {problem}",
            "a database that can be reached and written, with room for the read models",
            "see that the server runs, free space, or correct the permissions; a damaged file may be deleted: "
            "read models are rebuilt from the log",
        )


class UnknownReadModel(ReadModelError):
    """A query uses a read model that the app does not have."""

    def __init__(self, model: str, known: Sequence[str]) -> None:
        self.model, self.known = model, tuple(known)
        super().__init__(
            f"{model} is not a read model of this app",
            f"one of {_listed(known)}",
            "put @app.read_model above the class",
        )


def _standing(behind: ReadModelBehind) -> str:
    if not behind.begun:
        return f"{behind.model} has no rows yet that this code has folded from this log"
    lag = f"{behind.lag} short of {behind.asked}" + (f" for {behind.seconds:.3g} s" if behind.seconds else "")
    return f"{behind.model} stands at position {behind.position}, {lag}"


def shown(value: object) -> str:
    """Show a value in a message, in up to 120 characters, whatever its own `repr` does."""
    try:
        text = repr(value)
    except RecursionError:
        text = f"a {type(value).__name__} that is nested too deeply to be shown"
    except Exception as error:  # noqa: BLE001 the message says something else, and is not to be lost
        text = f"a {type(value).__name__} whose repr raises {type(error).__name__}"
    return text if len(text) <= 120 else f"{text[:117]}..."


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names) or "none"
