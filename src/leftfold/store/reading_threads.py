"""Threads that read, each with a database connection of its own."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from leftfold.store.sqlite_errors import named_errors

TOGETHER = 128

T = TypeVar("T")
Read = Callable[[sqlite3.Connection], Any]


class Job:
    """One read on its way, and what came of it."""

    __slots__ = ("error", "found", "outcome", "read")

    def __init__(self, read: Read, outcome: asyncio.Future[Any]) -> None:
        self.read = read
        self.outcome = outcome
        self.found: Any = None
        self.error: BaseException | None = None

    def settle(self) -> None:
        """Answer the caller, if it still waits."""
        if self.outcome.done():
            return
        if self.error is None:
            self.outcome.set_result(self.found)
        else:
            self.outcome.set_exception(self.error)


class ReadingThreads:
    """Runs functions over a connection, off the event loop; connections are opened when first needed.

    A thread takes along what waits, and answers all of it at once: when many read at the same time, the interpreter's
    lock would else change hands with every answer, which costs more than the reads. Belongs to one event loop.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection], threads: int, where: str) -> None:
        self._connect = connect
        self._where = where
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._threads = [Thread(target=self._run, name=f"leftfold reader {n}", daemon=True) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    async def run(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """Run `read` in one of the threads."""
        job = Job(read, asyncio.get_running_loop().create_future())
        self._jobs.put(job)
        found: T = await job.outcome
        return found

    async def run_apart(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """Run what takes long in a thread of its own, so that nobody waits behind it."""

        def work() -> T:
            with named_errors(self._where), closing(self._connect()) as connection:
                return read(connection)

        return await asyncio.to_thread(work)

    async def close(self) -> None:
        """Wait for what is under way, then end the threads; each closes its connection."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    def _run(self) -> None:
        connection: sqlite3.Connection | None = None
        ending = False
        while not ending:
            jobs, ending = self._take()
            for job in jobs:
                try:
                    with named_errors(self._where):
                        connection = connection or self._connect()
                        job.found = job.read(connection)
                except BaseException as error:  # noqa: BLE001 it is the caller's
                    job.error = error
            if jobs:
                _answer(jobs)
        if connection is not None:
            connection.close()

    def _take(self) -> tuple[list[Job], bool]:
        """Wait for a job, then take along some that are there; and whether it is time to end."""
        jobs: list[Job] = []
        job = self._jobs.get()
        while job is not None:
            jobs.append(job)
            if len(jobs) == TOGETHER:
                return jobs, False
            try:
                job = self._jobs.get_nowait()
            except Empty:
                return jobs, False
        return jobs, True


def _answer(jobs: Sequence[Job]) -> None:
    def settle() -> None:
        for job in jobs:
            job.settle()

    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        jobs[0].outcome.get_loop().call_soon_threadsafe(settle)
