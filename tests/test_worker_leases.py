"""A worker's work is done by one process at a time, and what a former one still appends is refused."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from leftfold.errors import Conflict, LeaseLost, UsageError
from leftfold.follow.file_leases import FileLeaseStore
from leftfold.follow.follower import Pauses, Worker
from leftfold.follow.lease_store import LeaseEntry
from leftfold.follow.process_identity import ProcessIdentity
from leftfold.follow.worker_lease import WorkerLease, WorkerLeases, WorkerReplaced, fence_of
from leftfold.health import health_of, work_of
from leftfold.model.criteria import EVERYTHING
from leftfold.model.registry import Registry
from leftfold.store import AppendCondition, MemoryStore, NewEvent, StoredEvent
from leftfold.store.contract import Batch
from leftfold.testing import FakeClock
from tests.accounts import Deposit, accounts_app
from tests.holders import Awake, MemoryLeaseStore, Stopwatch
from tests.patience import PATIENCE

WORK = NewEvent("worked", b"")


class Party:
    """One process that takes part."""

    def __init__(self, store: MemoryStore, lease_store: MemoryLeaseStore, now: Stopwatch, me: str) -> None:
        registry = Registry()
        registry.add(WorkerReplaced)
        self.awake = Awake(me, now)
        self.leases = WorkerLeases({"work": 0}, store, registry, lease_store, self.awake.terms)

    @property
    def lease(self) -> WorkerLease:
        return self.leases.of("work")

    async def begin(self) -> "Party":
        self.leases.start()
        await self.lease.decided.wait()
        return self


class Appending:
    """Appends an event each time it is called, and always has more to do."""

    def __init__(self, lease: WorkerLease) -> None:
        self.name, self.criteria, self.limit, self.pauses = "appending", EVERYTHING, 100, Pauses()
        self.progress = ""
        self._store = lease.store
        self.calls = 0

    async def start(self) -> int:
        return 0

    async def handle(self, batch: Batch) -> int:
        self.calls += 1
        await self._store.append([WORK])
        return batch.through

    def due(self) -> datetime | None:
        return datetime.min.replace(tzinfo=UTC)


@pytest.fixture
def now() -> Stopwatch:
    return Stopwatch()


@pytest.fixture
def lease_store() -> MemoryLeaseStore:
    return MemoryLeaseStore()


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    async with MemoryStore() as store:
        yield store


@pytest.fixture
async def one(store: MemoryStore, lease_store: MemoryLeaseStore, now: Stopwatch) -> AsyncIterator[Party]:
    party = await Party(store, lease_store, now, "one").begin()
    yield party
    await party.leases.close()


@pytest.fixture
async def two(store: MemoryStore, lease_store: MemoryLeaseStore, now: Stopwatch, one: Party) -> AsyncIterator[Party]:
    party = await Party(store, lease_store, now, "two").begin()
    yield party
    await party.leases.close()


async def types(store: MemoryStore) -> list[str]:
    return [event.type for event in await events(store)]


async def events(store: MemoryStore) -> list[StoredEvent]:
    return [event async for batch in store.read() for event in batch.events]


async def test_what_is_free_is_taken_without_an_event(store: MemoryStore, one: Party, two: Party) -> None:
    await one.lease.store.append([WORK])
    await one.leases.close()
    await two.awake.turn()

    await two.lease.store.append([WORK])

    assert (two.lease.held.is_set(), await types(store)) == (True, ["worked", "worked"])


async def test_what_a_paused_process_appends_after_it_was_replaced_is_refused(
    store: MemoryStore, now: Stopwatch, one: Party, two: Party
) -> None:
    await one.lease.store.append([WORK])
    now.seconds = 5.0
    await two.awake.turn()

    with pytest.raises(LeaseLost):
        await one.lease.store.append([WORK])
    await two.lease.store.append([WORK])

    assert await types(store) == ["worked", "leftfold.worker.replaced", "worked"]


async def test_a_worker_steps_while_its_process_has_the_lease_and_no_longer(
    store: MemoryStore, now: Stopwatch, one: Party, two: Party
) -> None:
    first, second = Appending(one.lease), Appending(two.lease)
    workers = [Worker(first, store, FakeClock(), one.lease), Worker(second, store, FakeClock(), two.lease)]

    before = [await worker.step() for worker in workers]
    now.seconds = 5.0
    await two.awake.turn()
    after = [await worker.step() for worker in workers]
    again = await workers[0].step()

    assert (before, after, again) == ([True, False], [False, True], False)
    assert (first.calls, second.calls, one.lease.held.is_set()) == (
        2,
        1,
        False,
    )  # the second one of the first was refused
    assert await types(store) == ["worked", "leftfold.worker.replaced", "worked"]


async def test_other_conflicts_and_keys_are_as_without_a_lease(store: MemoryStore, one: Party) -> None:
    position = (await one.lease.store.append([WORK], key="once")).last

    again = await one.lease.store.append([WORK], key="once")
    with pytest.raises(Conflict):
        await one.lease.store.append([WORK], condition=AppendCondition(EVERYTHING, position - 1))

    assert (again.duplicate, await one.lease.store.head()) == (True, 1)


class Interrupted(MemoryLeaseStore):
    """Something happens right after a process has made sure that it holds its lease."""

    meanwhile: Callable[[], Awaitable[object]] | None = None

    async def renew(self, entries: Iterable[LeaseEntry]) -> list[LeaseEntry]:
        found = await super().renew(entries)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        return found


async def test_one_that_falls_asleep_while_it_takes_over_fences_nobody_off(store: MemoryStore, now: Stopwatch) -> None:
    lease_store = Interrupted()
    one = await Party(store, lease_store, now, "one").begin()
    two, three = Party(store, lease_store, now, "two"), Party(store, lease_store, now, "three")
    await two.begin()
    await three.begin()

    async def three_takes_over() -> None:
        await three.awake.turn()
        now.seconds = 10.0
        await three.awake.turn()

    now.seconds = 5.0
    lease_store.meanwhile = three_takes_over
    await two.awake.turn()
    await three.lease.store.append([WORK])

    assert (two.lease.held.is_set(), three.lease.held.is_set()) == (False, True)
    assert await types(store) == ["leftfold.worker.replaced", "worked"]
    for party in (one, two, three):
        await party.leases.close()


async def test_a_worker_that_was_replaced_counts_no_failed_attempt_and_takes_over_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    async with accounts_app().open(url, lease=timedelta(seconds=0.2)) as live:
        await (await live.submit(Deposit("a", 1))).result(5)
        registry = Registry()
        registry.add(WorkerReplaced)
        [lease] = await live.leases()
        await live.store.append([registry.encode(WorkerReplaced(lease.name, "another", "this"), b"{}")])

        ticket = await live.submit(Deposit("a", 1))
        await ticket.result(10)

        assert (await ticket.state()).attempts == 0
        replaced = [event async for batch in live.store.read(fence_of(lease.name)) for event in batch.events]
        assert len(replaced) == 2


@pytest.mark.parametrize("holder", ["4294967296@h b n 7 x accounts 1", "\0", "7@elsewhere b n 7 x accounts 1"])
async def test_garbage_in_place_of_a_lease_holds_commands_up_for_its_time_at_most_and_is_seen(
    tmp_path: Path, holder: str, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    async with accounts_app().open(url) as live:
        await (await live.submit(Deposit("a", 1))).result(PATIENCE)
        [lease] = await live.leases()
        log_id = live.store.log_id
    lease_store = FileLeaseStore(str(tmp_path / "log.leases.db"), log_id, FakeClock())
    assert await lease_store.take(lease.name, None, holder)
    await lease_store.close()
    said = asyncio.Event()
    caplog.handler.addFilter(lambda record: bool(said.set()) or True)

    if "elsewhere" not in holder:
        async with accounts_app().open(url, lease=timedelta(seconds=1_000)) as live:
            await asyncio.wait_for(said.wait(), PATIENCE)
            [trouble] = [each.trouble for each in live.workers() if each.trouble]
            assert trouble is not None
            assert "is not a process" in trouble
            assert health_of(await work_of(live)).status == "failing"
    async with accounts_app().open(url, lease=timedelta(seconds=0.1)) as live:
        await (await live.submit(Deposit("a", 1))).result(PATIENCE)

        assert [each.trouble for each in live.workers() if each.trouble] == []


async def test_who_holds_what_is_told(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    async with accounts_app().open(url) as live, accounts_app().open(url, work=False) as web:
        await (await web.submit(Deposit("a", 1))).result(5)

        [lease] = await web.leases()

        holder = ProcessIdentity.parse(lease.holder)
        assert lease.name.startswith("commands of accounts ")
        assert (holder and holder.pid, holder and holder.app) == (os.getpid(), "accounts")
        assert [each.holder for each in await live.leases()] == [lease.holder]
    async with accounts_app().open(url, work=False) as web:
        assert await web.leases() == []


async def test_a_lease_of_no_time_is_refused() -> None:
    with pytest.raises(UsageError, match="a time"):
        async with accounts_app().open("memory:", lease=timedelta()):
            pass


async def test_a_log_in_memory_has_no_leases() -> None:
    async with accounts_app().open("memory:") as live:
        assert await live.leases() == []
