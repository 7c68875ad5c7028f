"""Several processes on one log in PostgreSQL: races, and a process that is killed while it writes."""

import random
from collections import Counter
from contextlib import ExitStack
from itertools import count

import pytest

from leftfold.store import open_store
from leftfold_torture.postgres_server import PostgresServer
from tests.store.processes import Process

ROUNDS = 200
numbers = count(1)


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.url(log=f"shared_{next(numbers)}")


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
        found = [event.tags async for batch in store.read() for event in batch.events]
        assert found == [(f"round:{n}",) for n in range(ROUNDS)]


async def test_what_a_killed_process_had_acknowledged_is_there_and_each_append_in_full_or_not_at_all(url: str) -> None:
    acknowledged: dict[str, int] = {}
    for n in range(4):
        with Process("write", url, n, 8) as writer:
            heard = [writer.hear() for _ in range(20 + 10 * n)]
            heard += writer.kill()
        acknowledged |= {tag: int(first) for tag, _, first in (line.partition(" ") for line in heard if " " in line)}

    async with open_store(url) as store:
        events = [event async for batch in store.read() for event in batch.events]

    assert set(Counter(event.tags for event in events).values()) == {3}
    assert [event.position for event in events] == list(range(1, len(events) + 1))
    assert {(tag, first) for tag, first in acknowledged.items()} <= {(e.tags[0], e.position) for e in events}
