"""Several processes on one SQLite file: races, wake-ups, and processes that are killed while they write."""

import asyncio
import os
import random
import signal
import statistics
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from leftfold.model.criteria import EVERYTHING
from leftfold.store import EventStore, NewEvent, StoredEvent, open_store, subscribe
from tests.patience import PATIENCE
from tests.store.processes import Process

ROUNDS = 200
KILLS = 30


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/log.db"


async def events_of(store: EventStore) -> list[StoredEvent]:
    return [event async for batch in store.read() for event in batch.events]


async def test_of_sixteen_racers_in_four_processes_exactly_one_commits(url: str) -> None:
    with ExitStack() as running:
        racers = [running.enter_context(Process("race", url, 4)) for _ in range(4)]
        assert [racer.hear() for racer in racers] == ["ready"] * 4

        won: list[int] = []
        for round in range(ROUNDS):
            for racer in random.sample(racers, 4):
                racer.say(round)
            won.append(sum(int(racer.hear()) for racer in racers))
        ends = [racer.end() for racer in racers]

    assert (won, ends) == ([1] * ROUNDS, [0] * 4)
    async with open_store(url) as store:
        assert [event.tags for event in await events_of(store)] == [(f"round:{n}",) for n in range(ROUNDS)]


async def test_another_process_s_commit_wakes_those_who_wait(url: str) -> None:
    delays: list[float] = []
    async with open_store(url) as store:
        with Process("append", url) as other:
            assert await asyncio.to_thread(other.hear) == "ready"

            for n in range(20):
                waiting = asyncio.create_task(store.wait(n, timeout=PATIENCE))
                await asyncio.sleep(random.uniform(0.02, 0.06))
                other.say(n)
                assert await waiting == n + 1
                woken = time.monotonic()
                position, acknowledged = (await asyncio.to_thread(other.hear)).split()
                assert int(position) == n + 1
                delays.append(woken - float(acknowledged))

    print(f"woken after a median of {statistics.median(delays) * 1000:.1f} ms, at most {max(delays) * 1000:.1f} ms")


async def test_a_subscription_follows_what_other_processes_append(url: str) -> None:
    found: list[int] = []
    async with open_store(url) as store:
        with Process("write", url, "a", 4), Process("write", url, "b", 4):
            async with asyncio.timeout(PATIENCE):
                async for batch in subscribe(store, EVERYTHING):
                    found += [event.position for event in batch.events]
                    await store.append([NewEvent("disturbed", b"")])
                    if len(found) > 2_000:
                        break

    assert found == list(range(1, len(found) + 1))


async def test_nothing_acknowledged_is_lost_when_a_writing_process_is_killed(url: str) -> None:
    acknowledged: dict[str, int] = {}
    with Process("write_in_forks", url, 8) as writers:
        for round in range(KILLS):
            writers.say(round)
            pid = int(writers.hear())
            said = [writers.hear()]
            await asyncio.sleep(random.uniform(0, 0.04))
            os.kill(pid, signal.SIGKILL)
            while (line := writers.hear()) != f"ended by signal {signal.SIGKILL:d}":
                assert line.startswith("id:"), line
                said.append(line)
            acknowledged |= {tag: int(first) for tag, first in (line.split() for line in said)}

            async with open_store(url) as store:
                events = await events_of(store)

            assert [event.position for event in events] == list(range(1, len(events) + 1))
            assert set(Counter(event.tags[0] for event in events).values()) == {3}
            for tag, first in acknowledged.items():
                assert [event.tags for event in events[first - 1 : first + 2]] == [(tag,)] * 3


async def test_a_killed_writer_s_retries_by_key_add_only_what_is_missing(url: str) -> None:
    with Process("write", url, "k", 8) as writer:
        said = [writer.hear()]
        await asyncio.sleep(0.05)
        said += writer.kill()

    async with open_store(url) as store:
        written = {event.tags[0] for event in await events_of(store)}
        for task in range(8):
            for n in range(10):
                tag = f"id:k-{task}-{n}"
                retried = await store.append([NewEvent("written", b"x" * 500, (tag,))] * 3, key=tag)
                assert retried.duplicate == (tag in written)

        assert set(Counter(event.tags[0] for event in await events_of(store)).values()) == {3}


async def test_a_reader_keeps_reading_while_a_writer_is_killed(url: str) -> None:
    async with open_store(url) as store:
        for round in range(5):
            with Process("write", url, round, 4) as writer:
                writer.hear()
                before = await store.head()
                assert [event.position for event in await events_of(store)][:before] == list(range(1, before + 1))
                writer.kill()

            appended = await store.append([NewEvent("went on", b"")])
            assert len(await events_of(store)) == appended.last


async def test_of_processes_that_create_a_log_at_once_all_open_the_same(url: str) -> None:
    with ExitStack() as running:
        others = [running.enter_context(Process("append", url)) for _ in range(6)]
        assert [other.hear() for other in others] == ["ready"] * 6
        for other in others:
            other.say("x")
        positions = [int(other.hear().split()[0]) for other in others]

    assert sorted(positions) == [1, 2, 3, 4, 5, 6]
