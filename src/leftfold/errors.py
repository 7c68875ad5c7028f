"""Every error that leftfold raises on purpose. Most have a standard parent too, so `except TimeoutError` works.

LeftfoldError
├── Rejected
├── DefinitionError: UnresolvedAnnotation, NotAMessage, DefinedTooLate, InvalidCriteria, InvalidField, TaglessEvent,
│       InvalidModel, InvalidHandler, InvalidProjection, UnmatchedParameter, DuplicateHandler, WireNameTaken
├── UsageError: NotHandled, UnknownName, UnknownTrace, NotParked, AlreadyEnded, WrongVerb, NaiveDatetime,
│       UnsupportedValue, UnsupportedExpression, PositionAhead, InvalidPosition, InvalidKey, TagFunctionFailed,
│       NotLoaded, TooManyEntities, InvalidCursor, InvalidMetadata, InvalidResult, InvalidUrl, InvalidOption,
│       MissingOption, MissingMetadata, MissingExtra, SameLog, ForeignTarget, WrongLoop, ForkedStore, InsideRunningLoop
├── CodecError: CannotDecode, InvalidMessage
│   └── InvalidMessage: CannotEncode
├── StoreError: InvalidAppend, Conflict, KeyReused, LeaseLost, LeaseOfAnotherApp, PartsAppended, OutcomeUnknown,
│   │   StoreUnavailable
│   ├── InvalidAppend: EmptyAppend, AppendTooLarge, EventTooLarge, CriteriaTooLarge, InvalidEvent,
│   │   │   InvalidIdempotencyKey, InvalidTag, InvalidType, TimeRefused
│   │   └── InvalidIdempotencyKey: ReservedKey
│   └── StoreUnavailable: StoreClosed, StoreNotFound, StoreUnreachable, StoreBusy, StoreFull, StoreReadOnly,
│       │   ClockJumped, UnsuitableDatabase, RoleTaken, StoreCorrupt, StoreFailed
│       ├── StoreCorrupt: StoreCopied
│       └── StoreFailed: LogReplaced
├── EvolveFailed
├── ArgumentMutated
├── TooManyConflicts
├── TicketError: UnknownTicket, TicketOpen, TicketFailed, TicketCancelled
└── ReadModelError: ReadModelBehind, ProjectionFailed, ProjectionParked, ReadModelChanged, ReadModelDiverged, NotKept,
    │   TableTaken, ModelsUnavailable
    ├── ReadModelBehind: ExecutedButBehind
    └── ReadModelChanged: ReadModelsChanged
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from inspect import Parameter, Signature, get_annotations, signature
from math import isfinite
from typing import TYPE_CHECKING, Any, ClassVar, Self, dataclass_transform, get_origin

from leftfold.passwords import without_password, without_password_of, without_passwords
from leftfold.wording import fill_in, listed, shown, similar

PARTS = ("found", "expected", "remedy")


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
        fields = ", ".join(f"{name}={shown(getattr(self, name))}" for name in self._shown())
        return without_passwords(f"{type(self).__name__}({fields})")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and _without_notes(self) == _without_notes(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args), vars(self)

    def _shown(self) -> Sequence[str]:
        return PARTS


def _without_notes(error: object) -> dict[str, Any]:
    return {name: value for name, value in vars(error).items() if name != "__notes__"}


def _restored(owner: type[LeftfoldError], args: tuple[Any, ...]) -> LeftfoldError:
    """Make an error without its constructor, whose parameters may differ from its attributes."""
    error = owner.__new__(owner)
    super(LeftfoldError, error).__init__(*args)
    return error


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


@dataclass_transform(eq_default=False)
class Declared(LeftfoldError):
    """An error whose constructor takes its annotated fields.

    `found`, `expected` and `remedy` are templates over the attributes, see `leftfold.wording`; one that is a field is
    given in full. A class without templates takes these three.
    """

    __signature__: ClassVar[Signature]
    _fields: ClassVar[dict[str, Parameter]] = {}
    _form: ClassVar[Signature]
    _defaults: ClassVar[dict[str, Any]]

    def __init_subclass__(cls) -> None:
        kind, empty, own = Parameter.POSITIONAL_OR_KEYWORD, Parameter.empty, vars(cls)
        cls._fields = cls._fields | {
            name: Parameter(name, kind, default=own.get(name, empty), annotation=hint)
            for name, hint in get_annotations(cls).items()
        }
        parts = [Parameter(name, kind, annotation=str) for name in PARTS]
        cls._form = Signature([*cls._fields.values()] if hasattr(cls, "found") else parts)
        cls._defaults = {name: each.default for name, each in cls._fields.items() if each.default is not empty}
        cls.__signature__ = signature(own["__init__"].__get__(cls)) if "__init__" in own else cls._form

    def __init__(self, *values: Any, **named: Any) -> None:
        names = self._form.parameters
        given = dict(zip(names, values, strict=False)) | named
        held = self._defaults | given
        if len(held) != len(names) or len(given) < len(values) + len(named):
            self._form.bind(*values, **named)  # raises a TypeError that says what is wrong
        for name, value in held.items():
            setattr(self, name, tuple(value) if get_origin(names[name].annotation) is Sequence else value)
        self._derive()
        texts = {part: getattr(self, part) for part in PARTS}
        super().__init__(*(text if part in held else fill_in(text, self) for part, text in texts.items()))

    def _derive(self) -> None:
        """Set the attributes that follow from the fields."""

    def _shown(self) -> Sequence[str]:
        return [*self._form.parameters]


class DefinitionError(Declared):
    """The app is defined incorrectly."""

    if TYPE_CHECKING:

        def __init__(self, found: str, expected: str, remedy: str) -> None: ...


class UnresolvedAnnotation(DefinitionError, NameError):
    """An annotation refers to a name that does not exist at run time."""

    owner: str
    problem: str
    found = "the annotations of {owner} cannot be resolved: {problem}"
    expected = "annotations whose names the module defines or imports at run time"
    remedy = "define the classes at module level and import them outside `if TYPE_CHECKING`"


class NotAMessage(DefinitionError, TypeError):
    """A class is used as a message, but it is not one, or it is abstract."""

    owner: object
    abstract: bool = False
    found = "{owner} is used as a message, but it is {abstract:?defined with abstract=True}{abstract:!not one}"
    expected = "a subclass of Event, Command or Query that is not abstract, or a class decorated with @message(...)"
    remedy = "{abstract:?use a subclass of it}{abstract:!derive it from Event, or decorate it with @message(wire=...)}"


class DefinedTooLate(DefinitionError):
    """An event class was defined after an app whose models fold its base class was opened."""

    owner: type
    base: type
    found = "{owner} was defined after the app was opened, and the app's models fold {base}"
    expected = "all subclasses of an event class that a model folds to be defined before the app is opened"
    remedy = "import the module that defines {owner} first, then open the app again"


class InvalidCriteria(DefinitionError, ValueError):
    """Criteria name a class that has no events."""

    owner: object
    problem: str
    found = "criteria({owner}): {problem}"
    expected = "wire names, event classes, or base classes whose subclasses are already defined"
    remedy = "name the events, or call criteria(...) in a function that runs after all events are defined"


class InvalidField(DefinitionError, TypeError):
    """A field of a message cannot be stored and read back equal, cannot be tagged, or is hidden by a property."""

    owner: str
    field: str
    problem: str
    expected: str
    remedy: str
    found = "{owner}{field:?.{field}} {problem}"


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
        "evolve,{criteria:? define `criteria(self)` on the model,} or, if {event} is only a base class for other "
        "events, define it as class {event}(..., abstract=True)"
    )


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
    """No field of the command, or more than one, provides the key for a handler's parameter."""

    handler: str
    parameter: str
    tag: str
    choices: Sequence[str]
    ambiguous: bool = False
    fitting: str = ""
    found = (
        "parameter {parameter!r} of {handler} needs a key tagged {tag!r}, and {problem}; the command's tagged fields: "
        "{choices}"
    )
    expected = "one command field with the tag {tag!r}, or one with the name of the parameter"
    remedy = (
        "{ambiguous:?give the parameter the name of a field}{ambiguous:!add a field with the tagged type}"
        "{fitting:?, or annotate the parameter with {fitting}}"
    )

    def _derive(self) -> None:
        none = "no field of the command has this tag"
        if self.fitting:
            none += f"{' in a' if not self.fitting.startswith('Many') else ', other than in a'} collection"
        self.problem = "several fields have this tag" if self.ambiguous else none


class DuplicateHandler(DefinitionError, ValueError):
    """A command or query has two handlers."""

    message: str
    first: str
    second: str
    found = "{message} is handled by {first} and by {second}"
    expected = "one handler for each command and each query"
    remedy = "remove one handler, or give it its own message type"


class WireNameTaken(DefinitionError, ValueError):
    """A message type has the wire name of another type, or one that leftfold reserves for its own events."""

    wire: str
    owner: str
    taken_by: str
    found = "{owner} has the wire name {wire!r}, which belongs to {taken_by}"
    expected = "a wire name that no other type has and that does not begin with 'leftfold.'"
    remedy = "give it another name, as in class Deposited(Event, wire='account.deposited')"


class UsageError(Declared):
    """A call asks for something that cannot be done."""

    if TYPE_CHECKING:

        def __init__(self, found: str, expected: str, remedy: str) -> None: ...


class NotHandled(UsageError, LookupError):
    """The app has no handler for this command or query."""

    message: str
    known: Sequence[str]
    found = "the app has no handler for {message}"
    expected = "{known:?{known:one of}}{known:!an app that has handlers}"
    remedy = "define a handler with @app.handles or @app.answers before the app is opened"


class UnknownName(UsageError, LookupError):
    """There is no such thing as a name says, or several things share the name; `known` lists the names."""

    kind: str
    name: str
    known: Sequence[str] = ()
    ambiguous: bool = False
    found = "{ambiguous:?more than one {kind} is called {name!r}}{ambiguous:!there is no {kind} {name!r}}"
    expected = "{known:?{known:one of}}{known:!the name of a {kind} that exists}"
    remedy = "{near:?write {near}}{near:!correct the name, or define the {kind} before the app is opened}"

    def _derive(self) -> None:
        self.name = without_passwords(self.name)
        self.near = " or ".join(map(repr, self.known)) if self.ambiguous else similar(self.name, self.known)


class UnknownTrace(UsageError, LookupError):
    """Nothing in the log, which ends at `head`, is or belongs to what a trace was asked for."""

    of: int | str
    head: int
    found = "nothing in the log is called {of!r}"
    expected = "a position from 1 to {head}, or the id of a command, a ticket or a correlation in the log"
    remedy = "take it from a receipt, a ticket or the metadata of an event: `leftfold events` shows them"

    def _derive(self) -> None:
        if isinstance(self.of, str):
            self.of = without_passwords(self.of)
        else:
            self.found = f"the log has no event at position {self.of!r}"


class NotParked(UsageError, LookupError):
    """An event cannot be retried or skipped, because nothing is parked under this name and key."""

    name: str
    key: Sequence[object]
    parked: int = 0
    state: str = ""
    found = "{name} has nothing parked{key:? under the key {key}}{state:?: it is {state}}"
    expected = "a key under which an event is parked"
    remedy = "list them with `live.parked()` or `leftfold parked`; work that is not parked needs no retry"


class AlreadyEnded(UsageError):
    """A submitted command or a process instance is in a state in which it cannot be retried or cancelled."""

    verb: str
    name: str
    state: str
    found = "cannot {verb} {name}: it is {state}"
    expected = "a failed or postponed command to retry, or an unfinished command or process instance to cancel"
    remedy = "nothing needs to be done; submit a new command if something else has to happen"


class WrongVerb(UsageError, ValueError):
    """`skip` or `cancel` does not fit what the name stands for."""

    verb: str
    name: str
    instead: str
    found = "{verb} does not apply to {name} in this way"
    expected = "a verb and a key that fit {name}"
    remedy = "use {instead}"


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
    expected = "a position from 0 to {head}, or a time in the past if the option is as_of"
    remedy = "take the position from a receipt of this log, or leave out {option} for the current state"


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


class NotLoaded(UsageError, LookupError):
    """A `Many` has no model with this key: the command does not name it."""

    key: object
    number: int
    known: Sequence[object]
    found = "there is no model with the key {key!r} among these {number}"
    expected = "a key that the command names: {known:one of}{more}"
    remedy = "put the key into the command, or ask with `in` first; a key of several parts is a tuple"

    def _derive(self) -> None:
        self.more = ", …" if self.number > len(self.known) else ""


class TooManyEntities(UsageError, ValueError):
    """A command names more entities than one decision may have; nothing was written."""

    parameter: str
    model: str
    number: int
    limit: int
    found = "parameter {parameter!r} would take {number:,} models {model}"
    expected = "at most {limit:,}"
    remedy = "send several commands, each with a part of the keys; execute_many commits them together"


class TagFunctionFailed(UsageError, ValueError):
    """The function `by` of a `Tag` raised an exception, or does not map values to their keys."""

    tag: str
    function: str
    value: object
    problem: str
    found = "the function {function} of the tag {tag!r} {problem}, for {value!r}"
    expected = "one value of the same type for all that are equal, and for that value itself"
    remedy = "make the function pure, as str.casefold is; for a group return one of its values: a month's first day"


class InvalidCursor(UsageError, ValueError):
    """A cursor does not belong to this select, or it is damaged."""

    cursor: object
    problem: str
    found = "the cursor {cursor!r} cannot be used: {problem}"
    expected = "the `next` of a page of the same read model in the same order"
    remedy = "begin with the first page: leave out after=. To compare a field called after, pass where={{'after': ...}}"


class InvalidMetadata(UsageError, ValueError):
    """Metadata has a value that would not be read back equal; nothing was written."""

    field: str
    given: object
    expected: str
    found = "{field} is {given!r}, of type {given:type}"
    remedy = "pass text, as in {field}=str(...)"


class MissingMetadata(UsageError):
    """A call does not say who acts, or why, and the app requires it; nothing was written."""

    app: str
    missing: Sequence[str]
    found = "a call to the app {app!r} names no {listed}"
    expected = "{listed}: the app was made with requires={missing!r}"
    remedy = "call it inside `with recording({example}):`, or pass metadata=Metadata({example})"

    def _derive(self) -> None:
        self.listed = " and no ".join(self.missing)
        self.example = ", ".join(f"{name}=..." for name in self.missing)


class InvalidResult(UsageError, TypeError):
    """A handler returned something that is not an event, or not an answer of the query's type."""

    handler: str
    value: object
    expected: str
    remedy: str = "return instances of Event, or of classes decorated with @message"
    place: str = ""
    found = "{handler} returned {place:?{place} }{value:type}: {value!r}"


class InvalidUrl(UsageError, ValueError):
    """The URL of a store or of a database for read models is not valid."""

    url: str
    problem: str
    found = "the store URL '{url}' is not valid: {problem}"
    expected = "sqlite:///relative.db, sqlite:////absolute.db, postgresql://host/database?log=name, memory: or a Path"
    remedy = "correct the URL; docs/store.md lists the options"

    def _derive(self) -> None:
        self.url, self.problem = without_password(self.url), without_password_of(self.url, self.problem)


class InvalidOption(UsageError, ValueError):
    """An option of `open` has a value that is not allowed."""

    name: str
    value: object
    expected: str
    remedy: str = "correct the value, or leave out the option for the default"
    found = "{name}={value!r}"


class MissingOption(UsageError, TypeError):
    """`open` was given a store object without an option that the URL of a log would imply."""

    name: str
    store: str
    found = "open was given {store} without {name}="
    expected = "{name}=, because a store object does not say where its log is kept"
    remedy = "add {name}=, or open the log by its URL"


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

    def _derive(self) -> None:
        self.log = without_password(self.log)


class ForeignTarget(UsageError, ValueError):
    """The target of a copy contains something other than the beginning of the source."""

    position: int
    difference: str
    found = "the target log differs from the source at position {position}: {difference}"
    expected = "an empty log, or one that an earlier copy of this source has written and nobody else has changed"
    remedy = "copy to a new file or schema, or delete this one if nobody needs it"


class WrongLoop(UsageError, RuntimeError):
    """A store or a live app was used from an event loop other than its own."""

    closed: bool = False
    found = "this was first used in another event loop{closed:?, which is closed now}"
    expected = "the event loop that opened it: a store and a live app belong to one event loop"
    remedy = "open it inside each asyncio.run, or share one loop between threads with app.open_sync(url)"


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


class CodecError(Declared):
    """A message and its stored data do not fit together."""


class CannotDecode(CodecError, ValueError):
    """Stored data does not fit its type."""

    wire: str
    version: int
    position: int | None
    problem: str
    found = "{wire} v{version}{position:? at position {position}} cannot be read: {problem}"
    expected = "data that fits the class registered for {wire!r}"
    remedy = "add an upcaster for this version, or deploy the code that knows it"


class InvalidMessage(CodecError, ValueError):
    """A message would not be read back equal; nothing was written.

    `field` is the place in the message, such as `lines[2].price`, and `given` is the value there.
    """

    owner: str
    field: str
    given: object
    problem: str
    found = "{owner}{place} is {given!r}, which {problem}"
    expected = "values that come back equal from their stored form"
    remedy = "{advice}; nothing was written"

    def _derive(self) -> None:
        self.field = self.field.removeprefix(".")
        self.place = f".{self.field}" if self.field[:1].isidentifier() else self.field
        self.advice = self._advice(self.field or "each field", self.given)

    def _advice(self, field: str, given: object) -> str:
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

    found = "{owner} cannot be encoded: {field:?{field} is {given!r}: }{problem}"
    expected = "fields of types that have a JSON form"
    remedy = "use str, int, float, bool, datetime, Decimal, UUID, Enum, lists, dicts and structs of these"


class StoreError(Declared):
    """The event store refused a call, or could not do its work."""


class InvalidAppend(StoreError, ValueError):
    """The append is malformed; nothing was written."""

    @property
    def _has(self) -> str:
        index = getattr(self, "index", None)
        return "the criteria have" if index is None else f"event {index} of the append has"


class EmptyAppend(InvalidAppend):
    """An append has no events."""

    found = "an append of 0 events"
    expected = "at least one event"
    remedy = "do not call append when there is nothing to append"


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
    remedy: str = "use a short text that names the request, such as a UUID or a digest of it"
    found = "the idempotency key {key!r} {problem}"
    expected = "text of 1 to 1,024 bytes in UTF-8, used once in an append"


class ReservedKey(InvalidIdempotencyKey):
    """An idempotency key has the prefix of leftfold's own keys."""

    problem: str = "begins with 'leftfold.', the prefix of leftfold's own keys"
    remedy: str = "add a prefix of your own to keys that come from elsewhere, such as 'api/'"


class InvalidTag(InvalidAppend):
    """A tag is empty, too long, or has characters that cannot be stored; `index` is None in criteria."""

    index: int | None
    tag: object
    problem: str
    found = "{_has} the tag {tag!r}, which {problem}"
    expected = "1 to 512 printable characters, no control characters"
    remedy = "clean the value before you put it into an event or into criteria"


class InvalidType(InvalidAppend):
    """A type name or version cannot be stored; `index` is None in criteria."""

    index: int | None
    type: object
    problem: str
    found = "{_has} the type {type!r}, which {problem}"
    expected = "a name of 1 to 256 printable characters and a version from 1 to 2,147,483,647"
    remedy = "correct the wire name of the event class"


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
        return "; ".join(f"{match.type} at {match.position} with {listed(match.tags)}" for match in self.matches)


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


class StoreNotFound(StoreUnavailable, FileNotFoundError):
    """The log does not exist, or this user may not read it."""

    where: str
    expected: str = "an existing log that this user may read; opening a log for reading does not create it"
    remedy: str = (
        "check the URL: sqlite:///relative.db has three slashes, sqlite:////absolute/path.db four; "
        "`leftfold init` creates a log in PostgreSQL"
    )
    found = "there is no {where}"


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
    remedy: str = "correct the permissions; for reading only, open it with ?mode=ro"
    found = "{where} cannot be written to: {problem}"
    expected = "a file and a folder, or a log in PostgreSQL, that this user may write to"


class ClockJumped(StoreUnavailable):
    """An append would date an event implausibly far ahead; nothing was written."""

    time: datetime
    latest: datetime
    now: datetime
    found = (
        "an event would be dated too far ahead: the {behind:?newest event of the log has the time {time}, but the }"
        "clock says {now}{behind:!, which does not fit the log and the time that has passed}"
    )
    expected = "a time up to {latest}"
    remedy = (
        "correct the clock; if the clock is right, open the log with ?accept_time={time:Z}; if events in the log "
        "have a wrong time, repair it with `leftfold copy --latest`"
    )

    def _derive(self) -> None:
        self.behind = self.now < self.time


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
    remedy = "open it again; then leftfold checks what is kept outside the log{written:!; nothing was written}"


class EvolveFailed(Declared):
    """A model's evolve raised an exception, or did not return a state.

    The exception is the `__cause__`. `position` is None for an event that was just decided and is not stored.
    """

    model: str
    key: Sequence[object]
    event: str
    position: int | None
    problem: str
    found = (
        "{model}({key:?{key}}).evolve {problem}, for {event}{position:? at position {position}}"
        "{position:!, which was just decided}"
    )
    expected = "an evolve that returns a {model} for every stored event of its types"
    remedy = "correct evolve; nothing was written"


class ArgumentMutated(Declared):
    """A handler, `evolve` or `react` changed its argument; checked with `python -X dev` and in `leftfold.testing`."""

    function: str
    place: str
    before: object
    after: object
    found = "{function} changed its argument {place}: {before!r} became {after!r}"
    expected = "unchanged arguments: a cached state is used for later decisions too, even after a rejection"
    remedy = "return a changed copy, as in replace(self, items=[*self.items, item]), or use tuples and frozen classes"


class TooManyConflicts(Declared):
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


class TicketError(Declared):
    """A submitted command has no receipt."""

    ticket: str


class UnknownTicket(TicketError, LookupError):
    """The log has no submitted command with this id."""

    found = "the log has no submitted command {ticket!r}"
    expected = "the id of a ticket that `submit` returned"
    remedy = "list the submitted commands: live.commands(), or `leftfold commands`"


class TicketOpen(TicketError, TimeoutError):
    """A submitted command was not handled in time."""

    timeout: float
    found = "the command {ticket!r} has no outcome after {timeout:g} s"
    expected = "a worker that handles the command when it is due"
    remedy = "ask again later (nothing is lost), and check that an app with workers is open on this log"


class TicketFailed(TicketError):
    """The last attempt to handle a submitted command failed."""

    attempts: int
    error: str
    found = "the command {ticket!r} failed {attempts} times, the last time with {error}"
    expected = "a handler that decides without an exception"
    remedy = "remove the cause, then retry it: live.ticket(id).retry(), or `leftfold retry`"


class TicketCancelled(TicketError):
    """A submitted command was cancelled."""

    found = "the command {ticket!r} was cancelled"
    expected = "a command that is handled"
    remedy = "submit it again if you still want it; the log records who cancelled it"


class ReadModelError(Declared):
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
    found = "{model} {_progress}{timeout:?, after {timeout:g} s}"
    expected = "{model} {begun:?at position {asked} or later}{begun:!built from this log}"
    remedy = (
        "{begun:?ask again, pass a longer wait_timeout=, or leave out after= to get the current answer}"
        "{begun:!make sure that a process builds {model} (`leftfold work`, or an app opened with work=)}"
    )

    def _derive(self) -> None:
        self.begun, self.position = self.position >= 0, max(self.position, 0)
        self.lag = self.asked - self.position

    @property
    def _progress(self) -> str:
        if not self.begun:
            return "has not been built from this log by this code yet"
        since = f" for {self.seconds:.3g} s" if self.seconds else ""
        behind = f", {self.lag} behind position {self.asked}{since}" if self.lag > 0 else ""
        return f"is at position {self.position}{behind}"


class ExecutedButBehind(ReadModelBehind):
    """A command succeeded, but a read model did not catch up within the timeout; `receipt` is the command's."""

    receipt: Any = None
    found = "the command succeeded, but {model} {_progress}{timeout:?, after {timeout:g} s}"
    expected = "{model} at position {asked} or later"
    remedy = "do not execute the command again: take this error's receipt, and query with after=receipt"


class ProjectionFailed(ReadModelError):
    """A read model stopped, because it cannot be known which keys an event concerns."""

    model: str
    position: int
    problem: str
    found = "{model} stopped at position {position}: {problem}"
    expected = "an event that can be decoded, or whose tags identify the keys of its rows, and an evolve that folds it"
    remedy = "correct evolve, or add an upcaster for the event, then open the app again"


class ProjectionParked(ReadModelError):
    """An SQL projection, or a read model with `concerns`, is parked at an event that it could not apply."""

    projection: str
    position: int
    problem: str
    found = "{projection} is parked at position {position}: {problem}"
    expected = "code that can apply the event at this position"
    remedy = (
        "remove the cause, then `leftfold retry ... {projection:shell}`, or skip the event with a reason; "
        "corrected code with a higher version is rebuilt and continues by itself"
    )


class ReadModelChanged(ReadModelError):
    """The code of a read model or an SQL projection has changed, but its version has not."""

    model: str
    stored: int
    version: int
    decorator: str
    found = "{model} is version {version} in the code, but its table was built by other code, as version {stored}"
    expected = "the code that built the table, or a higher version"
    remedy = "write {decorator}, or run `leftfold rebuild --app MODULE:ATTR URL {model:shell}`"


class ReadModelsChanged(ReadModelChanged):
    """The code of several read models or projections has changed; `changed` has an error for each of them.

    `model`, `stored` and `version` are those of the first.
    """

    changed: Sequence[ReadModelChanged] = ()
    found = "{_found}"
    expected = "the code that built the tables, or higher versions"
    remedy = '{_remedies}; during development, open(..., on_change="rebuild")'

    @classmethod
    def of(cls, changed: Sequence[ReadModelChanged]) -> Self:
        """Return one error for several."""
        first = changed[0]
        return cls(first.model, first.stored, first.version, first.decorator, changed)

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


class TableTaken(ReadModelError):
    """A table of this name belongs to another log, or was not created by leftfold."""

    model: str
    table: str
    where: str
    owner: str | None
    log_id: str
    found = (
        "{model} needs the table {table!r} of {where}, but the existing table was "
        "{owner:?built from the log {owner}}{owner:!not created by leftfold}"
    )
    expected = "no table of that name, or one that was built from this log, {log_id}"
    remedy = (
        "keep these models in their own database or schema, with ?schema=NAME at the end of the URL; if nobody needs "
        "the existing table, drop it or delete the file: read models are built again"
    )


class ModelsUnavailable(ReadModelError, OSError):
    """The database of the read models cannot be used at present."""

    where: str
    problem: str
    found = "the models database {where} cannot be used: {problem}"
    expected = "a database that can be reached and written to, with space for the read models"
    remedy = "check that the server runs, free space, or correct the permissions; a damaged file may be deleted"
