"""A whole app on PostgreSQL whose server goes away and comes back: everything in the background goes on by itself."""

import asyncio
from collections import Counter
from typing import Annotated, Self

import pytest

from leftfold import App, Command, Event, LiveApp, ProcessManager, Query, Reaction, ReadModel, ReadModels, Tag, replace
from leftfold.errors import OutcomeUnknown, StoreUnavailable
from leftfold_torture.postgres_server import Mode, PostgresServer
from tests.patience import PATIENCE

AccountId = Annotated[str, Tag("account")]


class Deposited(Event):
    account: AccountId
    number: int


class Thanked(Event):
    account: AccountId
    number: int


class Deposit(Command):
    account: AccountId
    number: int


class Thank(Command):
    account: AccountId
    number: int


class Deposits(ReadModel):
    account: AccountId
    deposits: int = 0
    thanks: int = 0

    def evolve(self, event: Deposited | Thanked) -> Self:
        match event:
            case Deposited():
                return replace(self, deposits=self.deposits + 1)
            case Thanked():
                return replace(self, thanks=self.thanks + 1)


class InAll(Query[list[tuple[str, int, int]]]):
    pass


class Politeness(ProcessManager):
    account: AccountId

    def evolve(self, event: Deposited) -> Self:
        return self

    def react(self, event: Deposited) -> Reaction:
        return Thank(self.account, event.number)


class Told:
    """The numbers that a reactor was called with, each at least once."""

    def __init__(self) -> None:
        self.numbers: set[int] = set()
        self._changed = asyncio.Condition()

    async def add(self, number: int) -> None:
        async with self._changed:
            self.numbers.add(number)
            self._changed.notify_all()

    async def until(self, wanted: set[int]) -> None:
        """Wait for all of these."""
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: wanted <= self.numbers)


def bank_that_tells(told: Told) -> App:
    app = App("bank")

    @app.handles
    def deposit(command: Deposit) -> Deposited:
        return Deposited(command.account, command.number)

    @app.handles
    def thank(command: Thank) -> Thanked:
        return Thanked(command.account, command.number)

    app.read_model(Deposits)
    app.process(Politeness)

    @app.reactor("tell", start="from_start")
    async def tell(event: Deposited) -> None:
        await told.add(event.number)

    @app.answers
    def in_all(query: InAll, models: ReadModels) -> list[tuple[str, int, int]]:
        return [(row.account, row.deposits, row.thanks) for row in models.select(Deposits, order_by="account")]

    return app


async def until_thanked(live: LiveApp, wanted: int) -> None:
    """Follow the log, over the outage if there is one, until so many deposits have been thanked for."""
    from leftfold import criteria, subscribe

    async for batch in subscribe(live.store, criteria(Thanked)):
        wanted -= len(batch.events)
        if wanted <= 0:
            return


@pytest.mark.parametrize("mode", ["fast", "immediate", "kill"])
async def test_everything_that_follows_the_log_goes_on_when_the_server_is_back(
    mortal: PostgresServer, mode: Mode
) -> None:
    told = Told()
    app = bank_that_tells(told)
    log, models = mortal.url(log=f"bank_{mode}"), mortal.url(schema=f"reading_{mode}")
    async with app.open(log, models=models) as live, app.open(log, models=models, work=False) as other:
        await live.execute(Deposit("a", 1))
        await until_thanked(live, 1)
        thanked = asyncio.create_task(until_thanked(live, 4))

        await asyncio.to_thread(mortal.stop, mode)
        with pytest.raises((StoreUnavailable, OutcomeUnknown)):
            await live.execute(Deposit("lost", 0))
        while any(worker.trouble is None for worker in live.workers()):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        await asyncio.to_thread(mortal.start)

        await other.execute(Deposit("a", 2))
        await other.execute(Deposit("b", 3))
        ticket = await other.submit(Deposit("b", 4))
        await ticket.result(timeout=PATIENCE)
        async with asyncio.timeout(PATIENCE):
            await thanked
        answer = await live.query(InAll(), after=await live.store.head(), wait_timeout=PATIENCE)
        await told.until({1, 2, 3, 4})
        events = [event async for batch in live.store.read() for event in batch.events]

    assert answer == [("a", 2, 2), ("b", 2, 2)]
    assert Counter(event.type for event in events)["Thanked"] == 4
    assert told.numbers == {1, 2, 3, 4}
