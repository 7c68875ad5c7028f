"""Rules that many domains have, as decision models: numbers without gaps, and values that belong to one thing."""

from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar, cast

import msgspec
from msgspec.structs import replace

from leftfold.command.parameters import DecisionModel
from leftfold.errors import InvalidModel, UnresolvedAnnotation
from leftfold.model.comparing import is_any
from leftfold.model.fold import Fold, fold_of
from leftfold.model.message import EventLike
from leftfold.model.tag import COLLECTIONS, TagField

TAKEN = "taken"


def _fold_of(owner: type) -> Fold | None:
    """Return the fold of a model that is being defined; None for a base class, and if it names what comes later."""
    if vars(owner).get("__is_abstract__"):
        return None
    try:
        return fold_of(owner)
    except UnresolvedAnnotation:
        return None


class Numbered(Protocol):
    """An event that was given a number."""

    @property
    def number(self) -> int:
        """Its number."""
        ...


N = TypeVar("N", bound=Numbered)
E = TypeVar("E", bound=EventLike)


class NumberSeries(DecisionModel, Generic[N], kw_only=True, abstract=True):
    """Numbers without gaps: `class InvoiceNumbers(NumberSeries[Invoiced]): tenant: TenantId`.

    There is one series for each key; without a tag-typed field there is one in all. A handler puts `next` into the
    field `number` of its event. Two decisions never get the same number, and none is left out: a command that is
    rejected takes none. Write `first = 1001` in the class to begin elsewhere.
    """

    first: ClassVar[int] = 1
    last: int = 0

    @classmethod
    def __check_definition__(cls) -> None:
        if type(cls.first) is not int or cls.first < 1:
            raise InvalidModel(
                f"{cls.__name__}.first is {cls.first!r}", "a whole number, 1 or more", "write first = 1001"
            )
        fold = _fold_of(cls)
        for event in fold.events if fold is not None else ():
            if "number" not in _fields_of(event.owner):
                raise InvalidModel(
                    f"{cls.__name__} numbers {event.owner.__name__}, which has no field number",
                    "a field `number: int` in each event of a series",
                    f"give {event.owner.__name__} the field",
                )

    @property
    def next(self) -> int:
        """The number after the last one."""
        return max(self.last + 1, self.first)

    def evolve(self, event: N) -> Self:
        """Remember the highest number."""
        return replace(self, last=max(self.last, event.number))


class Unique(DecisionModel, Generic[E], kw_only=True, abstract=True):
    """A value that belongs to one thing at a time: `class EmailClaim(Unique[Registered | Changed]): email: Email`.

    An event takes the value, or each value of a collection, that it has in a field with the name of the model's key.
    It gives up the value that it has in any other field with the key's tag, such as `former: Email`. A field beside
    the key, such as `user: Annotated[UserId, NonKey] = ""`, says who has it: it is the field of that name of the event
    that took it. Without `NonKey` it would be part of the key, and each user could take the same value.
    """

    taken: bool = False

    @classmethod
    def __check_definition__(cls) -> None:
        fold = _fold_of(cls)
        if fold is not None:
            _check_key(fold)
            _check_taking(fold)

    def evolve(self, event: E) -> Self:
        """Take the value, or give it up."""
        fold = fold_of(type(self))
        if not all(_has(event, part, part.get(self)) for part in fold.key):
            return cast("Self", fold.start(fold.key_of(self)))
        return replace(self, taken=True, **{name: getattr(event, name) for name in _kept(fold)})


def _has(event: object, part: TagField, key: object) -> bool:
    """Tell whether an event has a part of a key in the field of its name, or in the collection there."""
    found: Any = getattr(event, part.name, None)
    values = found if is_any(found, *COLLECTIONS) else (found,)
    return any(value is not None and part.tag.key(value) == key for value in values)


def _fields_of(owner: Any) -> set[str]:
    return set(dir(owner)) | set(getattr(owner, "__annotations__", ()))


def _kept(fold: Fold) -> list[str]:
    """Return the fields that say who has a value."""
    apart = {TAKEN, *(part.name for part in fold.key)}
    return [field.name for field in msgspec.structs.fields(fold.owner) if field.name not in apart]


def _check_key(fold: Fold) -> None:
    """Raise `InvalidModel` for a field that was not meant as part of the key, and for an event without a part."""
    defaults = {field.name for field in msgspec.structs.fields(fold.owner) if not field.required}
    for part in fold.key:
        if part.name in defaults:
            raise InvalidModel(
                f"{fold.name}.{part.name} has a default, and is part of the key",
                "a key without defaults, and fields beside it that are marked with NonKey",
                f"mark it, {part.name}: Annotated[..., NonKey] = ..., or remove its default",
            )
        for event in fold.events:
            if not event.fields_tagged(part.tag.name):
                raise InvalidModel(
                    f"{fold.name} folds {event.owner.__name__}, which has no field tagged {part.tag.name!r}: it would "
                    f"give up every {part.name}",
                    "events that have all parts of the key",
                    f"remove {event.owner.__name__} from the events, or derive from DecisionModel and write evolve",
                )


def _check_taking(fold: Fold) -> None:
    key = [part.name for part in fold.key]
    taking = [event for event in fold.events if {*key} <= {field.name for field in event.fields}]
    if not key or not taking:
        raise InvalidModel(
            f"none of the events of {fold.name} has {' and '.join(key) or 'a tag-typed field'}",
            f"an event that takes the value of {fold.name}, in a field with the name of the key",
            "give the field of the event and that of the model the same name and the same tagged type",
        )
    for event in taking:
        missing = [name for name in _kept(fold) if name not in _fields_of(event.owner)]
        if missing:
            raise InvalidModel(
                f"{fold.name} has the field {missing[0]}, and {event.owner.__name__}, which takes the value, has not",
                "a field of each event that takes the value",
                f"give {event.owner.__name__} the field, or remove it from {fold.name}",
            )
