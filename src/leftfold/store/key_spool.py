"""The idempotency keys of a log in the order of their positions: in a temporary file, however many there are."""

import sqlite3
from collections.abc import Iterable
from threading import Lock
from types import TracebackType
from typing import Self

from leftfold.store.inspection import StoredKey

CREATE = """
    CREATE TABLE key (
        value          BLOB PRIMARY KEY,
        first_position INTEGER NOT NULL,
        last_position  INTEGER NOT NULL,
        digest         BLOB NOT NULL
    ) WITHOUT ROWID"""
CREATE_INDEX = "CREATE INDEX IF NOT EXISTS key_last ON key (last_position)"
INSERT = "INSERT INTO key (value, first_position, last_position, digest) VALUES (?, ?, ?, ?)"
COUNT = "SELECT count(*) FROM key WHERE last_position > ? AND last_position <= ?"
SELECT_ENDING = """
    SELECT value, first_position, last_position, digest
    FROM key
    WHERE last_position > ? AND last_position <= ?
    ORDER BY last_position, first_position"""
SELECT_ONE = "SELECT value, first_position, last_position, digest FROM key WHERE value = ?"


class KeySpool:
    """Keeps keys, and finds those that end in a stretch of the log: a store finds them by their value alone.

    It may be used from several threads, and closing it waits for what is under way: a cancelled caller has left a
    thread at work.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = OFF")
        self._connection.execute(CREATE)

    def __repr__(self) -> str:
        return f"<KeySpool of {self.count(0, 2**63 - 1)} keys>"

    def add(self, keys: Iterable[StoredKey]) -> None:
        """Keep some keys."""
        rows = [(_bytes(key.value), key.first, key.last, key.digest) for key in keys]
        with self._lock:
            self._connection.execute("BEGIN")
            self._connection.executemany(INSERT, rows)
            self._connection.execute("COMMIT")

    def ready(self) -> None:
        """Make them findable by their positions, now that all are here."""
        with self._lock:
            self._connection.execute(CREATE_INDEX)

    def count(self, after: int, upto: int) -> int:
        """How many end in a stretch."""
        with self._lock:
            (count,) = self._connection.execute(COUNT, (after, upto)).fetchone()
        return int(count)

    def ending(self, after: int, upto: int) -> list[StoredKey]:
        """The keys that end in a stretch, in order."""
        with self._lock:
            rows = self._connection.execute(SELECT_ENDING, (after, upto)).fetchall()
        return [_key(*row) for row in rows]

    def unlike(self, keys: Iterable[StoredKey]) -> StoredKey | None:
        """The first of these that is not kept here just as it is."""
        with self._lock:
            for key in keys:
                row = self._connection.execute(SELECT_ONE, (_bytes(key.value),)).fetchone()
                if row is None or _key(*row) != key:
                    return key
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._connection.close()


def _bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")


def _key(value: bytes, first: int, last: int, digest: bytes) -> StoredKey:
    return StoredKey(str(value, "utf-8", "surrogatepass"), first, last, digest)
