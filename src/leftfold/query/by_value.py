"""Values as keys of a mapping: equal for what is written alike, lists and structs included, different for all else."""

from collections.abc import Hashable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import msgspec

PLAIN = (str, bytes, int, bool, type(None))


def by_value(value: Any) -> Hashable:
    """A hashable stand-in; `TypeError` for a value that has none.

    The type is part of it: 1, True, 1.0 and Decimal(1) are four values, and so is one moment in two time zones.
    """
    kind = _kind(value)
    if kind in PLAIN:
        return (kind, value)
    if issubclass(kind, msgspec.Struct):
        return (kind, *_each(getattr(value, name) for name in kind.__struct_fields__))
    if isinstance(value, Mapping):
        return (kind, tuple(_each(value)), tuple(_each(value.values())))
    if isinstance(value, AbstractSet):
        return (kind, frozenset(_each(value)))
    if isinstance(value, list | tuple):
        return (kind, *_each(value))
    hash(value)
    return (kind, repr(value), value)


def _kind(value: object) -> type[object]:
    return type(value)


def _each(values: Any) -> Iterable[Hashable]:
    return map(by_value, values)
