"""What the stores in a database share: everything that does not depend on which database it is."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Sequence
from types import TracebackType
from typing import Self

from leftfold.errors import StoreClosed, StoreFailed, StoreReadOnly, StoreUnavailable
from leftfold.model.record import NewEvent
from leftfold.store.admission import AppendRequest, recognised
from leftfold.store.bounds import check_known_key, check_wait
from leftfold.store.contract import AppendCondition, Appended, IdempotencyKey
from leftfold.store.head import Head
from leftfold.store.home import Home, keep_in_children
from leftfold.store.identity import Replacement
from leftfold.store.inspection import StoredKey


class DatabaseStore(ABC):
    """Checks what is asked of a store, follows the appends of other processes while anyone waits, and closes once."""

    log_id: str

    def __init__(self, where: str, replacement: Replacement, *, read_only: bool, event_limit: int) -> None:
        self.replacement = replacement
        self._where = where
        self._read_only = read_only
        self._event_limit = event_limit
        self._head = Head()
        self._following: asyncio.Task[None] | None = None
        self._closed = False
        self._home = Home()
        keep_in_children(self)

    async def wait(self, after: int, timeout: float | None = None) -> int:
        """Return the head once it is beyond `after`; see `EventStore.wait`."""
        self._check_open()
        check_wait(after, timeout)
        self.replacement.listen(self._head.fail)
        if self._head.known <= after and (self._following is None or self._following.done()):
            self._following = asyncio.create_task(self._follow())
        return await self._head.beyond(after, timeout)

    async def lookup(self, key: str | IdempotencyKey) -> Appended | None:
        """Return where the append with this idempotency key lies; see `EventStore.lookup`."""
        self._check_open()
        check_known_key(key)
        return recognised(key, await self._find_key(key if isinstance(key, str) else key.value))

    async def stored_keys(self) -> AsyncIterator[Sequence[StoredKey]]:
        """Yield every idempotency key; see `KeyedLog`."""
        last: StoredKey | None = None
        while True:
            self._check_open()
            page = await self._keys_beyond(last)
            if not page:
                return
            yield page
            last = page[-1]

    async def close(self) -> None:
        """Commit what has been handed in, then release everything. Closing twice is fine."""
        if self._closed:
            return
        if self._home.is_elsewhere:  # a forked child, which must not touch what the parent has open
            self._closed = True
            return
        if not self._home.is_gone:
            self._home.check()
        self._closed = True
        if not self._home.is_gone:
            self._head.fail(StoreClosed())
            if self._following is not None:
                self._following.cancel()
                await asyncio.gather(self._following, return_exceptions=True)
        await self._release()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _check_open(self) -> None:
        self._home.check()
        if self._closed:
            raise StoreClosed

    def _checked(
        self,
        events: Sequence[NewEvent],
        condition: AppendCondition | Iterable[AppendCondition] | None,
        key: str | IdempotencyKey | Sequence[IdempotencyKey] | None,
    ) -> AppendRequest:
        """Return an append that may enter the log, or raise."""
        self._check_open()
        if self._read_only:
            raise StoreReadOnly(self._where, "it was opened with ?mode=ro", "open it without ?mode=ro")
        request = AppendRequest(events, condition, key)
        request.check(self._event_limit)
        return request

    async def _follow(self) -> None:
        """Advance the head as other processes append. If that fails, the waiting callers get the error.

        They get it as the last step, so that a later call finds no task and starts a new one.
        """
        try:
            await self._follow_appends()
        except StoreUnavailable as error:
            self._head.fail(error)
        except Exception as error:  # noqa: BLE001 the callers would wait for ever
            self._head.fail(StoreFailed(self._where, repr(error)))

    @abstractmethod
    async def _follow_appends(self) -> None:
        """Advance the head while anyone waits for it."""

    @abstractmethod
    async def _find_key(self, key: str) -> tuple[Appended, bytes] | None:
        """Return what was appended with a key, and the digest of its payload."""

    @abstractmethod
    async def _keys_beyond(self, last: StoredKey | None) -> list[StoredKey]:
        """Return the next keys after one, or the first keys."""

    @abstractmethod
    async def _release(self) -> None:
        """Finish what is under way, and close every connection."""
