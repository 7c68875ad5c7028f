"""Short reads on the event loop: they take less time than the two switches to a reading thread and back."""

import sqlite3
from collections.abc import Callable
from time import perf_counter
from typing import TypeVar

from leftfold.store.commit import MAX_SECONDS_ON_LOOP, WritingLock

T = TypeVar("T")

# What a read on the event loop may take; it holds up other tasks for as long (see decision 6 in docs/).
MAX_STEPS_ON_LOOP = 20_000  # of SQLite's virtual machine, about half a millisecond
MAX_EVENT_BYTES = 65_536
NO_LIMIT = 2**62
READS_AFTER_SLOW = 8  # in the threads, after a read on the loop that was slow
MOST_READS_AFTER_SLOW = 1_024  # the same after many, each of which doubles it


class TooLong(Exception):
    """The read was given up, or is not tried on the loop for now."""


class LoopReads:
    """Short reads on the event loop, as long as they are quick.

    They use the writing connection while nobody else does: each commit makes other connections forget the pages that
    they hold. SQLite gives up a read that takes too many steps. One that was slow all the same, because the file had to
    be read from a slow disk, sends the next reads to the threads; how many doubles each time. What fails is tried again
    by a thread, so that no statement of the writing connection stays open in a traceback.
    """

    def __init__(
        self, connection: sqlite3.Connection, writing: WritingLock, verify: Callable[[sqlite3.Connection], None]
    ) -> None:
        self._connection = connection
        self._writing = writing
        self._verify = verify
        self._steps_left = NO_LIMIT
        self._in_threads = 0  # how many of the next reads
        self._after_slow = READS_AFTER_SLOW
        connection.set_progress_handler(self._count_steps, MAX_STEPS_ON_LOOP)

    def __repr__(self) -> str:
        return f"<LoopReads, {self._in_threads} next in threads>"

    def run(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """Run a short read, or raise `TooLong`."""
        if self._in_threads:
            self._in_threads -= 1
            raise TooLong
        if not self._writing.take_on_loop():
            raise TooLong
        begun = perf_counter()
        most = self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_EVENT_BYTES)
        self._steps_left = 2  # a statement may have some steps left of the read before
        try:
            found = read(self._connection)
            self._verify(self._connection)
        except Exception as error:  # noqa: BLE001 the thread that tries again raises what its caller gets
            error.__traceback__ = None
            raise TooLong from None
        finally:
            self._steps_left = NO_LIMIT
            self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, most)
            self._writing.release()
        if perf_counter() - begun > MAX_SECONDS_ON_LOOP:
            self._in_threads = self._after_slow
            self._after_slow = min(2 * self._after_slow, MOST_READS_AFTER_SLOW)
        return found

    def _count_steps(self) -> bool:
        """Return whether to give up; SQLite calls this after so many steps, also while it writes."""
        self._steps_left -= 1
        return self._steps_left <= 0
