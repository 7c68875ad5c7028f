"""Reading in batches: a read cursor over the log, and the threads that read with connections of their own."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, closing, suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from leftfold.model.record import StoredEvent
from leftfold.store.contract import Batch

EVENTS_A_BATCH = 4_000
BYTES_A_BATCH = 16_777_216


class ReadOptions(NamedTuple):
    """Which part of the log: after < position <= upto, at most `limit` events, from one end or the other."""

    after: int
    upto: int | None = None
    limit: int | None = None
    reverse: bool = False
    data_only: bool = False


class ReadCursor:
    """What is left of a range; `complete` once nothing is."""

    def __init__(self, chosen: ReadOptions) -> None:
        self.chosen = chosen
        self.complete = False

    def __repr__(self) -> str:
        return f"<ReadCursor {self.chosen}{', complete' if self.complete else ''}>"

    @property
    def size(self) -> int:
        """How many events the next batch may have."""
        left = self.chosen.limit
        return EVENTS_A_BATCH if left is None else min(left, EVENTS_A_BATCH)

    def end_at(self, head: int) -> None:
        """Look no further than the head that was taken first: what is read is all there will ever be."""
        upto = self.chosen.upto
        self.chosen = self.chosen._replace(upto=head if upto is None else min(upto, head))

    def advance(self, events: Sequence[StoredEvent], *, cut: bool) -> int:
        """Note what has been read, and return how far reading is complete."""
        after, upto, limit, reverse, _ = self.chosen
        upto = upto or 0
        if not cut:
            self.complete = True
            return after if reverse else max(after, upto)
        if limit is not None:
            self.chosen = self.chosen._replace(limit=limit - len(events))
            self.complete = limit == len(events)
        if not events:  # a limit of 0
            return upto if reverse else after
        position = events[-1].position
        after, upto = (after, position - 1) if reverse else (position, upto)
        self.chosen = self.chosen._replace(after=after, upto=upto)
        return position


TOGETHER = 128


class Closable(Protocol):
    """What a database connection has to be able to do here."""

    def close(self) -> None:
        """Close it."""
        ...


T = TypeVar("T")
C = TypeVar("C", bound=Closable)
C_contra = TypeVar("C_contra", bound=Closable, contravariant=True)


class Batches(Protocol[C_contra]):
    """A read that goes on batch by batch."""

    @property
    def complete(self) -> bool:
        """Whether there is nothing left to read."""
        ...

    def next_batch(self, connection: C_contra, /) -> Batch:
        """Read the next one."""
        ...


class Job(Generic[C]):
    """One read on its way, and what came of it."""

    __slots__ = ("error", "found", "outcome", "read")

    def __init__(self, read: Callable[[C], Any], outcome: asyncio.Future[Any]) -> None:
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


class ReadingThreads(Generic[C]):
    """Runs functions over a connection, off the event loop; connections are opened when first needed.

    A thread takes along what waits, and answers all of it at once: when many read at the same time, the interpreter's
    lock would else change hands with every answer, which costs more than the reads. Belongs to one event loop.
    `verify` is called once after the reads of such a round; if it raises, each of them has that error.
    `named_errors` turns the driver's errors into leftfold's; a connection that is `lost` is opened anew for the next.
    """

    def __init__(
        self,
        connect: Callable[[], C],
        threads: int,
        named_errors: Callable[[], AbstractContextManager[None]],
        lost: Callable[[C], bool] = lambda connection: False,
        verify: Callable[[C], None] = lambda connection: None,
    ) -> None:
        self._connect = connect
        self._named_errors = named_errors
        self._lost = lost
        self._verify = verify
        self._jobs: SimpleQueue[Job[C] | None] = SimpleQueue()
        self._under_way = 0
        self._threads = [Thread(target=self._run, name=f"leftfold reader {n}", daemon=True) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    @property
    def idle(self) -> bool:
        """Whether no read is under way."""
        return self._under_way == 0

    async def run(self, read: Callable[[C], T]) -> T:
        """Run `read` in one of the threads."""
        return await self.begin(read)

    def begin(self, read: Callable[[C], T]) -> asyncio.Future[T]:
        """Have `read` run in one of the threads, whether or not anybody comes to wait for its outcome."""
        outcome: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        outcome.add_done_callback(self._over)
        self._under_way += 1
        self._jobs.put(Job(read, outcome))
        return outcome

    async def ahead(self, reading: "Batches[C]") -> AsyncIterator[Batch]:
        """The batches of a reading, each read while the one before is used."""
        coming = None if reading.complete else self.begin(reading.next_batch)
        while coming is not None:
            batch = await coming
            coming = None if reading.complete else self.begin(reading.next_batch)
            yield batch

    async def run_apart(self, read: Callable[[C], T]) -> T:
        """Run what takes long in a thread of its own, so that nobody waits behind it."""

        def work() -> T:
            with self._named_errors(), closing(self._connect()) as connection:
                return read(connection)

        return await asyncio.to_thread(work)

    async def close(self) -> None:
        """Wait for what is under way, then end the threads; each closes its connection."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    def _over(self, outcome: asyncio.Future[Any]) -> None:
        self._under_way -= 1
        if not outcome.cancelled():
            outcome.exception()  # one that nobody waits for any more is not worth a word in the log

    def _run(self) -> None:
        connection: C | None = None
        ending = False
        while not ending:
            jobs, ending = self._take()
            for number, job in enumerate(jobs):
                try:
                    with self._named_errors():
                        if connection is None or self._lost(connection):
                            connection = self._connect()
                except BaseException as error:  # noqa: BLE001 all would wait as long for a server that is away
                    for each in jobs[number:]:
                        each.error = error
                    break
                self._do(job, connection)
            if jobs and connection is not None:
                self._verify_round(jobs, connection)
            if jobs:
                _answer(jobs)
        if connection is not None:
            connection.close()

    def _do(self, job: Job[C], connection: C) -> None:
        try:
            with self._named_errors():
                job.found = job.read(connection)
        except BaseException as error:  # noqa: BLE001 it is the caller's
            job.error = error

    def _verify_round(self, jobs: Sequence[Job[C]], connection: C) -> None:
        try:
            with self._named_errors():
                self._verify(connection)
        except BaseException as error:  # noqa: BLE001 it is the callers'
            for job in jobs:
                job.error = job.error or error

    def _take(self) -> tuple[list[Job[C]], bool]:
        """Wait for a job, then take along some that are there; and whether it is time to end."""
        jobs: list[Job[C]] = []
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


def _answer(jobs: Sequence[Job[Any]]) -> None:
    def settle() -> None:
        for job in jobs:
            job.settle()

    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        jobs[0].outcome.get_loop().call_soon_threadsafe(settle)
