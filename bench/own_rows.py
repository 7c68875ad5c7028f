"""Leftfold's own rows in a bare loop: what the storage format alone allows, without Python between the statements.

One thread writes into a log that leftfold made, through a connection that leftfold set up: the row of each event and
that of its tag, and a new segment when one is full. It decides nothing, checks no condition and merges no segments.
"""

import sqlite3
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from itertools import chain, cycle, islice
from pathlib import Path
from time import time_ns

from bench import durability
from bench.bank import Deposited, bank
from bench.callers import threads
from bench.figure import Slice
from bench.ours import METADATA
from leftfold.model.clock import SystemClock
from leftfold.store.sqlite.file import LogFile
from leftfold.store.sqlite.format import hide_replacement_triggers

EVENTS_PER_SEGMENT = 4_096
LAST_POSITION = 2**63 - 1

INSERT_TYPE = "INSERT INTO type (id, name) VALUES (1, ?)"
INSERT_EVENT = """
    INSERT INTO event (position, time, type, version, data, metadata, tags)
    VALUES (?, ?, 1, ?, ?, ?, ?)"""
INSERT_TAG = "INSERT INTO segment_tag (segment, tag, position, type) VALUES (?, ?, ?, 1)"
END_SEGMENT = "UPDATE segment SET last = ? WHERE last = ?"
INSERT_SEGMENT = "INSERT INTO segment (first, last, id, level) VALUES (?, ?, ?, 0)"

EncodedEvent = tuple[int, str, str, str]
"""The columns of an event that is ready: version, data, metadata, tag."""


class OwnRows:
    """A log that a bare loop writes."""

    def __init__(self, connection: sqlite3.Connection, accounts: Sequence[str]) -> None:
        self.connection = connection
        self._events: Iterator[EncodedEvent] = cycle([_encoded(account) for account in accounts])
        self._head = 0
        self._segment, self._full_at = 1, EVENTS_PER_SEGMENT
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(INSERT_TYPE, (bank.registry.encode(Deposited("a", 1), b"").type,))
        hide_replacement_triggers(connection)
        connection.execute("COMMIT")

    def rows(self, count: int) -> Slice:
        """Events, so many in each commit."""
        once = self.commit_one if count == 1 else partial(self.commit, count)
        return lambda seconds: count * threads(1, seconds, once)

    def commit_one(self) -> None:
        """Commit one event and its tag."""
        self._head += 1
        version, data, metadata, tag = next(self._events)
        execute = self.connection.execute
        execute("BEGIN IMMEDIATE")
        execute(INSERT_EVENT, (self._head, time_ns() // 1000, version, data, metadata, tag))
        execute(INSERT_TAG, (self._segment, tag, self._head))
        self._end_segment()
        execute("COMMIT")

    def commit(self, count: int) -> None:
        """Commit so many events, and their tags in the order of the index."""
        time, segment = time_ns() // 1000, self._segment
        placed = list(enumerate(islice(self._events, count), self._head + 1))
        self._head += count
        connection = self.connection
        connection.execute("BEGIN IMMEDIATE")
        events = [(position, time, *event) for position, event in placed]
        tags = sorted([(segment, event[3], position) for position, event in placed])
        connection.execute(_of_rows(INSERT_EVENT, count), [*chain.from_iterable(events)])
        connection.execute(_of_rows(INSERT_TAG, count), [*chain.from_iterable(tags)])
        self._end_segment()
        connection.execute("COMMIT")

    def _end_segment(self) -> None:
        if self._head >= self._full_at:
            self._segment -= 1
            self._full_at = self._head + EVENTS_PER_SEGMENT
            self.connection.execute(END_SEGMENT, (self._head, LAST_POSITION))
            self.connection.execute(INSERT_SEGMENT, (self._head + 1, LAST_POSITION, self._segment))


@lru_cache
def _of_rows(statement: str, count: int) -> str:
    """The statement for so many rows: one long statement takes less time than one for each row."""
    insert, values, row = statement.partition("VALUES ")
    return insert + values + ", ".join([row] * count)


def _encoded(account: str) -> EncodedEvent:
    event = bank.registry.encode(Deposited(account, 1), METADATA)
    return event.version, event.data.decode(), event.metadata.decode(), event.tags[0]


@contextmanager
def opened_own_rows(path: Path, accounts: Sequence[str]) -> Generator[OwnRows]:
    """An empty log, and leftfold's own connection to it, with the settings that leftfold gives it."""
    connection = LogFile(path, SystemClock(), durable=True, read_only=False, busy_timeout=10.0).open()
    durability.check(connection)
    try:
        yield OwnRows(connection, accounts)
    finally:
        connection.close()
