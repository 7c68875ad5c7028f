"""What a command handler may ask beside its models, so that it stays pure and can be replayed."""

from datetime import datetime
from hashlib import blake2b
from uuid import UUID

from leftfold.model.metadata import Metadata


class Context:
    """The moment, the metadata and the ids of one decision.

    A decision that is made again after a conflict, or replayed, gets the same ids: they derive from the command's id.
    """

    __slots__ = ("_ids", "metadata", "now")

    def __init__(self, now: datetime, metadata: Metadata) -> None:
        self.now = now
        self.metadata = metadata
        self._ids = 0

    def new_id(self) -> UUID:
        """Return the next id of this decision."""
        self._ids += 1
        seed = f"{self.metadata.command}/{self._ids}".encode()
        return UUID(bytes=blake2b(seed, digest_size=16).digest(), version=4)

    def __repr__(self) -> str:
        return f"<Context of command {self.metadata.command} at {self.now.isoformat()}>"
