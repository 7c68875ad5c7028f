"""Timers and recurring commands count from a clock that is right, whatever time a wrong clock gave to events."""

from datetime import UTC, datetime, timedelta

import pytest

from examples.orders import Place, orders
from leftfold import App, Command, Event, open_store
from leftfold.errors import ClockJumped
from leftfold.store import MemoryStore
from leftfold.testing import FakeClock
from leftfold_torture.postgres_server import PostgresServer
from tests.clocks import SettableClock
from tests.postgres import DATABASE

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
WRONG = datetime(2098, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
nightly = App("nightly")


class Report(Command):
    name: str


class Reported(Event):
    name: str


@nightly.handles
def report(command: Report) -> Reported:
    return Reported(command.name)


async def test_a_delay_after_an_event_of_a_wrong_clock_runs_from_now() -> None:
    clock = FakeClock(NOW)
    async with orders.open(MemoryStore(FakeClock(WRONG)), clock=clock, work=False) as live:
        await live.execute(Place("o", "lamp", 40))
        await live.run_until_quiet()

        [timer] = await live.commands()
        assert timer.due == NOW + timedelta(minutes=15)


async def test_a_recurring_command_is_not_moved_by_a_clock_that_jumps() -> None:
    clock = SettableClock(NOW)
    async with nightly.open(MemoryStore(clock), clock=clock, work=False) as live:
        await live.submit(Report("sales"), every=DAY, key="nightly")
        await live.run_until_quiet()
        due = [each.due for each in await live.commands()]
        clock.jump(WRONG - NOW)

        with pytest.raises(ClockJumped):
            await live.run_until_quiet()

        clock.jump(NOW - WRONG)
        await live.run_until_quiet()
        assert [each.due for each in await live.commands()] == due == [NOW + DAY]
        clock.advance(days=1)
        await live.run_until_quiet()
        assert [each.due for each in await live.commands()] == [NOW + 2 * DAY]


async def test_a_worker_whose_clock_jumps_handles_nothing_though_the_server_s_is_right(
    postgres: PostgresServer,
) -> None:
    clock = SettableClock(datetime.now(UTC))
    async with (
        open_store(postgres.url(DATABASE, log="a_wrong_worker")) as store,
        nightly.open(store, clock=clock, work=False) as live,
    ):
        await live.submit(Report("sales"), at=clock.now() + 30 * DAY)
        clock.jump(40 * DAY)

        with pytest.raises(ClockJumped):
            await live.run_until_quiet()

        assert [each.state_at(clock.now() - 40 * DAY) for each in await live.commands()] == ["scheduled"]
