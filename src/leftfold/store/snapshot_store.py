"""Where snapshots of decision models are kept: beside a log, or in memory where it has no such place."""

from typing import NamedTuple, Protocol


class SnapshotRow(NamedTuple):
    """A snapshot as it is kept. `identity` is that of the event at the position."""

    model: str
    key: str
    fingerprint: str
    position: int
    state: str
    identity: str


class SnapshotStore(Protocol):
    """The snapshots of one log, at most one for each model and key.

    Every method raises `StoreUnavailable` where the place cannot be used at the moment.
    """

    @property
    def problem(self) -> str | None:
        """Why snapshots are not kept beside the log as they should be; None where all is as it should be."""
        ...

    @property
    def read_only(self) -> bool:
        """Whether snapshots are only found here, and none is kept or forgotten."""
        ...

    async def find(self, model: str, key: str, fingerprint: str, *, upto: int) -> SnapshotRow | None:
        """Return the snapshot of a key that this code made, if it stands at or before a position."""
        ...

    async def keep(self, row: SnapshotRow) -> None:
        """Keep a snapshot in place of an older one, or of one that other code made."""
        ...

    async def of_model(self, model: str, fingerprint: str) -> list[SnapshotRow]:
        """Return all snapshots of a model that this code made, in the order of their keys."""
        ...

    async def forget(self, row: SnapshotRow) -> None:
        """Forget a snapshot, unless it was replaced since."""
        ...

    async def forget_beyond(self, head: int) -> None:
        """Forget what stands beyond the newest event, whose position was `head` a moment ago."""
        ...

    async def close(self) -> None:
        """Close it."""
        ...
