"""The floor: a bare sqlite3 loop at the same durability, one row or a thousand in a transaction."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from bench.callers import threads
from bench.figure import Slice

ROW = '{"account":"account-12345","amount":1}' + " " * 162  # about as long as an event with its metadata
INSERT = "INSERT INTO event (data) VALUES (?)"


@contextmanager
def opened_floor(path: Path) -> Generator[sqlite3.Connection]:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE event (position INTEGER PRIMARY KEY, data TEXT NOT NULL)")
    yield connection
    connection.close()


def single_rows(connection: sqlite3.Connection) -> Slice:
    """Commits a second, of one row each."""
    return lambda seconds: threads(1, seconds, lambda: connection.execute(INSERT, (ROW,)))


def thousand_rows(connection: sqlite3.Connection) -> Slice:
    """Rows a second, in transactions of a thousand."""

    def once() -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(INSERT, [(ROW,)] * 1000)
        connection.execute("COMMIT")

    return lambda seconds: 1000 * threads(1, seconds, once)


def read_rows(connection: sqlite3.Connection, count: int) -> Slice:
    """Rows a second, read in the order of their key."""
    with connection:
        connection.execute("BEGIN")
        connection.executemany(INSERT, [(ROW,)] * count)
    select = "SELECT position, data FROM event ORDER BY position LIMIT ?"
    return lambda seconds: count * threads(1, seconds, lambda: connection.execute(select, (count,)).fetchall())
