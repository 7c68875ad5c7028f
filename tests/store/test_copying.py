"""Copying a log: what is kept, what is refused, and where an interrupted copy goes on."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from leftfold.errors import ForeignTarget, KeyReused, NaiveDatetime, SameLog, StoreUnavailable, TimeRefused
from leftfold.model.record import CopiedEvent
from leftfold.store import EventStore, IdempotencyKey, MemoryStore, NewEvent, StoredEvent, open_store
from leftfold.store.bounds import EVENT_TAGS_LIMIT
from leftfold.store.copying import Copied, LatestClock, clock_for, compare_logs, copy_log
from leftfold.store.inspection import StoredKey
from leftfold.store.memory import MAX_EVENTS_PER_BATCH
from leftfold.testing import FakeClock
from leftfold.testing.clock import START
from leftfold_torture.postgres_server import PostgresServer
from tests.postgres import DATABASE

numbers = count(1)

Open = Callable[..., Any]

ODD_EVENTS = [
    NewEvent("öffnen €", "größe €".encode(), ("konto:ä-1", "漢字:🦀")),
    NewEvent("raw", b"\xff\xfe\x00\x01", ("b:2", "a:1", "b:2"), 2_147_483_647, b"\x00\xff"),
    NewEvent("raw", b"", (), 7, b""),
    NewEvent("json", b'{"a": 1}\n', ("konto:ä-1",), metadata=b" {} "),
    NewEvent("zeros", bytes(range(256)) * 4_080, ("big:1",)),
]
BEYOND_BOUNDS = ["", "k" * 4_000]  # as keys of an older leftfold may be
ODD_KEYS = ["plain", *BEYOND_BOUNDS, "nul\0within", "\x01begins with a mark", "größe €", "line\nbreak"]


@pytest.fixture
def open_sqlite(tmp_path: Path) -> Open:
    return partial(open_store, f"sqlite:///{tmp_path}/sqlite.db")


@pytest.fixture
def open_other_sqlite(tmp_path: Path) -> Open:
    return partial(open_store, f"sqlite:///{tmp_path}/other.db")


@pytest.fixture
def open_postgres(postgres: PostgresServer) -> Open:
    return partial(open_store, postgres.url(DATABASE, log=f"copied_{next(numbers)}"))


@pytest.fixture
async def source() -> AsyncIterator[MemoryStore]:
    """Three batches of a log in memory, with a key for the first, and one for each end of what crosses two batches."""
    async with MemoryStore() as store:
        await store.append(
            [NewEvent("counted", b"%d" % n, (f"n:{n % 7}",)) for n in range(MAX_EVENTS_PER_BATCH)], key="first"
        )
        many = [NewEvent("counted", b"-%d" % n) for n in range(MAX_EVENTS_PER_BATCH + 10)]
        parts = [
            IdempotencyKey("whole", b"w" * 16),
            IdempotencyKey("begin", b"b" * 16, 0, 3),
            IdempotencyKey("end", b"e" * 16, MAX_EVENTS_PER_BATCH, 10),
        ]
        await store.append([NewEvent("between", b"")])
        await store.append(many, key=parts)
        yield store


async def fill_oddly(open_log: Open) -> None:
    """What a log may hold: odd bytes and keys, equal times, times that a clock which stepped back has kept."""
    clock = FakeClock()
    async with open_log(clock=clock) as store:
        for key in ODD_KEYS:
            await store.append([CopiedEvent("keyed", key.encode())], key=key)
        await store.append([CopiedEvent("tagged", b"", tuple(f"n:{n}" for n in range(EVENT_TAGS_LIMIT + 1)))])
        await store.append(ODD_EVENTS)
        clock.advance(hours=-3)
        parts = [IdempotencyKey("part one", b"\x00" * 16, 0, 2), IdempotencyKey("part two", b"\xff" * 16, 2, 1)]
        await store.append([NewEvent("late", b"%d" % n) for n in range(3)], key=parts)
        clock.advance(hours=4)
        await store.append([NewEvent("later", b"{}")], key=IdempotencyKey("own digest", b""))


async def events_of(store: EventStore) -> list[StoredEvent]:
    return [event async for batch in store.read() for event in batch.events]


async def keys_of(store: Any) -> list[StoredKey]:
    return sorted([key async for page in store.stored_keys() for key in page], key=lambda key: (key.first, key.value))


async def assert_copied(open_from: Open, open_to: Open) -> None:
    async with open_from() as source, open_to(clock=await clock_for(source)) as target:
        found = await copy_log(source, target)

        events, keys = await events_of(source), await keys_of(source)
        assert found == Copied(source.log_id, target.log_id, len(events), len(events), len(keys), None)
        assert len(events) == len(ODD_KEYS) + len(ODD_EVENTS) + 5
        assert len(keys) == len(ODD_KEYS) + 3
        assert await events_of(target) == events
        assert await keys_of(target) == keys


# --- what is kept


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("open_sqlite", "open_postgres"),
        ("open_postgres", "open_sqlite"),
        ("open_sqlite", "open_other_sqlite"),
    ],
)
async def test_everything_that_a_log_may_hold_is_kept(one: str, other: str, request: pytest.FixtureRequest) -> None:
    open_from, open_to = request.getfixturevalue(one), request.getfixturevalue(other)
    await fill_oddly(open_from)

    await assert_copied(open_from, open_to)


async def test_a_copy_of_a_copy_on_the_first_backend_is_the_first_log(
    open_sqlite: Open, open_postgres: Open, open_other_sqlite: Open
) -> None:
    await fill_oddly(open_sqlite)

    await assert_copied(open_sqlite, open_postgres)
    await assert_copied(open_postgres, open_other_sqlite)

    async with open_sqlite() as first, open_other_sqlite() as last:
        assert (await compare_logs(first, last)).difference is None
        assert first.log_id != last.log_id
        assert await last.self_check() == []


async def test_a_key_is_recognised_by_the_copy(open_sqlite: Open, open_postgres: Open) -> None:
    await fill_oddly(open_sqlite)
    async with open_sqlite() as source, open_postgres(clock=await clock_for(source)) as target:
        await copy_log(source, target)

        for key in ODD_KEYS:
            again = [await log.append([CopiedEvent("keyed", key.encode())], key=key) for log in (source, target)]
            assert (again[0], again[0].duplicate) == (again[1], True)
        with pytest.raises(KeyReused):
            await target.append([NewEvent("keyed", b"something else")], key="plain")


async def test_a_key_whose_events_are_cut_in_two_is_kept(source: MemoryStore, open_sqlite: Open) -> None:
    async with open_sqlite() as target:
        await copy_log(source, target)

        assert await keys_of(target) == await keys_of(source)
        assert [key.value for key in await keys_of(target)] == ["first", "begin", "whole", "end"]


async def test_times_ahead_of_the_clock_are_kept_by_a_clock_for_the_source() -> None:
    clock = FakeClock()
    async with MemoryStore(clock) as source:
        clock.advance(timedelta(days=40_000))
        await source.append([NewEvent("early", b"")])

        with pytest.raises(TimeRefused):
            await copy_log(source, MemoryStore())
        target = MemoryStore(await clock_for(source))
        await copy_log(source, target)

        assert await events_of(target) == await events_of(source)


def test_a_clock_is_never_behind_a_time_and_goes_on_from_there() -> None:
    clock = FakeClock()
    least = clock.now() + timedelta(hours=1)

    latest = LatestClock(least, clock)
    assert latest.now() == least
    clock.advance(hours=2)
    assert latest.now() == least + timedelta(hours=1)


async def test_an_empty_log_is_copied() -> None:
    found = await copy_log(MemoryStore(), MemoryStore())

    assert (found.position, found.copied, found.keys, found.difference) == (0, 0, 0, None)


# --- going on


class Interrupted(Exception):
    """A copy was cut off."""


def interrupting(at: int) -> Callable[..., None]:
    def told(step: str, done: int, upto: int) -> None:
        if step == "copying" and done >= at:
            raise Interrupted

    return told


async def test_an_interrupted_copy_goes_on_where_the_target_ends(source: MemoryStore, open_postgres: Open) -> None:
    steps: list[tuple[str, int, int]] = []
    head = await source.head()
    for at in (MAX_EVENTS_PER_BATCH, 2 * MAX_EVENTS_PER_BATCH):
        async with open_postgres() as target:
            with pytest.raises(Interrupted):
                await copy_log(source, target, on_progress=interrupting(at))
            assert await target.head() == at
            assert [key.value for key in await keys_of(target)] == ["first", "begin"][: at // MAX_EVENTS_PER_BATCH]

    async with open_postgres() as target:
        found = await copy_log(source, target, on_progress=lambda *told: steps.append(told))

        assert (found.copied, found.position, found.difference) == (head - 2 * MAX_EVENTS_PER_BATCH, head, None)
        assert await keys_of(target) == await keys_of(source)
    assert steps[0] == ("checking", MAX_EVENTS_PER_BATCH, 2 * MAX_EVENTS_PER_BATCH)
    assert steps[-1] == ("comparing", head, head)


async def test_what_was_appended_to_the_source_since_comes_with_the_next_copy(source: MemoryStore) -> None:
    target = MemoryStore()
    late = [NewEvent("late", b"")]
    appending: list[asyncio.Task[Any]] = []

    def told(step: str, done: int, upto: int) -> None:
        if not appending:
            appending.append(asyncio.create_task(source.append(late, key="late")))

    first = await copy_log(source, target, on_progress=told)
    second = await copy_log(source, target)

    assert appending[0].done()
    assert (first.copied, first.difference) == (first.position, None)
    assert (second.copied, second.position, second.difference) == (1, first.position + 1, None)
    assert (second.keys, first.keys) == (5, 4)


# --- what is refused


async def test_a_log_is_not_copied_onto_itself(source: MemoryStore) -> None:
    with pytest.raises(SameLog):
        await copy_log(source, source)


@pytest.mark.parametrize(
    ("other", "problem"),
    [
        (NewEvent("other", b"0", ("n:0",)), "its type and the source's differ"),
        (NewEvent("counted", b"0", ("n:0",), version=2), "its version and the source's differ"),
        (NewEvent("counted", b"0 ", ("n:0",)), "its data and the source's differ"),
        (NewEvent("counted", b"0", ("n:0",), metadata=b"{} "), "its metadata and the source's differ"),
        (NewEvent("counted", b"0", ("n:1",)), "its tags and the source's differ"),
    ],
)
async def test_a_target_with_another_event_is_refused(source: MemoryStore, other: NewEvent, problem: str) -> None:
    first = (await events_of(source))[0]
    target = MemoryStore()
    await target.append([NewEvent(other.type, other.data, other.tags, other.version, other.metadata, first.time)])

    with pytest.raises(ForeignTarget) as refused:
        await copy_log(source, target)

    assert (refused.value.position, refused.value.difference) == (1, problem)
    assert await target.head() == 1


async def test_a_target_with_another_time_is_refused(source: MemoryStore) -> None:
    target = MemoryStore()
    await target.append([NewEvent("counted", b"0", ("n:0",))])

    with pytest.raises(ForeignTarget, match="its time is "):
        await copy_log(source, target)


async def test_a_target_that_goes_beyond_the_source_is_refused(source: MemoryStore) -> None:
    target = MemoryStore()
    found = await copy_log(source, target)
    await target.append([NewEvent("more", b"")])

    with pytest.raises(ForeignTarget, match=f"the target goes on to {found.position + 1}"):
        await copy_log(source, target)


async def test_a_target_with_another_key_is_refused(source: MemoryStore) -> None:
    first = (await events_of(source))[0]
    target = MemoryStore()
    await target.append([NewEvent("counted", b"0", ("n:0",), time=first.time)], key="no such key")

    with pytest.raises(ForeignTarget, match="the source has no such key as 'no such key' for positions 1 to 1"):
        await copy_log(source, target)


async def test_a_target_that_lacks_a_key_is_refused(source: MemoryStore) -> None:
    target = MemoryStore()
    copied = [
        NewEvent(event.type, event.data, event.tags, event.version, event.metadata, event.time)
        for event in await events_of(source)
    ]
    await target.append(copied)

    with pytest.raises(ForeignTarget, match="keys of the source are missing: 4"):
        await copy_log(source, target)


async def test_another_writer_is_kept_out_of_what_is_copied(source: MemoryStore) -> None:
    target = MemoryStore()
    appending: list[asyncio.Task[Any]] = []

    def told(step: str, done: int, upto: int) -> None:
        if not appending:
            appending.append(asyncio.create_task(target.append([NewEvent("intruder", b"")])))

    with pytest.raises(ForeignTarget, match="something else was appended to the target meanwhile"):
        await copy_log(source, target, on_progress=told)

    assert appending[0].done()


async def test_a_source_that_cannot_be_opened_any_more_ends_the_copy(source: MemoryStore) -> None:
    await source.close()

    with pytest.raises(StoreUnavailable):
        await copy_log(source, MemoryStore())


# --- times that a wrong clock gave


async def test_a_copy_gives_times_that_lie_too_far_ahead_another_one(
    open_sqlite: Open, open_other_sqlite: Open, tmp_path: Path
) -> None:
    wrong, right = START + timedelta(days=26_000), START + timedelta(days=3)
    async with open_sqlite(clock=LatestClock(wrong, FakeClock(wrong))) as source:
        await source.append([NewEvent("noted", b"1", time=START), NewEvent("noted", b"2", time=right)])
        await source.append([NewEvent("noted", b"3"), NewEvent("noted", b"4", time=wrong)], key="k")
        await source.append([NewEvent("noted", b"5")])

        for _ in range(2):  # the second time it goes on where it ended
            async with open_other_sqlite(clock=await clock_for(source, right)) as target:
                found = await copy_log(source, target, latest=right)
                assert (found.difference, found.position, found.keys) == (None, 5, 1)
                assert (await compare_logs(source, target, latest=right)).difference is None
                differing = await compare_logs(source, target)
                assert differing.difference is not None
                assert differing.difference.position == 3

    async with open_other_sqlite() as repaired:
        copied = await events_of(repaired)
        assert [each.time for each in copied] == [START, *[right] * 4]
        assert [each.data for each in copied] == [b"1", b"2", b"3", b"4", b"5"]
        statistics = await repaired.statistics()
        assert statistics.created is not None
        assert statistics.created < wrong - timedelta(days=20_000)
    with pytest.raises(NaiveDatetime):
        async with open_sqlite() as source:
            await clock_for(source, right.replace(tzinfo=None))


# --- comparing


async def test_a_damaged_copy_is_noticed(open_sqlite: Open, open_other_sqlite: Open, tmp_path: Path) -> None:
    await fill_oddly(open_sqlite)
    await assert_copied(open_sqlite, open_other_sqlite)
    with closing(sqlite3.connect(tmp_path / "other.db")) as damaging:
        damaging.execute("DROP TRIGGER idempotency_key_is_never_updated")
        damaging.execute("UPDATE idempotency_key SET digest = x'00' WHERE key = 'plain'")
        damaging.commit()

    async with open_sqlite() as source, open_other_sqlite() as target:
        found = await compare_logs(source, target)

    assert found.difference is not None
    assert found.difference.problem == "the source has no such key as 'plain' for positions 1 to 1"


async def test_a_copy_that_was_cut_off_is_noticed(source: MemoryStore) -> None:
    target = MemoryStore()
    with pytest.raises(Interrupted):
        await copy_log(source, target, on_progress=interrupting(1))

    found = await compare_logs(source, target)

    assert found.difference is not None
    assert found.difference.position == MAX_EVENTS_PER_BATCH + 1
    assert await target.head() == MAX_EVENTS_PER_BATCH
