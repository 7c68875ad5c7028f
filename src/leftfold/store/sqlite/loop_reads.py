"""Short reads on the event loop: they take less time than the two switches to a reading thread and back."""

import asyncio
import sqlite3
from collections.abc import Callable
from time import perf_counter
from typing import TypeVar

from leftfold.store.sqlite.errors import named

T = TypeVar("T")

# What a read on the event loop may take; it holds up other tasks for as long (see decision 6 in docs/).
MAX_STEPS_ON_LOOP = 20_000  # of SQLite's virtual machine, about half a millisecond
MAX_BYTES_ON_LOOP = 65_536  # of an event
MAX_SECONDS_ON_LOOP = 0.002
READS_AFTER_SLOW = 8  # in the threads, after a read on the loop that was slow
MOST_READS_AFTER_SLOW = 1_024  # the same after many, each of which doubles it


class TooLong(Exception):
    """The read was given up, or is not tried on the loop for now."""


class LoopReads:
    """Reads on the event loop with a connection of its own, as long as that is quick.

    SQLite gives up a read that takes too many steps. One that was slow all the same, because the file had to be read
    from a slow disk, sends the next reads to the threads; how many doubles each time.
    """

    def __init__(self, where: str, verify: Callable[[sqlite3.Connection], None]) -> None:
        self._where = where
        self._verify = verify
        self._connection: sqlite3.Connection | None = None
        self._steps_left = 0
        self._in_threads = 0  # how many of the next reads
        self._after_slow = READS_AFTER_SLOW

    def __repr__(self) -> str:
        return f"<LoopReads{'' if self.is_open else ', not open'}, {self._in_threads} next in threads>"

    @property
    def is_open(self) -> bool:
        """Return whether it has a connection."""
        return self._connection is not None

    def open(self, opening: asyncio.Future[sqlite3.Connection]) -> None:
        """Take a connection that a thread has opened, because that takes long; without one, the threads read."""
        if not opening.cancelled() and opening.exception() is None:
            self._connection = opening.result()
            self._connection.set_progress_handler(self._count_steps, MAX_STEPS_ON_LOOP)
            self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_BYTES_ON_LOOP)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def run(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """Run a short read, or raise `TooLong`."""
        connection = self._connection
        if connection is None or self._in_threads:
            self._in_threads = max(self._in_threads - 1, 0)
            raise TooLong
        self._steps_left = 2  # a statement may have some steps left of the read before
        begun = perf_counter()
        try:
            found = read(connection)
            self._verify(connection)
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_TOOBIG):
                raise TooLong from None
            raise named(self._where, error) from error
        if perf_counter() - begun > MAX_SECONDS_ON_LOOP:
            self._in_threads = self._after_slow
            self._after_slow = min(2 * self._after_slow, MOST_READS_AFTER_SLOW)
        return found

    def _count_steps(self) -> bool:
        """Return whether to give up; SQLite calls this after so many steps."""
        self._steps_left -= 1
        return self._steps_left <= 0
