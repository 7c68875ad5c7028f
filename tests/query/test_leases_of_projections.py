"""Each read model is folded by one process at a time; another takes over, and the former one can write no more."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import pytest
import sqlalchemy as sa

from leftfold.query import ReadModels, ReadSide
from leftfold.query.tables.leases import ModelsLeaseStore
from leftfold.store import MemoryStore
from tests.holders import Awake, Stopwatch
from tests.query.bank import Balance, Deposited, Opened, Turnover, append, ask, reading

LEDGER = """
    CREATE TABLE ledger (
        number INTEGER PRIMARY KEY,
        model  TEXT NOT NULL,
        after  INTEGER NOT NULL,
        upto   INTEGER NOT NULL,
        build  TEXT NOT NULL,
        UNIQUE (model, after)
    )"""
ENTER = """
    CREATE TRIGGER enter AFTER UPDATE OF position ON leftfold_checkpoint BEGIN
        INSERT INTO ledger (model, after, upto, build) VALUES (new.model, old.position, new.position, new.build);
    END"""


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    async with MemoryStore() as store:
        yield store


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/bank.models.db"


@asynccontextmanager
async def taking_part(
    store: MemoryStore, url: str, now: Stopwatch, *names: str, **options: Any
) -> AsyncIterator[list[tuple[Awake, ReadSide]]]:
    """Processes that are opened one after the other."""
    if not names:
        yield []
        return
    awake = Awake(names[0], now)
    async with (
        reading(store, Balance, Turnover, url=url, terms=awake.terms, **options) as read_side,
        taking_part(store, url, now, *names[1:], **options) as others,
    ):
        yield [(awake, read_side), *others]


async def holders(read_side: ReadSide) -> list[str]:
    return [f"{lease.name}: {lease.holder}" for lease in await read_side.leases()]


def keep_a_ledger(url: str) -> sa.Engine:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(LEDGER)
        connection.exec_driver_sql(ENTER)
    return engine


def entries(engine: sa.Engine) -> Sequence[tuple[int, int, str]]:
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT after, upto, build FROM ledger WHERE model = 'balance' ORDER BY number"
        )
        found = [tuple(row) for row in rows]
    engine.dispose()
    return found  # type: ignore[return-value]


def amount(models: ReadModels) -> Any:
    return models.get(Balance, "a")


async def test_the_first_folds_and_the_second_follows(store: MemoryStore, url: str) -> None:
    async with taking_part(store, url, Stopwatch(), "one", "two") as [(_, one), (_, two)]:
        position = await append(store, Opened("a"), Deposited("a", 5))

        rows = [await ask(each, amount, after=position) for each in (one, two)]

        assert [row.amount for row in rows] == [5, 5]
        assert await holders(two) == ["projection balance v1: one", "projection turnover v1: one"]


@pytest.mark.parametrize(
    "row",
    [
        ("h", "x", 1),
        ("h", 1.5, "y"),
        (b"\xff", 1, 1),
        ("4294967296@h b n 7 x", 2**63 - 1, 2**63 - 1),
    ],
)
async def test_garbage_in_place_of_a_lease_holds_a_projection_up_for_its_time_at_most(
    store: MemoryStore, url: str, row: tuple[Any, ...]
) -> None:
    now = Stopwatch()
    async with taking_part(store, url, now, "former"):
        pass
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        for name in ("projection balance v1", "projection turnover v1", b"\xfe"):
            connection.exec_driver_sql("INSERT INTO leftfold_lease VALUES (?, ?, ?, ?)", (name, *row))
    engine.dispose()

    async with taking_part(store, url, now, "one") as [(awake, one)]:
        now.seconds = 5.0
        await awake.turn()
        [folded] = [await ask(one, amount, after=await append(store, Opened("a")))]

        assert folded.owner == "ann"
        assert await holders(one) == ["projection balance v1: one", "projection turnover v1: one"]


async def test_leases_that_cannot_be_asked_for_are_a_problem_of_the_models_that_are_not_folded_for_it(
    store: MemoryStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with taking_part(store, url, Stopwatch(), "one", "two") as [(awake_one, one), (awake_two, two)]:
        monkeypatch.setattr(ModelsLeaseStore, "_read", lambda book: 1 / 0)
        monkeypatch.setattr(ReadSide, "leases", AsyncMock(return_value=[]))
        await awake_one.turn()
        await awake_two.turn()
        problems = [[str(each.problem) for each in await side.status()] for side in (one, two)]
        monkeypatch.undo()
        await awake_two.turn()

        assert problems[0] == ["None", "None"]  # it need not ask for what it holds
        assert all("ZeroDivisionError" in each for each in problems[1])
        assert [each.problem for each in await two.status()] == [None, None]


async def test_what_is_released_is_taken_with_the_next_turn(store: MemoryStore, url: str) -> None:
    now = Stopwatch()
    async with taking_part(store, url, now, "two") as [(_, two)]:
        pass
    async with taking_part(store, url, now, "one") as [(_, one)], taking_part(store, url, now, "two") as [(awake, two)]:
        await one.close()
        await awake.turn()

        row = await ask(two, amount, after=await append(store, Opened("a")))

        assert (row.owner, await holders(two)) == (
            "ann",
            ["projection balance v1: two", "projection turnover v1: two"],
        )


async def test_a_paused_holder_is_replaced_and_what_it_still_wants_to_write_is_refused(
    store: MemoryStore, url: str
) -> None:
    now = Stopwatch()
    async with taking_part(store, url, now, "one", "two") as [(_, one), (awake, two)]:
        await one.wait(Balance, await append(store, Opened("a")))
        engine = keep_a_ledger(url)
        now.seconds = 5.0
        await awake.turn()  # nothing was heard of one
        assert await holders(one) == ["projection balance v1: two", "projection turnover v1: two"]

        for _ in range(20):  # it has not noticed: both want to fold this
            position = await append(store, Deposited("a", 1))
            await one.wait(Balance, position)
            await two.wait(Balance, position)

        ledger = entries(engine)
    assert [entry[0] for entry in ledger] == [1, *(entry[1] for entry in ledger[:-1])]  # one after the other, no gap
    assert len({build for *_, build in ledger}) == 1  # all written by the new holder


async def test_a_holder_that_wakes_up_late_follows_and_may_take_over_again(store: MemoryStore, url: str) -> None:
    now = Stopwatch()
    async with taking_part(store, url, now, "one", "two") as [(first, one), (second, _)]:
        now.seconds = 5.0
        await second.turn()
        await first.turn()
        now.seconds = 10.0
        await first.turn()

        row = await ask(one, amount, after=await append(store, Opened("a")))

        assert (row.owner, await holders(one)) == ("ann", ["projection balance v1: one", "projection turnover v1: one"])


async def test_a_key_that_is_retried_by_a_follower_leaves_the_holder_at_work(store: MemoryStore, url: str) -> None:
    class Fussy(Balance):
        broken = True

        def evolve(self, event: Deposited) -> Any:
            return Turnover() if Fussy.broken else super().evolve(event)

    now = Stopwatch()
    one, two = Awake("one", now), Awake("two", now)
    async with (
        reading(store, Fussy, url=url, terms=one.terms) as holding,
        reading(store, Fussy, url=url, terms=two.terms) as following,
    ):
        await following.wait(Fussy, await append(store, Deposited("a", 5)))
        Fussy.broken = False

        assert await following.parked_keys(Fussy).retry(("a",)) == []
        position = await append(store, Deposited("a", 1))
        row = await ask(following, lambda models: models.get(Fussy, "a"), after=position)

        assert (row.amount, await holders(holding)) == (6, ["projection fussy v1: one"])


async def test_a_new_version_is_built_while_a_process_of_the_former_one_holds_its_own(
    store: MemoryStore, url: str
) -> None:
    await append(store, Opened("a"))
    now = Stopwatch()
    async with (
        taking_part(store, url, now, "old") as [(_, old)],
        taking_part(store, url, now, "new", version=2) as [(_, new)],
    ):
        await old.wait(Balance, 1)

        row = await ask(new, amount, after=await append(store, Deposited("a", 5)))

        assert row.amount == 5
        assert "projection balance v2: new" in await holders(new)
