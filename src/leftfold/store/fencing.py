"""The log of a worker that holds a lease: it refuses the worker's appends after another process has taken over."""

from collections.abc import AsyncIterator, Iterable, Sequence
from types import TracebackType
from typing import Self

from leftfold.errors import Conflict, LeaseLost
from leftfold.model.criteria import EVERYTHING, Criteria
from leftfold.model.record import NewEvent
from leftfold.store.contract import AppendCondition, Appended, Batch, EventStore, IdempotencyKey


class FencedStore:
    """Adds a condition to every append: no event that matches `fence` comes after a position, the token.

    Without a token it adds nothing. To close it closes nothing, because others own the log.
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
        """Return the id of the log."""
        return self._store.log_id

    def begin(self, token: int) -> None:
        """Append from now on as the process that took over at this position."""
        self._after = token

    async def append(
        self,
        events: Sequence[NewEvent],
        *,
        condition: AppendCondition | Iterable[AppendCondition] | None = None,
        key: str | IdempotencyKey | Sequence[IdempotencyKey] | None = None,
    ) -> Appended:
        """Append all events or none; raise `LeaseLost` if another process has taken over."""
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
            self._after = max(self._after, appended.last)  # checking a newer token is cheaper
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
        """Return the position of the newest event."""
        return await self._store.head()

    async def wait(self, after: int, timeout: float | None = None) -> int:
        """Return the head once it is beyond `after`."""
        return await self._store.wait(after, timeout)

    async def lookup(self, key: str | IdempotencyKey) -> Appended | None:
        """Return the positions of the append with this idempotency key."""
        return await self._store.lookup(key)

    async def close(self) -> None:
        """Do nothing."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return
