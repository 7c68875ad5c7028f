"""Leases for tests: stored in memory, and time passes when a test says so."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from leftfold.follow.lease import LeaseTerms
from leftfold.follow.lease_store import LARGEST_BEAT, LeaseEntry


class MemoryLeaseStore:
    """Stores leases for as long as the object lives."""

    def __init__(self) -> None:
        self._entries: dict[str, LeaseEntry] = {}

    def __repr__(self) -> str:
        return f"<MemoryLeaseStore of {len(self._entries)} leases>"

    async def read(self) -> Mapping[str, LeaseEntry]:
        """Return every lease that is held."""
        return dict(self._entries)

    async def take(self, name: str, expected: LeaseEntry | None, holder: str) -> LeaseEntry | None:
        """Give a lease to a holder if it is still as expected."""
        present = self._entries.get(name)
        if (present and (present.holder, present.beat)) != (expected and (expected.holder, expected.beat)):
            return None
        self._entries[name] = LeaseEntry(name, holder, present.beat % LARGEST_BEAT + 1 if present else 1)
        return self._entries[name]

    async def renew(self, entries: Iterable[LeaseEntry]) -> list[LeaseEntry]:
        """Renew leases."""
        kept = [self._entries[each.name] for each in entries if self._is_of(each)]
        for each in kept:
            self._entries[each.name] = LeaseEntry(each.name, each.holder, each.beat % LARGEST_BEAT + 1)
        return [self._entries[each.name] for each in kept]

    async def release(self, entries: Iterable[LeaseEntry]) -> None:
        """Free leases."""
        for each in entries:
            if self._is_of(each):
                del self._entries[each.name]

    def _is_of(self, entry: LeaseEntry) -> bool:
        present = self._entries.get(entry.name)
        return present is not None and present.holder == entry.holder


class Stopwatch:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Awake:
    """A process that takes its turns when it is let; unless it is, nothing is heard of it.

    Several lease holders of one process may pause at once: one that splits a model does so beside the first.
    """

    def __init__(self, me: str, now: Stopwatch) -> None:
        self._pausing: dict[asyncio.Task[Any], asyncio.Future[None]] = {}
        self._changed = asyncio.Event()
        self.terms = LeaseTerms(me, 5.0, now, self._pause)

    async def turn(self) -> None:
        """Let each task that pauses take one turn, and return when all have, or have ended."""
        await self._until(lambda: bool(self._pausing))
        let, self._pausing = self._pausing, {}
        for task, pause in let.items():
            task.add_done_callback(self._note)
            if not pause.done():
                pause.set_result(None)
        await self._until(lambda: all(task.done() or task in self._pausing for task in let))

    async def _pause(self, seconds: float) -> None:
        task = asyncio.current_task()
        assert task is not None, "holders run in tasks"
        pause = self._pausing[task] = asyncio.get_running_loop().create_future()
        self._changed.set()
        try:
            await pause
        except asyncio.CancelledError:
            self._pausing.pop(task, None)
            raise

    def _note(self, task: asyncio.Task[Any]) -> None:
        self._changed.set()

    async def _until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            self._changed.clear()
            await self._changed.wait()
