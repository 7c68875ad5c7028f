"""Queries: rows by key and condition, your own SQL, consistency, and the past."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Self

import pytest
import sqlalchemy as sa

from leftfold import replace
from leftfold.errors import InvalidKey, PositionAhead, ProjectionFailed, ReadModelBehind, UnknownName, UsageError
from leftfold.query import ReadModel, ReadModelDefinition, ReadModels, ReadSide, ReplayProgress
from leftfold.store import MemoryStore, NewEvent
from tests.query.bank import (
    HANDLER,
    AccountId,
    Balance,
    Closed,
    Deposited,
    Opened,
    Rows,
    Transferred,
    Turnover,
    answered,
    append,
    ask,
    folded,
    reading,
    registry_of,
    sorted_rows,
)
from tests.query.places import Place, place, url

__all__ = ["place", "url"]

HISTORY = [
    Opened("a"),
    Opened("b", "bob"),
    Deposited("a", 100),
    Deposited("b", 50),
    Transferred("a", "b", 30),
    Deposited("a", 0),
    Opened("c", "cid"),
    Closed("b"),
    Deposited("c", 5),
    Opened("b", "ben"),
    Transferred("c", "b", 2),
]


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    async with MemoryStore() as store:
        yield store


@pytest.fixture
async def bank(store: MemoryStore) -> AsyncIterator[ReadSide]:
    """Both models after the whole history."""
    await append(store, *HISTORY)
    async with reading(store, Balance, Turnover) as read_side:
        await read_side.wait(Balance, len(HISTORY))
        await read_side.wait(Turnover, len(HISTORY))
        yield read_side


async def accounts(read_side: ReadSide, **options: Any) -> list[str]:
    names: list[str] = await ask(read_side, lambda models: [row.account for row in models.select(Balance, **options)])
    return names


# --- the present


async def test_a_row_is_got_by_its_key(bank: ReadSide) -> None:
    assert await ask(bank, lambda models: models.get(Balance, "a")) == Balance("a", "ann", 70, 3)
    assert await ask(bank, lambda models: models.get(Balance, "x")) is None
    assert await ask(bank, lambda models: models.get(Turnover)) == Turnover(4, 155)


async def test_a_key_of_the_wrong_length_is_refused(bank: ReadSide) -> None:
    for as_of in (None, 3):
        with pytest.raises(InvalidKey, match="Balance was requested with the key"):
            await ask(bank, lambda models: models.get(Balance, "a", "b"), as_of=as_of)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"order_by": "account"}, ["a", "b", "c"]),
        ({"order_by": "-amount"}, ["a", "c", "b"]),
        ({"order_by": ["owner", "-account"]}, ["a", "b", "c"]),
        ({"order_by": "account", "limit": 2}, ["a", "b"]),
        ({"order_by": "account", "offset": 1}, ["b", "c"]),
        ({"order_by": "account", "limit": 1, "offset": 1}, ["b"]),
        ({"limit": 0}, []),
        ({"owner": "ben"}, ["b"]),
        ({"where": {"owner": "ben", "amount": 2}}, ["b"]),
        ({"where": {"owner": "ben"}, "amount": 3}, []),
    ],
)
async def test_rows_are_selected(bank: ReadSide, options: dict[str, Any], expected: list[str]) -> None:
    assert await accounts(bank, **options) == expected


async def test_conditions_may_be_expressions_over_the_table(bank: ReadSide) -> None:
    def question(models: ReadModels) -> Any:
        c = models.table(Balance).c
        return [
            [row.account for row in models.select(Balance, where=c.amount > 3, order_by="account")],
            [row.account for row in models.select(Balance, where=[c.amount < 50, c.owner != "cid"])],
            models.count(Balance, where=c.amount > 3),
        ]

    assert await ask(bank, question) == [["a"], ["b"], 1]


async def test_rows_are_counted(bank: ReadSide) -> None:
    assert await ask(bank, lambda models: (models.count(Balance), models.count(Balance, owner="ann"))) == (3, 1)


async def test_a_column_that_is_not_there_is_named_with_those_that_are(bank: ReadSide) -> None:
    for options in ({"order_by": "-wealth"}, {"wealth": 3}, {"where": {"wealth": 3}}):
        with pytest.raises(UsageError, match=r"'wealth'\n  expected: one of account, owner, amount, changes"):
            await accounts(bank, **options)


async def test_your_own_sql_joins_tables(bank: ReadSide) -> None:
    def question(models: ReadModels) -> list[Any]:
        balance, turnover = models.table(Balance), models.table(Turnover)
        joined = sa.select(balance.c.account, turnover.c.total).where(turnover.c.total > 2 * balance.c.amount)
        return [tuple(row) for row in models.execute(joined.order_by("account"))]

    assert await ask(bank, question) == [("a", 155), ("b", 155), ("c", 155)]


async def test_plain_sql_text_is_taken_too(bank: ReadSide) -> None:
    def question(models: ReadModels) -> Any:
        return models.execute(sa.text("SELECT sum(amount) AS sum FROM balance"))[0].sum

    assert await ask(bank, question) == 75
    assert await ask(bank, question, after=len(HISTORY)) == 75


async def test_a_query_cannot_write(bank: ReadSide) -> None:
    def question(models: ReadModels) -> Any:
        return models.execute(sa.text("DELETE FROM balance"))

    for options in ({}, {"as_of": 3}):
        with pytest.raises(UsageError, match="a query tried to write to the database: DELETE FROM balance"):
            await ask(bank, question, **options)
    assert await ask(bank, lambda models: models.count(Balance)) == 3


async def test_a_model_that_the_app_does_not_have_is_named(bank: ReadSide) -> None:
    class Elsewhere(ReadModel):
        account: AccountId

        def evolve(self, event: Opened) -> Self:
            return self

    with pytest.raises(UnknownName) as caught:
        await ask(bank, lambda models: models.select(Elsewhere))

    assert caught.value.known == ("Balance", "Turnover")


async def test_what_a_handler_raises_is_raised(bank: ReadSide) -> None:
    def question(models: ReadModels) -> Any:
        raise LookupError("no such account")

    with pytest.raises(LookupError, match="no such account"):
        await ask(bank, question)


async def test_one_query_sees_one_moment(store: MemoryStore, url: str) -> None:
    loop = asyncio.get_running_loop()
    await append(store, Opened("a"))

    async def deposit_and_wait(read_side: ReadSide) -> None:
        await read_side.wait(Balance, await append(store, Deposited("a", 5)))

    async with reading(store, Balance, url=url) as read_side:
        await read_side.wait(Balance, 1)

        def question(models: ReadModels) -> Any:
            before = (models.get(Balance, "a"), models.position(Balance))
            asyncio.run_coroutine_threadsafe(deposit_and_wait(read_side), loop).result()
            return before == (models.get(Balance, "a"), models.position(Balance))

        assert await ask(read_side, question)
        assert await ask(read_side, lambda models: models.get(Balance, "a")) == Balance("a", "ann", 5, 2)


async def test_an_app_without_read_models_still_answers(store: MemoryStore) -> None:
    async with reading(store) as read_side:
        assert await ask(read_side, lambda models: [1]) == [1]
        assert await read_side.status() == []


# --- after a position


async def test_after_a_position_the_answer_includes_it(store: MemoryStore) -> None:
    async with reading(store, Balance, Turnover) as read_side:
        for n in range(1, 50):
            position = await append(store, Deposited("a", 1))

            found = await ask(
                read_side,
                lambda models: (models.get(Balance, "a"), models.count(Turnover), models.position(Turnover)),
                after=position,
            )

            assert found == (Balance("a", "", n, n), 1, position)


async def test_only_models_that_the_query_touches_must_have_reached_the_position(store: MemoryStore) -> None:
    class Stuck(ReadModel):
        source: AccountId
        target: AccountId

        def evolve(self, event: Transferred) -> Self:
            return self

    async with reading(store, Balance, Stuck) as read_side:
        await store.append([NewEvent("transferred", b"{}", ("account:a", "account:b"))])
        position = await append(store, Deposited("c", 1))

        assert await ask(read_side, lambda models: models.count(Balance), after=position) == 1
        with pytest.raises(ProjectionFailed, match="Stuck stopped at position 1: transferred v1"):
            await ask(read_side, lambda models: models.count(Stuck), after=position)


async def test_a_handler_cannot_swallow_that_a_model_is_behind(store: MemoryStore) -> None:
    def question(models: ReadModels) -> Any:
        try:
            return models.get(Balance, "a")
        except Exception:  # noqa: BLE001
            return "swallowed"

    async with reading(store, Balance) as read_side:
        position = await append(store, Opened("a"))

        assert await ask(read_side, question, after=position) == Balance("a", "ann", 0, 1)


async def test_a_model_that_stays_behind_is_an_error_with_its_position(store: MemoryStore, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/models.db"
    async with reading(store, Turnover, url=url) as read_side:
        await read_side.wait(Turnover, await append(store, Opened("a")))
    head = await append(store, *(Deposited("a", amount) for amount in range(3)))
    async with reading(store, Turnover, url=url, folds=()) as following:
        with pytest.raises(ReadModelBehind) as caught:
            await ask(following, lambda models: models.count(Turnover), after=head, timeout=0.0)

    assert (caught.value.model, caught.value.position, caught.value.asked) == ("Turnover", head - 3, head)
    assert caught.value.lag == 3


async def test_a_position_that_the_log_has_not_reached_is_refused_at_once(bank: ReadSide) -> None:
    with pytest.raises(PositionAhead, match=f"after {len(HISTORY) + 1} has not happened yet"):
        await ask(bank, lambda models: models.count(Turnover), after=len(HISTORY) + 1, timeout=1_000)


async def test_plain_sql_text_waits_for_every_model(store: MemoryStore) -> None:
    question: Callable[[ReadModels], Any] = lambda models: models.execute(sa.text("SELECT count(*) FROM balance"))  # noqa: E731

    async with reading(store, Balance, Turnover) as read_side:
        position = await append(store, Opened("a"))

        assert [tuple(row) for row in await ask(read_side, question, after=position)] == [(1,)]
        with pytest.raises(PositionAhead):
            await ask(read_side, question, after=position + 1, timeout=0.0)


# --- the past


def every_way(models: ReadModels) -> dict[str, Any]:
    """The same rows by each way of asking."""
    table = models.table(Balance)
    return {
        "got": sorted_rows(row for name in "abcd" if (row := models.get(Balance, name)) is not None),
        "selected": sorted_rows(models.select(Balance)),
        "by condition": sorted_rows(models.select(Balance, where=table.c.account > "")),
        "by SQL": sorted_rows(Balance(*row) for row in models.execute(sa.select(table))),
        "by text": sorted_rows(
            Balance(*row) for row in models.execute(sa.text("SELECT account, owner, amount, changes FROM balance"))
        ),
        "with its table again": sorted_rows(models.select(Balance, where=table.c.account > "")),
    }


@pytest.mark.parametrize("history", [True, False])
async def test_each_past_position_is_seen_as_it_was(store: MemoryStore, history: bool) -> None:
    await append(store, *HISTORY)
    async with reading(store, Balance, history=history) as read_side:
        for position in range(len(HISTORY) + 1):
            expected = folded(Balance, HISTORY, position)

            assert await ask(read_side, lambda models: models.count(Balance), as_of=position) == len(expected)
            for way, found in (await ask(read_side, every_way, as_of=position)).items():
                assert found == sorted_rows(expected.values()), (position, way)
            for name in "abcd":
                row = await ask(read_side, lambda models, name=name: models.get(Balance, name), as_of=position)
                assert row == expected.get((name,)), (position, name)


@pytest.mark.parametrize("history", [True, False])
async def test_a_model_of_one_row_is_seen_as_it_was(store: MemoryStore, history: bool) -> None:
    await append(store, *HISTORY)
    async with reading(store, Turnover, history=history) as read_side:
        for position in range(len(HISTORY) + 1):
            row = await ask(read_side, lambda models: models.get(Turnover), as_of=position)
            rows = await ask(read_side, lambda models: models.select(Turnover), as_of=position)

            assert rows == list(folded(Turnover, HISTORY, position).values())
            assert row == (rows[0] if rows else None)


async def test_models_with_and_without_history_are_joined_in_the_past(store: MemoryStore, place: Place) -> None:
    def question(models: ReadModels) -> list[Any]:
        balance, turnover = models.table(Balance), models.table(Turnover)
        joined = sa.select(balance.c.account, turnover.c.total).where(turnover.c.total > balance.c.amount)
        return [tuple(row) for row in models.execute(joined.order_by("account"))]

    await append(store, *HISTORY)
    definitions = [ReadModelDefinition(Balance, history=True), ReadModelDefinition(Turnover)]
    read_side = ReadSide(store, registry_of(), definitions, place.own())
    await read_side.start()

    assert await ask(read_side, question, as_of=4) == [("a", 150), ("b", 150)]
    assert await ask(read_side, question, after=len(HISTORY)) == [("a", 155), ("b", 155), ("c", 155)]
    await read_side.close()


async def test_the_past_leaves_nothing_behind(bank: ReadSide) -> None:
    for _ in range(3):
        assert await accounts(bank, order_by="account") == ["a", "b", "c"]
        assert await ask(bank, lambda models: models.count(Balance), as_of=1) == 1
        assert await ask(bank, lambda models: models.position(Balance), as_of=1) == 1


async def test_the_past_of_a_model_with_history_waits_until_it_has_come_there(store: MemoryStore) -> None:
    async with reading(store, Balance, history=True) as read_side:
        position = await append(store, Opened("a"))

        assert await ask(read_side, lambda models: models.count(Balance), as_of=position) == 1


async def test_a_position_that_has_not_been_reached_is_refused(bank: ReadSide) -> None:
    for asked in (-1, len(HISTORY) + 1):
        with pytest.raises(PositionAhead):
            await ask(bank, lambda models: models.count(Balance), as_of=asked)


async def test_keys_that_only_share_tags_are_told_apart_in_the_past(store: MemoryStore) -> None:
    class Route(ReadModel):
        source: AccountId
        target: AccountId
        amount: int = 0

        def evolve(self, event: Transferred) -> Self:
            return replace(self, amount=self.amount + event.amount)

    await append(store, Transferred("a", "b", 1), Transferred("b", "a", 10), Transferred("a", "b", 2))
    async with reading(store, Route) as read_side:
        for as_of in (None, 3):
            found = await ask(read_side, lambda models: models.get(Route, "a", "b"), after=3, as_of=as_of)
            assert found == Route("a", "b", 3)


async def test_a_long_replay_tells_of_its_progress(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leftfold.query.tables.read_snapshot.SECONDS_BEFORE_PROGRESS", -1.0)
    told: list[ReplayProgress] = []
    await append(store, *[Deposited("a", 1)] * 2_500)
    async with reading(store, Turnover, on_progress=told.append) as read_side:
        await ask(read_side, lambda models: models.count(Turnover), as_of=2_400)

    assert [(progress.model, progress.position, progress.upto) for progress in told] == [
        ("Turnover", 1_000, 2_400),
        ("Turnover", 2_000, 2_400),
        ("Turnover", 2_400, 2_400),
    ]


async def test_more_replays_at_once_than_there_are_threads(store: MemoryStore, url: str) -> None:
    await append(store, *HISTORY)
    async with reading(store, Balance, url=url) as read_side:
        query = Rows(lambda models: models.count(Balance))
        positions = [n % (len(HISTORY) + 1) for n in range(40)]

        counts = await asyncio.gather(*(answered(read_side, HANDLER, query, as_of=at) for at in positions))

    assert counts == [len(folded(Balance, HISTORY, at)) for at in positions]
