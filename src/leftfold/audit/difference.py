"""What differs between two states, part by part."""

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any, cast

import msgspec

ABSENT = msgspec.UNSET
SCALARS = (str, bytes, bytearray)
Parts = Mapping[str, Any]


class Change(msgspec.Struct, frozen=True):
    """One part of a state that became another; `ABSENT` where there was, or is, no such part.

    `path` says which: a field, `seats[12A]` in a mapping, `lines[0].amount` deeper down; empty for the whole.
    """

    path: str
    before: Any
    after: Any


def changes(before: Any, after: Any, path: str = "") -> list[Change]:
    """The smallest parts that differ, in the order in which they appear."""
    return [] if before is after else list(_changes(before, after, path))


def _changes(before: Any, after: Any, path: str) -> Iterator[Change]:
    if type(before) is type(after):
        old, new = fields_of(before), fields_of(after)
        if old is not None and new is not None:
            yield from _between(old, new, f"{path}." if path else "", "")
            return
        if isinstance(before, Mapping):
            yield from _between(_by_text(before), _by_text(after), f"{path}[", "]")
            return
        if isinstance(before, Set):
            yield from _between_sets(before, after, path)
            return
        if isinstance(before, Sequence) and not isinstance(before, SCALARS):
            yield from _between(_by_place(before), _by_place(after), f"{path}[", "]")
            return
    if before != after:
        yield Change(path, before, after)


def _between(before: Parts, after: Parts, opening: str, closing: str) -> Iterator[Change]:
    for name in dict.fromkeys((*before, *after)):
        path = f"{opening}{name}{closing}"
        if name in before and name in after:
            yield from changes(before[name], after[name], path)
        else:
            yield Change(path, before.get(name, ABSENT), after.get(name, ABSENT))


def _between_sets(before: Any, after: Any, path: str) -> Iterator[Change]:
    yield from (Change(path, element, ABSENT) for element in sorted(before - after, key=repr))
    yield from (Change(path, ABSENT, element) for element in sorted(after - before, key=repr))


def fields_of(value: Any) -> Parts | None:
    """The fields of a struct, dataclass, attrs class or pydantic model; None for anything else."""
    owner: Any = type(cast("object", value))
    for names in ("__struct_fields__", "__dataclass_fields__", "__pydantic_fields__"):
        if hasattr(owner, names):
            return {name: getattr(value, name) for name in getattr(owner, names)}
    if hasattr(owner, "__attrs_attrs__"):
        return {each.name: getattr(value, each.name) for each in owner.__attrs_attrs__}
    return None


def _by_text(value: Any) -> Parts:
    return {str(name): each for name, each in value.items()}


def _by_place(value: Any) -> Parts:
    return {str(place): each for place, each in enumerate(value)}
