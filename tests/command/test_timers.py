"""Timers on the real clock, over restarts: handled once, when they are due or as soon as anything runs again."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from examples.orders import Order, Place, orders
from examples.worker_process import WorkerProcess
from leftfold import EventStore, LiveApp
from tests.accounts import Account, Deposit, accounts_app
from tests.patience import PATIENCE


async def in_time(begin: Callable[[timedelta], Awaitable[datetime]]) -> datetime:
    """Begin with a timer that is due in a few seconds, or in twice as many as long as beginning takes longer."""
    for seconds in (4 * 2**n for n in count()):
        due = await begin(timedelta(seconds=seconds))
        if datetime.now(UTC) < due:
            return due
    raise AssertionError("it has begun at last")


async def until_clock(store: EventStore, moment: datetime) -> None:
    """Return when it is later than `moment`."""
    while (left := (moment - datetime.now(UTC)).total_seconds()) >= 0:
        await store.wait(await store.head(), left + 0.01)


async def events_of(live: LiveApp, type: str) -> list[datetime]:
    """When the events of a type were committed."""
    return [event.time async for batch in live.store.read() for event in batch.events if event.type == type]


async def submitted(tmp_path: Path) -> tuple[str, str, datetime]:
    """A log with a command that is not due yet, that nothing handles: its URL, its ticket, and when it is due."""
    numbers = count()
    url = ticket = ""

    async def begin(delay: timedelta) -> datetime:
        nonlocal url, ticket
        url = f"sqlite:///{tmp_path}/bank-{next(numbers)}.db"
        due = datetime.now(UTC) + delay
        async with accounts_app().open(url) as live:
            ticket = (await live.submit(Deposit("a", 1), at=due)).id
            await live.run_until_quiet()
        return due

    due = await in_time(begin)
    return url, ticket, due


async def test_a_command_that_fell_due_while_nothing_ran_is_handled_once_at_the_next_start(tmp_path: Path) -> None:
    url, ticket, due = await submitted(tmp_path)
    async with accounts_app().open(url, work=False) as live:
        assert [command.ticket for command in await live.commands()] == [ticket]
        await until_clock(live.store, due)
        assert await events_of(live, "account.deposited") == []

    reopened = datetime.now(UTC)
    for _ in range(2):
        async with accounts_app().open(url) as live:
            await live.ticket(ticket).result(PATIENCE)
            await live.run_until_quiet()
            [handled] = await events_of(live, "account.deposited")
            assert (await live.state(Account, "a")).balance == 1

    assert due < reopened <= handled


async def test_a_command_that_is_not_due_yet_at_the_next_start_is_handled_when_it_is(tmp_path: Path) -> None:
    url, ticket, due = await submitted(tmp_path)

    async with accounts_app().open(url) as live:
        await live.ticket(ticket).result(PATIENCE)
        [handled] = await events_of(live, "account.deposited")

    assert due <= handled


async def test_the_timer_of_a_process_outlives_the_worker_that_set_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shop.db"
    arguments = ("--app", "examples.orders:orders", url)
    async with orders.open(url, work=False) as live:
        orders_placed = count(1)
        order = ""

        async def begin(time_to_pay: timedelta) -> datetime:
            nonlocal order
            order = f"o-{next(orders_placed)}"
            with WorkerProcess(tmp_path / f"{order}.txt", *arguments) as first:
                first.wait_until_healthy()
                minutes = time_to_pay.total_seconds() / 60
                head = (await live.execute(Place(order, "lamp", 40, minutes_to_pay=minutes))).position
                while len(await events_of(live, "leftfold.process.reacted")) < int(order[2:]):
                    head = await live.store.wait(head, PATIENCE)
                first.kill()
            return (await events_of(live, "order.placed"))[-1] + time_to_pay

        due = await in_time(begin)
        cancelled = len(await events_of(live, "order.cancelled"))
        await until_clock(live.store, due)
        assert len(await events_of(live, "order.cancelled")) == cancelled
        assert not (await live.state(Order, order)).closed

        with WorkerProcess(tmp_path / "second.txt", *arguments) as second:
            while not (await live.state(Order, order)).closed:
                head = await live.store.head()
                await live.store.wait(head, 1)
            second.stop()

        assert len(await events_of(live, "order.cancelled")) == int(order[2:])
