"""Which plain type a field holds, in a column of its own; anything else is kept as JSON."""

import datetime
import decimal
import enum
import types
import uuid
from collections.abc import Iterable
from typing import Annotated, Any, Literal, NamedTuple, NewType, Union, get_args, get_origin

PLAIN = (
    str,
    bool,
    int,
    float,
    bytes,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    datetime.datetime,
    decimal.Decimal,
    uuid.UUID,
)


class ColumnKind(NamedTuple):
    """The type of a field without `Annotated` and None, the plain type of its values, and whether it may be None.

    The members of an enumeration or a Literal are texts or integers. `plain` is None for what is kept as JSON, which
    has no order.
    """

    inner: Any
    plain: type | None
    nullable: bool


def column_kind(hint: Any) -> ColumnKind:
    """Return what a column for a field of this type holds."""
    inner, nullable = _unwrap(hint)
    return ColumnKind(inner, _plain(inner), nullable)


def _unwrap(hint: Any) -> tuple[Any, bool]:
    """Return the type within `Annotated`, `NewType` and `| None`, and whether None is allowed."""
    if get_origin(hint) is Annotated:
        return _unwrap(hint.__origin__)
    if isinstance(hint, NewType):
        return _unwrap(hint.__supertype__)
    if get_origin(hint) in (Union, types.UnionType):
        members = [member for member in get_args(hint) if member is not type(None)]
        nullable = len(members) < len(get_args(hint))
        return (_unwrap(members[0])[0], nullable) if len(members) == 1 else (hint, nullable)
    return hint, hint is Any


def _plain(inner: Any) -> type | None:
    if get_origin(inner) is Literal:
        return _of_all(get_args(inner))
    if not isinstance(inner, type):
        return None
    if inner in PLAIN:
        return inner
    return _of_all(member.value for member in inner) if issubclass(inner, enum.Enum) else None


def _of_all(values: Iterable[Any]) -> type | None:
    found = list(values)
    for kind in (str, int):
        if all(isinstance(value, kind) and not isinstance(value, bool) for value in found):
            return kind
    return None
