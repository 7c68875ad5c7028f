"""One state machine drives both backends against the model of a log: interleavings, retries, reopening, crashes."""

import asyncio
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from unittest.mock import patch

import pytest
from hypothesis import settings

from leftfold.model.clock import Clock
from leftfold.store import MemoryStore, NewEvent, SQLiteStore
from leftfold.store.contract import EventStore
from leftfold.store.sqlite import file as sqlite_file
from leftfold.store.sqlite import tags as sqlite_tags
from leftfold.testing.model import Request
from leftfold.testing.state_machine import StoreMachine
from tests.patience import examples
from tests.store.power_cut import GatedClock, Image

REFUSED = Request([NewEvent("late", b"", time=datetime(9999, 1, 1, tzinfo=UTC))])
WALKS = settings(max_examples=examples(60), stateful_step_count=25, deadline=None)


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
        self.gate: GatedClock | None = None
        super().__init__()

    def open_store(self, clock: Clock) -> EventStore:
        self.gate = self.gate or GatedClock(clock)
        return SQLiteStore(self.path, clock=self.gate)

    async def crash(self, groups: Sequence[Sequence[Request]], point: float) -> int:
        """Commit each group at once, and cut off what was written from some byte on of one group.

        Before and after the groups an append that is refused holds the group commit, and writes nothing itself.
        """
        whole, part = int(point * len(groups)), point * len(groups) % 1
        images = await self.images_between([[REFUSED], *groups, [REFUSED]])
        before, *after = images[whole:]

        self.path = next(self.paths)
        (before.cut(after[0], part) if after else before).write(self.path)
        return whole

    async def images_between(self, batches: Sequence[Sequence[Request]]) -> list[Image]:
        """Commit these batches and end the store; the log before each of them but the first."""
        self.gate.close()
        images: list[Image] = []
        appends = self.handed_in(batches[0])
        await self.gate.reached()
        for batch in batches[1:]:
            appends += self.handed_in(batch)
            await asyncio.sleep(0)  # each append is in the queue after one step of its task
            self.gate.let_one_pass()
            await self.gate.reached()
            images.append(Image.of(self.path))
        self.gate.open()
        await asyncio.gather(*appends)
        await self.store.close()
        return images

    def handed_in(self, batch: Sequence[Request]) -> list[asyncio.Task[object]]:
        return [asyncio.create_task(self.append_one(request)) for request in batch]

    def teardown(self) -> None:
        super().teardown()
        shutil.rmtree(self.folder)


class SmallSegmentsMachine(SQLiteMachine):
    """SQLite with a tag index whose segments are full and merged after a few events."""

    def __init__(self) -> None:
        self.small = patch.multiple(sqlite_tags, EVENTS_PER_SEGMENT=4, SEGMENTS_PER_MERGE=2, POSITIONS_PER_UPKEEP=1)
        self.small.start()
        super().__init__()

    def teardown(self) -> None:
        super().teardown()
        self.small.stop()


class SmallWriteAheadLogMachine(SQLiteMachine):
    """SQLite with a write-ahead log that is copied into the file, and begun again, after a few commits."""

    def __init__(self) -> None:
        self.small = patch.object(sqlite_file, "CHECKPOINT_PAGES", 16)
        self.small.start()
        super().__init__()

    def teardown(self) -> None:
        super().teardown()
        self.small.stop()


class TestMemoryMachine(MemoryMachine.TestCase):
    settings = WALKS


class TestSQLiteMachine(SQLiteMachine.TestCase):
    settings = WALKS


class TestSmallSegmentsMachine(SmallSegmentsMachine.TestCase):
    settings = WALKS


class TestSmallWriteAheadLogMachine(SmallWriteAheadLogMachine.TestCase):
    settings = settings(WALKS, max_examples=examples(30))


@pytest.mark.parametrize(
    ("machine", "begun_again"),
    [(SQLiteMachine, False), (SmallWriteAheadLogMachine, True)],
    ids=["appended", "begun again"],
)
@pytest.mark.parametrize(("point", "whole"), [(0.0, 0), (0.2, 0), (0.6, 1), (0.99, 1), (1.0, 2)])
def test_a_crash_takes_what_is_not_synced_wherever_it_lies(
    machine: type[SQLiteMachine], begun_again: bool, point: float, whole: int
) -> None:
    events = [NewEvent("moved", b"{}", ("account:a",))]
    walk = machine()
    for _ in range(12):
        walk.append(events)
    generation = Image.of(walk.path).salt
    while Image.of(walk.path).salt == generation and begun_again:
        walk.append(events)
    head = len(walk.model.events)

    walk.crash_and_open([[events, events], [events]], point)
    walk.store_and_model_are_equal()

    assert len(walk.model.events) == head + [0, 2, 3][whole]
    walk.teardown()
