"""What the suite's tests are made of: how a log is opened, events to append, and ways to read them back."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterable
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import pytest
import pytest_asyncio

from leftfold.errors import LeftfoldError
from leftfold.model.clock import Clock, SystemClock
from leftfold.model.criteria import Criteria, criteria
from leftfold.model.record import NewEvent, StoredEvent
from leftfold.store.contract import AppendCondition, Appended, Batch, EventStore

T = TypeVar("T")


class OpenStore(Protocol):
    """Opens the test's log: the same log each time it is called within one test, an empty one in the next test."""

    def __call__(self, *, clock: Clock = SystemClock()) -> EventStore:
        """Return the store, to be entered with `async with`."""
        ...


@pytest.mark.asyncio
class Promise:
    """What the classes of the suite share: an open store."""

    @pytest_asyncio.fixture
    async def store(self, open_store: OpenStore) -> AsyncIterator[EventStore]:
        """Yield the log of the test, opened once."""
        async with open_store() as store:
            yield store


@contextmanager
def case(name: object) -> Generator[None, None, None]:
    """Name the case in the failure of a test that tries many on one log: opening a log is what costs time."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"in the case {name!r}")
        raise


def opened(account: str) -> NewEvent:
    """Return an event that most tests append: one account was opened."""
    return NewEvent("opened", b'{"owner":"Ada"}', (f"account:{account}",))


def about(account: str) -> Criteria:
    """All events of one account."""
    return criteria(tags=[f"account:{account}"])


def none_since(position: int, account: str) -> AppendCondition:
    """Return the condition that nothing happened to the account after a position."""
    return AppendCondition(about(account), position)


async def events_of(batches: AsyncIterator[Batch]) -> list[StoredEvent]:
    """All events of a read."""
    return [event async for batch in batches for event in batch.events]


async def positions_of(batches: AsyncIterator[Batch]) -> list[int]:
    """Return the positions of all events of a read."""
    return [event.position for event in await events_of(batches)]


async def through_of(batches: AsyncIterator[Batch]) -> int:
    """How far a read looked."""
    return [batch.through async for batch in batches][-1]


async def outcomes_of(appends: Iterable[Awaitable[Appended]]) -> tuple[list[Appended], list[LeftfoldError]]:
    """Run appends at once; return those that were made, and the errors of those that were refused."""
    outcomes = await asyncio.gather(*appends, return_exceptions=True)
    unforeseen = [outcome for outcome in outcomes if not isinstance(outcome, Appended | LeftfoldError)]
    assert not unforeseen
    return (
        [outcome for outcome in outcomes if isinstance(outcome, Appended)],
        [outcome for outcome in outcomes if isinstance(outcome, LeftfoldError)],
    )


async def at_once(
    openings: int, open_store: OpenStore, work: Callable[[EventStore], Coroutine[Any, Any, T]]
) -> list[T]:
    """Run `work` on several openings of the log, each in a thread and an event loop of its own.

    A store that has only one opening, because it lives in memory, skips the test.
    """

    async def apart() -> T:
        async with open_store() as store:
            return await work(store)

    async with open_store() as first, open_store() as second:
        only_one = first is second
    if only_one:
        pytest.skip("this log has only one opening")
    return await asyncio.gather(*(asyncio.to_thread(asyncio.run, apart()) for _ in range(openings)))
