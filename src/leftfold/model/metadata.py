"""Metadata: who, why, and caused by what; kept with each event."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from math import isfinite
from operator import methodcaller
from typing import Any, cast

import msgspec
from msgspec.structs import force_setattr

from leftfold.errors import InvalidMetadata
from leftfold.model.comparing import is_any


class Metadata(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an event carries in addition to its data.

    `command` is the id of the command that made the event, `command_type` its wire name. `correlation` is shared by
    all that follows from one request. `cause` is the position of an event or the id of a command. `traceparent` is
    the W3C trace context (https://www.w3.org/TR/trace-context/). `corrects` is the position of an earlier event that
    was wrong, and that this one makes good. `extra` holds whatever the user adds.
    """

    command: str | None = None
    command_type: str | None = None
    correlation: str | None = None
    cause: int | str | None = None
    actor: str | None = None
    reason: str | None = None
    traceparent: str | None = None
    corrects: int | None = None
    extra: dict[str, Any] = {}

    def __post_init__(self) -> None:
        """Refuse what could not be read back; convert values of `extra` to what they are read back as."""
        for name in TEXTS:
            value = getattr(self, name)
            if value is not None and not (type(value) is str and value.isascii()):
                force_setattr(self, name, _text(name, value))
        if self.cause is not None and type(self.cause) is not int:
            force_setattr(self, "cause", _text("cause", self.cause))
        if self.corrects is not None and not _is_position(self.corrects):
            raise InvalidMetadata("corrects", self.corrects, "the position of an event: a whole number from 1 on")
        if self.extra:
            force_setattr(self, "extra", _plain(self.extra))

    def of_command(self, identity: str, wire: str) -> "Metadata":
        """Return this metadata, for a command of this id and type; without a correlation, it starts one."""
        stamped = _copy(self)  # no second check: it was checked when it was made
        force_setattr(stamped, "command", identity)
        force_setattr(stamped, "command_type", wire)
        if not self.correlation:
            force_setattr(stamped, "correlation", identity)
        return stamped

    def over(self, other: "Metadata") -> "Metadata":
        """Return this metadata, completed by `other`."""
        if other is NOTHING_SAID:
            return self
        given = {name: value for name in OPEN if (value := getattr(self, name)) is not None}
        return msgspec.structs.replace(other, **given, extra={**other.extra, **self.extra})


TEXTS = ("command", "command_type", "correlation", "actor", "reason", "traceparent")
OPEN = tuple(name for name in Metadata.__struct_fields__ if name != "extra")

_copy: Callable[[Metadata], Metadata] = methodcaller("__copy__")  # like `copy.copy`, without its lookup
_decoder = msgspec.json.Decoder(Metadata)
_encoder = msgspec.json.Encoder()
_decode_extra = msgspec.json.Decoder(dict[str, Any]).decode


def _is_position(value: object) -> bool:
    return type(value) is int and value >= 1


def _text(name: str, value: object) -> str:
    """Return the value as plain text."""
    expected = "text" if name != "cause" else "the position of an event, or the id of a command as text"
    if not isinstance(value, str):
        raise InvalidMetadata(name, value, expected)
    plain = str.__str__(value)
    try:
        plain.encode()
    except UnicodeEncodeError:
        raise InvalidMetadata(name, value, "text that can be written in UTF-8, without lone surrogates") from None
    return plain


def _plain(extra: object) -> dict[str, Any]:
    """Return the values as JSON gives them back."""
    if not isinstance(extra, dict):
        raise InvalidMetadata("extra", extra, "a dict of extra values")
    given = cast("dict[str, Any]", extra)
    for name, value in given.items():
        try:
            is_unwritable = _has_no_number(value)
            _encoder.encode({name: value})
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidMetadata(name, value, "a value that JSON can hold") from error
        if is_unwritable:
            raise InvalidMetadata(name, value, "a finite number, or text")
    return _decode_extra(_encoder.encode(given))


def _has_no_number(value: Any) -> bool:
    """Whether it is, or holds, a float that JSON writes as null."""
    if is_any(value, dict):
        return any(map(_has_no_number, value.values()))
    if is_any(value, list, tuple, set, frozenset):
        return any(map(_has_no_number, value))
    return isinstance(value, float) and not isfinite(value)


NOTHING_SAID = Metadata()

_present: ContextVar[Metadata] = ContextVar("leftfold metadata", default=NOTHING_SAID)


def present_metadata() -> Metadata:
    """Return the metadata of the surrounding `recording` blocks."""
    return _present.get()


@contextmanager
def recording(
    *,
    actor: str | None = None,
    reason: str | None = None,
    correlation: str | None = None,
    cause: int | str | None = None,
    traceparent: str | None = None,
    corrects: int | None = None,
    **extra: Any,
) -> Generator[Metadata]:
    """Give every event that is made inside the block this metadata; blocks nest, the inner one wins.

    `with recording(actor="ann", reason="correction", tenant="north"): ...`
    """
    metadata = Metadata(
        actor=actor,
        reason=reason,
        correlation=correlation,
        cause=cause,
        traceparent=traceparent,
        corrects=corrects,
        extra=extra,
    )
    token = _present.set(metadata.over(_present.get()))
    try:
        yield _present.get()
    finally:
        _present.reset(token)


def encode_command(id: str, wire: str) -> bytes:
    """Return `encode_metadata(Metadata().of_command(id, wire))` in half the time; the id is of hexadecimal digits."""
    return f'{{"command":"{id}","command_type":{_in_json(wire)},"correlation":"{id}"}}'.encode()


@lru_cache(1024)
def _in_json(text: str) -> str:
    return _encoder.encode(text).decode()


def encode_metadata(metadata: Metadata) -> bytes:
    """Return the stored form: a JSON object."""
    try:
        return _encoder.encode(metadata)
    except (TypeError, ValueError) as error:  # `extra` was changed after the check
        raise InvalidMetadata("extra", metadata.extra, "values that JSON can hold") from error


def decode_metadata(data: bytes) -> Metadata:
    """Return the metadata of stored bytes.

    A number in place of a text is read as text. A field that cannot be read comes back under `extra["raw"]`, beside
    those that can; bytes that are no JSON object come back there as they are.
    """
    try:
        return _decoder.decode(data)
    except msgspec.MsgspecError:
        return _readable(data)


def _readable(data: bytes) -> Metadata:
    try:
        stored = _decode_extra(data)
    except msgspec.MsgspecError:
        return Metadata(extra={"raw": data.decode("utf-8", "replace")})
    extra: Any = stored.pop("extra", {})
    kept = cast("dict[str, Any]", extra) if isinstance(extra, dict) else {}
    raw: dict[str, Any] = {} if isinstance(extra, dict) else {"extra": extra}
    fields: dict[str, Any] = {}
    for name in OPEN:
        value = stored.get(name)
        if name == "corrects":
            (fields if value is None or _is_position(value) else raw)[name] = value
            continue
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = value if name == "cause" and isinstance(value, int) else str(value)
        if value is None or (isinstance(value, str | int) and not isinstance(value, bool)):
            fields[name] = value
        else:
            raw[name] = value
    return Metadata(**fields, extra={**kept, "raw": raw} if raw else kept)
