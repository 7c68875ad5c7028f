"""A log as a worker writes it that holds a lease: what it appends is refused once another process has taken over."""

from collections.abc import AsyncIterator, Iterable, Sequence
from types import TracebackType
from typing import Self

from leftfold.errors import Conflict, LeaseLost
from leftfold.model.criteria import EVERYTHING, Criteria
from leftfold.model.record import NewEvent
from leftfold.store.contract import AppendCondition, Appended, Batch, EventStore, IdempotencyKey


class FencedStore:
    """Puts one condition more on every append: that none of the `fence` events lies after a position, the token.

    Without a token nothing is fenced. Closing it closes nothing: the log belongs to others.
    """

    def __init__(self, store: EventStore, name: str, fence: Criteria) -> None:
        self.name = name
        self._store = store
        self._fence = fence
        self._after: int | None = None

    def __repr__(self) -> str:
        return f"<FencedStore for {self.name} on {self._store!r}>"

    @property
    def log_id(self) -> str:
        """That of the log."""
        return self._store.log_id

    def begin(self, token: int) -> None:
        """Append from now on as the one who took over at this position."""
        self._after = token

    async def append(
        self,
        events: Sequence[NewEvent],
        *,
        condition: AppendCondition | Iterable[AppendCondition] | None = None,
        key: str | IdempotencyKey | Sequence[IdempotencyKey] | None = None,
    ) -> Appended:
        """Append all events or none; `LeaseLost` when another process has taken over."""
        after = self._after
        if after is None:
            return await self._store.append(events, condition=condition, key=key)
        others = () if condition is None else (condition,) if isinstance(condition, AppendCondition) else condition
        try:
            fenced = (AppendCondition(self._fence, after), *others)
            appended = await self._store.append(events, condition=fenced, key=key)
        except Conflict as conflict:
            if conflict.item in self._fence.items:
                raise LeaseLost(self.name) from conflict
            raise
        if not appended.duplicate and self._after is not None:
            self._after = max(self._after, appended.last)  # a newer token is cheaper to check
        return appended

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
        """Read matching events; see `EventStore.read`."""
        return self._store.read(criteria, after=after, upto=upto, limit=limit, reverse=reverse, data_only=data_only)

    async def head(self) -> int:
        """The position of the newest event."""
        return await self._store.head()

    async def wait(self, after: int, timeout: float | None = None) -> int:
        """Return the head once it is beyond `after`."""
        return await self._store.wait(after, timeout)

    async def lookup(self, key: str | IdempotencyKey) -> Appended | None:
        """Where the append with this idempotency key lies."""
        return await self._store.lookup(key)

    async def close(self) -> None:
        """Do nothing."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return
