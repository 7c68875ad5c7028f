"""Searches by tag: on a log as leftfold keeps it, and on a copy of it whose tags lie in one tree."""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter
from typing import NamedTuple

from bench import shaped_log
from bench.shaped_log import ENTITIES, FIRST_TAGS, FREQUENT, RARE_TAG, SCARCE, SECOND_TAGS, entity
from leftfold import Criteria, EventStore, criteria, open_store

EVENTS = 1_000_000
QUICK_EVENTS = 100_000
LIMIT = 1.3
WARM_UP = 50
REPEATS = 400

# A log of format 1, which is read as it is. Its tree is built in order: it has no half-empty pages as one that grew.
ONE_TREE = """
    BEGIN;
    CREATE TABLE tag (
        tag TEXT NOT NULL, position INTEGER NOT NULL, type INTEGER NOT NULL, PRIMARY KEY (tag, position)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO tag (tag, position, type)
    SELECT tag, position, type FROM segment_tag WHERE segment IN (SELECT id FROM segment) ORDER BY tag, position;
    DROP TABLE segment_tag;
    DROP TABLE segment;
    DROP TABLE segment_merge;
    DROP TABLE segment_merged;
    PRAGMA user_version = 1;
    COMMIT"""

Progress = Callable[[str], None]


class Search(NamedTuple):
    """What is looked for; a random number below a hundred thousand chooses."""

    title: str
    wanted: Callable[[int], Criteria]


class SearchCost(NamedTuple):
    """Microseconds a search takes."""

    title: str
    ours: float
    one_tree: float

    @property
    def ratio(self) -> float:
        return self.ours / self.one_tree


SEARCHES = (
    Search("one random tag of 100,000", lambda n: criteria(tags=[f"second:{n % SECOND_TAGS}"])),
    Search("one random tag of 20,000", lambda n: criteria(tags=[f"first:{n % FIRST_TAGS}"])),
    Search(
        "an entity of 20 events, by two types and its tag",
        lambda n: criteria("common-1", "common-2", tags=[entity(n % ENTITIES)]),
    ),
    Search("a tag that one event has", lambda _: criteria(tags=[RARE_TAG])),
    Search("a tag that no event has", lambda n: criteria(tags=[f"nobody:{n}"])),
    Search("a scarce type in a frequent tag", lambda _: criteria(SCARCE, tags=[FREQUENT])),
    Search(
        "an entity, or a random tag",
        lambda n: criteria("common-1", tags=[entity(n % ENTITIES)]) | criteria(tags=[f"second:{n % SECOND_TAGS}"]),
    ),
)


async def measure(events: int, directory: Path, progress: Progress) -> list[SearchCost]:
    """Every search on both logs in turn, in random order; the median of each."""
    async with _both(events, directory, progress) as logs:
        return [await _cost(search, logs, progress) for search in SEARCHES]


@asynccontextmanager
async def _both(events: int, directory: Path, progress: Progress) -> AsyncIterator[tuple[EventStore, EventStore]]:
    progress(f"fill a log with {events:,} events")
    path, copy = directory / "segments.db", directory / "one-tree.db"
    await shaped_log.made(path, events)
    progress("copy it, with its tags in one tree")
    await asyncio.to_thread(_into_one_tree, path, copy)
    async with open_store(f"sqlite:///{path}?mode=ro") as ours, open_store(f"sqlite:///{copy}?mode=ro") as one_tree:
        yield ours, one_tree


def _into_one_tree(path: Path, copy: Path) -> None:
    shutil.copy(path, copy)
    with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -262144")
        connection.executescript(ONE_TREE)


async def _cost(search: Search, logs: Sequence[EventStore], progress: Progress) -> SearchCost:
    progress(search.title)
    spent: list[list[float]] = [[] for _ in logs]
    random = Random(search.title)
    for number in range(WARM_UP + REPEATS):
        wanted = search.wanted(random.randrange(SECOND_TAGS))
        for which in random.sample(range(len(logs)), len(logs)):
            start = perf_counter()
            async for _ in logs[which].read(wanted):
                pass
            if number >= WARM_UP:
                spent[which].append((perf_counter() - start) * 1e6)
    ours, one_tree = (median(each) for each in spent)
    return SearchCost(search.title, ours, one_tree)
