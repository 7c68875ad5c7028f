"""`live.status()`: one value that says where everything stands."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from examples.bank import Balance, BalanceOf, Deposit, Open, bank
from leftfold import App, NewEvent, Query, ReadModels
from leftfold.command import CommandCounts
from leftfold.errors import ProjectionFailed
from leftfold.follow.follower import Pauses, Worker
from leftfold.model.criteria import EVERYTHING
from leftfold.query import CacheStatus
from leftfold.status import WorkerStatus
from leftfold.store import MemoryStore
from leftfold.store.contract import Batch
from leftfold.testing import FakeClock
from tests.accounts import Deposit as AccountDeposit
from tests.accounts import accounts_app


async def test_it_has_the_app_the_head_and_each_read_model() -> None:
    async with bank.open("memory:") as live:
        receipt = await live.execute(Open("a", "Ann"), wait=[Balance])

        status = await live.status()

    assert (status.app, status.head) == ("bank", receipt.position)
    [model] = status.read_models
    assert (model.name, model.position, model.lag, model.seconds) == ("Balance", receipt.position, 0, 0.0)
    assert (model.parked, model.problem, model.holder) == (0, None, None)


async def test_a_read_model_that_stopped_is_behind_in_positions_and_in_seconds() -> None:
    clock = FakeClock()
    async with bank.open(MemoryStore(clock), clock=clock) as live:
        await live.execute(Open("a", "Ann"), wait=[Balance])
        clock.advance(seconds=10)
        await live.store.append([NewEvent("account.opened", b"{}", ("other:1",))])
        await live.execute(Deposit("a", 1))
        clock.advance(seconds=30)
        with pytest.raises(ProjectionFailed):
            await live.query(BalanceOf("a"), after=3)
        found = (await live.status()).read_models[0]

    assert found.failed
    assert (found.position, found.lag, found.seconds) == (1, 2, 30.0)
    assert "Balance stopped at position 2" in str(found.problem)


async def test_commands_that_are_not_done_with_are_counted_as_they_come_and_go() -> None:
    clock = FakeClock()
    async with accounts_app().open(MemoryStore(clock), clock=clock, work=False) as live:
        assert (await live.status()).commands == CommandCounts()
        await live.submit(AccountDeposit("a", 1))
        later = await live.submit(AccountDeposit("a", 2), delay=timedelta(hours=1))
        await live.submit(AccountDeposit("a", 3), delay=timedelta(hours=2))
        assert (await live.status()).commands == CommandCounts(pending=1, scheduled=2)

        await live.run_until_quiet()
        await later.cancel()
        assert (await live.status()).commands == CommandCounts(scheduled=1)

        clock.advance(hours=3)
        assert (await live.status()).commands == CommandCounts(pending=1)


async def test_looks_at_once_count_each_command_once() -> None:
    async with accounts_app().open("memory:", work=False) as live:
        for _ in range(5):
            await live.submit(AccountDeposit("a", 1))

        looks = await asyncio.gather(*(live.status() for _ in range(4)))

    assert [look.commands.pending for look in looks] == [5] * 4


async def test_workers_are_named_with_what_they_run_into() -> None:
    async with accounts_app().open("memory:") as live:
        [worker] = (await live.status()).workers

    assert (worker.name, worker.running, worker.trouble) == ("commands", True, None)
    assert worker.state == "at 0, 0 open, 0 handled"


class Failing:
    """A follower with a bug."""

    def __init__(self) -> None:
        self.name, self.criteria, self.limit, self.pauses = "failing", EVERYTHING, 1, Pauses()
        self.progress = "nothing done"
        self.failed = asyncio.Event()

    async def start(self) -> int:
        self.failed.set()
        raise LookupError("lost")

    async def handle(self, batch: Batch) -> int:
        raise AssertionError("it never gets there")

    def due(self) -> datetime | None:
        return None


async def test_the_trouble_of_a_worker_is_shown() -> None:
    follower = Failing()

    async with accounts_app().open("memory:", work=False) as live:
        worker = Worker(follower, live.store, FakeClock())
        live._workers = [worker]
        worker.start()
        await follower.failed.wait()
        found = (await live.status()).workers
        await worker.close()

    assert found == (WorkerStatus("failing", "at 0, nothing done", True, "LookupError: lost"),)


class Sum(Query[int]):
    pass


def cached_bank() -> App:
    app = App("cached")
    app.read_model(Balance)

    @app.answers(cache=7)
    def total(query: Sum, models: ReadModels) -> int:
        return sum(row.amount for row in models.select(Balance))

    @app.answers
    def balance_of(query: BalanceOf, models: ReadModels) -> Any:
        return models.get(Balance, query.account)

    return app


async def test_kept_answers_tell_their_hit_rate() -> None:
    async with cached_bank().open("memory:") as live:
        before = (await live.status()).caches
        for _ in range(4):
            await live.query(Sum())
        after = (await live.status()).caches

    assert before == (CacheStatus("Sum", 7, 0, 0, 0),)
    assert after == (CacheStatus("Sum", 7, 1, 3, 1),)
    assert (before[0].hit_rate, after[0].hit_rate) == (0.0, 0.75)


def test_the_sync_facade_has_it() -> None:
    with bank.open_sync("memory:") as live:
        assert live.status().app == "bank"
