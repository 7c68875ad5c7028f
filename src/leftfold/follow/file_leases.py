"""The book of a log's workers: a small SQLite file beside the log, which can be deleted at any time."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from leftfold.errors import StoreFailed
from leftfold.follow.lease_store import Entry, next_beat
from leftfold.model.clock import Clock, to_microseconds
from leftfold.store.home import keep_in_children
from leftfold.store.private_files import create_private

CREATE = """
    CREATE TABLE IF NOT EXISTS lease (
        log          TEXT NOT NULL,
        name         TEXT NOT NULL,
        holder       TEXT NOT NULL,
        beat         INTEGER NOT NULL,
        microseconds INTEGER NOT NULL,
        PRIMARY KEY (log, name)
    ) STRICT"""
READ = "SELECT name, holder, beat, microseconds FROM lease WHERE log = ?"
BEGIN = "INSERT INTO lease (log, name, holder, beat, microseconds) VALUES (?, ?, ?, 1, ?) ON CONFLICT DO NOTHING"
# Holders are compared as bytes: what anybody has written there need not be a text.
TAKE = """
    UPDATE lease SET holder = ?, beat = beat % 9223372036854775807 + 1, microseconds = ?
    WHERE log = ? AND name = ? AND CAST(holder AS BLOB) = ? AND beat = ?"""
BEAT = """
    UPDATE lease SET beat = beat % 9223372036854775807 + 1, microseconds = ? WHERE log = ? AND name = ? AND holder = ?
    RETURNING name, holder, beat, microseconds"""
RELEASE = "DELETE FROM lease WHERE log = ? AND name = ? AND holder = ?"
BUSY_SECONDS = 5.0
BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
T = TypeVar("T")

log = logging.getLogger("leftfold.leases")


class FileLeaseStore:
    """Leases in an SQLite file. Where it cannot be used, a book in memory stands for it.

    Then two processes may each believe that they hold a lease; what they write is fenced all the same.
    """

    def __init__(self, path: str, log_id: str, clock: Clock, *, like: Path | None = None) -> None:
        self._path = Path(path)
        self._like = like  # the file whose permissions a new one has
        self._log_id = log_id
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="leftfold leases")
        self._connection: sqlite3.Connection | None = None
        self._file: int | None = None
        keep_in_children(self)

    def __repr__(self) -> str:
        return f"<FileLeaseStore {self._path}>"

    async def read(self) -> Mapping[str, Entry]:
        """Every lease that is held."""
        return await self._in_thread(self._read) if await asyncio.to_thread(self._path.exists) else {}

    async def take(self, name: str, expected: Entry | None, holder: str) -> Entry | None:
        """Give the lease to a holder if it stands as expected."""
        return await self._in_thread(partial(self._take, name, expected, holder))

    async def beat(self, entries: Iterable[Entry]) -> list[Entry]:
        """Say that their holder lives."""
        return await self._in_thread(partial(self._beat, list(entries)))

    async def release(self, entries: Iterable[Entry]) -> None:
        """Free them."""
        await self._in_thread(partial(self._release, list(entries)))

    async def close(self) -> None:
        """Close the file."""
        await asyncio.to_thread(self._thread.shutdown)
        if self._connection is not None:
            self._connection.close()

    async def _in_thread(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._with_names, work)

    def _with_names(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return work(self._opened())
        except sqlite3.Error as error:
            raise StoreFailed(str(self._path), str(error)) from error

    def _opened(self) -> sqlite3.Connection:
        """The connection to the file; to the new one, when the file was deleted meanwhile."""
        if self._connection is None or self._file != _number(self._path):
            if self._connection is not None:
                self._connection.close()
            create_private(self._path, like=self._like)
            self._connection = _connected(self._path)
            self._file = _number(self._path)
        return self._connection

    def _read(self, connection: sqlite3.Connection) -> dict[str, Entry]:
        return {row[0]: Entry(*row) for row in connection.execute(READ, (self._log_id,))}

    def _take(self, name: str, expected: Entry | None, holder: str, connection: sqlite3.Connection) -> Entry | None:
        now = self._now()
        if expected is None:
            taken = connection.execute(BEGIN, (self._log_id, name, holder, now))
            return Entry(name, holder, 1, now) if taken.rowcount == 1 else None
        former = expected.holder.encode(errors="surrogateescape")
        taken = connection.execute(TAKE, (holder, now, self._log_id, name, former, expected.beat))
        return Entry(name, holder, next_beat(expected.beat), now) if taken.rowcount == 1 else None

    def _beat(self, entries: list[Entry], connection: sqlite3.Connection) -> list[Entry]:
        now = self._now()
        found = [connection.execute(BEAT, (now, self._log_id, each.name, each.holder)).fetchone() for each in entries]
        return [Entry(*row) for row in found if row is not None]

    def _release(self, entries: list[Entry], connection: sqlite3.Connection) -> None:
        connection.executemany(RELEASE, [(self._log_id, each.name, each.holder) for each in entries])

    def _now(self) -> int:
        return to_microseconds(self._clock.now())


def _text(stored: bytes) -> str:
    return stored.decode(errors="surrogateescape")


def _connected(path: Path) -> sqlite3.Connection:
    connection = None
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_SECONDS)
        connection.text_factory = _text
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")  # a power failure ends the holders too
        connection.execute(CREATE)
        return connection
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        if error.sqlite_errorcode & 0xFF in BUSY:
            raise
        log.warning("the leases in %s cannot be used: %s", path, error)
        in_memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        in_memory.execute(CREATE)
        return in_memory


def _number(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None
