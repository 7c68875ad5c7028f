"""Find where two values differ, field by field, even where a class's own `==` ignores fields."""

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from datetime import datetime
from types import UnionType
from typing import Any, NamedTuple, Union, cast, get_args, get_origin
from uuid import UUID

from leftfold.model.tag import hints_of

MISSING = "nothing"
SCALARS = (str, int, float, bytes, UUID)
PRIVATE = ("__pydantic_extra__", "__pydantic_private__")


class Difference(NamedTuple):
    """A place, such as `.lines[2].price`, and the values found there on each side."""

    place: str
    given: Any
    read: Any


def difference(given: Any, read: Any, place: str = "") -> Difference | None:
    """Return the first place where a value differs from what was read back; None when they are equal."""
    names = field_names(given)
    if names is not None:
        return _between_fields(names, given, read, place)
    if is_any(given, Mapping) and is_any(read, Mapping):
        return _between_mappings(given, read, place)
    if is_any(given, list, tuple) and is_any(read, list, tuple):
        return _between_sequences(given, read, place)
    if is_any(given, Set) and is_any(read, Set):
        return _between_sets(given, read, place)
    return None if _same(given, read) else Difference(place, given, read)


def field_names(value: Any) -> Sequence[str] | None:
    """Return the fields of a struct, dataclass, attrs or pydantic instance; None for any other value."""
    kind: Any = type(cast("object", value))
    if hasattr(kind, "__struct_fields__"):
        names: tuple[str, ...] = kind.__struct_fields__
        return names
    if hasattr(kind, "__attrs_attrs__"):
        return [field.name for field in kind.__attrs_attrs__]
    if hasattr(kind, "__pydantic_fields__"):
        return [*kind.__pydantic_fields__, *(name for name in PRIVATE if getattr(value, name, None))]
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind)]
    return None


def naive_moment(value: Any, place: str = "") -> Difference | None:
    """Return the first datetime without a time zone in a value."""
    if isinstance(value, datetime):
        return Difference(place, value, value) if value.tzinfo is None else None
    return next((found for inner, where in _parts(value, place) if (found := naive_moment(inner, where))), None)


def _parts(value: Any, place: str) -> Iterable[tuple[Any, str]]:
    names = field_names(value)
    if names is not None:
        yield from ((getattr(value, name, None), f"{place}.{name}") for name in names)
    elif is_any(value, Mapping):
        yield from ((key, place) for key in value)
        yield from ((inner, f"{place}[{key!r}]") for key, inner in value.items())
    elif is_any(value, list, tuple, Set):
        yield from ((inner, f"{place}[{number}]") for number, inner in enumerate(value))


def is_any(value: object, *kinds: type[Any]) -> bool:
    """Tell whether a value is an instance of one of the kinds, without narrowing its type for type checkers."""
    return isinstance(value, kinds)


def _between_fields(names: Sequence[str], given: Any, read: Any, place: str) -> Difference | None:
    if type(given) is not type(read):
        return Difference(place, given, read)
    for name in names:
        one, other = getattr(given, name, MISSING), getattr(read, name, MISSING)
        if is_any(one, tuple) and is_any(other, list) and _may_be_either(type(cast("object", given)), name):
            one = list(one)
        found = difference(one, other, f"{place}.{name}")
        if found is not None:
            return found
    return None


def _may_be_either(owner: type[Any], name: str) -> bool:
    """Tell whether a field is annotated as a sequence: a list or a tuple."""
    hint = hints_of(owner).get(name)
    members = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    return any((get_origin(member) or member) in (Sequence, Collection, Iterable) for member in members)


def _between_mappings(given: Mapping[Any, Any], read: Mapping[Any, Any], place: str) -> Difference | None:
    if given.keys() != read.keys():
        return Difference(place, given, read)
    pairs = ((inner, read[key], f"{place}[{key!r}]") for key, inner in given.items())
    return next((found for pair in pairs if (found := difference(*pair)) is not None), None)


def _between_sequences(given: Sequence[Any], read: Sequence[Any], place: str) -> Difference | None:
    if isinstance(given, list) != isinstance(read, list) or len(given) != len(read):
        return Difference(place, given, read)
    pairs = ((*pair, f"{place}[{number}]") for number, pair in enumerate(zip(given, read, strict=True)))
    return next((found for pair in pairs if (found := difference(*pair)) is not None), None)


def _between_sets(given: Set[Any], read: Set[Any], place: str) -> Difference | None:
    if len(given) != len(read):
        return Difference(place, given, read)
    if all(type(one) in SCALARS for one in given):
        return None if _same(given, read) else Difference(place, given, read)
    rest: dict[int, list[Any]] = {}
    for other in read:
        rest.setdefault(hash(other), []).append(other)
    for one in given:
        alike = rest.get(hash(one), [])
        number = next((number for number, other in enumerate(alike) if difference(one, other) is None), None)
        if number is None:
            return Difference(place, given, read)
        del alike[number]
    return None


def _same(given: Any, read: Any) -> bool:
    try:
        if given == read:
            return True
        return isinstance(given, datetime) and isinstance(read, datetime) and _one_moment(given, read)
    except Exception:  # noqa: BLE001 a class's own == may raise anything; then the values are not equal
        return False


def _one_moment(given: datetime, read: datetime) -> bool:
    """Tell whether two datetimes show the same wall-clock time with the same offset.

    `==` calls a time that its zone has twice unequal to every time of another zone (PEP 495).
    """
    return given.utcoffset() == read.utcoffset() and given.replace(tzinfo=None, fold=0) == read.replace(
        tzinfo=None, fold=0
    )
