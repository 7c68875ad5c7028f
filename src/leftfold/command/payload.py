"""What an idempotency key stands for: a command, also when its class has got fields since the key was stored."""

from collections.abc import Iterator, Sequence
from copy import copy
from hashlib import blake2b
from itertools import combinations
from typing import Any, cast

import msgspec

from leftfold.model.comparing import difference, field_names, is_any
from leftfold.model.registry import Registry

CANDIDATES = 256
COMMANDS = 20_000  # how many are encoded at most to find out
Field = tuple[type[Any], str]


def digest_of(registry: Registry, commands: Sequence[Any], wires: Sequence[str]) -> bytes:
    """Return the digest stored with a key: over each command's wire name and stored form."""
    digest = blake2b(digest_size=16)
    for command, wire in zip(commands, wires, strict=True):
        digest.update(wire.encode() + b"\0" + registry.codec.encode(command) + b"\0")
    return digest.digest()


def stood_for(stored: bytes, commands: Sequence[Any], wires: Sequence[str], registry: Registry) -> bool:
    """Tell whether a stored digest is of the same commands, written by older code.

    Older code may have had other wire names (`renamed`), or lacked fields: those that hold their defaults now, since
    that is how its data is decoded today. Any other value was written by code that had the field.
    """
    named = [wires]
    for wire in dict.fromkeys(wires):
        former = sorted(registry.names_of(wire) - {wire})
        named += [[name if each == wire else each for each in wires] for name in former]
    older = _without_defaults(commands, min(CANDIDATES, max(2, COMMANDS // len(commands))))
    return any(digest_of(registry, each, names) == stored for each in older for names in named)


def _without_defaults(commands: Sequence[Any], limit: int) -> Iterator[Sequence[Any]]:
    """Yield the commands as given, and without subsets of the fields that hold their defaults in all of them."""
    yield commands
    fields = list(_default_fields(commands))
    tried = 0
    for count in range(1, len(fields) + 1):
        for chosen in combinations(reversed(fields), count):
            tried += 1
            if tried > limit:
                yield [_without(command, set(fields)) for command in commands]
                return
            yield [_without(command, set(chosen)) for command in commands]


def _default_fields(commands: Sequence[Any]) -> Iterator[Field]:
    holding: dict[Field, bool] = {}
    for command in commands:
        for instance in _instances(command):
            kind: type[Any] = type(cast("object", instance))
            for name, default in _defaults(kind):
                field, held = (kind, name), difference(default, getattr(instance, name)) is None
                holding[field] = holding.get(field, True) and held
    return (field for field, held in holding.items() if held)


def _instances(value: Any) -> Iterator[Any]:
    """Every instance with fields in a value, the value itself included."""
    names = field_names(value)
    if names is not None:
        yield value
        for name in names:
            yield from _instances(getattr(value, name, None))
    elif is_any(value, dict):
        for inner in value.values():
            yield from _instances(inner)
    elif is_any(value, list, tuple):
        for inner in value:
            yield from _instances(inner)


def _defaults(owner: Any) -> Iterator[tuple[str, Any]]:
    """Yield the fields of a class that have a default, each with a fresh one."""
    if hasattr(owner, "__pydantic_fields__"):
        for name, field in owner.__pydantic_fields__.items():
            if not field.is_required():
                yield name, field.get_default(call_default_factory=True)
        return
    try:
        info: Any = msgspec.inspect.type_info(owner)
    except (TypeError, NameError):
        return
    for field in getattr(info, "fields", ()):
        if field.default_factory is not msgspec.NODEFAULT:
            yield field.name, field.default_factory()
        elif field.default is not msgspec.NODEFAULT:
            yield field.name, field.default


def _without(value: Any, fields: set[Field]) -> Any:
    """Return a copy whose chosen fields are left out of its stored form."""
    names = field_names(value)
    if hasattr(value, "model_dump_json"):
        return _Excluding(value, {name for owner, name in fields if owner is type(value)})
    if names is not None:
        made = copy(value)
        put = msgspec.structs.force_setattr if isinstance(value, msgspec.Struct) else object.__setattr__
        for name in names:
            left_out = (type(value), name) in fields
            put(made, name, msgspec.UNSET if left_out else _without(getattr(value, name, None), fields))
        return made
    if is_any(value, dict):
        return {key: _without(inner, fields) for key, inner in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_without(inner, fields) for inner in value)
    return value


class _Excluding:
    """A pydantic model that leaves fields out when it is written."""

    def __init__(self, model: Any, names: set[str]) -> None:
        self._model = model
        self._names = names

    def model_dump_json(self, **options: Any) -> str:
        return str(self._model.model_dump_json(exclude=self._names, **options))
