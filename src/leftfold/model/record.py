"""Raw records: an event as the log takes it, and as the log gives it back."""

from datetime import datetime

import msgspec

from leftfold.model.clock import from_microseconds


class NewEvent(msgspec.Struct, frozen=True, gc=False):
    """An event to append. `data` and `metadata` are kept byte for byte; `time` is for imports only."""

    type: str
    data: bytes
    tags: tuple[str, ...] = ()
    version: int = 1
    metadata: bytes = b"{}"
    time: datetime | None = None


class CopiedEvent(NewEvent, frozen=True, gc=False):
    """An event that another log has accepted. Bounds that are newer than that log do not keep it from being copied."""


class StoredEvent(msgspec.Struct, frozen=True, gc=False):
    """An event of the log. `microseconds` is the commit time since 1970 in UTC, `time` the same as a datetime."""

    position: int
    microseconds: int
    type: str
    version: int
    data: bytes
    metadata: bytes
    tags: tuple[str, ...]

    @property
    def time(self) -> datetime:
        """When the event was committed, in UTC."""
        return from_microseconds(self.microseconds)
