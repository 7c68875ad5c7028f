"""Projections in the background: following, stopping, sharing a database, beginning anew."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import psycopg
import pytest
import sqlalchemy as sa

from leftfold.errors import LogReplaced, ModelsUnavailable, ProjectionFailed, ReadModelBehind, StoreClosed, UnknownName
from leftfold.model.message import Event
from leftfold.query import ReadModel, ReadModelDefinition, ReadSide, projection
from leftfold.query.progress import ProjectionProgress
from leftfold.query.tables.postgres import SETTINGS
from leftfold.store import Batch, MemoryStore, NewEvent, open_store
from leftfold_torture.postgres_server import PostgresServer
from tests.postgres import DATABASE
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
    monkeypatch.setattr(projection, "EVENTS_PER_TRANSACTION", 4_000)
    events = [Opened("a"), *[Deposited(f"{n % 7}", n) for n in range(9_999)]]
    reached = list[int]()
    monkeypatch.setattr(ProjectionProgress, "reached", noting(reached, ProjectionProgress.reached))
    position = await append(store, *events)

    async with reading(store, Balance) as read_side:
        await read_side.wait(Balance, position)

        assert [each for each in reached if each > 0] == [4_000, 8_000, 10_000]
        assert await balances(read_side) == sorted_rows(folded(Balance, events).values())


async def test_large_events_are_not_gathered(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "BYTES_PER_TRANSACTION", 1_000)
    reached = list[int]()
    monkeypatch.setattr(ProjectionProgress, "reached", noting(reached, ProjectionProgress.reached))
    position = await append(store, *[Opened("a")] * 3_000)

    async with reading(store, Balance) as read_side:
        await read_side.wait(Balance, position)

        assert [each for each in reached if each > 0] == [1_000, 2_000, 3_000]


def noting(positions: list[int], reached: Callable[..., None]) -> Callable[..., None]:
    """`ProjectionProgress.reached`, which notes the positions too."""

    def note(progress: ProjectionProgress, position: int, *, changed: bool = True) -> None:
        positions.append(position)
        reached(progress, position, changed=changed)

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


@pytest.fixture(params=["sqlite", "postgres"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/log.db"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.url(DATABASE, log=f"log_{uuid4().hex[:8]}")


def change(log: str, position: int, data: bytes) -> None:
    """Put other data into an event of a log that a process has open, as nothing but an attack or a mishap does."""
    if log.startswith("sqlite"):
        with closing(sqlite3.connect(log.removeprefix("sqlite:///"))) as connection:
            connection.execute("DROP TRIGGER event_is_never_updated")
            connection.execute("UPDATE event SET data = ? WHERE position = ?", (data, position))
            connection.commit()
        return
    server, _, schema = log.partition("&log=")
    with psycopg.connect(server, autocommit=True, options="-c session_replication_role=replica") as connection:
        connection.execute(f"UPDATE {schema}.event SET data = %s WHERE position = %s".encode(), (data, position))


async def test_a_log_that_is_another_between_two_live_batches_is_refused_or_folded_anew(log: str) -> None:
    async with open_store(log) as store, reading(store, Balance) as read_side:
        for event in (Opened("a"), Deposited("a", 5), Deposited("a", 10)):
            await read_side.wait(Balance, await append(store, event))
        change(log, 3, registry_of(Deposited).encode(Deposited("a", 70), b"{}").data)

        async with open_store(log) as other:
            position = await append(other, Deposited("a", 2))

        if log.startswith("sqlite"):  # where the store itself has noticed
            with pytest.raises(LogReplaced):
                await read_side.wait(Balance, position)
        else:
            with suppress(LogReplaced):  # the look at the head, once a second, may come before the batch
                await read_side.wait(Balance, position)
                assert await balances(read_side) == [Balance("a", "ann", 77, 4)]


class CountingStore(MemoryStore):
    """Counts the reads that are begun."""

    reads = 0

    def read(self, *criteria: Any, **options: Any) -> AsyncIterator[Batch]:
        self.reads += 1
        return super().read(*criteria, **options)


async def test_a_live_batch_is_read_once_with_the_event_before_it() -> None:
    async with CountingStore() as store, reading(store, Balance) as read_side:
        for event in (Opened("a"), Deposited("a", 5)):
            await read_side.wait(Balance, await append(store, event))
        before = store.reads

        for event in (Deposited("a", 1), Deposited("a", 2), Deposited("a", 3)):
            await read_side.wait(Balance, await append(store, event))

        assert store.reads - before == 3


async def test_live_batches_of_every_size_are_folded_whole_and_in_order(log: str, url: str) -> None:
    sizes = (1, 1, 14, 15, 16, 17, 1, 40, 1, 2)
    events: list[Event] = []
    async with open_store(log) as store:
        async with reading(store, Balance, url=url) as read_side:
            for size in sizes:
                burst = [Audited("a") if n % 3 == 2 else Deposited(f"{n % 5}", n) for n in range(size)]
                events += burst
                await read_side.wait(Balance, await append(store, *burst))

                assert await balances(read_side) == sorted_rows(folded(Balance, events).values())

        async with reading(store, Balance, url=url) as read_side:  # its checkpoint fits the log
            assert await ask(read_side, lambda models: models.position(Balance)) == len(events)


async def test_a_live_batch_in_which_nothing_matches_moves_the_checkpoint_on(log: str) -> None:
    async with open_store(log) as store, reading(store, Balance) as read_side:
        for event in (Audited("a"), Audited("a"), Audited("a"), Deposited("a", 5)):
            await read_side.wait(Balance, await append(store, event))

        assert await ask(read_side, lambda models: models.position(Balance)) == 4
        assert await balances(read_side) == sorted_rows(folded(Balance, [Deposited("a", 5)]).values())


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
        with pytest.raises(UnknownName, match="there is no read model 'Turnover'"):
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
    monkeypatch.setattr("leftfold.query.tables.sqlite.BUSY_SECONDS", 0.0)
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
