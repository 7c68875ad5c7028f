"""Metadata: who, why, and caused by what; kept with each event."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import msgspec


class Metadata(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an event carries beside its data.

    `command` is the id of the command that made the event, `command_type` its wire name. `correlation` is shared by
    all that follows from one request. `cause` is the position of an event or the id of a command. `traceparent` is
    the W3C trace context (https://www.w3.org/TR/trace-context/). `extra` holds whatever the user adds.
    """

    command: str | None = None
    command_type: str | None = None
    correlation: str | None = None
    cause: int | str | None = None
    actor: str | None = None
    reason: str | None = None
    traceparent: str | None = None
    extra: dict[str, Any] = {}

    def over(self, other: "Metadata") -> "Metadata":
        """This metadata, with what it leaves open taken from `other`."""
        if other is NOTHING_SAID:
            return self
        said = {name: value for name in OPEN if (value := getattr(self, name)) is not None}
        return msgspec.structs.replace(other, **said, extra={**other.extra, **self.extra})


OPEN = tuple(name for name in Metadata.__struct_fields__ if name != "extra")
NOTHING_SAID = Metadata()

_present: ContextVar[Metadata] = ContextVar("leftfold metadata", default=NOTHING_SAID)
_decoder = msgspec.json.Decoder(Metadata)
_encoder = msgspec.json.Encoder()


def present_metadata() -> Metadata:
    """What the surrounding `recording` blocks say."""
    return _present.get()


@contextmanager
def recording(
    *,
    actor: str | None = None,
    reason: str | None = None,
    correlation: str | None = None,
    cause: int | str | None = None,
    traceparent: str | None = None,
    **extra: Any,
) -> Generator[Metadata]:
    """Give every event that is made inside the block this metadata; blocks nest, the inner one wins.

    `with recording(actor="ann", reason="correction", tenant="north"): ...`
    """
    said = Metadata(
        actor=actor, reason=reason, correlation=correlation, cause=cause, traceparent=traceparent, extra=extra
    )
    token = _present.set(said.over(_present.get()))
    try:
        yield _present.get()
    finally:
        _present.reset(token)


def encode_metadata(metadata: Metadata) -> bytes:
    """The stored form: a JSON object of what was said."""
    return _encoder.encode(metadata)


def decode_metadata(data: bytes) -> Metadata:
    """The metadata of stored bytes; bytes of another form come back under `extra["raw"]`."""
    try:
        return _decoder.decode(data)
    except msgspec.MsgspecError:
        return Metadata(extra={"raw": data.decode("utf-8", "replace")})
