"""What a power cut leaves of an SQLite log, at a moment that the test chooses and not the scheduler."""

import asyncio
import sys
import threading
from datetime import datetime
from pathlib import Path
from threading import Semaphore
from typing import NamedTuple, Self

from leftfold.errors import StoreBusy
from leftfold.model.clock import Clock

HEADER = 32  # bytes before the first frame of a write-ahead log
FRAME_HEADER = 24


class GatedClock:
    """The store's clock, which can hold each commit: a store asks for the time when it has gathered a batch.

    What is handed in while a batch is held is the next batch, whole: how appends are divided is the test's choice.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._closed = False
        self._held = Semaphore(0)
        self._free = Semaphore(0)

    def now(self) -> datetime:
        """The time, once the commit that asks may go on. A commit on the event loop is left to the writing thread."""
        if self._closed:
            if threading.current_thread() is threading.main_thread():
                raise StoreBusy("the log", "the test holds its commits")
            self._held.release()
            self._free.acquire()
        return self._clock.now()

    def close(self) -> None:
        """Hold each commit from now on."""
        self._closed = True

    def open(self) -> None:
        """Hold no commit any more."""
        self._closed = False
        self._free.release()

    def let_one_pass(self) -> None:
        """Let the commit that is held go on."""
        self._free.release()

    async def reached(self) -> None:
        """Return once a commit is held."""
        await asyncio.to_thread(self._held.acquire)


class Image(NamedTuple):
    """The files of a log while nobody writes to it."""

    database: bytes
    wal: bytes
    salt: bytes  # another one each time that the write-ahead log is begun at its beginning
    frames: int  # that count; what lies behind them is left from before
    page: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """Read the files; how much of the write-ahead log counts is said by the index beside it."""
        database, wal, index = (_content(path.with_name(path.name + end)) for end in ("", "-wal", "-shm"))
        page = int.from_bytes(database[16:18], "big")
        frames = int.from_bytes(index[16:20], sys.byteorder)
        return cls(database, wal, index[32:40], frames, 65_536 if page == 1 else page)

    @property
    def end(self) -> int:
        """Where the next frame goes."""
        return HEADER + self.frames * (FRAME_HEADER + self.page) if self.frames else 0

    def begin_of_what(self, after: Self) -> int:
        """Where in the write-ahead log that was written which `after` has and this image does not."""
        return self.end if self.salt == after.salt else 0

    def cut(self, after: Self, part: float) -> Self:
        """What is left if the power goes when so much of that was written, from 0 up to 1, which is not reached."""
        begin = self.begin_of_what(after)
        cut = begin + int(part * (after.end - begin))
        assert begin <= cut < after.end, "nothing is cut"
        return self._replace(wal=after.wal[:cut] + self.wal[cut:])

    def write(self, path: Path) -> None:
        """Make a log of it, elsewhere."""
        path.write_bytes(self.database)
        path.with_name(f"{path.name}-wal").write_bytes(self.wal)


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""
