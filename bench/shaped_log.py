"""A log of any size with the same shape: common and rare types and tags, and entities of exactly 20 events."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from random import Random

from leftfold import EventStore, NewEvent, open_store
from leftfold.store.sqlite.tags import merge_tags

COMMON = 7  # types of which each takes its share
RARE_ONE_IN = 10_000  # the eighth type
FIRST_TAGS, SECOND_TAGS = 20_000, 100_000
FREQUENT_ONE_IN = 10
ENTITIES, ENTITY_EVENTS = 40, 20
SCARCE_EVENTS = 20
QUIET = 2_000  # the last events have nothing that is planted: what conditions ask for lies before them
DATA = b'{"customer":"c-12345","amount":1995,"currency":"EUR","note":"as agreed by telephone"}'
METADATA = b'{"command":"0b54c13f8c3a4fd0a2f6f5a5e1d3a1a7","command_type":"Order","correlation":"0b54c13f8c3a4fd0a2f6"}'

RARE, SCARCE, FREQUENT, RARE_TAG = "rare", "scarce", "first:frequent", "second:rare"


def entity(number: int) -> str:
    return f"first:entity-{number}"


async def made(path: Path, size: int) -> None:
    """Make a log of `size` events, at rest: its tags are merged as far as a moment without appends does it."""
    async with open_store(f"sqlite:///{path}?may_lose=recent-commits") as store:
        await _fill(store, size)
    await asyncio.to_thread(_merge, path)


def _merge(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.text_factory = bytes
        more = True
        while more:
            connection.execute("BEGIN IMMEDIATE")
            more = merge_tags(connection)
            connection.execute("COMMIT")


async def _fill(store: EventStore, size: int) -> None:
    """Append `size` events, a thousand at a time."""
    random = Random(size)
    planted = dict(_planted(size))
    for first in range(1, size + 1, 1000):
        positions = range(first, min(first + 1000, size + 1))
        await store.append([planted.get(position) or _common(position, random) for position in positions])


def _common(position: int, random: Random) -> NewEvent:
    frequent = position % FREQUENT_ONE_IN == 0
    first = FREQUENT if frequent else f"first:{random.randrange(FIRST_TAGS)}"
    type = RARE if position % RARE_ONE_IN == RARE_ONE_IN // 2 else f"common-{position % COMMON}"
    return _event(type, first, f"second:{random.randrange(SECOND_TAGS)}")


def _planted(size: int) -> Iterator[tuple[int, NewEvent]]:
    """Entities' events and those of the scarce type, spread evenly; and one event with the rare tag."""
    entities = [entity(number) for _ in range(ENTITY_EVENTS) for number in range(ENTITIES)]
    between = len(entities) // SCARCE_EVENTS
    step = (size - QUIET) // (len(entities) + SCARCE_EVENTS)
    positions = count(1, step)
    for number, first in enumerate(entities):
        if number % between == 0:
            yield next(positions), _event(SCARCE, FREQUENT, "second:0")
        yield next(positions), _event("common-1", first, "second:0")
    yield 1 + step // 2, _event("common-2", "first:0", RARE_TAG)


def _event(type: str, first: str, second: str) -> NewEvent:
    return NewEvent(type, DATA, (first, second), metadata=METADATA)


def some(random: Random, events: int) -> list[NewEvent]:
    """Further events of a common type and with common tags."""
    return [
        _event("common-0", f"first:{random.randrange(FIRST_TAGS)}", f"second:{random.randrange(SECOND_TAGS)}")
        for _ in range(events)
    ]
