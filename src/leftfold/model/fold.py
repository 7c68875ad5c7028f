"""Folds: what a model's fields and `evolve` say about its key, its events and its criteria."""

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from copy import copy, deepcopy
from functools import reduce
from itertools import product
from typing import Any, Protocol, Self, TypeVar

import msgspec

from leftfold.errors import (
    ArgumentMutated,
    EvolveFailed,
    InvalidKey,
    InvalidModel,
    NotAMessage,
    TaglessEvent,
    UnresolvedAnnotation,
)
from leftfold.model.change import ChangeFields
from leftfold.model.context import EventContext, event_context
from leftfold.model.criteria import Criteria, CriteriaItem
from leftfold.model.failure import in_words
from leftfold.model.fingerprint import Fingerprint, fingerprint
from leftfold.model.message import Event, MessageType, event_classes, with_subclasses
from leftfold.model.purity import IN_DEVELOPMENT, can_change, unchanging
from leftfold.model.record import StoredEvent
from leftfold.model.signature import check_plain
from leftfold.model.tag import Tag, TagField, hints_of, tag_fields, unaliased, unquoted, with_type_arguments
from leftfold.wording import shown


class Decoder(Protocol):
    """What decodes the events of a fold: a registry."""

    def decode_all(self, events: Iterable[StoredEvent]) -> list[Any]:
        """Return the events of those records whose types are known."""
        ...


class Fold:
    """What a model class declares: its key fields, the event types that `evolve` takes, the criteria of a key.

    `evolve(state, event)` is the class's own function; if it takes a third parameter, that is the `EventContext`
    (`takes_context`). `data_only`: the data of the events is all that the fold needs. `bases` are the classes that
    `evolve` names, `events` those and their subclasses: see `refresh`. A model without key fields folds all events of
    its types.
    """

    __slots__ = (
        "_by_tags",
        "_can_change",
        "_fingerprint",
        "_is_nested",
        "bases",
        "change",
        "data_only",
        "events",
        "evolve",
        "fanned_out",
        "has_functions",
        "key",
        "name",
        "owner",
        "takes_context",
    )

    def __init__(self, owner: type) -> None:
        self.owner = owner
        self.name = owner.__qualname__.rpartition(".")[2]
        self.evolve: Callable[..., Any] = _evolve_of(owner)
        self.takes_context = _takes_context(owner)
        _check_plain(owner)
        self.key: tuple[TagField, ...] = tuple(field for field in tag_fields(owner) if field.key)
        self.has_functions = any(field.tag.by is not None for field in self.key)
        self._is_nested = any(field.outer is not None for field in self.key)
        self.change = ChangeFields.of(owner)
        self.data_only = self.change is None and not self.takes_context
        self.fanned_out: tuple[type, ...] = _fanned_out(owner)
        self.bases: tuple[type, ...] = _events_of(owner)
        self.events: tuple[MessageType, ...] = ()
        self._by_tags: dict[tuple[int, ...], frozenset[str]] = {}
        self._can_change: bool | None = None
        self._fingerprint: Fingerprint | None = None
        self._check_keys()
        self._check_defaults()
        self._check_change()
        self.refresh()

        if IN_DEVELOPMENT:
            self.evolve = self._unchanging()

    def __repr__(self) -> str:
        return f"<Fold {self.name}({', '.join(field.name for field in self.key)}) of {len(self.events)} event types>"

    def refresh(self) -> Self:
        """Include subclasses of the event classes that were defined since; an app does so when it opens."""
        found = with_subclasses(self.bases)
        if found != tuple(event.owner for event in self.events):
            events = tuple(MessageType(event) for event in found)
            self._by_tags = self._group_by_tags(events)
            self.events = events
            self._fingerprint = None
        return self

    def unchanging(self) -> "Fold":
        """Return a fold whose evolve raises `ArgumentMutated` if it changes its arguments."""
        other = copy(self)
        other.evolve = self._unchanging()
        return other

    def _unchanging(self) -> Callable[[Any, Any], Any]:
        names = ("self", "event", "context") if self.takes_context else ("self", "event")
        return unchanging(_evolve_of(self.owner), f"{self.name}.evolve", names)

    def key_from(self, given: Sequence[Any]) -> tuple[Any, ...]:
        """Return the key for which given values stand; what is no key stays as it is, for `start` to refuse."""
        if not self.has_functions or len(given) != len(self.key):
            return tuple(given)
        fields = dict(zip([field.name for field in self.key], given, strict=True))
        return tuple(self.values_from(fields).values())

    def values_from(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return values of fields, those of key fields as the key has them."""
        parts = {part.name: part for part in self.key if part.tag.by is not None}
        return {
            name: parts[name].tag.key(value) if name in parts and parts[name].is_of_type(value) else value
            for name, value in given.items()
        }

    def start(self, key: Sequence[Any]) -> Any:
        """Return the state before any event: only the key is set."""
        if self.has_functions:
            key = self.key_from(key)
        if len(key) == len(self.key) == 1 and type(key[0]) is self.key[0].value_type:
            return self.owner(**{self.key[0].name: key[0]})
        if len(key) != len(self.key) or None in key:
            raise InvalidKey(self.name, key, [field.name for field in self.key])
        fields = list(zip(self.key, key, strict=True))
        for field, value in fields:
            if type(value) is not field.value_type and not field.holds(value):
                raise InvalidKey(self.name, key, [f"{each.name}: {each.value_type.__name__}" for each in self.key])
        return self.owner(**{field.name: value for field, value in fields})

    def apart(self, state: Any) -> Any:
        """Return a state that the caller may change: a copy if it holds anything mutable."""
        if self._can_change is None:
            self._can_change = can_change(self.owner)
        return deepcopy(state) if self._can_change else state

    def key_of(self, state: Any) -> tuple[Any, ...]:
        """Return the key of a state."""
        return tuple(field.get(state) for field in self.key)

    def criteria(self, key: Sequence[Any]) -> Criteria:
        """Return the events of one key: for each event type, those of the key's tags that the type carries."""
        tags = self._tags_of(key)
        return Criteria(*(CriteriaItem(wires, [tags[i] for i in carried]) for carried, wires in self._by_tags.items()))

    def _tags_of(self, key: Sequence[Any]) -> list[str]:
        """Return the tag of each part of a key."""
        if not self._is_nested:
            return [field.tag(value) for field, value in zip(self.key, key, strict=True)]
        values = {field.name: value for field, value in zip(self.key, key, strict=True)}
        return [field.tag(*(values[each.name] for each in _with_outer(field))) for field in self.key]

    def keys_by_tags(self, tags: Collection[str]) -> Sequence[tuple[Any, ...]] | None:
        """Return the keys that an event concerns, by its stored tags alone; None if the tags are not enough.

        They are not if parts of the key share a tag, if the event lacks the tag of one, or if a tag is a hash.
        """
        if len({part.tag.name for part in self.key}) < len(self.key):
            return None
        if not all(part.tag.shows_value for part in self.key):
            return None
        texts = [[_text_in(part.tag, tag) for tag in tags if tag.startswith(f"{part.tag.name}:")] for part in self.key]
        if not all(texts):
            return None
        try:
            values = [
                [part.tag.key(msgspec.convert(text, part.value_type, strict=False)) for text in each]
                for part, each in zip(self.key, texts, strict=True)
            ]
        except ValueError:
            return None
        keys = list(product(*values))
        if not self._is_nested:
            return keys
        return [key for key in keys if set(self._tags_of(key)) <= set(tags)]

    def all_criteria(self) -> Criteria:
        """Return the events of all keys."""
        return Criteria(CriteriaItem(event.wire for event in self.events))

    def fold(self, state: Any, stored: Sequence[StoredEvent], decoder: Decoder) -> tuple[Any, int]:
        """Return the state after these events, in order, and how many there are of types that are known.

        `EvolveFailed` when evolve raises, or returns something else than a state. The state is checked once for all
        the events: what evolve gets after a wrong one makes it fail.
        """
        if self.takes_context:
            return self._step_by_step(state, stored, decoder)
        events = decoder.decode_all(stored)
        try:
            after = reduce(self.evolve, events, state)
        except Exception:  # noqa: BLE001 whatever evolve raises is raised again by the event that it is about
            return self._step_by_step(state, stored, decoder)
        return (after, len(events)) if type(after) is self.owner else self._step_by_step(state, stored, decoder)

    def _step_by_step(self, state: Any, stored: Sequence[StoredEvent], decoder: Decoder) -> tuple[Any, int]:
        """Fold event by event, each with its record: for a context, or to name the event that cannot be folded."""
        folded = 0
        for record in stored:
            for event in decoder.decode_all((record,)):
                state = self.step(state, event, record)
                folded += 1
        return state, folded

    def step(
        self, state: Any, event: Any, recorded: StoredEvent | EventContext | None = None, *, deletes: bool = False
    ) -> Any:
        """Return the state after one event, with its record or its context. With `deletes` the state may be None."""
        try:
            after = self.evolve(state, event, _context(recorded)) if self.takes_context else self.evolve(state, event)
        except ArgumentMutated:
            raise
        except Exception as error:
            raise self._failed(state, event, recorded, f"raised {in_words(error)}") from error
        if type(after) is not self.owner and not (deletes and after is None):
            raise self._failed(state, event, recorded, f"returned {_shown(after)}")
        return after

    def _failed(
        self, state: Any, event: object, recorded: StoredEvent | EventContext | None, problem: str
    ) -> EvolveFailed:
        position = (recorded.position or None) if recorded is not None else None
        return EvolveFailed(self.name, self.key_of(state), _wire_of(event), position, problem)

    def fingerprint(self) -> Fingerprint:
        """Return the fingerprint of the model; it changes with its fields, source and event versions."""
        if self._fingerprint is None:
            found = fingerprint(self.owner, self.events)
            self._fingerprint = found.joined("context") if self.takes_context else found
        return self._fingerprint

    def _check_keys(self) -> None:
        for field in self.key:
            if field.many:
                raise InvalidModel(
                    f"{self.name}.{field.name} is a collection and part of the key",
                    "one value for each part of a key",
                    f"type {field.name} with the tagged type itself, or mark it: Annotated[..., NonKey]",
                )
            if field.outer is not None and not field.outer.key:
                raise InvalidModel(
                    f"{self.name}.{field.name} is part of the key, and {field.outer.name}, which it is within, is not",
                    f"both of them: {field.tag!r} has both in one tag",
                    f"remove NonKey from {field.outer.name}, or add it to {field.name}",
                )

    def _check_defaults(self) -> None:
        keys = {field.name for field in self.key}
        for field in msgspec.structs.fields(self.owner):
            if field.name not in keys and field.required:
                raise InvalidModel(
                    f"{self.name}.{field.name} has no default and is not part of the key",
                    "a default for every field but the tagged ones: a new key starts with only its key set",
                    f"give {field.name} a default",
                )

    def _check_change(self) -> None:
        if self.change is not None and not getattr(self.owner, "__keeps_change__", False):
            names = " and ".join(filter(None, self.change))
            raise InvalidModel(
                f"{self.name} marks {names} as set by leftfold, and is no read model",
                "ChangedAt and ChangedBy in read models: their rows keep who changed them last, and when",
                "let evolve keep what a decision needs",
            )

    def _is_fanned_out(self, event: MessageType) -> bool:
        return issubclass(event.owner, self.fanned_out)

    def _group_by_tags(self, events: Sequence[MessageType]) -> dict[tuple[int, ...], frozenset[str]]:
        grouped: dict[tuple[int, ...], set[str]] = {}
        for event in events:
            carried = tuple(i for i, part in enumerate(self.key) if event.fields_tagged(part.tag.name))
            for part in self.key:
                for field in event.fields_tagged(part.tag.name):
                    check_same_tag(f"{self.name}.{part.name}", part, f"{event.owner.__name__}.{field.name}", field)
            if self.key and not carried and not _states_criteria(self.owner) and not self._is_fanned_out(event):
                wanted = [part.tag.name for part in self.key]
                raise TaglessEvent(
                    self.name,
                    event.owner.__name__,
                    wanted,
                    [f.tag.name for f in event.fields],
                    criteria=_may_state_criteria(self.owner),
                )
            outer = {self.key[i].outer for i in carried}  # whose values are in the tag of the part that is within
            carried = tuple(i for i in carried if self.key[i] not in outer)
            grouped.setdefault(carried, set()).add(event.wire)
        return {carried: frozenset(wires) for carried, wires in grouped.items()}


def _fanned_out(owner: type) -> tuple[type, ...]:
    """Return the event classes whose rows a read model finds by itself."""
    find: Callable[[], tuple[type, ...]] | None = getattr(owner, "__fanned_out__", None)
    return find() if find is not None else ()


def fold_of(owner: type) -> Fold:
    """Return the fold of a model class, made once and kept on the class, with the event classes defined so far."""
    known: Fold | None = vars(owner).get("__fold__")
    if known is None:
        known = Fold(owner)
        setattr(owner, "__fold__", known)
        return known
    return known.refresh()


def check_definition(owner: type) -> None:
    """Understand a model class as soon as it is defined; names that come later in its module can wait."""
    if "evolve" in vars(owner):
        try:
            fold_of(owner)
        except UnresolvedAnnotation:
            return


def check_same_tag(name: str, part: TagField, place: str, field: TagField) -> None:
    """Raise `InvalidModel` if a part of a key and a field have tags of one name that differ in anything else."""
    if part.tag != field.tag:
        raise InvalidModel(
            f"{name} is tagged {part.tag!r}, and {place} {field.tag!r}",
            "one tag of this name, with one function, within one other tag, and with one secret",
            "put the tag on an alias once, and use the alias everywhere",
        )


def _with_outer(field: TagField) -> list[TagField]:
    """Return the fields whose values are in the tag of this one, outermost first."""
    return [field] if field.outer is None else [*_with_outer(field.outer), field]


def _text_in(tag: Tag, text: str) -> str:
    """Return the text of a tag's own value."""
    found = text.removeprefix(f"{tag.name}:")
    return found if tag.within is None else unquoted(found.rpartition("/")[2])


def _check_plain(owner: type) -> None:
    for name in ("evolve", "criteria"):
        check_plain(vars(owner).get(name), f"{owner.__qualname__}.{name}", InvalidModel)


def _wire_of(event: object) -> str:
    return str(getattr(type(event), "__wire__", type(event).__name__))


def _shown(value: object) -> str:
    if inspect.iscoroutine(value):
        value.close()
    return "None" if value is None else f"{type(value).__name__}: {shown(value)}"


def _may_state_criteria(owner: type) -> bool:
    return bool(getattr(owner, "__may_state_criteria__", False))


def _states_criteria(owner: type) -> bool:
    return "criteria" in vars(owner)


def _context(recorded: StoredEvent | EventContext | None) -> EventContext:
    assert recorded is not None, "a fold that takes a context needs the record of each event"
    return recorded if isinstance(recorded, EventContext) else event_context(recorded)


def _evolve_of(owner: type) -> Callable[..., Any]:
    evolve: Callable[..., Any] | None = getattr(owner, "evolve", None)
    if evolve is None:
        raise InvalidModel(
            f"{owner.__qualname__} has no evolve",
            "def evolve(self, event: Opened | Withdrawn) -> Self",
            "define how each event changes the state",
        )
    return evolve


def _takes_context(owner: type) -> bool:
    """Tell whether `evolve` takes a context beside the event; raise `InvalidModel` if it takes anything else."""
    evolve = _evolve_of(owner)
    names = list(inspect.signature(evolve).parameters)
    if len(names) == 2:
        return False
    hint = unaliased(hints_of(evolve).get(names[2])) if len(names) == 3 else None
    if hint is EventContext:
        return True
    raise InvalidModel(
        f"{owner.__qualname__}.evolve takes {names}" + ("" if hint is None else f", the third one {hint!r}"),
        "self, event and, for when, where and who, a third parameter annotated with leftfold.EventContext",
        "write def evolve(self, event: ...) -> Self, or def evolve(self, event: ..., context: EventContext) -> Self",
    )


def _events_of(owner: type) -> tuple[type, ...]:
    evolve = _evolve_of(owner)
    hint = with_type_arguments(hints_of(evolve).get([*inspect.signature(evolve).parameters][1]), owner)
    if isinstance(hint, TypeVar) and any(hint in getattr(base, "__parameters__", ()) for base in owner.__mro__):
        raise InvalidModel(
            f"{owner.__qualname__} does not say which events it folds",
            f"the events in brackets after the base class, in place of {hint}",
            f"write class {owner.__name__}({owner.__bases__[0].__name__}[Opened | Closed])",
        )
    found = event_classes(hint)
    if isinstance(hint, type) and isinstance(found, str) and not issubclass(Event, hint):
        raise NotAMessage(hint)
    if isinstance(found, str):
        raise InvalidModel(
            f"{owner.__qualname__}.evolve annotates its event as {hint!r}" + ("" if hint is None else f": {found}"),
            "one event class, a union of them, or a base class of them",
            "annotate the parameter with the events that the model folds",
        )
    return found
