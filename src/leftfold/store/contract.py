"""The event store's contract: what every backend promises, in five verbs over raw records."""

from collections.abc import AsyncIterator, Iterable, Sequence
from hashlib import blake2b
from types import TracebackType
from typing import Protocol, Self

import msgspec

from leftfold.model.criteria import EVERYTHING, Criteria
from leftfold.model.record import NewEvent, StoredEvent


class AppendCondition(msgspec.Struct, frozen=True, gc=False):
    """Fail the append if any event that matches `criteria` exists after position `after`."""

    criteria: Criteria
    after: int


class IdempotencyKey(msgspec.Struct, frozen=True, gc=False):
    """An idempotency key with the digest of its payload.

    A plain string as key stands for the appended events themselves: their types, versions, tags and data. If an append
    has several keys, each stands for a part of it: `events` events, starting at `place`, which counts from 0. A copy
    that splits an append may count back into events that it has written before.
    """

    value: str
    digest: bytes
    place: int = 0
    events: int | None = None


class OwnKey(IdempotencyKey, frozen=True, gc=False):
    """A key of an append that leftfold itself makes. It begins with `leftfold.`, which keys of users may not."""


class Appended(msgspec.Struct, frozen=True, gc=False):
    """The positions of an append in the log. It is a `duplicate` if its key was used for the same append before."""

    first: int
    last: int
    duplicate: bool = False


class Batch(msgspec.Struct, frozen=True):
    """Some of the events of a read, in its order.

    The read is complete through position `through`, whether or not the events there matched. A forward read yields at
    least one batch. Its last batch says how far it looked; later events come after `through`.
    """

    events: Sequence[StoredEvent]
    through: int


class EventStore(Protocol):
    """One log. What a reader sees at head h is final: no event appears at or below h later."""

    @property
    def log_id(self) -> str:
        """Return the id of the log, which it gets once, when it is created."""
        ...

    async def append(
        self,
        events: Sequence[NewEvent],
        *,
        condition: AppendCondition | Iterable[AppendCondition] | None = None,
        key: str | IdempotencyKey | Sequence[IdempotencyKey] | None = None,
    ) -> Appended:
        """Append all events or none, durably, at the next positions.

        Conditions are checked and events written in one serialised step; several conditions must all hold. If one
        of several keys was used before, nothing is written, and `PartsAppended` says which one.
        An append beyond the limits in `store.bounds` is refused before it can affect other appends.
        Raises `InvalidAppend`, `Conflict`, `KeyReused`, `StoreUnavailable` (nothing written) or `OutcomeUnknown`.
        """
        ...

    def read(
        self,
        criteria: Criteria = EVERYTHING,
        *,
        after: int = 0,
        upto: int | None = None,
        limit: int | None = None,
        reverse: bool = False,
        data_only: bool = False,
    ) -> AsyncIterator[Batch]:
        """Read matching events with `after` < position <= `upto`, oldest first or, `reverse`, newest first.

        The head is taken when the read begins; later events are not part of it. `data_only` is for folds: the store may
        then leave out time, metadata and tags (they are 0, `b""` and `()`), which saves about half of the work.
        """
        ...

    async def head(self) -> int:
        """Return the position of the newest event; 0 if the log is empty."""
        ...

    async def wait(self, after: int, timeout: float | None = None) -> int:
        """Return the head once it is beyond `after`, or the present head after `timeout` seconds."""
        ...

    async def lookup(self, key: str | IdempotencyKey) -> Appended | None:
        """Return the positions of the append with this idempotency key, or None if there is none.

        An `IdempotencyKey` that was used for another payload raises `KeyReused`; a plain string matches any payload.
        """
        ...

    async def close(self) -> None:
        """Finish what is under way, then release everything. Closing twice is fine."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def digest_of(events: Iterable[NewEvent]) -> bytes:
    """Return the digest that a plain string key stands for. It leaves out metadata: a retry has a new command id."""
    digest = blake2b(digest_size=16)
    for event in events:
        parts = (event.type, str(event.version), *event.tags)
        text = "\0".join(parts).encode(errors="surrogatepass")
        digest.update(text + b"\0\0" + len(event.data).to_bytes(8, "big") + event.data)
    return digest.digest()
