"""Purity: a handler or `evolve` that changes its arguments is reported by name."""

import sys
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any, TypeVar, get_origin

from msgspec import inspect as types

from leftfold.errors import ArgumentMutated
from leftfold.model.comparing import difference
from leftfold.model.stored_form import inner_types

R = TypeVar("R")

UNCHANGING = (
    types.NoneType,
    types.BoolType,
    types.IntType,
    types.FloatType,
    types.StrType,
    types.BytesType,
    types.DateTimeType,
    types.DateType,
    types.TimeType,
    types.TimeDeltaType,
    types.UUIDType,
    types.DecimalType,
    types.EnumType,
    types.LiteralType,
    types.TupleType,
    types.VarTupleType,
    types.FrozenSetType,
    types.NamedTupleType,
    types.UnionType,
)
"""Types whose values cannot be changed in place, apart from what they contain."""
IN_DEVELOPMENT = sys.flags.dev_mode
"""Whether each call is checked: set by `python -X dev` or PYTHONDEVMODE=1."""


def can_change(owner: type) -> bool:
    """Tell whether an instance of a class can contain something mutable."""
    try:
        found = types.type_info(owner)
    except TypeError:
        return True
    return any(map(_can_change, inner_types(found, set())))


def _can_change(found: types.Type) -> bool:
    if isinstance(found, types.StructType):
        owner: Any = get_origin(found.cls) or found.cls
        return not owner.__struct_config__.frozen
    return not isinstance(found, UNCHANGING)


def unchanging(
    function: Callable[..., R], name: str, parameters: Sequence[str] = (), *, apart: str | None = None
) -> Callable[..., R]:
    """Wrap a function so that it works on copies of its arguments and raises `ArgumentMutated` if it changes one.

    `parameters` names the positional arguments; the argument named `apart` is not checked.
    """

    def checked(*given: Any, **named: Any) -> R:
        arguments = {**dict(zip(parameters, given, strict=True)), **named}
        copies = {**arguments, **deepcopy({each: arguments[each] for each in arguments if each != apart})}
        try:
            return function(*(copies[each] for each in parameters), **{each: copies[each] for each in named})
        finally:  # also when the handler rejects
            for each, value in arguments.items():
                changed = difference(value, copies[each])
                if changed is not None:
                    raise ArgumentMutated(name, f"{each}{changed.place}", changed.given, changed.read)

    return checked
