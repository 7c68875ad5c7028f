"""The codec port, and JSON by msgspec behind it."""

from collections.abc import Callable
from copy import copy
from functools import partial
from inspect import signature
from typing import Any, Protocol

import msgspec

from leftfold.comparing import field_names, is_any
from leftfold.errors import CannotEncode
from leftfold.stored_form import check_storable

NOT_ENCODED = (TypeError, ValueError, OverflowError, RecursionError, AttributeError)


class Codec(Protocol):
    """Turns messages into bytes and back; an app is opened with one."""

    def encode(self, message: object) -> bytes:
        """The bytes to store; `CannotEncode` when there are none."""
        ...

    def decoder(self, owner: type) -> Callable[[bytes], Any]:
        """The function that makes an instance of `owner` of stored bytes; raises ValueError when they do not fit."""
        ...

    def fields(self, data: bytes) -> dict[str, Any]:
        """The raw fields of stored bytes, for upcasters."""
        ...


class JsonCodec:
    """JSON; structs, dataclasses and attrs classes by msgspec, pydantic models by their own methods.

    Equal messages have equal bytes in every process: sets and dicts are sorted (but not those of pydantic models).
    """

    def __init__(self) -> None:
        self._encode = msgspec.json.Encoder(order="deterministic").encode
        self._fields = msgspec.json.Decoder(dict[str, Any]).decode

    def encode(self, message: object) -> bytes:
        """The message as a JSON object."""
        own = getattr(message, "model_dump_json", None)
        try:
            return self._encode(message) if own is None else str(own(warnings=False)).encode()
        except NOT_ENCODED as error:
            if own is None and isinstance(error, TypeError):
                return self._encode_sorted(message)
            raise self._refusal(message, error) from error

    def decoder(self, owner: type) -> Callable[[bytes], Any]:
        """The decoder of a class; msgspec's and pydantic's errors are ValueErrors."""
        own: Callable[..., Any] | None = getattr(owner, "model_validate_json", None)
        if own is None:
            return msgspec.json.Decoder(owner).decode
        # The stored names are the fields' own; `by_name` reads them also where a field has an alias (pydantic 2.11).
        return partial(own, by_alias=True, by_name=True) if "by_name" in signature(own).parameters else own

    def fields(self, data: bytes) -> dict[str, Any]:
        """The JSON object's fields."""
        return self._fields(data)

    def check(self, owner: type) -> None:
        """Raise `UnstorableType` for a class with a field whose values JSON cannot give back."""
        check_storable(owner)

    def __repr__(self) -> str:
        return "<JsonCodec>"

    def _encode_sorted(self, message: object) -> bytes:
        """Encode what msgspec does not sort by itself: dicts whose keys are no texts, sets of structs and enums."""
        try:
            return self._encode(self._sorted(message))
        except NOT_ENCODED as error:
            raise self._refusal(message, error) from error

    def _sorted(self, value: Any) -> Any:
        """The same value with texts as keys of dicts, and lists in one order in place of sets."""
        names = field_names(value)
        if names is not None:
            return _with_fields(value, {name: self._sorted(getattr(value, name)) for name in names})
        if is_any(value, dict):
            return {_text_of_key(key): self._sorted(inner) for key, inner in value.items()}
        if is_any(value, set, frozenset):
            return sorted(map(self._sorted, value), key=self._encode)
        if is_any(value, list, tuple):
            return [self._sorted(inner) for inner in value]
        return value

    def _refusal(self, message: object, error: Exception) -> CannotEncode:
        """The error, with the field that cannot be encoded."""
        for name in field_names(message) or ():
            value = getattr(message, name, None)
            try:
                self._encode(self._sorted(value))
            except NOT_ENCODED as problem:
                return CannotEncode(message, str(problem), name, value)
        return CannotEncode(message, str(error))


def _text_of_key(key: object) -> str:
    if type(key) is str:
        return key
    [text] = msgspec.to_builtins({key: None}, str_keys=True)
    return str(text)


def _with_fields(value: Any, fields: dict[str, Any]) -> Any:
    """A copy with other values; no constructor is called, and frozen classes are no obstacle."""
    changed = copy(value)
    put = msgspec.structs.force_setattr if isinstance(value, msgspec.Struct) else object.__setattr__
    for name, inner in fields.items():
        put(changed, name, inner)
    return changed
