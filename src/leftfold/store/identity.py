"""The identity of a record: what tells the event at a position from any other that could stand there."""

from hashlib import sha256

from leftfold.criteria import EVERYTHING
from leftfold.store.contract import EventStore, StoredEvent

BEGINNING = ""
"""The identity of position 0, which stands before the first event."""

LEAF = b"\0"  # as RFC 6962 has it, so that no record can be taken for a node of a tree over records
FORM = b"leftfold record 1"


def identity_of(record: StoredEvent) -> str:
    """Return the SHA-256 of a whole record, as 64 hexadecimal digits.

    It covers what a copy of a log preserves: position, time, type, version, tags, and the stored bytes of data and
    metadata. It is the same on every backend and in every release. A record that was read with `data_only` has lost
    some of that, so its identity cannot be had.
    """
    digest = sha256(LEAF + FORM)
    digest.update(record.position.to_bytes(8, "big") + record.microseconds.to_bytes(8, "big", signed=True))
    digest.update(record.version.to_bytes(8, "big") + len(record.tags).to_bytes(8, "big"))
    for part in (record.type, *sorted(record.tags)):
        digest.update(_framed(part.encode("utf-8", "surrogatepass")))
    digest.update(_framed(record.data))
    digest.update(_framed(record.metadata))
    return digest.hexdigest()


async def identity_at(store: EventStore, position: int) -> str | None:
    """Return the identity of the event at a position, or None where the log does not reach that far."""
    if position == 0:
        return BEGINNING
    async for batch in store.read(EVERYTHING, after=position - 1, upto=position):
        for record in batch.events:
            return identity_of(record)
    return None


def _framed(part: bytes) -> bytes:
    """Put the length in front, so that no two records run together into the same bytes."""
    return len(part).to_bytes(8, "big") + part
