"""The context of an event: what the log says of it beside its data."""

from datetime import datetime

import msgspec

from leftfold.model.metadata import Metadata, decode_metadata
from leftfold.model.record import NewEvent, StoredEvent

UNSTORED = 0
"""The position of an event that was decided and is not stored yet."""


class EventContext(msgspec.Struct, frozen=True):
    """Where and when an event was recorded, by whom, why and by what command.

    A later command of the same `execute_many` is decided before the events of the earlier ones are stored: those have
    the position 0, and the time at which they were decided.
    """

    position: int
    time: datetime
    metadata: Metadata

    @property
    def actor(self) -> str | None:
        """The actor of the command, if recorded."""
        return self.metadata.actor

    @property
    def corrects(self) -> int | None:
        """The position of the wrong event that this one makes good; None for most events."""
        return self.metadata.corrects


def event_context(stored: StoredEvent) -> EventContext:
    """Return the context of a stored event."""
    return EventContext(stored.position, stored.time, decode_metadata(stored.metadata))


def context_of_decided(record: NewEvent, now: datetime) -> EventContext:
    """Return the context of an event that was decided at `now` and is not stored yet."""
    return EventContext(UNSTORED, record.time or now, decode_metadata(record.metadata))
