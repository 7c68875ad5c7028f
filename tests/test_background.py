"""Background work: a worker tries again after an error, reads on where its follower says, and rests otherwise."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import datetime

import pytest

from leftfold.errors import StoreBusy
from leftfold.follow.follower import Pauses, Worker
from leftfold.model.criteria import EVERYTHING
from leftfold.store import MemoryStore, NewEvent
from leftfold.store.contract import Batch
from leftfold.testing import FakeClock

EVENT = NewEvent("happened", b"{}")


class Reading:
    """Takes two events at a time; fails as often as there are `errors`, and does not pass position `barrier`."""

    def __init__(self, *errors: Exception, barrier: int | None = None) -> None:
        self.name, self.criteria, self.limit, self.pauses = "reading", EVERYTHING, 2, Pauses()
        self.progress = ""
        self.errors = list(errors)
        self.barrier = barrier
        self.starts = 0
        self.handled: list[list[int]] = []
        self.changed = asyncio.Event()

    async def start(self) -> int:
        self.starts += 1
        return 0

    async def handle(self, batch: Batch) -> int:
        if self.errors:
            raise self.errors.pop()
        self.handled.append([event.position for event in batch.events])
        self.changed.set()
        return batch.through if self.barrier is None else min(batch.through, self.barrier)

    def due(self) -> datetime | None:
        return None

    async def until_handled(self, count: int) -> None:
        while len(self.handled) < count:
            self.changed.clear()
            await self.changed.wait()


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    async with MemoryStore() as store:
        await store.append([EVENT] * 3)
        yield store


@pytest.mark.parametrize("error", [StoreBusy("log.db", "locked"), RuntimeError("a bug")])
async def test_a_follower_that_failed_starts_again_and_the_error_is_logged_once(
    store: MemoryStore, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    follower = Reading(error)
    worker = Worker(follower, store, FakeClock())

    with caplog.at_level(logging.ERROR):
        worker.start()
        await follower.until_handled(3)
        await worker.close()

    assert (follower.errors, follower.starts, worker.trouble) == ([], 2, None)
    assert [record.name for record in caplog.records] == ["leftfold.background"]


async def test_a_follower_that_failed_on_a_later_batch_starts_again(store: MemoryStore) -> None:
    follower = Reading()
    worker = Worker(follower, store, FakeClock())
    await worker.step()
    follower.errors.append(RuntimeError("a bug"))

    with pytest.raises(RuntimeError, match="a bug"):
        await worker.step()
    await worker.step()

    assert (follower.starts, follower.handled) == (2, [[1, 2], [1, 2]])


async def test_a_worker_steps_until_its_follower_has_all_events(store: MemoryStore) -> None:
    follower = Reading()
    worker = Worker(follower, store, FakeClock())

    found = [await worker.step() for _ in range(3)]

    assert (found, follower.handled, worker.state) == ([True, True, False], [[1, 2], [3], []], "at 3")


async def test_a_follower_that_is_held_up_rests_until_something_is_appended(store: MemoryStore) -> None:
    follower, waits = Reading(barrier=1), list[int]()
    worker = Worker(follower, store, FakeClock())
    resting, wait = asyncio.Event(), store.wait

    async def noted(after: int, timeout: float | None = None) -> int:
        waits.append(after)
        resting.set() if after == 3 else None
        return await wait(after, timeout)

    store.wait = noted  # type: ignore[method-assign]
    worker.start()
    await resting.wait()
    before = len(follower.handled)
    await store.append([EVENT])
    await follower.until_handled(before + 1)
    await worker.close()

    assert follower.handled[:before] == [[1, 2], [2, 3], [2, 3]]  # the last time it is known up to where it looked
    assert waits[:2] == [0, 3]
