"""Counting the events of a log by time, in all and by type, equals what a look at every event finds."""

import random
from datetime import UTC, datetime, timedelta
from itertools import combinations, pairwise, product
from pathlib import Path
from typing import Any

import pytest

from leftfold import App, Event, NewEvent
from leftfold.errors import UsageError
from leftfold.store import MemoryStore
from leftfold.store.inspection import counts_of
from leftfold.store.time_travel import TimeBucket
from leftfold.testing import FakeClock
from leftfold_torture.postgres_server import PostgresServer
from tests.postgres import DATABASE


class Base(Event):
    pass


class Red(Base, wire="red"):
    pass


class Blue(Base, wire="blue"):
    pass


app = App("colours")
app.event(Red, Blue)
app.renamed("crimson", "red")


async def filled(store: Any, clock: FakeClock, count: int) -> list[tuple[datetime, str]]:
    """Append events at odd times, several at some moments; return when each is and its type."""
    chance, found = random.Random(7), list[tuple[datetime, str]]()
    for _ in range(count):
        clock.advance(timedelta(microseconds=chance.choice([0, 0, 1, 999_999, 60_000_000])))
        types = [chance.choice(["red", "blue", "crimson", "leftfold.other"]) for _ in range(chance.choice([1, 3]))]
        await store.append([NewEvent(type, b"{}") for type in types])
        found += [(clock.now(), type) for type in types]
    return found


CHOICES: list[tuple[Any, set[str] | None]] = [
    (None, None),
    ([Red], {"red", "crimson"}),
    ([Base], {"red", "crimson", "blue"}),
    (["blue", Red], {"red", "crimson", "blue"}),
    (["nobody"], set()),
    ([], set()),
]


@pytest.mark.parametrize("backend", ["memory", "sqlite", "postgresql"])
async def test_the_counts_are_those_of_every_event_looked_at(
    backend: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    clock, url = FakeClock(), "memory:" if backend == "memory" else f"sqlite:///{tmp_path}/log.db"
    if backend == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.url(DATABASE, log="counted")
    async with app.open(url, clock=clock, work=False) as live:
        events = await filled(live.store, clock, 60)
        first, last = events[0][0], events[-1][0]
        times = [first - timedelta(hours=1), first, events[50][0], last, last + timedelta(microseconds=1)]
        for begin, end in combinations(sorted(set(times)), 2):
            for buckets, (types, wanted) in product((1, 7), CHOICES):
                found = await live.count_by_time(begin, end, buckets=buckets, types=types)
                assert [each.events for each in found] == [counted(events, each, wanted) for each in found]
                assert [each.upto - each.after for each in found] == [counted(events, each, None) for each in found]
                assert (found[0].begin, found[-1].end, len(found)) == (begin, end, buckets)
                assert all((one.end, one.upto) == (two.begin, two.after) for one, two in pairwise(found))


def counted(events: list[tuple[datetime, str]], bucket: TimeBucket, wanted: set[str] | None) -> int:
    inside = [type for time, type in events if bucket.begin <= time < bucket.end]
    return sum(wanted is None or type in wanted for type in inside)


async def test_the_whole_log_is_counted_by_default() -> None:
    clock = FakeClock()
    async with app.open(MemoryStore(clock), clock=clock, work=False) as live:
        assert sum(each.events for each in await live.count_by_time()) == 0
        events = await filled(live.store, clock, 9)
        assert sum(each.events for each in await live.count_by_time()) == len(events)
        clock.advance(days=3)
        assert sum(each.events for each in await live.count_by_time(buckets=3)) == len(events)


async def test_a_store_that_cannot_count_is_read() -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    await filled(store, clock, 20)

    class Plain:
        read = store.read

    plain: Any = Plain()
    for edges in ([0, 5, 5, 9], [3, 4], [0, await store.head()]):
        assert await counts_of(plain, ["red", "blue"], edges) == await counts_of(store, ["red", "blue"], edges)


async def test_wrong_arguments_are_refused() -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    async with app.open("memory:", work=False) as live:
        for begin, end, buckets in ((noon, noon, 1), (noon, noon - timedelta(1), 1), (noon, noon + timedelta(1), 0)):
            with pytest.raises(UsageError, match="buckets of time"):
                await live.count_by_time(begin, end, buckets=buckets)
        with pytest.raises(UsageError, match="buckets of time"):
            await live.count_by_time(noon, noon + timedelta(1), buckets=1_001)
