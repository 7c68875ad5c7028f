"""The message types of an app: wire names to classes, and older stored forms to present ones."""

import inspect
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from datetime import datetime
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, NamedTuple

from leftfold.errors import (
    CannotDecode,
    DefinedTooLate,
    DefinitionError,
    InvalidMessage,
    UnresolvedAnnotation,
    UsageError,
    WireNameTaken,
)
from leftfold.model.codec import Codec, JsonCodec, decode_lines
from leftfold.model.context import EventContext, event_context
from leftfold.model.criteria import Criteria, CriteriaItem
from leftfold.model.failure import in_words
from leftfold.model.message import MessageType
from leftfold.model.record import Form, NewEvent, StoredColumns, StoredEvent
from leftfold.model.signature import check_plain, is_redefined
from leftfold.model.stored_form import StoredForm, has_foreign_types
from leftfold.model.tag import Tag, hints_of

Fields = dict[str, Any]
Upcaster = Callable[[Fields], Fields] | Callable[[Fields, EventContext], Fields]
Decode = Callable[[bytes], Any]
RESERVED = "leftfold."  # what the log's own events are called


class Registry:
    """Knows the event types of one app; encodes events and decodes every stored version of them.

    Stored events of unknown types are passed over untouched and counted in `unknown`: each event of a log once, however
    often it is read. `ignores` holds patterns of types that the app need not know.
    """

    def __init__(self, codec: Codec | None = None, *, ignores: Iterable[str] = ()) -> None:
        self.codec = codec or JsonCodec()
        self.ignores = tuple(ignores)
        self.unknown: Counter[str] = Counter()
        self._passed_over: dict[str, int] = {}  # the newest counted position of each unknown type
        self.folded: set[type] = set()  # event classes of models, with their subclasses at opening
        self._by_owner: dict[type, MessageType] = {}
        self._by_wire: dict[str, MessageType] = {}
        self._tag_names: set[str] = set()
        self._overlapping: dict[str, list[str]] = {}  # tag names, and longer names that may be confused with them
        self._steps: dict[tuple[str, int], tuple[str, Step]] = {}
        self._new_names: dict[str, str] = {}
        self._decoders: dict[tuple[str, int], Decode] = {}
        self._decoders_of_records: dict[tuple[str, int], Callable[[StoredEvent], Any]] = {}
        self.needs_records = False  # whether an upcaster asks for the context of an event: data alone is not enough
        self._forms: dict[type, StoredForm] = {}
        self._query_forms: dict[type, StoredForm | None] = {}

    def __repr__(self) -> str:
        return f"<Registry of {len(self.types)} types>"

    @property
    def types(self) -> tuple[MessageType, ...]:
        """Every event type that users registered, by wire name."""
        return tuple(self._by_wire[wire] for wire in sorted(self._by_wire) if not wire.startswith(RESERVED))

    def add(self, owner: type) -> MessageType:
        """Register a message class; a second class with its wire name raises `WireNameTaken`.

        A class with a field that cannot be stored raises `InvalidField`, here or, where an annotation names what is
        defined later, in `check`.
        """
        known = self._by_owner.get(owner)
        if known is not None:
            return known
        added = MessageType(owner)
        if added.wire.startswith(RESERVED) and not owner.__module__.startswith(RESERVED):
            raise WireNameTaken(added.wire, _full_name(owner), "leftfold's own events")
        other = self._by_wire.get(added.wire)
        if other is not None and not is_redefined(other.owner, owner):
            raise WireNameTaken(added.wire, _full_name(owner), _full_name(other.owner))
        with suppress(UnresolvedAnnotation):
            self.form(owner)
        self._by_owner[owner] = self._by_wire[added.wire] = added
        self._forget_decoders()
        self._tag_names.update(field.tag.name for field in added.fields)
        self._overlapping = _overlapping(self._tag_names)
        return added

    def _add_late(self, owner: type) -> MessageType:
        """Register a class when its first event is appended; models whose fold is made would miss a subclass."""
        base = next((base for base in owner.__mro__ if base in self.folded), None)
        if base is not None:
            raise DefinedTooLate(owner, base)
        return self.add(owner)

    def form(self, owner: type) -> StoredForm:
        """Return the stored form of a class."""
        found = self._forms.get(owner)
        if found is None:
            own = owner.__module__.startswith(RESERVED) and type(self.codec) is JsonCodec
            found = self._forms[owner] = _own_form(owner) if own else StoredForm(owner, self.codec)
        return found

    def query_form(self, owner: type) -> StoredForm | None:
        """Return the stored form of a query type. None for a query that holds a function, as it is not stored."""
        if owner not in self._query_forms:
            self._query_forms[owner] = None if has_foreign_types(owner) else self.form(owner)
        return self._query_forms[owner]

    def check(self) -> None:
        """Raise a `DefinitionError` for a registered class that has no stored form."""
        for owner in self._by_owner:
            self.form(owner)

    def of_wire(self, wire: str) -> MessageType | None:
        """Return today's type for events stored under this name."""
        while wire not in self._by_wire and wire in self._new_names:
            wire = self._new_names[wire]
        return self._by_wire.get(wire)

    def lacks(self, wire: str) -> bool:
        """Tell whether events of this type are skipped unintentionally: it is unknown and not ignored."""
        own = wire.startswith(RESERVED)
        return not own and self.of_wire(wire) is None and not any(fnmatchcase(wire, each) for each in self.ignores)

    @property
    def names(self) -> frozenset[str]:
        """The names under which the log may hold users' events, including former names."""
        return frozenset(name for name in (*self._by_wire, *self._new_names) if not name.startswith(RESERVED))

    def present_tags(self, stored: StoredEvent) -> tuple[str, ...]:
        """Return the tags that a stored event would get today; for an unknown type, its stored tags."""
        known = self.of_wire(stored.type)
        return stored.tags if known is None else known.tags_of(self.decode(stored))

    def rename(self, old: str, new: str) -> None:
        """Read events stored as `old` as events of type `new`, version for version."""
        if old == new or new in self.names_of(old):
            raise DefinitionError(
                f"{old!r} and {new!r} are each renamed to the other",
                "a chain of names that ends",
                "remove one of the two",
            )
        self._new_names[old] = new
        self._forget_decoders()

    def upcast(self, wire: str, version: int, upcaster: Upcaster, *, to: str | None = None) -> None:
        """Turn stored data of `wire` at `version` into that of the next version, of type `to` if it is renamed too.

        The upcaster may ask for an `EventContext` too.
        """
        check_plain(upcaster, f"the upcaster of {wire!r} from version {version}", DefinitionError)
        if (wire, version) in self._steps:
            raise DefinitionError(
                f"two upcasters take {wire!r} from version {version}",
                "one upcaster for each version",
                "remove one of them",
            )
        step = Step(upcaster, _takes_context(upcaster, wire, version))
        self._steps[wire, version] = (to or wire, step)
        self.needs_records = self.needs_records or step.takes_context
        if to is not None and to != wire:
            self.rename(wire, to)
        self._forget_decoders()

    def _forget_decoders(self) -> None:
        self._decoders.clear()
        self._decoders_of_records.clear()

    def names_of(self, wire: str) -> frozenset[str]:
        """Return this name, and all former names of the same type."""
        former = (old for old, new in self._new_names.items() if new == wire)
        return frozenset({wire}).union(*(self.names_of(old) for old in former))

    def stored(self, criteria: Criteria) -> Criteria:
        """Return the criteria by which present types are found in the log: former names included."""
        if not self._new_names:
            return criteria
        return Criteria(*(self._stored_item(item) for item in criteria.items))

    def _stored_item(self, item: CriteriaItem) -> CriteriaItem:
        return CriteriaItem(frozenset[str]().union(*(self.names_of(name) for name in item.types)), item.tags)

    def encode(self, event: object, metadata: bytes, time: datetime | None = None) -> NewEvent:
        """Return the record to append for an event; its class is registered if it was not."""
        return self.admit(event, metadata, time)[0]

    def admit(self, event: object, metadata: bytes, time: datetime | None = None) -> tuple[NewEvent, Any]:
        """Return the record to append, and the event as it will be read back, whose tags the record has.

        An event that would not be read back equal raises `InvalidMessage`.
        """
        owner = type(event)
        known = self._by_owner.get(owner) or self._add_late(owner)
        form = self._forms.get(owner) or self.form(owner)
        if form.is_plain(event):
            data, read = form.write(event), event
        else:
            data, read = form.encode(event)
        if self._overlapping:
            self._check_tags(known, read)
        return NewEvent(known.wire, data, known.tags_of(read), known.version, metadata, time), read

    def _check_tags(self, known: MessageType, event: object) -> None:
        """Raise `InvalidMessage` for a value whose tag would be that of another value of another tag."""
        for field in known.fields:
            for longer in self._overlapping.get(field.tag.name, ()):
                for value, tag in field.tags_in(event):
                    if tag.startswith(f"{longer}:"):
                        raise InvalidMessage(
                            known.owner.__qualname__, field.name, value, f"is also a tag of {Tag(longer)!r}"
                        )

    def decode(self, stored: StoredEvent) -> Any:
        """Return the event of a record in its present form, or None when its type is unknown."""
        decode = self._decoders.get((stored.type, stored.version))
        if decode is None:
            return self._decoded_record(stored)
        try:
            return decode(stored.data)
        except Exception as error:
            raise CannotDecode(stored.type, stored.version, stored.position, _problem(error)) from error

    def decode_new(self, record: NewEvent) -> Any:
        """Return the event as it will come back from the log."""
        return self._decoded(record.type, record.version, record.data, 0)

    def decode_all(self, events: Iterable[StoredEvent]) -> list[Any]:
        """Return the events of those records whose types are known."""
        if isinstance(events, StoredColumns) and (found := self.decode_columns(events)) is not None:
            return [event for event in found if event is not None]
        decoded: list[Any] = []
        for stored in events:
            form = (stored.type, stored.version)
            decode = self._decoders.get(form)
            if decode is None:
                event = self._decoded_record(stored)
                decoded += [] if event is None else [event]
                continue
            try:
                decoded.append(decode(stored.data))
            except Exception as error:
                raise CannotDecode(*form, stored.position, _problem(error)) from error
        return decoded

    def decode_columns(self, events: StoredColumns) -> list[Any] | None:
        """Return each event, or None in its place if its type is unknown; many of one form are decoded with one call.

        Returns None instead of the list if an event cannot be decoded: `decode` then says which one.
        """
        try:
            if (form := events.form) is not None:
                return self._decode_lines(form, events.lines, events)
            found = {
                form: iter(self._decode_lines(form, b"\n".join(data), events))
                for form, data in events.lines_by_form().items()
            }
        except Exception:  # noqa: BLE001 decoded once more, one by one, by a caller to whom the error matters
            return None
        return [next(found[form]) for form in events.forms]

    def _decode_lines(self, form: Form, lines: bytes, events: StoredColumns) -> list[Any]:
        count = events.forms.count(form)
        decode = self._decoders.get(form) or self._decoder_of(*form, 0)
        if decode is None:
            for position, each in zip(events.positions, events.forms, strict=True):
                if each == form:
                    self._pass_over(form[0], position)
            return [None] * count
        found = decode_lines(decode, lines, count)
        return [decode(data) for data in lines.split(b"\n")] if found is None else found

    def _decoded(self, wire: str, version: int, data: bytes, position: int, stored: StoredEvent | None = None) -> Any:
        decode = self._decoders.get((wire, version)) or self._decoder_of(wire, version, position)
        if stored is not None and (wire, version) in self._decoders_of_records:
            return self._decoded_record(stored)
        if decode is None:
            self._pass_over(wire, position)
            return None
        try:
            return decode(data)
        except Exception as error:
            raise CannotDecode(wire, version, position, _problem(error)) from error

    def _decoded_record(self, stored: StoredEvent) -> Any:
        """Decode an event of a form that was not met before, or whose upcasters ask for its context."""
        form = (stored.type, stored.version)
        if form not in self._decoders_of_records:
            return self._decoded(*form, stored.data, stored.position, stored)
        try:
            return self._decoders_of_records[form](stored)
        except Exception as error:
            raise CannotDecode(*form, stored.position, _problem(error)) from error

    def _pass_over(self, wire: str, position: int) -> None:
        if position > self._passed_over.get(wire, 0):
            self._passed_over[wire] = position
            self.unknown[wire] += 1

    def _decoder_of(self, wire: str, version: int, position: int) -> Decode | None:
        known = self.of_wire(wire)
        if known is None:
            return None
        if version > known.version:
            raise CannotDecode(wire, version, position, f"the code knows versions up to {known.version}")
        steps, name = list[Step](), wire
        for older in range(version, known.version):
            found = self._step(name, older)
            if found is None:
                raise CannotDecode(wire, version, position, f"there is no upcaster from version {older}")
            name, step = found
            steps.append(step)
        decode = self.codec.decoder(known.owner)
        if any(step.takes_context for step in steps):
            self._decoders_of_records[wire, version] = self._chained_of_record(steps, decode)
            return _needs_the_record
        decode = self._decoders[wire, version] = self._chained(steps, decode)
        return decode

    def _step(self, wire: str, version: int) -> tuple[str, "Step"] | None:
        while (wire, version) not in self._steps:
            if wire not in self._new_names:
                return None
            wire = self._new_names[wire]
        return self._steps[wire, version]

    def _chained_of_record(self, steps: "list[Step]", decode: Decode) -> Callable[[StoredEvent], Any]:
        def decode_old(stored: StoredEvent) -> Any:
            if not stored.microseconds and not stored.metadata:
                return _needs_the_record(stored.data)  # it was read for its data alone
            fields, context = self.codec.fields(stored.data), event_context(stored)
            for step in steps:
                fields = step.upcast(fields, context) if step.takes_context else step.upcast(fields)
            return decode(self.codec.encode(fields))

        return decode_old

    def _chained(self, steps: "list[Step]", decode: Decode) -> Decode:
        if not steps:
            return decode

        def decode_old(data: bytes) -> Any:
            fields = self.codec.fields(data)
            for step in steps:
                fields = step.upcast(fields)
            return decode(self.codec.encode(fields))

        return decode_old


class Step(NamedTuple):
    """An upcaster, and whether it asks for the context of the event."""

    upcast: Callable[..., Fields]
    takes_context: bool


def _takes_context(upcaster: Upcaster, wire: str, version: int) -> bool:
    """Return whether a second parameter asks for an `EventContext`; raise for any other that has no default."""
    try:
        parameters = list(inspect.signature(upcaster).parameters.values())
    except (TypeError, ValueError):  # of a function that is not written in Python
        return False
    hints = hints_of(upcaster) if inspect.isroutine(upcaster) else {}
    more = [each for each in parameters[1:] if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    asked = [each for each in more if hints.get(each.name) is EventContext]
    wrong = [each for each in more if each.default is each.empty and each not in asked]
    if wrong or len(asked) > 1 or asked != more[: len(asked)]:
        raise DefinitionError(
            f"the upcaster of {wire!r} from version {version} takes {', '.join(map(str, parameters))}",
            "the data and, optionally, a context: EventContext",
            "write def upcast(data: dict[str, Any], context: EventContext) -> dict[str, Any]",
        )
    return bool(asked)


def _needs_the_record(data: bytes) -> Any:
    raise UsageError(
        "an upcaster asks for the context of an event that was read for its data alone",
        "a stored event with its time and metadata",
        "read whole events; an upcaster of submitted commands takes their data alone",
    )


@cache
def _own_form(owner: type) -> StoredForm:
    """Return the stored form of a type of leftfold's own in the default codec, in which every app has the same."""
    return StoredForm(owner, JsonCodec())


def _overlapping(names: Collection[str]) -> dict[str, list[str]]:
    """Map each tag name to longer names whose tags may look like its own: `x` and `x:y` in `x:y:1`."""
    with_colon = sorted(name for name in names if ":" in name)
    found = {name: [each for each in with_colon if each.startswith(f"{name}:")] for name in names}
    return {name: longer for name, longer in found.items() if longer}


def _full_name(owner: type) -> str:
    return f"{owner.__module__}.{owner.__qualname__}"


def _problem(error: Exception) -> str:
    """Return why data cannot be decoded; an upcaster's error with its class, as a KeyError shows only a name."""
    return str(error) if isinstance(error, ValueError | TypeError) else in_words(error)
