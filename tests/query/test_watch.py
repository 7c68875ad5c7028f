"""Live queries: an answer now, a newer one whenever a model behind it changed, never a backlog."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Self

import pytest
import sqlalchemy as sa

from leftfold.errors import NotHandled, ProjectionFailed
from leftfold.query import QueryHandler, ReadModel, ReadModels, ReadSide, Watch
from leftfold.store import MemoryStore, NewEvent
from tests.patience import PATIENCE
from tests.query.bank import (
    HANDLER,
    AccountId,
    Audited,
    Balance,
    Deposited,
    Opened,
    Rows,
    Transferred,
    Turnover,
    answer_rows,
    append,
    reading,
)


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    async with MemoryStore() as store:
        yield store


@pytest.fixture
async def bank(store: MemoryStore) -> AsyncIterator[ReadSide]:
    async with reading(store, Balance, Turnover) as read_side:
        await caught_up(read_side, await append(store, Opened("a")))
        yield read_side


async def caught_up(read_side: ReadSide, position: int) -> None:
    await read_side.wait(Balance, position)
    await read_side.wait(Turnover, position)


def watching(read_side: ReadSide, ask: Callable[[ReadModels], Any], after: int | None = None) -> Watch[Any]:
    return read_side.answering.watch(HANDLER, Rows(ask), after=after, timeout=PATIENCE)


def accounts(models: ReadModels) -> int:
    return models.count(Balance)


async def next_of(watch: Watch[Any]) -> Any:
    return await asyncio.wait_for(anext(watch), PATIENCE)


async def no_answer_yet(watch: Watch[Any]) -> "asyncio.Task[Any]":
    """A task that waits for the next answer; it has had every chance to have one."""
    waiting = asyncio.ensure_future(anext(watch))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not waiting.done()
    return waiting


async def test_the_first_answer_comes_at_once(bank: ReadSide) -> None:
    assert await next_of(watching(bank, accounts)) == 1


async def test_the_first_answer_includes_a_position(store: MemoryStore, bank: ReadSide) -> None:
    position = await append(store, Opened("b"))

    assert await next_of(watching(bank, accounts, after=position)) == 2


async def test_a_change_brings_another_answer(store: MemoryStore, bank: ReadSide) -> None:
    watch = watching(bank, accounts)
    await next_of(watch)
    waiting = await no_answer_yet(watch)

    await append(store, Opened("b"))

    assert await asyncio.wait_for(waiting, PATIENCE) == 2


async def test_changes_of_models_that_the_answer_did_not_read_bring_none(store: MemoryStore, bank: ReadSide) -> None:
    watch = watching(bank, lambda models: models.get(Turnover))
    assert await next_of(watch) is None

    await caught_up(bank, await append(store, Opened("b"), Audited("a")))
    waiting = await no_answer_yet(watch)
    await append(store, Deposited("a", 5))

    assert await asyncio.wait_for(waiting, PATIENCE) == Turnover(1, 5)


async def test_a_position_without_a_change_brings_none(store: MemoryStore, bank: ReadSide) -> None:
    watch = watching(bank, accounts)
    await next_of(watch)

    await caught_up(bank, await append(store, Audited("a")))

    (await no_answer_yet(watch)).cancel()


async def test_which_models_are_watched_is_learnt_from_each_answer(store: MemoryStore, bank: ReadSide) -> None:
    def question(models: ReadModels) -> Any:
        return models.get(Turnover) if accounts(models) > 1 else "too few accounts"

    watch = watching(bank, question)
    assert await next_of(watch) == "too few accounts"

    await caught_up(bank, await append(store, Opened("b")))
    assert await next_of(watch) is None
    await caught_up(bank, await append(store, Deposited("x", 1)))

    assert await next_of(watch) == Turnover(1, 1)


async def test_plain_sql_text_is_watched_by_every_model(store: MemoryStore, bank: ReadSide) -> None:
    watch = watching(bank, lambda models: models.execute(sa.text("SELECT count(*) FROM turnover"))[0][0])
    assert await next_of(watch) == 0

    await caught_up(bank, await append(store, Deposited("a", 1)))

    assert await next_of(watch) == 1


async def test_a_slow_consumer_gets_the_newest_answer_and_no_backlog(store: MemoryStore, bank: ReadSide) -> None:
    watch = watching(bank, accounts)
    await next_of(watch)

    for number in range(50):
        await caught_up(bank, await append(store, Opened(f"{number}")))

    assert await next_of(watch) == 51
    (await no_answer_yet(watch)).cancel()


async def test_an_answer_that_reads_no_model_is_the_only_one(bank: ReadSide) -> None:
    assert [answer async for answer in watching(bank, lambda models: 7)] == [7]


async def test_the_loop_can_be_left(store: MemoryStore, bank: ReadSide) -> None:
    async for answer in watching(bank, accounts):
        assert answer == 1
        break

    await caught_up(bank, await append(store, Opened("b")))
    assert bank.answering.watch(HANDLER, Rows(accounts), after=None, timeout=PATIENCE) is not None


async def test_it_can_be_cancelled_and_nothing_is_left_waiting(bank: ReadSide) -> None:
    watch = watching(bank, accounts)
    await next_of(watch)
    waiting = await no_answer_yet(watch)

    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    assert waiting.cancelled()
    assert [progress.waiting for progress in bank._progress.values()] == [set(), set()]


async def test_it_ends_when_the_app_is_closed(store: MemoryStore) -> None:
    async with reading(store, Balance) as read_side:
        watch = watching(read_side, accounts)
        await next_of(watch)
        waiting = await no_answer_yet(watch)

    with pytest.raises(StopAsyncIteration):
        await waiting
    assert [answer async for answer in watch] == []
    assert [answer async for answer in watching(read_side, accounts)] == []


async def test_a_model_that_stops_is_an_error(store: MemoryStore) -> None:
    class Stuck(ReadModel):
        source: AccountId
        target: AccountId

        def evolve(self, event: Transferred) -> Self:
            return self

    async with reading(store, Stuck) as read_side:
        watch = watching(read_side, lambda models: models.count(Stuck))
        assert await next_of(watch) == 0
        await store.append([NewEvent("transferred", b"{}", ("account:a", "account:b"))])

        with pytest.raises(ProjectionFailed):
            assert [answer async for answer in watch] == []


async def test_many_watches_of_a_kept_answer_are_computed_once_for_each_change(
    store: MemoryStore, tmp_path: Path
) -> None:
    calls = 0

    def counted(query: Rows, models: ReadModels) -> Any:
        nonlocal calls
        calls += 1
        return answer_rows(query, models)

    handler, query = QueryHandler(counted, cache=True), Rows(accounts)
    async with reading(store, Balance, url=f"sqlite:///{tmp_path}/models.db") as read_side:
        watches = [read_side.answering.watch(handler, query, after=None, timeout=PATIENCE) for _ in range(20)]
        await asyncio.gather(*(next_of(watch) for watch in watches))
        await read_side.wait(Balance, await append(store, Opened("a")))

        assert await asyncio.gather(*(next_of(watch) for watch in watches)) == [1] * 20
    assert calls == 2


async def test_a_process_that_folds_nothing_sees_the_changes_that_others_fold(
    store: MemoryStore, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/models.db"
    await append(store, Opened("a"))
    async with reading(store, Balance, url=url) as folding:
        await folding.wait(Balance, 1)
        async with reading(store, Balance, url=url, folds=[]) as following:
            watch = watching(following, accounts, after=1)
            assert await next_of(watch) == 1

            await append(store, Opened("b"))

            assert await next_of(watch) == 2


async def test_its_repr_names_the_models_that_it_waits_for(bank: ReadSide) -> None:
    watch = watching(bank, accounts)
    before = repr(watch)
    await next_of(watch)

    assert (before, repr(watch)) == ("<Watch of nothing yet>", "<Watch of Balance>")


async def test_a_query_that_nobody_answers_is_refused_at_once() -> None:
    from examples.bank import Richest
    from tests.accounts import accounts_app

    async with accounts_app().open("memory:") as live:
        with pytest.raises(NotHandled):
            live.watch(Richest())
