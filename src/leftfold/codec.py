"""The codec port, and JSON by msgspec behind it."""

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from leftfold.errors import CannotEncode


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
        if own is not None:
            return str(own()).encode()
        try:
            return self._encode(message)
        except (TypeError, ValueError, OverflowError) as error:
            raise CannotEncode(message, str(error)) from error

    def decoder(self, owner: type) -> Callable[[bytes], Any]:
        """The decoder of a class; msgspec's and pydantic's errors are ValueErrors."""
        own: Callable[[bytes], Any] | None = getattr(owner, "model_validate_json", None)
        return own if own is not None else msgspec.json.Decoder(owner).decode

    def fields(self, data: bytes) -> dict[str, Any]:
        """The JSON object's fields."""
        return self._fields(data)

    def __repr__(self) -> str:
        return "<JsonCodec>"
