"""Projections in the background: following, stopping, sharing a database, beginning anew."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Self

import pytest
import sqlalchemy as sa

from leftfold.errors import (
    ModelsUnavailable,
    ProjectionFailed,
    ReadModelBehind,
    StoreClosed,
    UnknownReadModel,
)
from leftfold.events import Event
from leftfold.query import ReadModel, ReadModelDefinition, ReadSide, projection
from leftfold.query.standing import Standing
from leftfold.query.tables.postgres_database import SETTINGS
from leftfold.store import MemoryStore, NewEvent, open_store
from tests.query.bank import (
    AccountId,
    Audited,
    Balance,
    Closed,
    Deposited,
    Opened,
    Transferred,
    Turnover,
    append,
    ask,
    folded,
    reading,
    registry_of,
    sorted_rows,
)
from tests.query.places import Place, outside, place, url

__all__ = ["place", "url"]


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    async with MemoryStore() as store:
        yield store


async def balances(read_side: ReadSide) -> list[Any]:
    return sorted_rows(await ask(read_side, lambda models: models.select(Balance)))


async def test_what_was_there_before_and_what_comes_later_are_both_folded(store: MemoryStore) -> None:
    before, later = [Opened("a"), Deposited("a", 5)], [Opened("b"), Transferred("a", "b", 2)]
    await append(store, *before)

    async with reading(store, Balance, Turnover) as read_side:
        await read_side.wait(Balance, await append(store, *later))

        assert await balances(read_side) == sorted_rows(folded(Balance, before + later).values())


async def test_models_go_on_from_where_they_were(store: MemoryStore, url: str) -> None:
    async with reading(store, Balance, url=url) as read_side:
        await read_side.wait(Balance, await append(store, Opened("a"), Deposited("a", 5)))
    await append(store, Deposited("a", 6))

    async with reading(store, Balance, url=url) as read_side:
        await read_side.wait(Balance, 3)

        assert await balances(read_side) == [Balance("a", "ann", 11, 3)]


async def test_none_deletes_the_row(store: MemoryStore) -> None:
    async with reading(store, Balance) as read_side:
        await read_side.wait(Balance, await append(store, Opened("a"), Opened("b"), Closed("a")))
        assert await balances(read_side) == [Balance("b", "ann", 0, 1)]

        await read_side.wait(Balance, await append(store, Deposited("a", 1)))
        assert await balances(read_side) == [Balance("a", "", 1, 1), Balance("b", "ann", 0, 1)]


async def test_the_checkpoint_moves_on_where_nothing_matches(store: MemoryStore, url: str) -> None:
    async with reading(store, Turnover, url=url) as read_side:
        await read_side.wait(Turnover, await append(store, *[Audited("a")] * 10))

        assert await ask(read_side, lambda models: models.position(Turnover)) == 10


async def test_a_log_that_is_far_ahead_is_folded_in_few_transactions(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projection, "AT_ONCE", 4_000)
    events = [Opened("a"), *[Deposited(f"{n % 7}", n) for n in range(9_999)]]
    reached = list[int]()
    monkeypatch.setattr(Standing, "reached", noting(reached, Standing.reached))
    position = await append(store, *events)

    async with reading(store, Balance) as read_side:
        await read_side.wait(Balance, position)

        assert [each for each in reached if each > 0] == [4_000, 8_000, 10_000]
        assert await balances(read_side) == sorted_rows(folded(Balance, events).values())


async def test_large_events_are_not_gathered(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "BYTES_AT_ONCE", 1_000)
    reached = list[int]()
    monkeypatch.setattr(Standing, "reached", noting(reached, Standing.reached))
    position = await append(store, *[Opened("a")] * 3_000)

    async with reading(store, Balance) as read_side:
        await read_side.wait(Balance, position)

        assert [each for each in reached if each > 0] == [1_000, 2_000, 3_000]


def noting(positions: list[int], reached: Callable[..., None]) -> Callable[..., None]:
    """`Standing.reached`, which notes the positions too."""

    def note(standing: Standing, position: int, *, changed: bool = True) -> None:
        positions.append(position)
        reached(standing, position, changed=changed)

    return note


async def test_events_of_unknown_types_are_passed_over(store: MemoryStore) -> None:
    await store.append([NewEvent("from the future", b"{}", ("account:a",))])

    async with reading(store, Balance) as read_side:
        await read_side.wait(Balance, await append(store, Opened("a")))

        assert await balances(read_side) == [Balance("a", "ann", 0, 1)]


async def test_two_processes_on_one_database_fold_each_event_once(tmp_path: Path, url: str) -> None:
    events: list[Event] = [Opened(f"{n}") for n in range(20)]
    position = 0
    log = f"sqlite:///{tmp_path}/bank.db"
    async with (
        open_store(log) as one,
        open_store(log) as other,
        reading(one, Balance, Turnover, url=url) as first,
        reading(other, Balance, url=url) as second,
    ):
        await append(one, *events)
        for n in range(200):
            events.append(Deposited(f"{n % 20}", n))
            position = await append(one if n % 2 else other, events[-1])

        await asyncio.gather(first.wait(Balance, position), second.wait(Balance, position))

        expected = sorted_rows(folded(Balance, events).values())
        assert await balances(first) == await balances(second) == expected


class Route(ReadModel):
    """Its two parts have one tag: they cannot be told apart in the tags of an event."""

    source: AccountId
    target: AccountId

    def evolve(self, event: Transferred) -> Self:
        return self


async def test_an_event_whose_keys_cannot_be_known_stops_its_model_only(store: MemoryStore) -> None:
    async with reading(store, Route, Balance) as read_side:
        await append(store, Transferred("a", "b", 1))
        await store.append([NewEvent("transferred", b"[]", ("account:a", "account:b"))])
        position = await append(store, Deposited("c", 1))
        await read_side.wait(Balance, position)
        with pytest.raises(ProjectionFailed, match="transferred v1 at position 2 cannot be read") as caught:
            await read_side.wait(Route, position)

        assert (caught.value.model, caught.value.position) == ("Route", 2)
        assert await ask(read_side, lambda models: models.select(Route)) == [Route("a", "b")]
        stopped, working = await read_side.status()
        assert (working.name, working.table, working.position, working.lag) == ("Balance", "balance", 3, 0)
        assert (working.failed, working.problem, working.parked) == (False, None, 2)
        assert (stopped.position, stopped.lag, stopped.failed) == (1, 2, True)
        assert stopped.problem is caught.value


async def test_another_log_begins_the_models_of_its_own_file_anew(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/models.db"
    for owner in ("ann", "bob"):
        async with MemoryStore() as store, reading(store, Balance, url=url, history=True) as read_side:
            await read_side.wait(Balance, await append(store, Opened("a", owner)))

            assert await balances(read_side) == [Balance("a", owner, 0, 1)]


async def test_a_log_that_lost_its_end_begins_the_models_anew(url: str) -> None:
    async with MemoryStore() as store, reading(store, Balance, url=url) as read_side:
        await read_side.wait(Balance, await append(store, Opened("a"), Deposited("a", 5)))
    restored = MemoryStore()
    restored.log_id = store.log_id
    async with restored, reading(restored, Balance, url=url) as read_side:
        await read_side.wait(Balance, await append(restored, Opened("a"), Deposited("a", 7)))

        assert await balances(read_side) == [Balance("a", "ann", 7, 2)]


async def test_lost_tables_begin_the_model_anew(store: MemoryStore, url: str) -> None:
    await append(store, Opened("a"))
    async with reading(store, Balance, url=url) as read_side:
        await read_side.wait(Balance, 1)
    with outside(url) as connection:
        assert sorted(sa.inspect(connection).get_table_names()) == [
            "balance",
            "leftfold_checkpoint",
            "leftfold_lease",
            "leftfold_parked",
            "leftfold_parked_event",
        ]
        connection.exec_driver_sql("DROP TABLE balance")

    async with reading(store, Balance, url=url) as read_side:
        await read_side.wait(Balance, 1)

        assert await balances(read_side) == [Balance("a", "ann", 0, 1)]


async def test_waiting_takes_no_longer_than_it_may(store: MemoryStore) -> None:
    async with reading(store, Balance) as read_side:
        await read_side.wait(Balance, await append(store, Opened("a")))

        with pytest.raises(ReadModelBehind) as caught:
            await read_side.wait(Balance, 8, 0)

        assert (caught.value.model, caught.value.position, caught.value.asked, caught.value.lag) == ("Balance", 1, 8, 7)


async def test_closing_sends_waiters_home(store: MemoryStore) -> None:
    async with reading(store, Balance) as read_side:
        waiting = asyncio.create_task(read_side.wait(Balance, 1))
        await read_side.wait(Balance, 0)

    with pytest.raises(StoreClosed):
        await waiting


async def test_waiting_for_an_unknown_model_names_the_known_ones(store: MemoryStore) -> None:
    async with reading(store, Balance) as read_side:
        with pytest.raises(UnknownReadModel, match="Turnover is not a read model of this app"):
            await read_side.wait(Turnover, 1)


async def test_a_closed_log_ends_the_projections_quietly(store: MemoryStore) -> None:
    async with reading(store, Balance) as read_side:
        await store.close()

        with pytest.raises(StoreClosed):
            await read_side.wait(Balance, 1)


async def test_a_damaged_models_database_is_named(store: MemoryStore, tmp_path: Path) -> None:
    (tmp_path / "models.db").write_bytes(b"not a database" * 1_000)
    read_side = ReadSide(store, registry_of(), [ReadModelDefinition(Balance)], f"sqlite:///{tmp_path}/models.db")

    with pytest.raises(ModelsUnavailable, match="file is not a database"):
        await read_side.start()


async def test_a_locked_database_is_waited_out_and_told_of(
    tmp_path: Path, url: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leftfold.query.tables.sqlite_database.BUSY_SECONDS", 0.0)
    monkeypatch.setitem(SETTINGS, "lock_timeout", "1ms")
    lock = "BEGIN IMMEDIATE" if place.is_sqlite else "LOCK TABLE leftfold_checkpoint IN ACCESS EXCLUSIVE MODE"
    async with open_store(f"sqlite:///{tmp_path}/bank.db") as store, reading(store, Balance, url=url) as read_side:
        with outside(url) as locking:
            locking.exec_driver_sql(lock)
            await append(store, Opened("a"))
            while (status := (await read_side.status())[0]).problem is None:
                pass
            locking.rollback()
        await read_side.wait(Balance, 1)

        assert isinstance(status.problem, ModelsUnavailable)
        assert not status.failed
        assert (await read_side.status())[0].problem is None
