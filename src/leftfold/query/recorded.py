"""What the log says of an event beside its data, for handlers of free-form projections."""

from datetime import datetime

import msgspec

from leftfold.metadata import Metadata, decode_metadata
from leftfold.store.contract import StoredEvent


class Recorded(msgspec.Struct, frozen=True):
    """Where and when an event was recorded, and who, why and by what command."""

    position: int
    time: datetime
    metadata: Metadata


def recorded(stored: StoredEvent) -> Recorded:
    """What the log says of this event."""
    return Recorded(stored.position, stored.time, decode_metadata(stored.metadata))
