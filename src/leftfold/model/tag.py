"""Tags: `Tag` on the type of a field, and how a class's tag-typed fields are found and rendered."""

import datetime
import enum
import types
import uuid
from collections.abc import Collection, Iterable, Iterator, Set
from operator import attrgetter
from typing import Annotated, Any, Generic, NewType, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from leftfold.errors import InvalidField, UnresolvedAnnotation

COLLECTIONS = (list, tuple, set, frozenset)
SCALARS = (str, int, uuid.UUID, enum.Enum, datetime.date)


class Tag:
    """Marks the type of a field as naming an entity: `AccountId = Annotated[str, Tag("account")]`.

    An event's tag is `name:value`. Put it on the alias once and use the alias everywhere.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"Tag({self.name!r})"

    def __call__(self, value: object) -> str:
        """Return the tag of one value: `Tag("account")("a-1")` is `"account:a-1"`."""
        return f"{self.name}:{render(value)}"


class NonKey:
    """Marks a tag-typed field of a model that is not part of its key: `customer: Annotated[CustomerId, NonKey]`."""

    def __repr__(self) -> str:
        return "NonKey()"


class TagField:
    """One tag-typed field of a class: its name, its tag, whether it holds many values, whether it is part of a key."""

    __slots__ = ("get", "key", "many", "name", "tag", "value_type")

    def __init__(self, name: str, tag: Tag, value_type: Any, *, many: bool, key: bool) -> None:
        self.name = name
        self.tag = tag
        self.value_type = value_type
        self.many = many
        self.key = key
        self.get = attrgetter(name)

    def values(self, instance: object) -> Iterator[Any]:
        """Yield the values that the field holds in `instance`; none when it is None."""
        value = self.get(instance)
        if self.many:
            yield from _in_one_order(value or ())
        elif value is not None:
            yield value

    def holds(self, value: object) -> bool:
        """Tell whether a value has the field's type, or equals one that has, with the same tag."""
        if type(value) is self.value_type:
            return True
        try:
            proper = msgspec.convert(value, self.value_type)
        except ValueError:
            return self.value_type in (str, int) and isinstance(value, self.value_type) and not isinstance(value, bool)
        return bool(proper == value) and render(proper) == render(value)

    def __repr__(self) -> str:
        return f"<TagField {self.name}: {self.tag.name}{' (many)' if self.many else ''}>"


def _in_one_order(values: Collection[Any]) -> Iterable[Any]:
    """Sort the values of a set by their text: its own order differs from process to process."""
    return sorted(values, key=render) if isinstance(values, Set) else values


def render(value: object) -> str:
    """Return the text of a value in its tag."""
    if isinstance(value, str) and not isinstance(value, enum.Enum):
        return value
    if isinstance(value, enum.Enum):
        return str(value.value)
    return value.isoformat() if isinstance(value, datetime.date) else str(value)


def hints_of(owner: Any) -> dict[str, Any]:
    """Return the resolved annotations of a class or function, including `Annotated`."""
    try:
        hints = get_type_hints(owner, include_extras=True)
    except NameError as error:
        raise UnresolvedAnnotation(owner.__qualname__, str(error)) from error
    parameters = _type_parameters(owner) if isinstance(owner, type) else {}
    return {name: _with_parameters(hint, parameters) for name, hint in hints.items()} if parameters else hints


def unaliased(hint: Any) -> Any:
    """Return what an alias made by a `type` statement stands for; any other annotation unchanged."""
    while True:
        alias = get_origin(hint) or hint
        if type(alias).__name__ != "TypeAliasType":
            return hint
        try:
            hint = alias.__value__ if alias is hint else alias.__value__[get_args(hint)]
        except NameError as error:
            raise UnresolvedAnnotation(alias.__name__, str(error)) from error


def alternatives(hint: Any) -> tuple[Any, ...]:
    """Return the members of a union, seen through aliases and `Annotated`; anything else as a single member."""
    hint = unaliased(hint)
    origin = get_origin(hint)
    if origin is Annotated:
        return alternatives(hint.__origin__)
    if origin in (Union, types.UnionType):
        members = (found for member in get_args(hint) for found in alternatives(member))
        return tuple(dict.fromkeys(members))
    return (hint,)


def _type_parameters(owner: type) -> dict[Any, Any]:
    """Map the type parameters of generic bases to their arguments: T to Place in `class Moved(Changed[Place])`."""
    if not issubclass(owner, Generic):
        return {}
    found: dict[Any, Any] = {}
    for base in owner.__mro__:
        for generic in vars(base).get("__orig_bases__", ()):
            names = getattr(get_origin(generic), "__parameters__", ())
            values = (_with_parameters(value, found) for value in get_args(generic))
            found.update(pair for pair in zip(names, values, strict=False) if pair[0] not in found)
    return found


def _with_parameters(hint: Any, values: dict[Any, Any]) -> Any:
    if isinstance(hint, TypeVar):
        return values.get(hint, hint)
    names = () if isinstance(hint, type) else getattr(hint, "__parameters__", ())
    generic: Any = hint
    return generic[tuple(values.get(name, name) for name in names)] if any(name in values for name in names) else hint


def tag_fields(owner: type) -> tuple[TagField, ...]:
    """Return the tag-typed fields of a message or model class, in the order of their definition."""
    found = (_tag_field(owner, name, hint) for name, hint in hints_of(owner).items())
    return tuple(field for field in found if field is not None)


def _tag_field(owner: type, name: str, hint: Any) -> TagField | None:
    markers, inner, many = _unwrap(hint)
    tags = [marker for marker in markers if isinstance(marker, Tag)]
    if not tags:
        return None
    if not _is_taggable(inner):
        problem = f"is tagged but has the type {getattr(inner, '__name__', inner)}"
        expected = "str, int, UUID, Enum or date, optional or in a list, tuple or set"
        raise InvalidField(owner.__qualname__, name, problem, expected, "tag a field of one of these types")
    return TagField(name, tags[0], inner, many=many, key=not any(_is_not_key(marker) for marker in markers))


def _is_taggable(inner: Any) -> bool:
    taggable = isinstance(inner, type) and issubclass(inner, SCALARS)
    return taggable and not issubclass(inner, bool | datetime.datetime)


def _is_not_key(marker: object) -> bool:
    return marker is NonKey or isinstance(marker, NonKey)


def _unwrap(hint: Any) -> tuple[tuple[object, ...], Any, bool]:
    """Return markers, innermost type, and whether it is in a collection, as in `list[AccountId] | None`."""
    hint = unaliased(hint)
    origin = get_origin(hint)
    if isinstance(hint, NewType):
        return _unwrap(hint.__supertype__)
    if origin is Annotated:
        markers, inner, many = _unwrap(hint.__origin__)
        return (*markers, *hint.__metadata__), inner, many
    if origin in (Union, types.UnionType):
        members = [member for member in get_args(hint) if member is not type(None)]
        return _unwrap(members[0]) if len(members) == 1 else ((), hint, False)
    if origin in COLLECTIONS and get_args(hint):
        markers, inner, nested = _unwrap(get_args(hint)[0])
        return markers, list if nested else inner, True
    return (), hint, False
