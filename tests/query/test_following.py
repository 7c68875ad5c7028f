"""Read models that are folded by another process: their stored checkpoints are followed, and queries wait for them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from leftfold.errors import ModelsUnavailable, ReadModelBehind, ReadModelChanged
from leftfold.query import ReadModels
from leftfold.store import MemoryStore
from tests.query.bank import Balance, Closed, Deposited, Opened, Turnover, append, ask, reading

NOBODY: list[Any] = []


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    async with MemoryStore() as store:
        yield store


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/bank.models.db"


def balance(models: ReadModels) -> Any:
    return models.get(Balance, "a")


async def test_a_query_waits_until_another_process_has_folded_what_it_asks_for(store: MemoryStore, url: str) -> None:
    async with reading(store, Balance, url=url), reading(store, Balance, url=url, folds=NOBODY) as following:
        position = await append(store, Opened("a"), Deposited("a", 5))

        row = await ask(following, balance, after=position)

    assert row.amount == 5


async def test_what_nobody_has_begun_is_waited_for(store: MemoryStore, url: str) -> None:
    position = await append(store, Opened("a"))
    async with reading(store, Balance, url=url, folds=NOBODY) as following:
        with pytest.raises(ReadModelBehind):
            await ask(following, balance, timeout=0.05)
        waiting = asyncio.create_task(ask(following, balance))

        async with reading(store, Balance, url=url):
            row = await waiting
            await following.wait(Balance, position)

        await following.wait(Balance, position)
        assert row is None or row.owner == "ann"
        assert (await following.status())[0].position == position


async def test_only_the_chosen_models_are_folded_here(store: MemoryStore, url: str) -> None:
    position = await append(store, Opened("a"), Deposited("a", 5))
    async with (
        reading(store, Balance, Turnover, url=url, folds=NOBODY) as neither,
        reading(store, Balance, Turnover, url=url, folds=[Turnover]) as one,
    ):
        await one.wait(Turnover, position)
        await neither.wait(Turnover, position)

        assert [status.position for status in await neither.status()] == [0, position]
        assert (one.folded_here, neither.folded_here) == ([Turnover], [])


async def test_models_in_memory_are_folded_whoever_else_is_to_do_it(store: MemoryStore) -> None:
    position = await append(store, Opened("a"))

    async with reading(store, Balance, folds=NOBODY) as read_side:
        assert (await ask(read_side, balance, after=position)).owner == "ann"


async def test_keys_that_another_process_parked_are_seen_and_can_be_skipped(store: MemoryStore, url: str) -> None:
    class Fussy(Balance):
        def evolve(self, event: Deposited | Closed) -> Any:
            return Turnover(event.amount) if isinstance(event, Deposited) else None

    async with reading(store, Fussy, url=url), reading(store, Fussy, url=url, folds=NOBODY) as following:
        position = await append(store, Deposited("a", 5), Closed("a"))
        await following.wait(Fussy, position)
        [parked], [status] = await following.parked(), await following.status()

        left = await following.parked_keys(Fussy).retry(("a",))

        assert (parked.key, parked.queued, status.parked, left) == (("a",), 2, 1, [parked])


async def test_other_code_than_the_table_was_made_by_is_refused(store: MemoryStore, url: str) -> None:
    async with reading(store, Balance, url=url, version=2):
        pass

    with pytest.raises(ReadModelChanged):
        async with reading(store, Balance, url=url, version=1, folds=NOBODY):
            pass


async def test_the_table_of_a_former_version_answers_until_another_process_has_rebuilt_it(
    store: MemoryStore, url: str
) -> None:
    await append(store, Opened("a"))
    async with reading(store, Balance, url=url) as former:
        await former.wait(Balance, 1)

    async with reading(store, Balance, url=url, version=2, folds=NOBODY) as following:
        before = await ask(following, balance)
        position = await append(store, Deposited("a", 5))
        async with reading(store, Balance, url=url, version=2):
            after = await ask(following, balance, after=position)

    assert (before.amount, after.amount) == (0, 5)


async def test_the_table_of_another_log_is_not_answered_from(store: MemoryStore, url: str) -> None:
    async with MemoryStore() as other, reading(other, Balance, url=url) as read_side:
        await read_side.wait(Balance, await append(other, Opened("a")))

    async with reading(store, Balance, url=url, folds=NOBODY) as following:
        with pytest.raises(ReadModelBehind):
            await ask(following, balance, timeout=0.05)


async def test_a_database_that_cannot_be_read_is_named(store: MemoryStore, tmp_path: Path) -> None:
    (tmp_path / "bank.db").write_bytes(b"no database" * 1_000)

    with pytest.raises(ModelsUnavailable):
        async with reading(store, Balance, url=f"sqlite:///{tmp_path}/bank.db", folds=NOBODY):
            pass
