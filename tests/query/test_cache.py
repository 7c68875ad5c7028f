"""Kept answers: as right as computed ones, counted, bounded, shared."""

import asyncio
import threading
from collections.abc import AsyncIterator, Collection
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any, Self

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from leftfold import App, Query, ReadModels, replace
from leftfold.errors import InvalidHandler, ReadModelBehind
from leftfold.query import QueryHandler, ReadModel, ReadModelDefinition, ReadSide
from leftfold.query.answer_cache import by_value
from leftfold.query.rebuild import rebuild
from leftfold.query.shard import Shard
from leftfold.query.tables.checkpoints import CheckpointReader
from leftfold.store import MemoryStore
from tests.patience import PATIENCE, examples
from tests.query.bank import (
    AccountId,
    Audited,
    Balance,
    Deposited,
    Opened,
    Rows,
    Turnover,
    answered,
    append,
    reading,
    registry_of,
)


class Amounts(Query[list[int]]):
    accounts: list[str]


class Counting:
    """A cached handler that counts how often it is called."""

    def __init__(self, cache: bool | int = 10) -> None:
        self.calls = 0

        def answer(query: Rows, models: ReadModels) -> Any:
            self.calls += 1
            return query.ask(models)

        def amounts(query: Amounts, models: ReadModels) -> list[int]:
            self.calls += 1
            rows = (models.get(Balance, account) for account in query.accounts)
            return [row.amount for row in rows if row is not None]

        self.rows = QueryHandler(answer, cache=cache)
        self.amounts = QueryHandler(amounts, cache=cache)


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    async with MemoryStore() as store:
        yield store


@pytest.fixture
async def bank(store: MemoryStore) -> AsyncIterator[ReadSide]:
    await append(store, Opened("a"), Deposited("a", 5))
    async with reading(store, Balance, Turnover) as read_side:
        await caught_up(read_side, 2)
        yield read_side


async def caught_up(read_side: ReadSide, position: int) -> None:
    await read_side.wait(Balance, position)
    await read_side.wait(Turnover, position)


def counted(models: ReadModels) -> int:
    return models.count(Balance)


def hits(read_side: ReadSide, handler: QueryHandler) -> tuple[int, int]:
    cache = read_side.answering.cache(handler)
    assert cache is not None
    return cache.status.hits, cache.status.misses


# --- when it is kept


async def test_a_kept_answer_is_given_without_asking_again(bank: ReadSide) -> None:
    counting = Counting()

    answers = [await answered(bank, counting.amounts, Amounts(["a"])) for _ in range(3)]

    assert answers == [[5], [5], [5]]
    assert counting.calls == 1
    assert hits(bank, counting.amounts) == (2, 1)


async def test_queries_are_told_apart_by_their_values(bank: ReadSide) -> None:
    counting = Counting()

    assert await answered(bank, counting.amounts, Amounts(["a"])) == [5]
    assert await answered(bank, counting.amounts, Amounts(["a", "a"])) == [5, 5]

    assert counting.calls == 2


async def test_a_changed_row_makes_its_models_answers_be_asked_again(store: MemoryStore, bank: ReadSide) -> None:
    counting = Counting()
    await answered(bank, counting.amounts, Amounts(["a"]))

    position = await append(store, Deposited("a", 1))

    assert await answered(bank, counting.amounts, Amounts(["a"]), after=position) == [6]
    assert await answered(bank, counting.amounts, Amounts(["a"])) == [6]
    assert counting.calls == 2


async def test_an_event_of_other_models_leaves_it_as_it_is(store: MemoryStore, bank: ReadSide) -> None:
    counting = Counting()
    await answered(bank, counting.amounts, Amounts(["a"]))

    position = await append(store, Audited("a"))

    assert await answered(bank, counting.amounts, Amounts(["a"]), after=position) == [5]
    assert counting.calls == 1


async def test_it_is_never_given_for_a_position_that_its_models_have_not_reached(bank: ReadSide) -> None:
    counting = Counting()
    await answered(bank, counting.amounts, Amounts(["a"]))

    with pytest.raises(ReadModelBehind) as caught:
        await answered(bank, counting.amounts, Amounts(["a"]), after=9, timeout=0.0)

    assert (caught.value.model, caught.value.position, caught.value.lag) == ("Balance", 2, 7)
    assert caught.value.timeout == 0.0


async def test_plain_sql_text_is_kept_until_any_model_changes(store: MemoryStore, bank: ReadSide) -> None:
    counting = Counting()
    query = Rows(lambda models: models.execute(sa.text("SELECT count(*) FROM balance"))[0][0])
    assert [await answered(bank, counting.rows, query) for _ in range(2)] == [1, 1]

    position = await append(store, Opened("b"))
    await caught_up(bank, position)

    assert await answered(bank, counting.rows, query) == 2
    assert counting.calls == 2


async def test_a_table_that_was_not_asked_for_is_taken_for_any_model(store: MemoryStore, bank: ReadSide) -> None:
    counting = Counting()
    foreign = sa.table("balance", sa.column("account"))
    query = Rows(lambda models: len(models.execute(sa.select(foreign))))
    assert await answered(bank, counting.rows, query) == 1

    position = await append(store, Opened("b"))

    assert await answered(bank, counting.rows, query, after=position) == 2


async def test_an_answer_that_tells_a_position_is_not_kept(store: MemoryStore, bank: ReadSide) -> None:
    counting = Counting()
    query = Rows(lambda models: models.position(Balance))
    assert await answered(bank, counting.rows, query) == 2

    position = await append(store, Audited("a"))

    assert await answered(bank, counting.rows, query, after=position) == 3


async def test_an_answer_that_read_nothing_is_not_kept(bank: ReadSide) -> None:
    counting = Counting()

    for _ in range(2):
        assert await answered(bank, counting.rows, Rows(lambda models: 7)) == 7

    assert counting.calls == 2


async def test_the_past_is_not_kept(bank: ReadSide) -> None:
    counting = Counting()
    query = Amounts(["a"])

    assert await answered(bank, counting.amounts, query) == [5]
    assert await answered(bank, counting.amounts, query, as_of=1) == [0]
    assert await answered(bank, counting.amounts, query) == [5]


async def test_what_a_handler_raises_is_not_kept(bank: ReadSide) -> None:
    counting = Counting()

    def failing(models: ReadModels) -> Any:
        raise LookupError("no")

    query = Rows(failing)
    for _ in range(2):
        with pytest.raises(LookupError):
            await answered(bank, counting.rows, query)

    assert counting.calls == 2


async def test_those_asked_for_last_are_kept(bank: ReadSide) -> None:
    counting = Counting(cache=2)
    one, two, three = (Amounts(["a"] * length) for length in (1, 2, 3))

    for query in (one, two, one, three):  # two goes
        await answered(bank, counting.amounts, query)
    before = counting.calls
    for query in (one, three, two):
        await answered(bank, counting.amounts, query)

    assert (before, counting.calls) == (3, 4)
    cache = bank.answering.cache(counting.amounts)
    assert cache is not None
    assert (cache.status.entries, cache.status.size, cache.status.hit_rate) == (2, 2, 3 / 7)


async def test_a_list_is_copied_for_each_caller(bank: ReadSide) -> None:
    counting = Counting()

    first = await answered(bank, counting.amounts, Amounts(["a"]))
    first.append(13)
    second = await answered(bank, counting.amounts, Amounts(["a"]))
    second.append(14)

    assert await answered(bank, counting.amounts, Amounts(["a"])) == [5]


async def test_without_cache_nothing_is_kept(bank: ReadSide) -> None:
    counting = Counting(cache=False)

    for _ in range(2):
        await answered(bank, counting.amounts, Amounts(["a"]))

    assert counting.calls == 2
    assert bank.answering.cache(counting.amounts) is None


def test_the_decorator_says_how_many_are_kept() -> None:
    app = App("shop")

    @app.answers(cache=True)
    def rows(query: Rows, models: ReadModels) -> Any:
        return query.ask(models)

    @app.answers(cache=5)
    def amounts(query: Amounts, models: ReadModels) -> list[int]:
        return []

    assert [handler.cache for handler in app.query_handlers.values()] == [1_000, 5]


def test_a_negative_number_of_answers_is_refused() -> None:
    with pytest.raises(InvalidHandler, match="has cache=-1"):
        Counting(cache=-1)


# --- several at once


async def test_of_the_same_query_asked_at_once_one_is_computed(bank: ReadSide) -> None:
    counting, gate = Counting(), threading.Event()

    def slow(models: ReadModels) -> int:
        assert gate.wait(10)
        return counted(models)

    query = Rows(slow)
    asking = [asyncio.create_task(answered(bank, counting.rows, query)) for _ in range(10)]
    await asyncio.sleep(0)  # each of them has begun
    gate.set()

    assert await asyncio.gather(*asking) == [1] * 10
    assert counting.calls == 1


async def test_who_waits_for_another_one_is_not_cancelled_with_it(bank: ReadSide) -> None:
    counting, gate = Counting(), threading.Event()

    def slow(models: ReadModels) -> int:
        assert gate.wait(10)
        return counted(models)

    query = Rows(slow)
    first, second = (asyncio.create_task(answered(bank, counting.rows, query)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    gate.set()

    assert await second == 1
    assert first.cancelled()


async def test_an_answer_that_became_old_while_it_was_computed_is_asked_again(
    store: MemoryStore, tmp_path: Path
) -> None:
    counting, read, gate = Counting(), threading.Event(), threading.Event()

    def slow(models: ReadModels) -> int:
        found = counted(models)
        read.set()
        assert gate.wait(10)
        return found

    query = Rows(slow)
    async with reading(store, Balance, url=f"sqlite:///{tmp_path}/models.db") as bank:
        await bank.wait(Balance, await append(store, Opened("a")))
        first = asyncio.create_task(answered(bank, counting.rows, query))
        await asyncio.to_thread(read.wait)
        second = asyncio.create_task(answered(bank, counting.rows, query))
        await bank.wait(Balance, await append(store, Opened("b")))
        gate.set()

        assert (await first, await second) == (1, 2)
    assert counting.calls == 2


# --- rows that change without an event


async def test_a_retried_key_makes_its_models_answers_be_asked_again(store: MemoryStore) -> None:
    bad = {13}

    class Strict(ReadModel):
        account: AccountId
        amount: int = 0

        def evolve(self, event: Deposited) -> Self:
            if event.amount in bad:
                raise ValueError("bad luck")
            return replace(self, amount=self.amount + event.amount)

    counting, query = Counting(), Rows(lambda models: models.get(Strict, "a"))
    async with reading(store, Strict) as read_side:
        await read_side.wait(Strict, await append(store, Deposited("a", 1), Deposited("a", 13)))
        assert await answered(read_side, counting.rows, query) == Strict("a", 1)
        bad.clear()

        await read_side.parked_keys(Strict).retry(("a",))

        assert await answered(read_side, counting.rows, query) == Strict("a", 14)


async def test_a_table_that_another_process_rebuilds_makes_its_answers_be_asked_again(
    store: MemoryStore, tmp_path: Path
) -> None:
    counting, url = Counting(), f"sqlite:///{tmp_path}/models.db"
    async with reading(store, Balance, url=url) as read_side:
        await read_side.wait(Balance, await append(store, Opened("a"), Deposited("a", 5)))
        engine = sa.create_engine(url)
        with engine.begin() as connection:
            connection.execute(sa.text("UPDATE balance SET amount = 13"))
        engine.dispose()
        assert await answered(read_side, counting.amounts, Amounts(["a"])) == [13]

        await rebuild(ReadModelDefinition(Balance), store, registry_of(), url)

        watch = read_side.answering.watch(counting.amounts, Amounts(["a"]), after=None, timeout=PATIENCE)
        async for answer in watch:
            if answer == [5]:
                break


async def test_that_other_processes_cannot_be_looked_for_is_one_error_as_long_as_it_lasts(
    store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    counting, looked, real = Counting(), count(), CheckpointReader.read
    loop, again = asyncio.get_running_loop(), asyncio.Event()

    def read(reader: CheckpointReader, shards: Collection[Shard]) -> Any:
        found = real(reader, shards)
        if (number := next(looked)) == 9:
            loop.call_soon_threadsafe(again.set)
        if number % 4:  # three times in trouble, once not
            raise RuntimeError("a fault of the code")
        return found

    monkeypatch.setattr("leftfold.query.checkpoint_watcher.IDLE_PAUSE", 0)
    async with reading(store, Balance, url=f"sqlite:///{tmp_path}/models.db") as read_side:
        monkeypatch.setattr(CheckpointReader, "read", read)
        await answered(read_side, counting.amounts, Amounts(["a"]))
        await again.wait()

    said = [record for record in caplog.records if record.name == "leftfold.following"]
    assert [record.levelname for record in said[:2]] == ["ERROR"] * 2
    assert len(said) in (2, 3)  # 1 to 3, 5 to 7, and 9 to where it was closed


# --- values as keys


def test_what_is_written_alike_is_one_key() -> None:
    assert by_value(Amounts(["a", "b"])) == by_value(Amounts(["a", "b"]))
    assert by_value({"x": {1, 2}}) == by_value({"x": {2, 1}})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True),
        (1, 1.0),
        (Decimal("1.0"), Decimal("1")),
        (0.0, -0.0),
        ("1", 1),
        ("a", b"a"),
        (["a"], ("a",)),
        ([["a"], "b"], ["a", ["b"]]),
        ({"a": "b"}, ["a", "b"]),
        (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))),
    ],
)
def test_what_is_not_alike_are_two_keys(one: Any, other: Any) -> None:
    assert by_value(one) != by_value(other)


async def test_a_query_that_is_no_key_is_asked_each_time(bank: ReadSide) -> None:
    class Unhashable:
        __hash__ = None  # type: ignore[assignment]

        def __call__(self, models: ReadModels) -> int:
            return counted(models)

    counting, query = Counting(), Rows(Unhashable())

    assert [await answered(bank, counting.rows, query) for _ in range(2)] == [1, 1]
    assert counting.calls == 2


# --- as right as a computed one

STEPS = st.one_of(
    st.sampled_from(["a", "b"]).map(Opened),
    st.tuples(st.sampled_from(["a", "b"]), st.integers(1, 3)).map(lambda pair: Deposited(*pair)),
    st.sampled_from(["a", "b"]).map(Audited),
)


@settings(max_examples=examples(40), deadline=None)
@given(st.lists(st.tuples(STEPS, st.booleans(), st.booleans()), max_size=12))
def test_kept_answers_are_those_that_would_be_computed(steps: list[tuple[Any, bool, bool]]) -> None:
    async def check() -> None:
        kept, plain = Counting(), Counting(cache=False)
        async with MemoryStore() as store, reading(store, Balance, Turnover) as read_side:
            for event, asked_before, at_once in steps:
                if asked_before:
                    await answered(read_side, kept.amounts, Amounts(["a"]))
                position = await append(store, event)
                if at_once:
                    computed = await answered(read_side, plain.amounts, Amounts(["a"]), after=position)
                    assert await answered(read_side, kept.amounts, Amounts(["a"]), after=position) == computed

    asyncio.run(check())
