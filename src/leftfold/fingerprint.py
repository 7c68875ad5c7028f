"""Fingerprints: a digest of a model's fields and code, by which stored results of older code are told."""

from collections.abc import Iterable, Iterator
from enum import EnumType
from hashlib import blake2b
from types import CodeType, FunctionType
from typing import Any, Generic, get_args

import msgspec

from leftfold.events import Message, MessageType
from leftfold.tags import hints_of

CONSTANTS = (int, float, str, bytes, bool, type(None), tuple, frozenset)
BASES = (object, Generic, msgspec.Struct, Message)
CHECK = "__check_definition__"  # what DecisionModel and ReadModel have, and no model that is derived from them
UNORDERED, ORDERED = (set, frozenset), (list, tuple)
CLASSES_WITH_FIELDS = ("__struct_fields__", "__dataclass_fields__", "__attrs_attrs__", "__pydantic_fields__")


def fingerprint(owner: type, events: Iterable[MessageType]) -> str:
    """32 hexadecimal digits that change when the model's fields, its methods or its events' versions do.

    Functions and constants of the model's own module that its methods name are part of it, and so are the fields of
    the classes that its fields hold. What the methods name in other modules is not; neither are line numbers, comments
    and docstrings of the class.
    """
    digest = blake2b(digest_size=16)
    for part in _parts_of_model(owner, events):
        digest.update(part.encode() + b";")
    return digest.hexdigest()


def fingerprint_of_function(function: FunctionType, events: Iterable[MessageType]) -> str:
    """The same for a function that handles events: its code, what it names in its module, the events' versions."""
    digest = blake2b(digest_size=16)
    for event in events:
        digest.update(f"{event.wire} v{event.version};".encode())
    for part in _parts_of_function(function, set()):
        digest.update(part.encode() + b";")
    return digest.hexdigest()


def _parts_of_model(owner: type, events: Iterable[MessageType]) -> Iterator[str]:
    seen: set[Any] = set()
    for field in msgspec.structs.fields(owner):
        yield f"{field.name}:{field.type!r}={_stable(field.default)}"
        yield from _parts_of_callable(field.default_factory, seen)
        yield from _parts_of_type(field.type, seen)
    for event in events:
        yield f"{event.wire} v{event.version}"
    for base in owner.__mro__:
        if base not in BASES and CHECK not in vars(base):
            for name, value in sorted(vars(base).items()):
                yield from _parts_of_attribute(name, value, seen)


def _parts_of_type(hint: Any, seen: set[Any]) -> Iterator[str]:
    """The fields of the classes that a field's type names, at whatever depth, each class once."""
    for argument in get_args(hint):
        yield from _parts_of_type(argument, seen)
    if hint in seen:
        return
    seen.add(hint)
    if type(hint) is EnumType:
        yield f"{hint!r}:{list(hint)!r}"
    elif any(mark in dir(hint) for mark in CLASSES_WITH_FIELDS):
        for name, inner in hints_of(hint).items():
            yield f"{hint!r}.{name}:{inner!r}"
            yield from _parts_of_type(inner, seen)


def _parts_of_attribute(name: str, value: Any, seen: set[Any]) -> Iterator[str]:
    """The code of a method, property, static method or class method; nothing for other attributes."""
    for function in (value, getattr(value, "fget", None), getattr(value, "__func__", None)):
        if isinstance(function, FunctionType):
            yield name
            yield from _parts_of_function(function, seen)


def _parts_of_callable(value: Any, seen: set[Any]) -> Iterator[str]:
    if isinstance(value, FunctionType):
        yield from _parts_of_function(value, seen)
    else:
        yield repr(value)


def _parts_of_function(function: FunctionType, seen: set[Any]) -> Iterator[str]:
    """What a function consists of, and those that it names in its own module, each once."""
    if function in seen:
        return
    seen.add(function)
    yield from _parts_of_code(function.__code__)
    yield _stable(function.__defaults__)
    for name, named in _named_by(function):
        if isinstance(named, FunctionType) and named.__module__ == function.__module__:
            yield from _parts_of_function(named, seen)
        elif type(named) in CONSTANTS:
            yield f"{name}={_stable(named)}"


def _parts_of_code(code: CodeType) -> Iterator[str]:
    """Instructions, names and constants, those of nested functions included."""
    yield code.co_code.hex()
    yield repr((code.co_names, code.co_varnames))
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _parts_of_code(constant)
        else:
            yield _stable(constant)


def _named_by(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """The globals and the variables of enclosing functions that a function may use."""
    for name in _names_in(function.__code__):
        yield name, function.__globals__.get(name)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        if name != "__class__":
            yield name, cell.cell_contents


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)


def _stable(value: Any) -> str:
    """A repr that is the same in every process: the order of a set is not."""
    if type(value) in UNORDERED:
        return repr(sorted(map(_stable, value)))
    return repr([_stable(part) for part in value]) if type(value) in ORDERED else repr(value)
