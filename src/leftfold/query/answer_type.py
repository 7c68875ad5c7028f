"""The type of a query's answer, as far as an answer can cheaply be checked against it."""

import types
from typing import Annotated, Any, Literal, NewType, Union, get_args, get_origin

from leftfold.events import Query


def answer_hint(query: type) -> Any:
    """The `R` of the query's `Query[R]`; Any where the class does not say."""
    for owner in query.__mro__:
        for base in vars(owner).get("__orig_bases__", ()):
            if get_origin(base) is Query:
                return get_args(base)[0]
    return Any


def outer_types(hint: Any) -> tuple[type, ...]:
    """What `isinstance` can be asked about an answer; nothing where it cannot say.

    `list[Balance] | None` gives `list` and `NoneType`. An `int` is a `float` too, as for type checkers.
    """
    found = _outer(hint)
    return () if found is None else tuple(dict.fromkeys(found))


def _outer(hint: Any) -> tuple[type, ...] | None:
    origin = get_origin(hint)
    if origin is Annotated:
        return _outer(get_args(hint)[0])
    if origin in (Union, types.UnionType):
        parts = [_outer(member) for member in get_args(hint)]
        return None if None in parts else tuple(each for part in parts for each in part or ())
    if origin is Literal:
        values: tuple[object, ...] = get_args(hint)
        return tuple(type(value) for value in values)
    if isinstance(hint, NewType):
        return _outer(hint.__supertype__)
    if hint is None:
        return (type(None),)
    return _of_class(hint if origin is None else origin)


def _of_class(owner: Any) -> tuple[type, ...] | None:
    if not isinstance(owner, type):
        return None
    if hasattr(owner, "__total__") and issubclass(owner, dict):
        return (dict,)  # a TypedDict
    try:
        isinstance(None, owner)
    except TypeError:  # a protocol that cannot be checked
        return None
    return {float: (float, int), complex: (complex, float, int)}.get(owner, (owner,))
