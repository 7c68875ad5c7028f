"""One state machine drives both backends against the model of a log: interleavings, retries, reopening, crashes."""

import shutil
from collections.abc import Awaitable
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from unittest.mock import patch

from hypothesis import settings

from leftfold.clock import Clock
from leftfold.store import MemoryStore, SQLiteStore, sqlite_tags
from leftfold.store.contract import EventStore
from leftfold.testing.state_machine import StoreMachine

WALKS = settings(max_examples=60, stateful_step_count=25, deadline=None)


class MemoryMachine(StoreMachine):
    def __init__(self) -> None:
        self.log: MemoryStore | None = None
        super().__init__()

    def open_store(self, clock: Clock) -> EventStore:
        self.log = self.log or MemoryStore(clock)
        return self.log


class SQLiteMachine(StoreMachine):
    crashes = True

    def __init__(self) -> None:
        self.folder = Path(mkdtemp(prefix="leftfold-"))
        self.paths = (self.folder / f"{n}.db" for n in count())
        self.path = next(self.paths)
        super().__init__()

    def open_store(self, clock: Clock) -> EventStore:
        return SQLiteStore(self.path, clock=clock)

    async def crash(self, appends: Awaitable[object], point: float) -> None:
        """Keep the database as it was and cut the write-ahead log anywhere after what was acknowledged.

        That is what a crash leaves: commits are written to the end of the write-ahead log, the database itself
        is written at checkpoints, of which there is none in so short a walk.
        """
        left = next(self.paths)
        shutil.copy(self.path, left)
        acknowledged = wal_of(self.path).stat().st_size if wal_of(self.path).exists() else 0
        await appends
        written = wal_of(self.path).read_bytes() if wal_of(self.path).exists() else b""
        cut = acknowledged + round(point * (len(written) - acknowledged))
        wal_of(left).write_bytes(written[:cut])
        await self.store.close()
        self.path = left

    def teardown(self) -> None:
        super().teardown()
        shutil.rmtree(self.folder)


class SmallSegmentsMachine(SQLiteMachine):
    """SQLite with a tag index whose segments are full and merged after a few events."""

    def __init__(self) -> None:
        self.small = patch.multiple(sqlite_tags, SEGMENT=4, TOGETHER=2, UPKEEP=1)
        self.small.start()
        super().__init__()

    def teardown(self) -> None:
        super().teardown()
        self.small.stop()


def wal_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


class TestMemoryMachine(MemoryMachine.TestCase):
    settings = WALKS


class TestSQLiteMachine(SQLiteMachine.TestCase):
    settings = WALKS


class TestSmallSegmentsMachine(SmallSegmentsMachine.TestCase):
    settings = WALKS
