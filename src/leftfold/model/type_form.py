"""Types and values as text that is the same in every process and on every version of Python."""

import dataclasses
import datetime
import decimal
import enum
import fractions
import pathlib
import re
import types
import uuid
import zoneinfo
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Annotated, Any, ForwardRef, Literal, NewType, Union, get_args, get_origin, is_typeddict

import msgspec

from leftfold.errors import UnresolvedAnnotation
from leftfold.model.tag import NonKey, Tag, hints_of

PLAIN = (str, bytes, int, float, complex, bool, type(None), type(Ellipsis), range)
SHOWN = (
    *PLAIN,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    datetime.timezone,
    decimal.Decimal,
    fractions.Fraction,
    msgspec.Meta,
    pathlib.PurePath,
    Tag,
    uuid.UUID,
    zoneinfo.ZoneInfo,
)
ALIAS = "TypeAliasType"  # of `type X = ...`, which Python 3.11 does not have
DEEPEST = 8
CLASSES_WITH_FIELDS = ("__struct_fields__", "__dataclass_fields__", "__attrs_attrs__", "__pydantic_fields__", "_fields")


def type_form(hint: Any) -> str:
    """Return a type as text, the same for every spelling: `Optional[int]` and `None | int` are one."""
    if isinstance(hint, NewType):
        return f"{hint.__name__}={type_form(hint.__supertype__)}"
    if type(hint).__name__ == ALIAS:
        return str(hint.__name__) if _names_itself(hint) else type_form(hint.__value__)
    if is_a(hint, list, tuple):  # the parameters of a Callable
        return f"[{_forms(hint)}]"
    if isinstance(hint, str):
        return hint
    origin = get_origin(hint)
    return _named_form(hint) if origin is None else _composed_form(hint, origin)


def _named_form(hint: Any) -> str:
    return str(hint.__forward_arg__) if isinstance(hint, ForwardRef) else name_of(hint)


def _composed_form(hint: Any, origin: Any) -> str:
    if origin is Annotated:
        return f"{type_form(hint.__origin__)} with {', '.join(map(value_form, hint.__metadata__))}"
    if origin is Literal:
        return f"one of {sorted(map(value_form, get_args(hint)))}"
    if origin in (Union, types.UnionType):
        return " | ".join(sorted(map(type_form, get_args(hint))))
    return f"{name_of(origin)}[{_forms(get_args(hint))}]"


def _forms(hints: Iterable[Any]) -> str:
    return ", ".join(map(type_form, hints))


def value_form(value: Any, depth: int = DEEPEST) -> str:
    """Return a value as text by its contents; if it does not expose them, the name of its class."""
    if isinstance(value, enum.Enum):
        return f"{name_of(type(value))}.{value.name}"
    if isinstance(value, type):
        return name_of(value)
    if type(value) in SHOWN or isinstance(value, datetime.tzinfo | pathlib.PurePath):
        return f"{type(value).__name__}:{value!r}"
    if is_a(value, re.Pattern):
        return f"Pattern:{value.pattern!r}:{value.flags}"
    if depth == 0 or isinstance(value, NonKey):
        return name_of(type(value))
    return _content_form(value, partial(value_form, depth=depth - 1))


def _content_form(value: Any, form: Callable[[Any], str]) -> str:
    if is_a(value, Mapping):
        return f"{{{', '.join(f'{form(key)}: {form(each)}' for key, each in value.items())}}}"
    if is_a(value, set, frozenset):
        return f"{{{', '.join(sorted(map(form, value)))}}}"
    name = name_of(type(value))
    if is_a(value, list, tuple):
        return f"{name}[{', '.join(map(form, value))}]"
    return f"{name}({', '.join(f'{field}={form(each)}' for field, each in _fields_of(value))})"


def is_a(value: Any, *kinds: type) -> bool:
    """Tell whether a value is of one of these types, without narrowing it to partly unknown types."""
    return isinstance(value, kinds)


def name_of(found: Any) -> str:
    """Return the name of a class or function without its module and enclosing functions."""
    if found is NonKey:
        return "NotKey"  # what the marker was called when fingerprints were first stored
    name = getattr(found, "__qualname__", None) or getattr(found, "__name__", None) or type(found).__qualname__
    return str(name).rpartition("<locals>.")[2]


def types_in(hint: Any) -> Iterator[type]:
    """Yield the classes that a type names, at any depth."""
    if isinstance(hint, NewType):
        yield from types_in(hint.__supertype__)
    elif type(hint).__name__ == ALIAS:
        yield from () if _names_itself(hint) else types_in(hint.__value__)
    elif get_origin(hint) is Literal:
        yield from (type(value) for value in get_args(hint) if isinstance(value, enum.Enum))
    else:
        for argument in get_args(hint):
            yield from types_in(argument)
        origin = get_origin(hint) or hint
        if isinstance(origin, type):
            yield origin


def hints_if_known(owner: type) -> dict[str, Any]:
    """Return the annotations of a class, resolved where possible."""
    try:
        return hints_of(owner)
    except (UnresolvedAnnotation, TypeError, AttributeError):
        return dict(getattr(owner, "__annotations__", {}))


def has_fields(owner: type) -> bool:
    """Whether instances of a class consist of fields with types."""
    return is_typeddict(owner) or any(hasattr(owner, mark) for mark in CLASSES_WITH_FIELDS)


def members_of(owner: type) -> Iterable[tuple[str, Any]]:
    """Return the members of an enumeration, and their values."""
    return [(name, member.value) for name, member in owner.__members__.items()] if issubclass(owner, enum.Enum) else ()


def _fields_of(value: Any) -> Iterator[tuple[str, Any]]:
    owner: Any = getattr(value, "__class__", None)
    if hasattr(owner, "__dataclass_fields__"):
        names: Iterable[str] = [field.name for field in dataclasses.fields(owner)]
    else:
        attrs = [field.name for field in getattr(owner, "__attrs_attrs__", ())]
        structs: Iterable[str] = getattr(owner, "__struct_fields__", ()) or getattr(owner, "__pydantic_fields__", ())
        names = attrs or structs
    return ((name, getattr(value, name, None)) for name in names)


def _names_itself(alias: Any, seen: tuple[Any, ...] = ()) -> bool:
    """Tell whether an alias refers to itself, as an alias of JSON values does."""
    if type(alias).__name__ == ALIAS:
        return alias in seen or _names_itself(alias.__value__, (*seen, alias))
    return any(_names_itself(each, seen) for each in get_args(alias))
