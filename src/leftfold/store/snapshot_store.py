"""Where snapshots of decision models are kept: beside a log, or in memory where it has no such place."""

from typing import NamedTuple, Protocol


class SnapshotRow(NamedTuple):
    """A stored snapshot. `identity` is that of the event at the position."""

    model: str
    key: str
    fingerprint: str
    position: int
    state: str
    identity: str


class SnapshotStore(Protocol):
    """The snapshots of one log, at most one for each model and key.

    Every method raises `StoreUnavailable` if the snapshots cannot be reached at the moment.
    """

    @property
    def problem(self) -> str | None:
        """Return why snapshots are not stored beside the log as they should be, or None."""
        ...

    @property
    def read_only(self) -> bool:
        """Return whether snapshots can only be found, not kept or forgotten."""
        ...

    async def find(self, model: str, key: str, fingerprint: str, *, upto: int) -> SnapshotRow | None:
        """Return the snapshot of a key that this code made, if it is for a position up to `upto`."""
        ...

    async def keep(self, row: SnapshotRow) -> None:
        """Store a snapshot, which replaces an older one, or one that other code made."""
        ...

    async def of_model(self, model: str, fingerprint: str) -> list[SnapshotRow]:
        """Return all snapshots of a model that this code made, in the order of their keys."""
        ...

    async def forget(self, row: SnapshotRow) -> None:
        """Delete a snapshot, unless it was replaced since."""
        ...

    async def forget_beyond(self, head: int) -> None:
        """Delete snapshots beyond the newest event, whose position was `head` a moment ago."""
        ...

    async def close(self) -> None:
        """Close it."""
        ...
