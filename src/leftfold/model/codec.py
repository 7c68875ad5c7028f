"""The codec port, and JSON by msgspec behind it."""

from collections.abc import Callable
from copy import copy
from functools import partial
from inspect import signature
from typing import Any, Protocol, TypeGuard

import msgspec

from leftfold.errors import CannotEncode
from leftfold.model.comparing import field_names, is_any
from leftfold.model.stored_form import check_storable, inner_types, plain_check

NOT_ENCODED = (TypeError, ValueError, OverflowError, RecursionError, AttributeError)


class Codec(Protocol):
    """Turns messages into bytes and back; an app is opened with one."""

    def encode(self, message: object) -> bytes:
        """Return the bytes to store; raise `CannotEncode` if there are none."""
        ...

    def decoder(self, owner: type) -> Callable[[bytes], Any]:
        """Return the function that decodes stored bytes into an `owner`; it raises ValueError if they do not fit."""
        ...

    def fields(self, data: bytes) -> dict[str, Any]:
        """Return the raw fields of stored bytes, for upcasters."""
        ...


class JsonCodec:
    """JSON; structs, dataclasses and attrs classes by msgspec, pydantic models by their own methods.

    Equal messages have equal bytes in every process: sets and dicts are sorted (but not those of pydantic models).
    """

    def __init__(self) -> None:
        self._encoders: dict[type, Callable[[Any], bytes]] = {}
        self._fields = msgspec.json.Decoder(dict[str, Any]).decode

    def encode(self, message: object) -> bytes:
        """Return the message as a JSON object."""
        encode = self._encoders.get(type(message)) or self._encoder_of(type(message))
        try:
            return encode(message)
        except NOT_ENCODED as error:
            if encode is _encode and isinstance(error, TypeError):
                return self._encode_in_order(message)
            raise self._refusal(message, error) from error

    def decoder(self, owner: type) -> Callable[[bytes], Any]:
        """Return the decoder of a class; msgspec's and pydantic's errors are ValueErrors."""
        own: Callable[..., Any] | None = getattr(owner, "model_validate_json", None)
        if own is None:
            return msgspec.json.Decoder(owner).decode
        # The stored names are the fields' own; `by_name` reads them also where a field has an alias (pydantic 2.11).
        return partial(own, by_alias=True, by_name=True) if "by_name" in signature(own).parameters else own

    def fields(self, data: bytes) -> dict[str, Any]:
        """Return the JSON object's fields."""
        return self._fields(data)

    def check(self, owner: type) -> None:
        """Raise `InvalidField` for a class with a field whose values JSON cannot give back."""
        check_storable(owner)

    def plain(self, owner: type) -> Callable[[Any], bool] | None:
        """Return a quick check that an instance comes back equal; subclasses of this codec may need another."""
        return plain_check(owner) if type(self) is JsonCodec else None

    def __repr__(self) -> str:
        return "<JsonCodec>"

    def _encoder_of(self, owner: type) -> Callable[[Any], bytes]:
        if hasattr(owner, "model_dump_json"):
            self._encoders[owner] = _encode_model
        else:
            self._encoders[owner] = _encode_in_order if nests_sets(owner) else _encode
        return self._encoders[owner]

    def _encode_in_order(self, message: object) -> bytes:
        """Encode what msgspec cannot sort: dicts whose keys are not strings, sets of structs and enums."""
        try:
            return _encode_in_order(message)
        except NOT_ENCODED as error:
            raise self._refusal(message, error) from error

    def _refusal(self, message: object, error: Exception) -> CannotEncode:
        """Return the error, with the field that cannot be encoded."""
        for name in field_names(message) or ():
            value = getattr(message, name, None)
            try:
                _encode_in_order(value)
            except NOT_ENCODED as problem:
                return CannotEncode(type(message).__qualname__, name, value, str(problem))
        return CannotEncode(type(message).__qualname__, "", message, str(error))


def decode_lines(decode: Callable[[bytes], Any], lines: bytes, count: int) -> list[Any] | None:
    """Decode many JSON objects, one a line, with one call; None if each has to be decoded by itself.

    That is so with another decoder than msgspec's, and for anything of which each line is not plainly one object: JSON
    has no `}` before a `{` within an object, so the objects in between begin and end with the lines.
    """
    decoder = getattr(decode, "__self__", None)
    many: Callable[[bytes], list[Any]] | None = getattr(decoder, "decode_lines", None)
    plain = count - 1 == lines.count(b"\n") == lines.count(b"}\n{") and lines.startswith(b"{") and lines.endswith(b"}")
    if type(decoder) is not msgspec.json.Decoder or many is None or not plain:
        return None
    try:
        found = many(lines)
    except (ValueError, RecursionError):  # of which the error of one event says more
        return None
    return found if len(found) == count else None


_encode = msgspec.json.Encoder(order="deterministic").encode


def _encode_in_order(message: object) -> bytes:
    return _encode(in_one_order(message))


def _encode_model(model: Any) -> bytes:
    return str(model.model_dump_json(warnings=False)).encode()


def in_one_order(value: Any) -> Any:
    """Return the value with strings as dict keys and a sorted list in place of each set.

    For what msgspec cannot sort by itself: items without an order, as those of an `Enum`, and sets, whose order by `<`
    is that of subsets.
    """
    names = field_names(value)
    if names is not None:
        return _with_fields(value, {name: in_one_order(getattr(value, name)) for name in names})
    if is_any(value, dict):
        return {_text_of_key(key): in_one_order(inner) for key, inner in value.items()}
    if is_any(value, set, frozenset):
        return sorted(map(in_one_order, value), key=_encode) if value else value
    if is_any(value, list, tuple):
        return [in_one_order(inner) for inner in value]
    return value


def nests_sets(hint: Any) -> bool:
    """Whether sets of a type hold sets, at any depth: msgspec writes these in an order that is not always the same."""
    try:
        sets = filter(_is_set, inner_types(msgspec.inspect.type_info(hint), set()))
        return any(_is_set(each) for found in sets for each in inner_types(found.item_type, set()))
    except (TypeError, NameError):
        return False


def _is_set(found: msgspec.inspect.Type) -> TypeGuard[msgspec.inspect.SetType | msgspec.inspect.FrozenSetType]:
    return isinstance(found, msgspec.inspect.SetType | msgspec.inspect.FrozenSetType)


def _text_of_key(key: object) -> str:
    if type(key) is str:
        return key
    [text] = msgspec.to_builtins({key: None}, str_keys=True)
    return str(text)


def _with_fields(value: Any, fields: dict[str, Any]) -> Any:
    """Return a copy with other values, without calling a constructor; works for frozen classes."""
    changed = copy(value)
    put = msgspec.structs.force_setattr if isinstance(value, msgspec.Struct) else object.__setattr__
    for name, inner in fields.items():
        put(changed, name, inner)
    return changed
