"""Every error that leftfold raises on purpose. Most have a standard parent too, so `except TimeoutError` works.

LeftfoldError
├── Rejected
├── DefinitionError: UnresolvedAnnotation, NotAMessage, AbstractMessage, DefinedTooLate, InvalidCriteria,
│       UntaggableType, UnstorableType, ShadowedField, TaglessEvent, InvalidModel, InvalidHandler, InvalidProjection,
│       UnmatchedParameter, AmbiguousParameter, DuplicateHandler, WireNameClash, ReservedWireName
├── UsageError: NotHandled, NaiveDatetime, UnsupportedValue, UnsupportedExpression, PositionAhead,
│       InvalidPosition, InvalidKey, InvalidMetadata, NotAnEvent, WrongAnswer, InvalidUrl, MissingExtra, SameLog,
│       ForeignTarget, MissingOption, InvalidOption, UnknownRole, UnknownName, WrongVerb, UnknownSubmissionState,
│       UnknownProcess, InstanceNotParked, InstanceEnded, UnknownInstance, UnknownReactor, EventNotWaiting,
│       WrongLoop, ForkedStore, InsideRunningLoop
├── CodecError: CannotDecode, InvalidMessage
│   └── InvalidMessage: CannotEncode
├── StoreError: InvalidAppend, Conflict, KeyReused, LeaseLost, LeaseOfAnotherApp, PartsAppended, OutcomeUnknown,
│   │   StoreUnavailable
│   ├── InvalidAppend: EmptyAppend, AppendTooLarge, EventTooLarge, CriteriaTooLarge, InvalidEvent,
│   │   │   InvalidIdempotencyKey, InvalidTag, InvalidType, TimeRefused
│   │   └── InvalidIdempotencyKey: ReservedKey
│   └── StoreUnavailable: StoreClosed, StoreNotFound, LogUnderFormerName, StoreUnreachable, StoreBusy, StoreFull,
│       │   StoreReadOnly, ClockJumped, UnsuitableDatabase, RoleTaken, StoreCorrupt, StoreFailed
│       ├── StoreCorrupt: StoreCopied
│       └── StoreFailed: LogReplaced
├── EvolveFailed
├── ArgumentMutated
├── TooManyConflicts
├── TicketError: UnknownTicket, TicketOpen, TicketFailed, TicketCancelled, TicketClosed
└── ReadModelError: ReadModelBehind, ProjectionFailed, ProjectionParked, ReadModelChanged, ReadModelDiverged, NotKept,
    │   NotParked, TableTaken, ModelsUnavailable, UnknownReadModel
    ├── ReadModelBehind: ExecutedButBehind
    └── ReadModelChanged: ProjectionChanged, ReadModelsChanged
"""

import inspect
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from difflib import get_close_matches
from math import isfinite
from shlex import quote
from typing import Any, cast, dataclass_transform

from leftfold.passwords import without_password, without_password_of, without_passwords

PARTS = ("found", "expected", "remedy")
REQUIRED: Any = object()
LONGEST_SHOWN = 120


class LeftfoldError(Exception):
    """The root: what was found, what was expected, what to do next. No text shows the password of a URL.

    A copied or unpickled error equals the original: its class and its attributes are the same. Notes are kept; the
    cause, the context and the traceback are not pickled, as with every Python exception.
    """

    found: str
    expected: str
    remedy: str

    def __init__(self, found: str, expected: str, remedy: str) -> None:
        self.found, self.expected, self.remedy = map(without_passwords, (found, expected, remedy))
        super().__init__(f"{self.found}\n  expected: {self.expected}\n  to do: {self.remedy}")

    def __repr__(self) -> str:
        names = getattr(type(self), "_fields", ()) or PARTS
        shown_fields = ", ".join(f"{name}={shown(getattr(self, name))}" for name in names)
        return without_passwords(f"{type(self).__name__}({shown_fields})")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and _without_notes(self) == _without_notes(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args), vars(self)


def _without_notes(error: object) -> dict[str, Any]:
    return {name: value for name, value in vars(error).items() if name != "__notes__"}


def _restored(owner: type[LeftfoldError], args: tuple[Any, ...]) -> LeftfoldError:
    """Make an error without its constructor, whose parameters may differ from its attributes."""
    error = owner.__new__(owner)
    super(LeftfoldError, error).__init__(*args)
    return error


def fill(self: LeftfoldError, *values: Any, **named: Any) -> None:
    """Set the fields of an error, and format the templates of its class: the constructor of most errors."""
    owner: Any = type(self)
    given = dict(zip(owner._fields, values, strict=False)) | named
    held = owner._fields | given
    is_complete = len(held) == len(owner._fields) and not any(value is REQUIRED for value in held.values())
    if not is_complete or len(given) < len(values) + len(named):
        inspect.signature(owner).bind(*values, **named)  # raises a TypeError that says what is wrong
    for name, value in held.items():
        setattr(self, name, tuple(value) if _is_sequence(owner._hints[name]) else value)
    texts = _Texts(self)
    LeftfoldError.__init__(
        self, *(held[part] if part in held else getattr(self, part).format_map(texts) for part in PARTS)
    )


def _is_sequence(hint: Any) -> bool:
    return getattr(hint, "__origin__", None) is Sequence


@dataclass_transform(eq_default=False)
class Declared(type):
    """Gives an error class a constructor with its annotated fields as parameters.

    `found`, `expected` and `remedy` are templates over the fields and properties; as a field, one is given in full.
    """

    _fields: dict[str, Any]
    _hints: dict[str, Any]

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> None:
        super().__init__(name, bases, namespace)
        hints, base = inspect.get_annotations(cls), bases[0]
        cls._hints = getattr(base, "_hints", {}) | hints
        cls._fields = getattr(base, "_fields", {}) | {each: namespace.get(each, REQUIRED) for each in hints}
        if "__init__" not in namespace and (cls._fields or hasattr(cls, "found")):
            type.__setattr__(cls, "__init__", fill)

    @property
    def __signature__(cls) -> inspect.Signature:
        """Return the signature of the constructor that is made from the fields."""
        if cls.__dict__.get("__init__") is not fill:
            raise AttributeError("the constructor is written out")
        kind, empty = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.empty
        parameters = [
            inspect.Parameter(
                name, kind, default=empty if default is REQUIRED else default, annotation=cls._hints[name]
            )
            for name, default in cls._fields.items()
        ]
        return inspect.Signature(parameters)


class _Texts:
    """The values of an error's templates, by name."""

    def __init__(self, error: LeftfoldError) -> None:
        self._error = error

    def __getitem__(self, name: str) -> "_Text":
        return _Text(getattr(self._error, name))


class _Text:
    """A value in a template: a tuple as a list of names, a datetime in ISO format, `!r` in at most 120 characters."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __repr__(self) -> str:
        return shown(self._value)

    def __format__(self, form: str) -> str:
        value: Any = self._value
        if isinstance(value, datetime):
            return value.isoformat()
        return _listed(cast("tuple[object, ...]", value)) if isinstance(value, tuple) else format(value, form)


def _listed(names: Iterable[object]) -> str:
    return ", ".join(map(repr, names)) or "none"


def shown(value: object) -> str:
    """Return the `repr` of a value for a message, in at most 120 characters, even if its `repr` raises."""
    try:
        text = repr(value)
    except RecursionError:
        text = f"a {type(value).__name__} that is nested too deeply to be shown"
    except Exception as error:  # noqa: BLE001 the message is about something else and must not be lost
        text = f"a {type(value).__name__} whose repr raises {type(error).__name__}"
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 3]}..."


def unknown_option(name: str, known: Sequence[str]) -> str:
    """Say that an option does not exist, and name similar ones or else all that exist."""
    near = get_close_matches(name, known, 3)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"the options are {', '.join(known)}"
    return f"there is no option {name!r}; {hint}"


class Rejected(LeftfoldError):
    """A command handler refuses a command: `raise Rejected("insufficient funds", balance=12)`."""

    def __init__(self, reason: str, **details: Any) -> None:
        self.reason, self.details = reason, details
        given = ", ".join(f"{name}={value!r}" for name, value in details.items())
        super().__init__(
            f"rejected: {reason}" + (f" ({given})" if given else ""),
            "a command that the current state allows",
            "show the reason to the sender of the command",
        )

    def __repr__(self) -> str:
        details = "".join(f", {name}={value!r}" for name, value in self.details.items())
        return f"{type(self).__name__}({self.reason!r}{details})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rejected) and (self.reason, self.details) == (other.reason, other.details)

    def __hash__(self) -> int:
        return hash(self.reason)


class DefinitionError(LeftfoldError, metaclass=Declared):
    """The app is defined incorrectly."""

    def __init__(self, found: str, expected: str, remedy: str) -> None:
        LeftfoldError.__init__(self, found, expected, remedy)


class UnresolvedAnnotation(DefinitionError, NameError):
    """An annotation refers to a name that does not exist at run time."""

    owner: str
    problem: str
    found = "the annotations of {owner} cannot be resolved: {problem}"
    expected = "annotations whose names the module defines or imports at run time"
    remedy = "define the classes at module level and import them outside `if TYPE_CHECKING`"


class NotAMessage(DefinitionError, TypeError):
    """A class is used as a message but is not one."""

    owner: object
    found = "{_name!r} is used as a message"
    expected = "a subclass of Event, Command or Query, or a class decorated with @message(...)"
    remedy = "derive the class from Event, or put @message(wire=..., version=...) above the class itself"

    @property
    def _name(self) -> object:
        return getattr(self.owner, "__qualname__", self.owner)


class AbstractMessage(DefinitionError, TypeError):
    """An abstract class is used as a message."""

    owner: type
    found = "{_name} is defined with abstract=True and is used as a message"
    expected = "a class that is not abstract: an abstract class has no messages of its own"
    remedy = "use a subclass of {_name}, or remove abstract=True"

    @property
    def _name(self) -> str:
        return self.owner.__qualname__


class DefinedTooLate(DefinitionError):
    """An event class was defined after an app whose models fold its base class was opened."""

    owner: type
    base: type
    found = "{_name} was defined after the app was opened, and the app's models fold {_base}"
    expected = "all subclasses of an event class that a model folds to be defined before the app is opened"
    remedy = "import the module that defines {_name} first, then open the app again"

    @property
    def _name(self) -> str:
        return self.owner.__qualname__

    @property
    def _base(self) -> str:
        return self.base.__qualname__


class InvalidCriteria(DefinitionError, ValueError):
    """Criteria name a class that has no events."""

    owner: object
    problem: str
    found = "criteria({_name}): {problem}"
    expected = "wire names, event classes, or base classes whose subclasses are already defined"
    remedy = "name the events, or call criteria(...) in a function that runs after all events are defined"

    @property
    def _name(self) -> object:
        return getattr(self.owner, "__qualname__", self.owner)


class UntaggableType(DefinitionError, TypeError):
    """A Tag annotates a type that has no stable text form."""

    owner: str
    field: str
    type: object
    found = "{owner}.{field} is tagged but has the type {_name}"
    expected = "str, int, UUID, Enum or date, optional or in a list, tuple or set"
    remedy = "tag a field of one of these types"

    @property
    def _name(self) -> object:
        return getattr(self.type, "__name__", self.type)


class UnstorableType(DefinitionError, TypeError):
    """A field has a type whose values cannot all be stored and read back equal."""

    owner: str
    field: str
    problem: str
    found = "{_place} has a type that cannot be stored: {problem}"
    expected = "types whose values come back equal from JSON; docs/events.md lists them"
    remedy = (
        "in a union, give each struct a tag (class Card(msgspec.Struct, tag=True)) and keep only one type that is "
        "written as text; otherwise use a type from the list"
    )

    @property
    def _place(self) -> str:
        return f"{self.owner}.{self.field}" if self.field else self.owner


class ShadowedField(DefinitionError, TypeError):
    """A property, method or constant has the name of a field, so Python reads another value than the stored one."""

    owner: str
    field: str
    hidden_by: object
    found = "{owner}.{field} is a field and also {_kind}"
    expected = "one meaning for a name: Python reads the value that is stored"
    remedy = "rename one of the two; give a property that computes a value a name of its own"

    @property
    def _kind(self) -> str:
        if isinstance(self.hidden_by, property):
            return "a property"
        return "a method" if callable(self.hidden_by) else f"the constant {shown(self.hidden_by)}"


class TaglessEvent(DefinitionError, TypeError):
    """A model folds an event that carries none of the model's tags."""

    model: str
    event: str
    missing: Sequence[str]
    carried: Sequence[str]
    criteria: bool = False
    found = "{model}.evolve takes {event}, which carries the tags: {carried}"
    expected = "an event that carries the tags: {missing}"
    remedy = (
        "type the field of {event} that identifies the entity with the tagged type, remove the event from "
        "evolve,{_criteria} or, if {event} is only a base class for other events, define it as "
        "class {event}(..., abstract=True)"
    )

    @property
    def _criteria(self) -> str:
        return " define `criteria(self)` on the model," if self.criteria else ""


class InvalidModel(DefinitionError, TypeError):
    """The fields or the evolve method of a model are not usable."""

    found: str
    expected: str
    remedy: str


class InvalidHandler(DefinitionError, TypeError):
    """The signature of a handler is not usable."""

    found: str
    expected: str
    remedy: str


class InvalidProjection(DefinitionError, ValueError):
    """The name, version or tables of an SQL projection are not usable."""

    projection: str
    problem: str
    expected: str
    found = "the projection {projection}: {problem}"
    remedy = "write @app.projection('daily totals', version=1, tables=[daily_totals]) above its handler"


class UnmatchedParameter(DefinitionError, TypeError):
    """No field of the command provides the key for a handler's parameter."""

    handler: str
    parameter: str
    tag: str
    choices: Sequence[str]
    found = "parameter {parameter!r} of {handler} needs a key tagged {tag!r}; the command's tagged fields: {choices}"
    expected = "a command field with the tag {tag!r}"
    remedy = "add the field to the command, with the tagged type"


class AmbiguousParameter(DefinitionError, TypeError):
    """Several fields of the command could provide the key for a handler's parameter."""

    handler: str
    parameter: str
    tag: str
    choices: Sequence[str]
    found = "the key for parameter {parameter!r} of {handler} could come from several fields: {choices}"
    expected = "exactly one command field with the tag {tag!r}, or one with the name of the parameter"
    remedy = "give the parameter the name of the field that you mean: {choices}"


class DuplicateHandler(DefinitionError, ValueError):
    """A command or query has two handlers."""

    message: str
    first: str
    second: str
    found = "{message} is handled by {first} and by {second}"
    expected = "one handler for each command and each query"
    remedy = "remove one handler, or give it its own message type"


class WireNameClash(DefinitionError, ValueError):
    """Two message types have the same wire name."""

    wire: str
    first: str
    second: str
    found = "{first} and {second} both have the wire name {wire!r}"
    expected = "a different wire name for each type"
    remedy = "give one of them another name: class {_name}(Event, wire=...)"

    @property
    def _name(self) -> str:
        return self.second.rpartition(".")[2]


class ReservedWireName(DefinitionError, ValueError):
    """A message type has a wire name that leftfold reserves for its own events."""

    wire: str
    owner: str
    found = "{owner} has the wire name {wire!r}"
    expected = "a name that does not begin with 'leftfold.', which is the prefix of leftfold's own events"
    remedy = "give it another name: class {_name}(Event, wire=...)"

    @property
    def _name(self) -> str:
        return self.owner.rpartition(".")[2]


class UsageError(LeftfoldError, metaclass=Declared):
    """A call asks for something that cannot be done."""

    def __init__(self, found: str, expected: str, remedy: str) -> None:
        LeftfoldError.__init__(self, found, expected, remedy)


class NotHandled(UsageError, LookupError):
    """The app has no handler for this command or query."""

    message: str
    known: Sequence[str]
    found = "the app has no handler for {message}"
    expected = "one of {known}"
    remedy = "define a handler with @app.handles or @app.answers before the app is opened"


class NaiveDatetime(UsageError, ValueError):
    """A datetime has no time zone."""

    value: datetime
    found = "the datetime {value} has no time zone"
    expected = "an aware datetime"
    remedy = "add the time zone: datetime(..., tzinfo=UTC), or 2026-01-31T09:30Z as text"


class UnsupportedValue(UsageError, ValueError):
    """A column cannot store this value so that it keeps its order and is read back equal."""

    value: object
    expected: str
    remedy: str
    found = "{value!r} cannot be stored in a column"


class UnsupportedExpression(UsageError, TypeError):
    """An SQL expression whose result would differ between databases, or would be wrong."""

    operation: str
    kind: str
    remedy: str
    found = "{operation} of {kind}"
    expected = "an expression that gives the same result on every database and in Python"


class PositionAhead(UsageError, ValueError):
    """`as_of` or `after` is beyond the newest event."""

    asked: int | datetime
    head: int
    option: str = "as_of"
    found = "{option} {asked} has not happened yet; the newest event is at position {head}"
    expected = "a position from 0 to {head}{_or_time}"
    remedy = "{_remedy}"

    @property
    def _or_time(self) -> str:
        return ", or a time in the past" if self.option == "as_of" else ""

    @property
    def _remedy(self) -> str:
        if self.option == "as_of":
            return "leave out as_of to ask for the current state"
        return f"take the position from a receipt of this log, or leave out {self.option}"


class InvalidPosition(UsageError, ValueError):
    """A position or a number of events is not a whole number in the allowed range."""

    name: str
    value: object
    found = "{name}={value!r}"
    expected = "a whole number from 0 to 9,223,372,036,854,775,807"
    remedy = "pass the position of an event, or 0 for the beginning; leave out {name} for no limit"


class InvalidKey(UsageError, ValueError):
    """A key does not fit the model."""

    model: str
    key: Sequence[object]
    fields: Sequence[str]
    found = "{model} was requested with the key {key!r}"
    expected = "one value of the field's type for each of {fields}"
    remedy = "pass the values of the key in the order of the model's fields"


class InvalidMetadata(UsageError, ValueError):
    """Metadata has a value that would not be read back equal; nothing was written."""

    field: str
    given: object
    expected: str
    found = "{field} is {given!r}, of type {_type}"
    remedy = "pass text, as in {field}=str(...)"

    @property
    def _type(self) -> str:
        return type(self.given).__name__


class NotAnEvent(UsageError, TypeError):
    """A command handler returned something that is not an event."""

    handler: str
    value: object
    found = "{handler} returned {value!r}"
    expected = "an event, several events, or None"
    remedy = "return instances of Event, or of classes decorated with @message"


class WrongAnswer(UsageError, TypeError):
    """A query handler returned a value that is not of the query's type."""

    handler: str
    query: str
    types: Sequence[type]
    value: object
    place: str = ""
    found = "{handler} answered {query} with {_place}{_type}: {value!r}"
    expected = "{_expected}"
    remedy = "return what {query} declares, or correct the type in `class {query}(Query[...])`"

    @property
    def _place(self) -> str:
        return f"{self.place} " if self.place else ""

    @property
    def _type(self) -> str:
        return type(self.value).__name__

    @property
    def _expected(self) -> str:
        return " or ".join(each.__name__ for each in self.types)


class InvalidUrl(UsageError, ValueError):
    """The URL of a store or of a database for read models is not valid."""

    url: str
    problem: str
    found = "the store URL '{url}' is not valid: {problem}"
    expected = "sqlite:///relative.db, sqlite:////absolute.db, postgresql://host/database?log=name, memory: or a Path"
    remedy = "correct the URL; docs/store.md lists the options"

    def __init__(self, url: str, problem: str) -> None:
        fill(self, without_password(url), without_password_of(url, problem))


class MissingExtra(UsageError, ImportError):
    """An optional dependency is not installed."""

    module: str
    extra: str
    found = "the package {module!r} is not installed"
    expected = "leftfold with the extra {extra!r}"
    remedy = "pip install 'leftfold[{extra}]'"


class SameLog(UsageError, ValueError):
    """The source and the target of a copy are the same log."""

    log: str
    found = "the source and the target are the same log, {log}"
    expected = "two different logs: a copy has its own identity"
    remedy = "name another file or schema as the target; a file that was copied with cp is still the same log"

    def __init__(self, log: str) -> None:
        fill(self, without_password(log))


class ForeignTarget(UsageError, ValueError):
    """The target of a copy contains something other than the beginning of the source."""

    position: int
    difference: str
    found = "the target log differs from the source at position {position}: {difference}"
    expected = "an empty log, or one that an earlier copy of this source has written and nobody else has changed"
    remedy = "copy to a new file or schema, or delete this one if nobody needs it"


class MissingOption(UsageError, TypeError):
    """`open` was given a store object without an option that the URL of a log would imply."""

    name: str
    store: str
    found = "open was given {store} without {name}="
    expected = "{name}=, because a store object does not say where its log is kept"
    remedy = "add {name}=, or open the log by its URL"


class InvalidOption(UsageError, ValueError):
    """An option of `open` has a value that is not allowed."""

    name: str
    value: object
    expected: str
    found = "{name}={value!r}"
    remedy = "correct the value, or leave out {name}= for the default"


class UnknownRole(UsageError, ValueError):
    """`work=` contains something that is not a role of a process."""

    role: object
    known: Sequence[str]
    found = "{_found}"
    expected = "True, False, or a collection of {known}"
    remedy = "{_remedy}"

    @property
    def _found(self) -> str:
        is_bare = self.role in self.known
        return f"work={self.role!r} is not a collection of roles" if is_bare else f"work= has {self.role!r}, not a role"

    @property
    def _remedy(self) -> str:
        if near := get_close_matches(str(self.role), self.known, 1):
            return f'write work=("{near[0]}",), a tuple'
        return f"name only these roles, as in work={self.known[:2]}, or leave out work= for all of them"


class UnknownName(UsageError, LookupError):
    """`parked`, `retry`, `skip` or `cancel` was given a name that nothing has, or that several things have."""

    name: str
    known: Sequence[str]
    ambiguous: bool = False
    found = "{_problem}"
    expected = "one of {known}"
    remedy = "write {_near}"

    @property
    def _problem(self) -> str:
        if self.ambiguous:
            return f"{self.name!r} may be {' or '.join(self.known)}"
        return f"nothing in this app is called {self.name!r}"

    @property
    def _near(self) -> str:
        near = get_close_matches(self.name, self.known, 2, 0.5) or self.known[:2]
        return " or ".join(repr(each) for each in near)


class WrongVerb(UsageError, ValueError):
    """`skip` or `cancel` does not fit what the name stands for."""

    verb: str
    name: str
    instead: str
    found = "{verb} does not work like this for {name}"
    expected = "{instead}"
    remedy = "use that"


class UnknownSubmissionState(UsageError, LookupError):
    """A submitted command has no such state."""

    state: str
    known: Sequence[str]
    found = "{_state} is not a state of a submitted command"
    expected = "one of {known}"
    remedy = "correct the name, or leave the state out for what is still open or failed"

    @property
    def _state(self) -> str:
        return repr(self.state)


class UnknownProcess(UsageError, LookupError):
    """The app has no process manager of this name."""

    process: str
    known: Sequence[str]
    found = "the app has no process manager {process}"
    expected = "one of {known}"
    remedy = "put @app.process above the class, or correct the name"


class InstanceNotParked(UsageError, LookupError):
    """A process instance cannot be retried, because it is not parked."""

    instance: str
    standing: str
    found = "the process {instance} is {standing}"
    expected = "an instance that is parked at an event that it could not handle"
    remedy = "nothing needs to be done; `leftfold processes` lists the parked instances"


class InstanceEnded(UsageError):
    """A process instance cannot be cancelled, because it has already ended."""

    instance: str
    standing: str
    found = "the process {instance} is {standing}"
    expected = "an instance that still reacts to events"
    remedy = "nothing needs to be done: it no longer reacts to events"


class UnknownInstance(UsageError, LookupError):
    """The log has no event for this process instance."""

    instance: str
    found = "the log has no event for the process {instance}"
    expected = "the key of an instance that has events in the log"
    remedy = "correct the key; `leftfold processes` lists the instances"


class UnknownReactor(UsageError, LookupError):
    """The app has no reactor of this name."""

    reactor: str
    known: Sequence[str]
    found = "the app has no reactor {reactor!r}"
    expected = "one of {known}"
    remedy = "put @app.reactor above the function, or correct the name"


class EventNotWaiting(UsageError, LookupError):
    """A reactor cannot retry or skip an event that is neither waiting nor parked."""

    reactor: str
    position: int
    outstanding: int
    found = "for the reactor {reactor!r}, the event at position {position} is neither waiting nor parked"
    expected = "{_expected}"
    remedy = "list the events with `leftfold reactors show`; an event that was handled needs nothing"

    @property
    def _expected(self) -> str:
        many = f"one of the {self.outstanding} events that are waiting or parked"
        return many if self.outstanding else "an event that is waiting or parked; there is none"


class WrongLoop(UsageError, RuntimeError):
    """A store or a live app was used from an event loop other than its own."""

    closed: bool = False
    found = "this was first used in another event loop{_closed}"
    expected = "the event loop that opened it: a store and a live app belong to one event loop"
    remedy = "open it inside each asyncio.run, or share one loop between threads with app.open_sync(url)"

    @property
    def _closed(self) -> str:
        return ", which is closed now" if self.closed else ""


class ForkedStore(UsageError, RuntimeError):
    """A store or a live app was used in a forked child of the process that opened it."""

    opened_in: int
    used_in: int
    found = "this was opened in process {opened_in} and is used in process {used_in}, which was forked from it"
    expected = "the process that opened it: threads and connections do not survive a fork"
    remedy = "open it in each worker after the fork: on the first request, or in gunicorn's post_fork"


class InsideRunningLoop(UsageError, RuntimeError):
    """The synchronous API was called from async code."""

    instead: str = "async with app.open(url) as live:"
    found = "the synchronous API was called inside a running event loop"
    expected = "a thread without a running event loop"
    remedy = "use `{instead}` and await its methods"


class CodecError(LeftfoldError, metaclass=Declared):
    """A message and its stored data do not fit together."""


class CannotDecode(CodecError, ValueError):
    """Stored data does not fit its type."""

    wire: str
    version: int
    position: int | None
    problem: str
    found = "{wire} v{version}{_place} cannot be read: {problem}"
    expected = "data that fits the class registered for {wire!r}"
    remedy = "add an upcaster for this version, or deploy the code that knows it"

    @property
    def _place(self) -> str:
        return f" at position {self.position}" if self.position else ""


class InvalidMessage(CodecError, ValueError):
    """A message would not be read back equal; nothing was written.

    `field` is the place in the message, such as `lines[2].price`, and `given` is the value there.
    """

    owner: str
    field: str
    given: object
    problem: str
    found = "{owner}{_place} is {given!r}, which {problem}"
    expected = "values that come back equal from their stored form"
    remedy = "{_remedy}; nothing was written"

    def __init__(self, message: object, place: str, given: object, problem: str) -> None:
        fill(self, type(message).__qualname__, place.removeprefix("."), given, problem)

    @property
    def _place(self) -> str:
        return f".{self.field}" if self.field[:1].isidentifier() else self.field

    @property
    def _remedy(self) -> str:
        field, given = self.field or "each field", self.given
        if "is also a tag of" in self.problem:
            return f"give {field} another value, or give one of the two tags a name without a colon"
        if "nested too deeply" in self.problem:
            return f"make {field} flatter: about 100 levels can always be read back"
        if isinstance(given, datetime) and given.tzinfo is None:
            return f"give {field} a time zone, as in datetime.now(UTC)"
        if (isinstance(given, float) and not isfinite(given)) or (isinstance(given, Decimal) and not given.is_finite()):
            return f"use None in {field} where there is no finite number, and annotate it accordingly"
        return f"give {field} a value of its annotated type, or annotate the type that it has"


class CannotEncode(InvalidMessage):
    """A message cannot be written as data."""

    found = "{owner} cannot be encoded: {_value}{problem}"
    expected = "fields of types that have a JSON form"
    remedy = "use str, int, float, bool, datetime, Decimal, UUID, Enum, lists, dicts and structs of these"

    def __init__(self, message: object, problem: str, field: str = "", given: object = None) -> None:
        fill(self, type(message).__qualname__, field, given, problem)

    @property
    def _value(self) -> str:
        return f"{self.field} is {shown(self.given)}: " if self.field else ""


class StoreError(LeftfoldError, metaclass=Declared):
    """The event store refused a call, or could not do its work."""


class InvalidAppend(StoreError, ValueError):
    """The append is malformed; nothing was written."""


class EmptyAppend(InvalidAppend):
    """An append has no events."""

    found = "an append of 0 events"
    expected = "at least one event"
    remedy = "do not call append when there is nothing to append"

    def __init__(self) -> None:
        fill(self)


class AppendTooLarge(InvalidAppend):
    """An append has too many events, tags or bytes."""

    size: str
    limit: str
    found = "the append has {size}"
    expected = "at most {limit}"
    remedy = "split it into several appends"


class EventTooLarge(InvalidAppend):
    """An event exceeds the size limit, which counts the bytes of data, metadata and tags."""

    index: int
    type: str
    size: int
    limit: int
    found = "event {index} of the append ({type}) has {size:,} bytes of data, metadata and tags"
    expected = "at most {limit:,} bytes"
    remedy = "store the large part elsewhere and its address in the event, or open the log with a larger ?event_limit="


class CriteriaTooLarge(InvalidAppend):
    """Criteria have too many items, or an item has too many tags."""

    size: str
    limit: str
    found = "the criteria have {size}"
    expected = "at most {limit}"
    remedy = "ask for fewer entities at once, or select the events by their types alone"


class InvalidEvent(InvalidAppend):
    """A part of an event has a type that a log cannot store."""

    index: int
    problem: str
    found = "event {index} of the append {problem}"
    expected = "a NewEvent of str, bytes, a tuple of up to 10,000 tags, int, bytes, and a datetime or None"
    remedy = "encode data and metadata to bytes first, and pass tags as a tuple"


class InvalidIdempotencyKey(InvalidAppend):
    """An idempotency key cannot be stored."""

    key: object
    problem: str
    remedy: str = "use a shorter name for the request, such as its UUID or a digest of it"
    found = "the idempotency key {key!r} {problem}"
    expected = "text of 1 to 1,024 bytes in UTF-8, used once in an append"


class ReservedKey(InvalidIdempotencyKey):
    """An idempotency key has the prefix of leftfold's own keys."""

    def __init__(self, key: str) -> None:
        remedy = "add a prefix of your own to keys that come from elsewhere, such as 'api/'"
        fill(self, key, "begins with 'leftfold.', the prefix of leftfold's own keys", remedy)


class InvalidTag(InvalidAppend):
    """A tag is empty, too long, or has characters that cannot be stored; `index` is None in criteria."""

    index: int | None
    tag: object
    problem: str
    found = "{_place} the tag {tag!r}, which {problem}"
    expected = "1 to 512 printable characters, no control characters"
    remedy = "clean the value before you put it into an event or into criteria"

    @property
    def _place(self) -> str:
        return _event_or_criteria(self.index)


class InvalidType(InvalidAppend):
    """A type name or version cannot be stored; `index` is None in criteria."""

    index: int | None
    type: object
    problem: str
    found = "{_place} the type {type!r}, which {problem}"
    expected = "a name of 1 to 256 printable characters and a version from 1 to 2,147,483,647"
    remedy = "correct the wire name of the event class"

    @property
    def _place(self) -> str:
        return _event_or_criteria(self.index)


def _event_or_criteria(index: int | None) -> str:
    return "the criteria have" if index is None else f"event {index} of the append has"


class TimeRefused(InvalidAppend):
    """The time of an imported event is before its predecessor's or in the future."""

    index: int
    time: datetime
    earliest: datetime
    now: datetime
    found = "event {index} of the append has the time {time}"
    expected = "a time from {earliest} (the newest event's) to {now} (now)"
    remedy = "import events in the order of their times, into a log that has no later events"


class Conflict(StoreError):
    """An append condition failed; nothing was written.

    `item` is the criteria item that failed; `matches` are the first stored events after `after` that match it.
    """

    item: Any
    after: int
    matches: Sequence[Any]
    found = "events that match {item!r} were appended after position {after}: {_events}"
    expected = "no such event after position {after}"
    remedy = "read again from that position, decide again, and append with the new position"

    @property
    def positions(self) -> tuple[int, ...]:
        """Return the positions of the first matching events."""
        return tuple(match.position for match in self.matches)

    @property
    def _events(self) -> str:
        return "; ".join(f"{match.type} at {match.position} with {_listed(match.tags)}" for match in self.matches)


class KeyReused(StoreError, ValueError):
    """An idempotency key was used again with different content."""

    key: str
    first: int
    last: int
    digest: bytes | None = None
    found = "the key {key!r} was used before, for different content, at positions {first} to {last}"
    expected = "the same content for the same key"
    remedy = "use a new key for a new request"


class LeaseLost(StoreError):
    """Another process has taken over this work; nothing was written."""

    name: str
    found = "another process has taken over {name!r}; nothing was written"
    expected = "one process at a time to do this work"
    remedy = "nothing: this process stops the work, and takes over again when the other process ends"


class LeaseOfAnotherApp(StoreError):
    """Another app on this log runs a worker of the same name; shown in the status, not raised."""

    name: str
    app: str
    holder: str
    found = "{name!r} of the app {app!r} waits: the app {holder!r} uses the same name on this log"
    expected = "process managers and reactors whose names are unique among the apps on a log"
    remedy = "rename it in one of the apps (a process manager with `wire=`), or stop running it in one of them"


class PartsAppended(StoreError):
    """Some of an append's idempotency keys were used before, for the same content; nothing was written."""

    keys: Sequence[str]
    found = "these parts of the append were appended before: {keys}"
    expected = "parts whose keys are new"
    remedy = "find the positions of these parts with `lookup`, and append the other parts without them"


class OutcomeUnknown(StoreError, ConnectionError):
    """The commit may or may not have happened."""

    problem: str
    found = "the connection failed during a commit: {problem}"
    expected = "an answer to the commit"
    remedy = "append again with the same idempotency key; without a key, read first"


class StoreUnavailable(StoreError):
    """The store cannot be used at present; nothing was written."""


class StoreClosed(StoreUnavailable):
    """The store has been closed."""

    found = "the store is closed"
    expected = "an open store"
    remedy = "open it again, or keep it open for as long as you use it"

    def __init__(self) -> None:
        fill(self)


class StoreNotFound(StoreUnavailable, FileNotFoundError):
    """The log does not exist, or this user may not read it."""

    where: str
    found = "there is no {where} that this user may read"
    expected = "an existing log; opening a log for reading does not create it"
    remedy = (
        "check the URL: sqlite:///relative.db has three slashes, sqlite:////absolute/path.db four; "
        "`leftfold init` creates a log in PostgreSQL"
    )


class LogUnderFormerName(StoreUnavailable, FileNotFoundError):
    """The log of a URL with a `#` is in the file that earlier releases opened for that URL."""

    path: str
    former: str
    found = "there is no file {path}, but {former} is a log: earlier releases ended the name of a file at '#'"
    expected = "the file {path}"
    remedy = (
        "while no program has it open, rename {former} (and {former}-wal, if it exists) to {path}; if several URLs "
        "shared the file, open it as {former}; or write %23 for the '#' to start a new log"
    )


class StoreUnreachable(StoreUnavailable, ConnectionError):
    """The database server does not answer."""

    where: str
    problem: str
    found = "the server of {where} cannot be reached: {problem}"
    expected = "a PostgreSQL server that answers at the URL's host and port"
    remedy = "start the server or correct the URL; the next call reconnects automatically"


class StoreBusy(StoreUnavailable, TimeoutError):
    """Another process held the write lock for too long."""

    where: str
    problem: str
    found = "{where} stayed locked by another process: {problem}"
    expected = "other writers to commit within the busy timeout"
    remedy = "find the process that holds a write transaction open, or raise ?busy_timeout= (seconds)"


class StoreFull(StoreUnavailable, OSError):
    """There is no space left."""

    where: str
    problem: str
    found = "there is no space left for {where}: {problem}"
    expected = "space for the append and its journal"
    remedy = "free disk space and append again; nothing was written"


class StoreReadOnly(StoreUnavailable, PermissionError):
    """The log cannot be written to, or a role lacks a right on it."""

    where: str
    problem: str
    advice: str = "correct the permissions; for reading only, open it with ?mode=ro"
    found = "{where} cannot be written to: {problem}"
    expected = "a file and a folder, or a log in PostgreSQL, that this user may write to"
    remedy = "{advice}"


class ClockJumped(StoreUnavailable):
    """An append would date an event implausibly far ahead; nothing was written."""

    time: datetime
    latest: datetime
    now: datetime
    found = "an event would be dated too far ahead: {_reason}"
    expected = "a time up to {latest}"
    remedy = (
        "correct the clock; if the clock is right, open the log with ?accept_time={_accepted}; if events in the log "
        "have a wrong time, repair it with `leftfold copy --latest`"
    )

    @property
    def _reason(self) -> str:
        now = self.now.isoformat()
        if self.now < self.time:
            return f"the newest event of the log has the time {self.time.isoformat()}, but the clock says {now}"
        return f"the clock says {now}, which does not fit the log and the time that has passed"

    @property
    def _accepted(self) -> str:
        return self.time.isoformat(timespec="seconds").replace("+00:00", "Z")


class UnsuitableDatabase(StoreUnavailable):
    """The database cannot store a log or read models."""

    where: str
    problem: str
    found = "{where} cannot be used: {problem}"
    expected = "a database with the encoding UTF-8"
    remedy = "create another database: CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0"


class RoleTaken(StoreUnavailable):
    """A role that should be created for a log already has rights elsewhere on the server."""

    role: str
    elsewhere: str
    found = "the role {role} has rights in {elsewhere}: a role belongs to the whole server, so it could access both"
    expected = "roles that only this log uses"
    remedy = "choose other names: `leftfold init URL --roles --called NAME` creates NAME_writer and NAME_reader"


class StoreCorrupt(StoreUnavailable):
    """The file is not a leftfold log, or it is corrupt."""

    where: str
    problem: str
    found = "{where} is not a leftfold log, or it is corrupt: {problem}"
    expected = "a file that leftfold created"
    remedy = "check the path; if it is right, keep the file, restore a backup next to it and run `leftfold verify`"


class StoreCopied(StoreCorrupt):
    """The pages of a log's file, or the file and its -wal file, are from different moments."""

    found = "{where} mixes data from different moments: {problem}"
    expected = "a file as SQLite left it, with the -wal file that belongs to it"
    remedy = (
        "if a backup was put in its place, move the -wal and -shm files next to it elsewhere and keep them; if it "
        "was copied during a write, copy it again with sqlite3's .backup or VACUUM INTO"
    )


class StoreFailed(StoreUnavailable, OSError):
    """The store's database reported an error for which there is no class of its own."""

    where: str
    problem: str
    found = "{where} failed: {problem}"
    expected = "a file on a working local disk, or a server that works"
    remedy = "check the system log or the server log; nothing was written"


class LogReplaced(StoreFailed):
    """The log under an open store is no longer the log that the store was reading and writing."""

    written: bool = False
    found = "{where} is another log, or an older copy: {problem}"
    expected = "the log that was opened, with all events that were read from it or written to it"
    remedy = "open it again, which compares everything that is kept outside the log with it{_written}"

    @property
    def _written(self) -> str:
        return "" if self.written else "; nothing was written"


class EvolveFailed(LeftfoldError, metaclass=Declared):
    """A model's evolve raised an exception, or did not return a state.

    The exception is the `__cause__`. `position` is None for an event that was just decided and is not stored.
    """

    model: str
    key: Sequence[object]
    event: str
    position: int | None
    problem: str
    found = "{model}({_key}).evolve {problem}, for {event} {_place}"
    expected = "an evolve that returns a {model} for every stored event of its types"
    remedy = "correct evolve; nothing was written"

    @property
    def _key(self) -> str:
        return ", ".join(map(repr, self.key))

    @property
    def _place(self) -> str:
        return "which was just decided" if self.position is None else f"at position {self.position}"


class ArgumentMutated(LeftfoldError, metaclass=Declared):
    """A handler, `evolve` or `react` changed its argument; checked with `python -X dev` and in `leftfold.testing`."""

    function: str
    place: str
    before: object
    after: object
    found = "{function} changed its argument {place}: {before!r} became {after!r}"
    expected = "unchanged arguments: a cached state is used for later decisions too, even after a rejection"
    remedy = (
        "return a changed copy, as in replace(self, items=[*self.items, item]), or use tuples, frozensets and frozen "
        "classes"
    )


class TooManyConflicts(LeftfoldError, metaclass=Declared):
    """A command lost against concurrent commands too often."""

    command: str
    attempts: int
    conflict: Conflict
    found = "{command} was decided {attempts} times and had a conflict each time; the last conflict: {_conflict}"
    expected = "fewer concurrent writers on the same entities"
    remedy = "send the command again, or open the app with more attempts="

    @property
    def _conflict(self) -> str:
        return self.conflict.found


class TicketError(LeftfoldError, metaclass=Declared):
    """A submitted command has no receipt, or cannot be changed."""


class UnknownTicket(TicketError, LookupError):
    """The log has no submitted command with this id."""

    ticket: str
    found = "the log has no submitted command {ticket!r}"
    expected = "the id of a ticket that `submit` returned"
    remedy = "list the submitted commands: live.commands(), or `leftfold commands`"


class TicketOpen(TicketError, TimeoutError):
    """A submitted command was not handled in time."""

    ticket: str
    timeout: float
    found = "the command {ticket!r} has no outcome after {timeout:g} s"
    expected = "a worker that handles the command when it is due"
    remedy = "ask again later (nothing is lost), and check that an app with workers is open on this log"


class TicketFailed(TicketError):
    """The last attempt to handle a submitted command failed."""

    ticket: str
    attempts: int
    error: str
    found = "the command {ticket!r} failed {attempts} times, the last time with {error}"
    expected = "a handler that decides without an exception"
    remedy = "remove the cause, then retry it: live.ticket(id).retry(), or `leftfold commands --retry`"


class TicketCancelled(TicketError):
    """A submitted command was cancelled."""

    ticket: str
    found = "the command {ticket!r} was cancelled"
    expected = "a command that is handled"
    remedy = "submit it again if you still want it; the log records who cancelled it"


class TicketClosed(TicketError):
    """A submitted command can no longer be retried or cancelled."""

    ticket: str
    verb: str
    state: str
    found = "cannot {verb} the command {ticket!r}: it is {state}"
    expected = "a failed or postponed command to retry, or an unfinished command to cancel"
    remedy = "submit a new command if something else has to happen"


class ReadModelError(LeftfoldError, metaclass=Declared):
    """A read model cannot answer."""


class ReadModelBehind(ReadModelError, TimeoutError):
    """A read model did not reach the requested position in time.

    `lag` is the number of positions that are missing. `seconds` is how long the oldest of these events has been in the
    log, if that is known. `begun` is False if nothing has been built from this log yet; `position` is then 0.
    """

    model: str
    position: int
    asked: int
    timeout: float
    seconds: float | None = None
    found = "{_progress}"
    expected = "{_expected}"
    remedy = "{_remedy}"

    def __init__(self, model: str, position: int, asked: int, timeout: float, seconds: float | None = None) -> None:
        self.begun, self.lag = position >= 0, asked - max(position, 0)
        fill(self, model, max(position, 0), asked, timeout, seconds)

    @property
    def _progress(self) -> str:
        waited = f", after {self.timeout:g} s" if self.timeout else ""
        if not self.begun:
            return f"{self.model} has not been built from this log by this code yet{waited}"
        since = f" for {self.seconds:.3g} s" if self.seconds else ""
        behind = f", {self.lag} behind position {self.asked}{since}" if self.lag > 0 else ""
        return f"{self.model} is at position {self.position}{behind}{waited}"

    @property
    def _expected(self) -> str:
        return f"{self.model} at position {self.asked} or later" if self.begun else f"{self.model} built from this log"

    @property
    def _remedy(self) -> str:
        if self.begun:
            return "ask again, pass a longer timeout=, or leave out after= to get the current answer"
        return (
            f"make sure that a process builds {self.model} (`leftfold work`, or an app opened with work=); it folds "
            "the log from the beginning, then the query is answered"
        )


class ExecutedButBehind(ReadModelBehind):
    """A command succeeded, but a read model did not catch up within the timeout; `receipt` is the command's."""

    receipt: Any = None
    found = "the command succeeded, but {_progress}"
    expected = "{model} at position {asked} or later"
    remedy = "do not execute the command again: take this error's receipt, and query with after=receipt"

    def __init__(
        self, model: str, position: int, asked: int, timeout: float, seconds: float | None, receipt: Any
    ) -> None:
        self.begun, self.lag = position >= 0, asked - max(position, 0)
        fill(self, model, max(position, 0), asked, timeout, seconds, receipt)


class ProjectionFailed(ReadModelError):
    """A read model stopped, because it cannot be known which keys an event concerns."""

    model: str
    position: int
    problem: str
    found = "{model} stopped at position {position}: {problem}"
    expected = "an event that can be decoded, or whose tags identify the keys of its rows, and an evolve that folds it"
    remedy = "correct evolve, or add an upcaster for the event, then open the app again"


class ProjectionParked(ReadModelError):
    """An SQL projection is parked at an event that its handler could not handle."""

    projection: str
    position: int
    problem: str
    found = "{projection} is parked at position {position}: {problem}"
    expected = "a handler that handles the event at this position"
    remedy = (
        "remove the cause, then `leftfold projections ... retry {_quoted}`, or skip the event with a reason; "
        "a corrected handler with a higher version is rebuilt and continues by itself"
    )

    @property
    def _quoted(self) -> str:
        return quote(self.projection)


class ReadModelChanged(ReadModelError):
    """The code of a read model has changed, but its version has not."""

    model: str
    stored: int
    version: int
    found = "{model} is version {version} in the code, but its table was built by other code, as version {stored}"
    expected = "the code that built the table, or a higher version"
    remedy = "write {_decorator}, or run `leftfold rebuild --app MODULE:ATTR URL {_quoted}`"

    @property
    def _decorator(self) -> str:
        return f"@app.read_model(version={self.stored + 1})"

    @property
    def _quoted(self) -> str:
        return quote(self.model)


class ProjectionChanged(ReadModelChanged):
    """The code or the tables of an SQL projection have changed, but its version has not."""

    @property
    def _decorator(self) -> str:
        return f"@app.projection({self.model!r}, version={self.stored + 1}, ...)"


class ReadModelsChanged(ReadModelChanged):
    """The code of several read models or projections has changed; `changed` has an error for each of them.

    `model`, `stored` and `version` are those of the first.
    """

    changed: Sequence[ReadModelChanged] = ()
    found = "{_found}"
    expected = "the code that built the tables, or higher versions"
    remedy = '{_remedies}; during development, open(..., on_change="rebuild")'

    def __init__(self, first: ReadModelChanged, others: Sequence[ReadModelChanged]) -> None:
        fill(self, first.model, first.stored, first.version, (first, *others))

    @property
    def _found(self) -> str:
        return "; ".join(each.found for each in self.changed)

    @property
    def _remedies(self) -> str:
        return "; ".join(each.remedy for each in self.changed)


class ReadModelDiverged(ReadModelError):
    """A read model was built from a history that the log no longer has."""

    model: str
    position: int
    found = "the log does not contain the event at position {position} that {model} folded last"
    expected = "the log that the read model was built from, or a later state of it"
    remedy = (
        "nothing, if the log was restored or replaced on purpose: the process that folds the read model empties it "
        "and builds it again, and it answers no queries until then"
    )


class NotKept(ReadModelError, LookupError):
    """A read model cannot be rebuilt, because it has no table yet."""

    model: str
    found = "{model} has no table that was built from this log"
    expected = "a read model that is stored in a database next to the log"
    remedy = "open the app, which creates the tables"


class NotParked(ReadModelError, LookupError):
    """A key cannot be retried or skipped, because it is not parked."""

    model: str
    key: Sequence[object]
    parked: int
    found = "{model} has no parked key {_key}"
    expected = "{_expected}"
    remedy = (
        "list the parked keys with `live.parked()` or `leftfold projections`; a key that is not parked needs nothing"
    )

    @property
    def _key(self) -> str:
        return ", ".join(map(str, self.key)) or "()"

    @property
    def _expected(self) -> str:
        return f"one of its {self.parked} parked keys" if self.parked else "a parked key; none is parked"


class TableTaken(ReadModelError):
    """A table of this name belongs to another log, or was not created by leftfold."""

    model: str
    table: str
    where: str
    owner: str | None
    log_id: str
    found = "{model} needs the table {table!r} of {where}, but the existing table {_whose}"
    expected = "no table of that name, or one that was built from this log, {log_id}"
    remedy = (
        "keep these models in their own database or schema, with ?schema=NAME at the end of the URL; if nobody needs "
        "the existing table, drop it or delete the file: read models are built again"
    )

    @property
    def _whose(self) -> str:
        return f"was built from the log {self.owner}" if self.owner else "was not created by leftfold"


class ModelsUnavailable(ReadModelError, OSError):
    """The database of the read models cannot be used at present."""

    where: str
    problem: str
    found = "the models database {where} cannot be used: {problem}"
    expected = "a database that can be reached and written to, with space for the read models"
    remedy = (
        "check that the server runs, free space, or correct the permissions; a damaged file may be deleted: "
        "read models are rebuilt from the log"
    )


class UnknownReadModel(ReadModelError, LookupError):
    """The app has no read model of this name."""

    model: str
    known: Sequence[str]
    found = "the app has no read model {model}"
    expected = "one of {known}"
    remedy = "put @app.read_model above the class"
