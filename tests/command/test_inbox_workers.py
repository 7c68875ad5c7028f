"""Workers of the inbox: several at once, one after the other, with more to do than they hold in memory."""

import asyncio
import random
from datetime import timedelta
from pathlib import Path

import pytest

from leftfold import EventStore, LiveApp
from leftfold.command import CommandFollower
from leftfold.command.submitted import follower as command_follower
from leftfold.command.submitted.schedule import Schedule
from leftfold.errors import StoreFailed
from leftfold.store import MemoryStore
from leftfold.testing import FakeClock
from leftfold.testing.clock import START
from tests.accounts import Account, Calls, Deposit, Deposited, Withdraw, accounts_app
from tests.patience import PATIENCE


async def log_types(store: EventStore) -> list[str]:
    return [event.type async for batch in store.read() for event in batch.events]


async def test_two_workers_on_one_log_handle_each_command_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/bank.db"
    async with accounts_app().open(url) as live, accounts_app().open(url) as other:
        apps = (live, other) * 150
        tickets = await asyncio.gather(*(app.submit(Deposit(f"a{n % 7}", 1)) for n, app in enumerate(apps)))
        receipts = await asyncio.gather(*(other.ticket(ticket.id).result(timeout=PATIENCE) for ticket in tickets))

        balances = [(await live.state(Account, f"a{n}")).balance for n in range(7)]
        types = await log_types(live.store)

    assert sum(balances) == 300
    assert len({receipt.position for receipt in receipts}) == 300
    assert types.count("account.deposited") == types.count("leftfold.command.handled") == 300


async def test_workers_that_race_for_the_same_command_settle_it_once() -> None:
    store, first, second = MemoryStore(), Calls(), Calls()
    async with (
        accounts_app(first).open(store, work=False) as live,
        accounts_app(second).open(store, work=False) as rival,
    ):
        tickets = [await live.submit(Withdraw("a", 1)) for _ in range(20)]
        await live.execute(Deposit("a", 10))

        await asyncio.gather(live.run_until_quiet(), rival.run_until_quiet())

        states = [(await ticket.state()).state for ticket in tickets]
        assert (await live.state(Account, "a")).balance == 0
    assert states == ["handled"] * 10 + ["rejected"] * 10
    assert (await log_types(store)).count("account.withdrawn") == 10


async def test_a_command_that_is_cancelled_while_it_is_decided_is_one_or_the_other() -> None:
    outcomes: set[str] = set()
    for _ in range(20):
        async with accounts_app().open(MemoryStore(), work=False) as live:
            ticket = await live.submit(Deposit("a", 5))
            await asyncio.gather(live.run_until_quiet(), ticket.cancel(), return_exceptions=True)
            state = (await ticket.state()).state
            outcomes.add(state)
            assert (await live.state(Account, "a")).balance == (5 if state == "handled" else 0)
    assert outcomes <= {"handled", "cancelled"}


async def test_a_busy_log_without_commands_is_read_less_and_less_often_until_a_command_comes() -> None:
    async with accounts_app().open(MemoryStore(), work=False) as live:
        [worker] = live._workers
        pauses: list[float] = []
        for amount in range(5):
            await live.execute(Deposit("a", amount))
            await worker.step()
            pauses.append(worker._pause)
        await live.submit(Deposit("a", 5))
        await worker.step()

    assert pauses == [0.01, 0.02, 0.04, 0.04, 0.04]
    assert worker._pause == 0.005


async def test_a_background_worker_handles_what_another_process_submits(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/bank.db"
    async with accounts_app().open(url), accounts_app().open(url, work=False) as web:
        ticket = await web.submit(Deposit("a", 5))

        assert (await ticket.result(timeout=PATIENCE)).events == (Deposited("a", 5),)


async def test_a_command_due_across_a_restart_is_handled_at_the_opening(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/bank.db"
    async with accounts_app().open(url) as live:
        ticket = await live.submit(Deposit("a", 5), delay=timedelta(milliseconds=100))
    async with accounts_app().open(url) as live:
        assert (await live.ticket(ticket.id).result(timeout=PATIENCE)).events == (Deposited("a", 5),)


async def test_a_worker_begins_at_the_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_follower, "EVENTS_PER_CHECKPOINT", 50)
    clock = FakeClock()
    store = MemoryStore(clock)
    async with accounts_app().open(store, clock=clock, work=False) as live:
        late = await live.submit(Deposit("a", 100), delay=timedelta(hours=1))
        for _ in range(60):
            await live.submit(Deposit("a", 1))
        await live.run_until_quiet()
    assert "leftfold.command.checkpoint" in await log_types(store)
    clock.advance(hours=2)

    reads: list[int] = []
    read = store.read

    def noted(*arguments: object, after: int = 0, **options: object) -> object:
        reads.append(after)
        return read(*arguments, after=after, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "read", noted)
    async with accounts_app().open(store, clock=clock, work=False) as again:
        await again.run_until_quiet()

        assert (await late.state()).state == "handled"
        assert (await again.state(Account, "a")).balance == 160
    assert max(reads[:6]) > 60


@pytest.mark.parametrize("seed", range(5))
async def test_more_scheduled_commands_than_are_held_are_all_handled_once(seed: int) -> None:
    randomness = random.Random(seed)
    clock = FakeClock()
    async with accounts_app().open(MemoryStore(clock), clock=clock, work=False) as live:
        limit_memory_of(live, 10)
        minutes = [randomness.randrange(500) for _ in range(60)]
        for each in minutes:
            await live.submit(Deposit("a", 1), delay=timedelta(minutes=each))
        for passed in range(0, 501, 50):
            clock.set(START + timedelta(minutes=passed))
            await live.run_until_quiet()

            done = sum(each <= passed for each in minutes)
            assert (await live.state(Account, "a")).balance == done
            assert len(follower_of(live)._schedule) <= 10


async def test_a_store_that_fails_for_a_while_delays_commands_and_loses_none(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    async with accounts_app().open(store, work=False) as live:
        tickets = [await live.submit(Deposit("a", 1)) for _ in range(5)]
        append = store.append
        with monkeypatch.context() as patch:
            patch.setattr(store, "append", failing)
            for _ in range(3):
                with pytest.raises(StoreFailed):
                    await live.run_until_quiet()

        assert store.append == append
        await live.run_until_quiet()

        assert {(await ticket.state()).state for ticket in tickets} == {"handled"}
        assert {(await ticket.state()).attempts for ticket in tickets} == {0}


async def failing(*arguments: object, **options: object) -> None:
    raise StoreFailed("the test", "no disk")


def follower_of(live: LiveApp) -> CommandFollower:
    [worker] = live._workers
    assert isinstance(worker.follower, CommandFollower)
    return worker.follower


def limit_memory_of(live: LiveApp, held: int) -> None:
    follower = follower_of(live)
    follower._capacity = held
    follower._schedule = Schedule(held)


def test_the_schedule_gives_what_is_due_in_the_order_of_submission() -> None:
    schedule = Schedule(10)
    for ticket, position, minutes in (("late", 1, 9), ("second", 2, 5), ("first", 3, 3), ("gone", 4, 1)):
        schedule.put(ticket, position, START + timedelta(minutes=minutes))
    schedule.put("now", 5, None)
    schedule.discard("gone")

    assert schedule.take(START + timedelta(minutes=5), 10) == ["second", "first", "now"]
    assert schedule.take(START + timedelta(minutes=5), 10) == []
    assert schedule.next() == START + timedelta(minutes=9)
    assert schedule.oldest(2) == (["late", "second"], 3)
    assert repr(schedule) == "<Schedule of 4 tickets>"
