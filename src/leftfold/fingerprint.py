"""Fingerprints: a digest of a model's fields and code, by which stored results of older code are told."""

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from types import CodeType, FunctionType
from typing import Any

import msgspec

from leftfold.events import MessageType

CONSTANTS = (int, float, str, bytes, bool, type(None), tuple, frozenset)


def fingerprint(owner: type, events: Iterable[MessageType]) -> str:
    """32 hexadecimal digits that change when the model's fields, its methods or its events' versions do.

    Functions and constants of the model's own module that its methods name are part of it. What they name in other
    modules is not; neither are line numbers, comments and docstrings of the class.
    """
    digest = blake2b(digest_size=16)
    for field in msgspec.structs.fields(owner):
        digest.update(f"{field.name}:{field.type!r}={field.default!r}{field.default_factory!r};".encode())
    for event in events:
        digest.update(f"{event.wire} v{event.version};".encode())
    seen: set[int] = set()
    for name, function in sorted(vars(owner).items()):
        if isinstance(function, FunctionType):
            digest.update(name.encode())
            for part in _parts_of(function, seen):
                digest.update(part.encode())
    return digest.hexdigest()


def _parts_of(function: FunctionType, seen: set[int]) -> Iterator[str]:
    """What a function consists of, and those that it names in its own module, each once."""
    if id(function) in seen:
        return
    seen.add(id(function))
    yield from _code_parts(function.__code__)
    yield repr(function.__defaults__)
    for name in _names_in(function.__code__):
        named = function.__globals__.get(name)
        if isinstance(named, FunctionType) and named.__module__ == function.__module__:
            yield from _parts_of(named, seen)
        elif type(named) in CONSTANTS:
            yield f"{name}={_stable(named)}"


def _code_parts(code: CodeType) -> Iterator[str]:
    """Instructions, names and constants, those of nested functions included."""
    yield code.co_code.hex()
    yield repr((code.co_names, code.co_varnames))
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _code_parts(constant)
        else:
            yield _stable(constant)


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)


def _stable(constant: Any) -> str:
    """A repr that is the same in every process: the order of a frozenset is not."""
    return repr(sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant)
