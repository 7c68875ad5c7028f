"""Shards over several processes: each is folded by one at a time, evenly spread, taken over, and split anew."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from leftfold.errors import ReadModelBehind, ReadModelChanged
from leftfold.model.message import Event
from leftfold.query import QueryHandler, ReadModelDefinition, ReadSide, SqlProjection
from leftfold.query.rebuild import rebuild
from leftfold.query.tables.models_database import ModelsDatabase, stored_positions
from leftfold.store import Batch, EventStore, MemoryStore
from leftfold.testing.rows import UnstoredLog
from tests.holders import Awake, Stopwatch
from tests.patience import PATIENCE, examples
from tests.query.bank import (
    Balance,
    Deposited,
    Opened,
    Rows,
    Transferred,
    answer_rows,
    append,
    ask,
    folded,
    reading,
    registry_of,
    sorted_rows,
)
from tests.query.places import outside, place, url
from tests.query.test_folding import REGISTRY, histories, stored

__all__ = ["place", "url"]

KEYS = "abcdefgh"
OPENED: list[Event] = [Opened(key) for key in KEYS]  # two keys of each of four shards
MOVED: list[Event] = [Transferred(source, target, 1) for source in KEYS for target in KEYS if source != target]


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    async with MemoryStore() as store:
        yield store


class Process:
    """A process that folds the shards that it holds, and takes a turn when it is let."""

    def __init__(self, awake: Awake, read_side: ReadSide) -> None:
        self.name = awake.terms.me
        self.turn = awake.turn
        self.read_side = read_side

    async def rows(self, **options: Any) -> list[Any]:
        return sorted_rows(await ask(self.read_side, lambda models: models.select(Balance), **options))


@asynccontextmanager
async def processes(
    store: EventStore, url: str, now: Stopwatch, *names: str, shards: int = 4, **options: Any
) -> AsyncIterator[list[Process]]:
    """Processes that are opened one after the other."""
    async with AsyncExitStack() as opened:
        found: list[Process] = []
        for name in names:
            awake = Awake(name, now)
            side = reading(store, Balance, url=url, shards=shards, terms=awake.terms, **options)
            found.append(Process(awake, await opened.enter_async_context(side)))
        yield found


async def turns(*processes: Process) -> None:
    """Enough for what one leaves to be taken by the next."""
    for _ in range(2):
        for process in processes:
            await process.turn()


async def held(process: Process) -> dict[str, int]:
    """How many shards each process holds."""
    holders = [entry.holder for entry in await process.read_side.leases()]
    return {holder: holders.count(holder) for holder in sorted(holders)}


def expected(events: Sequence[Event]) -> list[Any]:
    return sorted_rows(folded(Balance, events).values())


def checkpoints(url: str) -> dict[str, int]:
    with outside(url) as connection:
        rows = connection.execute(sa.text("SELECT model, position FROM leftfold_checkpoint ORDER BY model"))
        return {row.model: row.position for row in rows}


# --- who folds which


async def test_a_process_alone_folds_every_shard(store: MemoryStore, url: str) -> None:
    async with processes(store, url, Stopwatch(), "one") as [one]:
        position = await append(store, *OPENED, *MOVED)

        assert await one.rows(after=position) == expected([*OPENED, *MOVED])
        assert [entry.name for entry in await one.read_side.leases()] == [
            f"projection balance v1 shard {number}/4" for number in range(1, 5)
        ]


async def test_those_who_come_later_get_their_share_and_those_who_stay_get_the_rest(
    store: MemoryStore, url: str
) -> None:
    now = Stopwatch()
    async with processes(store, url, now, "one") as [one]:
        async with processes(store, url, now, "two") as [two]:
            await turns(one, two)
            assert await held(one) == {"one": 2, "two": 2}

            async with processes(store, url, now, "three") as [three]:
                await turns(one, two, three)
                assert sorted((await held(one)).values()) == [1, 1, 2]
                assert set(await held(one)) == {"one", "three", "two"}

                position = await append(store, *OPENED, *MOVED)
                for each in (one, two, three):
                    assert await each.rows(after=position) == expected([*OPENED, *MOVED])
            await turns(one, two)
            assert await held(one) == {"one": 2, "two": 2}
        await turns(one)
        assert await held(one) == {"one": 4}
        assert await one.rows(after=await append(store, Deposited("a", 1))) == expected(
            [*OPENED, *MOVED, Deposited("a", 1)]
        )


async def test_status_tells_all_who_fold_a_model(store: MemoryStore, url: str) -> None:
    now = Stopwatch()
    async with processes(store, url, now, "one", "two") as [one, two]:
        await turns(one, two)
        await one.read_side.wait(Balance, await append(store, *OPENED))

        [status] = await one.read_side.status()

        assert status.holder is not None
        assert sorted(status.holder.split(", ")) == ["one", "two"]
        assert (status.position, status.lag, status.problem) == (8, 0, None)


async def test_a_model_is_as_far_as_the_last_of_its_shards(store: MemoryStore, url: str) -> None:
    async with processes(store, url, Stopwatch(), "one") as [one]:
        await one.read_side.wait(Balance, await append(store, *OPENED))
    with outside(url) as connection:  # nobody folds the second shard
        connection.execute(sa.text("UPDATE leftfold_checkpoint SET position = 5 WHERE model = 'balance#2/4'"))

    definition = ReadModelDefinition(Balance, shards=4)
    async with reading(store, Balance, url=url, shards=4, folds=()) as following:
        with pytest.raises(ReadModelBehind) as caught:
            await ask(following, lambda models: models.select(Balance), after=8, timeout=0.1)
        [status] = await following.status()
        assert (caught.value.position, status.position, status.lag) == (5, 5, 3)
        assert await ask(following, lambda models: models.position(Balance)) == 5
        assert stored_positions(url, [definition], store.log_id) == {definition: 5}


async def test_an_answer_that_is_kept_ends_with_a_change_of_any_shard(store: MemoryStore, url: str) -> None:
    handler = QueryHandler(answer_rows, cache=True)
    now = Stopwatch()
    async with processes(store, url, now, "one", "two") as [one, two]:
        await turns(one, two)
        query = Rows(lambda models: [row.amount for row in models.select(Balance, order_by="account")])
        answers = [(await one.read_side.answering.answer(handler, query, after=await append(store, *OPENED))).value]
        for key in KEYS:
            position = await append(store, Deposited(key, 1))
            answers.append((await one.read_side.answering.answer(handler, query, after=position)).value)

        assert [sum(answer) for answer in answers] == list(range(9))


async def test_a_watch_sees_the_changes_of_every_shard(store: MemoryStore, url: str) -> None:
    now = Stopwatch()
    async with processes(store, url, now, "one", "two") as [one, two]:
        await turns(one, two)
        query = Rows(lambda models: [row.amount for row in models.select(Balance)])
        await one.read_side.wait(Balance, await append(store, *OPENED))

        async def until(total: int) -> int:
            async for answer in one.read_side.answering.watch(
                QueryHandler(answer_rows), query, after=None, timeout=PATIENCE
            ):
                if sum(answer) == total:
                    return total
            return 0

        async with asyncio.timeout(PATIENCE):
            watching = asyncio.create_task(until(8))
            for key in KEYS:
                await append(store, Deposited(key, 1))
            assert await watching == 8


# --- taking over

LEDGER = """
    CREATE TABLE ledger (
        number INTEGER PRIMARY KEY, model TEXT NOT NULL, after INTEGER NOT NULL, upto INTEGER NOT NULL,
        build TEXT NOT NULL, UNIQUE (model, after))"""
ENTER = """
    CREATE TRIGGER enter AFTER UPDATE OF position ON leftfold_checkpoint BEGIN
        INSERT INTO ledger (model, after, upto, build) VALUES (new.model, old.position, new.position, new.build);
    END"""


async def test_the_shards_of_a_paused_process_are_taken_over_and_it_writes_no_more(
    store: MemoryStore, tmp_path: Path
) -> None:
    place, now = f"sqlite:///{tmp_path}/bank.models.db", Stopwatch()
    events: list[Event] = list(OPENED)
    async with processes(store, place, now, "one", "two") as [one, two]:
        await turns(one, two)
        await one.read_side.wait(Balance, await append(store, *OPENED))
        engine = sa.create_engine(place)
        with engine.begin() as connection:
            connection.exec_driver_sql(LEDGER)
            connection.exec_driver_sql(ENTER)
        now.seconds = 5.0
        await turns(two)  # nothing was heard of one
        assert await held(two) == {"two": 4}

        for event in MOVED:  # one has not noticed: both want to fold them
            events.append(event)
            position = await append(store, event)
            await one.read_side.wait(Balance, position)
            await two.read_side.wait(Balance, position)

        rows = await two.rows()
        with engine.connect() as connection:
            ledger = connection.exec_driver_sql("SELECT model, after, upto, build FROM ledger ORDER BY number").all()
        engine.dispose()
    assert rows == expected(events)
    for number in range(1, 5):
        moves = [entry for entry in ledger if entry.model == f"balance#{number}/4"]
        assert moves[0].after == len(OPENED)
        assert all(before.upto == after.after for before, after in pairwise(moves))  # no gap, nothing twice
        assert len({entry.build for entry in moves}) == 1  # all written by one of them


async def test_a_process_that_wakes_up_gets_its_share_again(store: MemoryStore, url: str) -> None:
    now = Stopwatch()
    async with processes(store, url, now, "one", "two") as [one, two]:
        await turns(one, two)
        now.seconds = 5.0
        await turns(two)
        assert await held(two) == {"two": 4}

        await turns(one, two, one)

        assert await held(two) == {"one": 2, "two": 2}
        position = await append(store, *OPENED, *MOVED)
        assert await one.rows(after=position) == await two.rows(after=position) == expected([*OPENED, *MOVED])


# --- what is done to the whole model


async def test_a_parked_key_is_retried_by_whoever_is_asked(store: MemoryStore, url: str) -> None:
    class Fussy(Balance):
        broken = True

        def evolve(self, event: Deposited) -> Any:
            if Fussy.broken:
                raise ValueError("broken")
            return super().evolve(event)

    now = Stopwatch()
    one, two = Awake("one", now), Awake("two", now)
    async with (
        reading(store, Fussy, url=url, shards=4, terms=one.terms) as first,
        reading(store, Fussy, url=url, shards=4, terms=two.terms) as second,
    ):
        for _ in range(2):
            await one.turn()
            await two.turn()
        position = await append(store, *(Deposited(key, 5) for key in KEYS))
        await first.wait(Fussy, position)
        await second.wait(Fussy, position)
        assert [parked.key for parked in await second.parked()] == [(key,) for key in KEYS]
        Fussy.broken = False

        assert await second.parked_keys(Fussy).retry(()) == []
        position = await append(store, *(Deposited(key, 1) for key in KEYS))
        rows = await ask(first, lambda models: models.select(Fussy), after=position)

        assert [row.amount for row in rows] == [6] * 8
        assert await first.parked() == []


async def test_a_new_version_is_built_beside_and_swapped_for_all_shards(store: MemoryStore, url: str) -> None:
    events = [*OPENED, *MOVED]
    async with processes(store, url, Stopwatch(), "old") as [old]:
        await old.read_side.wait(Balance, await append(store, *events))

    now = Stopwatch()
    async with processes(store, url, now, "one", "two", version=2) as [one, two]:
        await turns(one, two)
        events.append(Deposited("a", 5))
        position = await append(store, events[-1])

        assert await one.rows(after=position) == await two.rows(after=position) == expected(events)
        assert {name: position for name, position in checkpoints(url).items() if position} == {
            f"balance#{number}/4": position for number in range(1, 5)
        }


async def test_the_former_code_is_refused_once_a_version_was_swapped(store: MemoryStore, url: str) -> None:
    async with processes(store, url, Stopwatch(), "new", version=2) as [new]:
        await new.read_side.wait(Balance, await append(store, *OPENED))

    with pytest.raises(ReadModelChanged):
        async with processes(store, url, Stopwatch(), "old", version=1):
            pass


async def test_a_rebuild_goes_on_beside_processes_that_fold(store: MemoryStore, url: str) -> None:
    now = Stopwatch()
    async with processes(store, url, now, "one", "two") as [one, two]:
        await turns(one, two)
        events: list[Event] = [*OPENED, *MOVED]
        await one.read_side.wait(Balance, await append(store, *events))
        definition = ReadModelDefinition(Balance, shards=4)

        dry = await rebuild(definition, store, registry_of(), url, dry_run=True)
        found = await rebuild(definition, store, registry_of(), url)

        assert (dry.swapped, found.swapped, dry.differences.none, found.differences.none) == (False, True, True, True)
        events += [Deposited(key, 1) for key in KEYS]
        position = await append(store, *events[-8:])
        assert await one.rows(after=position) == await two.rows(after=position) == expected(events)


async def test_the_past_of_a_model_in_shards_is_its_rows_as_they_were(store: MemoryStore, url: str) -> None:
    events = [*OPENED, *MOVED]
    now = Stopwatch()
    async with processes(store, url, now, "one", "two", history=True) as [one, two]:
        await turns(one, two)
        await append(store, *events)

        for position in (3, 8, 20, len(events)):
            assert await one.rows(as_of=position) == expected(events[:position])


# --- splitting anew


def names_of(shards: int) -> list[str]:
    return [f"balance#{number}/{shards}" for number in range(1, shards + 1)] if shards > 1 else ["balance"]


async def test_another_number_of_shards_keeps_the_rows_and_folds_nothing_again(store: MemoryStore, url: str) -> None:
    events: list[Event] = [*OPENED, *MOVED]
    await append(store, *events)
    for shards in (1, 3, 2, 1):
        async with processes(store, url, Stopwatch(), "one", shards=shards) as [one]:
            events.append(Deposited("a", 1))
            position = await append(store, events[-1])

            assert await one.rows(after=position) == expected(events)  # `changes` counts what was folded
        assert checkpoints(url) == dict.fromkeys(names_of(shards), position)


async def test_shards_that_are_not_level_are_brought_so_before_they_are_split_anew(
    store: MemoryStore, url: str
) -> None:
    events = [*OPENED, *MOVED]
    async with processes(store, url, Stopwatch(), "one") as [one]:
        await one.read_side.wait(Balance, await append(store, *OPENED))
    definition = ReadModelDefinition(Balance, shards=4)
    await append(store, *MOVED)
    fold_on(url, definition, store, {1: 20, 3: len(events)}, events)
    assert checkpoints(url) == {"balance#1/4": 20, "balance#2/4": 8, "balance#3/4": 64, "balance#4/4": 8}

    async with processes(store, url, Stopwatch(), "one", shards=3) as [one]:
        assert await one.rows(after=len(events)) == expected(events)
        await wait_until(lambda: checkpoints(url) == dict.fromkeys(names_of(3), 64))
        assert await one.rows() == expected(events)


async def test_processes_of_another_number_wait_as_long_as_one_of_the_former_lives(
    store: MemoryStore, url: str
) -> None:
    now = Stopwatch()
    async with processes(store, url, now, "old", shards=4) as [old]:
        await old.read_side.wait(Balance, await append(store, *OPENED))
        async with processes(store, url, now, "new", shards=2) as [new]:
            events = [*OPENED, *MOVED]
            position = await append(store, *MOVED)
            assert await new.rows(after=position) == expected(events)  # what the old one folds
            assert checkpoints(url) == dict.fromkeys(names_of(4), position)

            await old.read_side.close()
            events.append(Deposited("a", 1))
            position = await append(store, events[-1])

            assert await new.rows(after=position) == expected(events)
            assert checkpoints(url) == dict.fromkeys(names_of(2), position)


async def test_a_paused_process_of_the_former_number_is_refused_and_follows(store: MemoryStore, url: str) -> None:
    now = Stopwatch()
    events: list[Event] = list(OPENED)
    async with processes(store, url, now, "old", shards=4) as [old]:
        await old.read_side.wait(Balance, await append(store, *OPENED))
        async with processes(store, url, now, "new", shards=2) as [new]:
            await wait_until(lambda: checkpoints(url) == dict.fromkeys(names_of(2), 8), passing=now)

            for event in MOVED:
                events.append(event)
                position = await append(store, event)
                assert await old.rows(after=position) == await new.rows(after=position) == expected(events)


async def wait_until(reached: Callable[[], bool], *, passing: Stopwatch | None = None) -> None:
    """Look again and again; on the stopwatch time passes in which nothing is heard of anybody."""
    async with asyncio.timeout(PATIENCE):
        while not reached():
            if passing is not None:
                passing.seconds += 5.0
            await asyncio.sleep(0.02)


def fold_on(
    url: str, definition: ReadModelDefinition, store: MemoryStore, upto: dict[int, int], events: Sequence[Event]
) -> None:
    """Fold some shards on, to these positions, as a process does that ends then."""
    database = ModelsDatabase(url, [definition], UnstoredLog(store, REGISTRY))
    for shard, projector in database.open().items():
        if shard.number in upto:
            projector.step(Batch(stored(events)[projector.position : upto[shard.number]], upto[shard.number]))
    database.close()


@settings(deadline=None, max_examples=examples(15))
@given(openings=st.lists(st.tuples(st.integers(1, 5), histories, st.booleans()), min_size=1, max_size=4))
def test_no_sequence_of_numbers_of_shards_changes_the_rows(
    openings: list[tuple[int, list[Event], bool]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = f"sqlite:///{tmp_path_factory.mktemp('law')}/models.db"

    rows, events = asyncio.run(open_again_and_again(place, openings))

    assert rows == expected(events)


async def open_again_and_again(
    place: str, openings: Sequence[tuple[int, Sequence[Event], bool]]
) -> tuple[list[Any], Sequence[Event]]:
    """Each time with another number of shards, and closed before or after it has caught up."""
    events: list[Event] = []
    async with MemoryStore() as store:
        for shards, more, catch_up in openings:
            async with reading(store, Balance, url=place, shards=shards) as read_side:
                if more:
                    await append(store, *more)
                    events.extend(more)
                if catch_up:
                    await read_side.wait(Balance, len(events))
        async with reading(store, Balance, url=place, shards=openings[-1][0]) as read_side:
            rows = await ask(read_side, lambda models: models.select(Balance), after=len(events), timeout=PATIENCE)
    return sorted_rows(rows), events


async def test_a_rebuild_by_code_with_another_number_is_split_again_by_those_who_fold(
    store: MemoryStore, url: str
) -> None:
    now = Stopwatch()
    async with processes(store, url, now, "one", shards=4) as [one]:
        events: list[Event] = [*OPENED, *MOVED]
        await one.read_side.wait(Balance, await append(store, *events))

        await rebuild(ReadModelDefinition(Balance, shards=2), store, registry_of(), url)
        assert list(checkpoints(url)) == names_of(2)
        events.append(Deposited("a", 1))
        position = await append(store, events[-1])
        async with asyncio.timeout(PATIENCE):
            while checkpoints(url) != dict.fromkeys(names_of(4), position):  # it finds out, and takes its leases again
                now.seconds += 5.0
                await one.turn()

        assert await one.rows(after=position) == expected(events)


async def test_a_projection_whose_name_begins_like_a_shard_is_left_alone(store: MemoryStore, url: str) -> None:
    counted = sa.Table("counted", sa.MetaData(), sa.Column("amount", sa.Integer))

    def count(event: Deposited, connection: sa.Connection) -> None:
        connection.execute(sa.insert(counted).values(amount=event.amount))

    registry, beside = registry_of(), SqlProjection(count, "balance#old", [counted])
    for shards in (1, 2):
        model = ReadModelDefinition(Balance, shards=shards)
        read_side = ReadSide(store, registry, [model, beside], url)
        await read_side.start()
        position = await append(store, Opened("a"), Deposited("a", 1))
        await read_side.wait(Balance, position)
        await read_side.wait("balance#old", position)
        if shards == 2:
            await wait_until(lambda: checkpoints(url) == {"balance#1/2": 4, "balance#2/2": 4, "balance#old": 4})
        await read_side.close()
