"""A thousand events with two random tags in one append: what the index of tags costs."""

import sqlite3
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from random import Random

from bench import durability, shaped_log
from bench.callers import threads, timed
from bench.figure import LEFTFOLD, Figure, Slice, Slices, Target
from bench.floor import INSERT, ROW, opened_floor, thousand_rows
from bench.ours import Ours, opened_ours

EVENTS = 1_000
FLOOR = "sqlite3, 1,000 rows a commit, no tags"
ONE_TREE = "sqlite3, their tags in one tree"
TREE = """
    CREATE TABLE tag (
        tag TEXT NOT NULL, position INTEGER NOT NULL, type INTEGER NOT NULL, PRIMARY KEY (tag, position)
    ) STRICT, WITHOUT ROWID"""
INSERT_TAG = "INSERT INTO tag (tag, position, type) VALUES (?, ?, 1)"


@contextmanager
def random_tags(directory: Path) -> Generator[Slices]:
    """All logs begin empty, and are as long as each contestant has come by then."""
    with ExitStack() as opened:
        ours = opened.enter_context(opened_ours(directory / "leftfold.db"))
        tree = opened.enter_context(opened_floor(directory / "tree.db"))
        floor = opened.enter_context(opened_floor(directory / "floor.db"))
        durability.check(ours, tree, floor)
        tree.execute(TREE)
        yield {LEFTFOLD: _append_of(ours), ONE_TREE: _rows_with_tags(tree), FLOOR: thousand_rows(floor)}


def _append_of(ours: Ours) -> Slice:
    random = Random(1)
    append = ours.live.store.append

    return lambda seconds: (
        EVENTS * timed(seconds, lambda: shaped_log.some(random, EVENTS), lambda events: ours.wait(append(events)))
    )


def _rows_with_tags(connection: sqlite3.Connection) -> Slice:
    random, positions = Random(1), count(1)

    def once() -> None:
        tags = [
            (f"{name}:{random.randrange(values)}", position)
            for position, _ in zip(positions, range(EVENTS), strict=False)
            for name, values in (("first", shaped_log.FIRST_TAGS), ("second", shaped_log.SECOND_TAGS))
        ]
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(INSERT, [(ROW,)] * EVENTS)
        connection.executemany(INSERT_TAG, sorted(tags))
        connection.execute("COMMIT")

    return lambda seconds: EVENTS * threads(1, seconds, once)


FIGURES = (
    Figure(
        "append-tags",
        "append 1,000 events, each with one of 20,000 and one of 100,000 tags",
        "events/s",
        random_tags,
        (Target(0.4, FLOOR),),
        note="From an empty log on, with all the merging that falls to it.",
    ),
)
