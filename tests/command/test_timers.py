"""Timers on the real clock, over restarts: handled once, when they are due or as soon as anything runs again."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from examples.orders import Order, Place, orders
from examples.worker_process import WorkerProcess
from leftfold import EventStore, LiveApp
from tests.accounts import Account, Deposit, accounts_app

pytestmark = pytest.mark.timeout(180)  # processes start slowly on a busy machine
SECONDS = 60
PROMPTLY = timedelta(seconds=30)


async def until_clock(store: EventStore, moment: datetime) -> None:
    """Return when it is later than `moment`."""
    while (left := (moment - datetime.now(UTC)).total_seconds()) >= 0:
        await store.wait(await store.head(), left + 0.01)


async def events_of(live: LiveApp, type: str) -> list[datetime]:
    """When the events of a type were committed."""
    return [event.time async for batch in live.store.read() for event in batch.events if event.type == type]


async def test_a_command_that_fell_due_while_nothing_ran_is_handled_once_at_the_next_start(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/bank.db"
    due = datetime.now(UTC) + timedelta(seconds=4)
    async with accounts_app().open(url) as live:
        ticket = (await live.submit(Deposit("a", 1), at=due)).id
        await live.run_until_quiet()
        assert (await live.commands("scheduled"))[0].ticket == ticket
    async with accounts_app().open(url, work=False) as live:
        await until_clock(live.store, due)
        assert await events_of(live, "account.deposited") == []

    reopened = datetime.now(UTC)
    for _ in range(2):
        async with accounts_app().open(url) as live:
            await live.ticket(ticket).result(SECONDS)
            await live.run_until_quiet()
            [handled] = await events_of(live, "account.deposited")
            assert (await live.state(Account, "a")).balance == 1

    assert due < reopened <= handled < reopened + PROMPTLY


async def test_a_command_that_is_not_due_yet_at_the_next_start_is_handled_when_it_is(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/bank.db"
    due = datetime.now(UTC) + timedelta(seconds=4)
    async with accounts_app().open(url) as live:
        ticket = (await live.submit(Deposit("a", 1), at=due)).id
        await live.run_until_quiet()

    async with accounts_app().open(url) as live:
        reopened = datetime.now(UTC)
        await live.ticket(ticket).result(SECONDS)
        [handled] = await events_of(live, "account.deposited")

    assert reopened < due <= handled < due + PROMPTLY


async def test_the_timer_of_a_process_outlives_the_worker_that_set_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shop.db"
    arguments = ("--app", "examples.orders:orders", url)
    async with orders.open(url, work=False) as live:
        with WorkerProcess(tmp_path / "first.txt", *arguments) as first:
            first.wait_until_healthy()
            head = (await live.execute(Place("o", "lamp", 40, minutes_to_pay=4 / 60))).position
            while not await events_of(live, "leftfold.process.reacted"):
                head = await live.store.wait(head, SECONDS)
            first.kill()
        [asked] = await events_of(live, "order.placed")
        await until_clock(live.store, asked + timedelta(seconds=4))
        assert await events_of(live, "order.cancelled") == []

        with WorkerProcess(tmp_path / "second.txt", *arguments) as second:
            while len(await events_of(live, "leftfold.command.handled")) < 2:  # CancelOrder, and Refund after it
                head = await live.store.wait(head, SECONDS)
            second.stop()

        assert len(await events_of(live, "order.cancelled")) == 1
        assert (await live.state(Order, "o")).closed
