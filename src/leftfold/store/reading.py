"""Reading in batches: a cursor over the log, the names of event types, and threads with connections of their own."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, closing, suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from leftfold.model.record import StoredEvent
from leftfold.store.contract import Batch

MAX_EVENTS_PER_BATCH = 4_000
MAX_BYTES_PER_BATCH = 16_777_216


class ReadOptions(NamedTuple):
    """Which part of the log: after < position <= upto, at most `limit` events, from one end or the other."""

    after: int
    upto: int | None = None
    limit: int | None = None
    reverse: bool = False
    data_only: bool = False


class ReadCursor:
    """The part of a range that is still to be read; `complete` once nothing is left."""

    def __init__(self, options: ReadOptions) -> None:
        self.options = options
        self.complete = False

    def __repr__(self) -> str:
        return f"<ReadCursor {self.options}{', complete' if self.complete else ''}>"

    @property
    def size(self) -> int:
        """Return how many events the next batch may have."""
        left = self.options.limit
        return MAX_EVENTS_PER_BATCH if left is None else min(left, MAX_EVENTS_PER_BATCH)

    def end_at(self, head: int) -> None:
        """End the range at the head, which was taken first, so that no later event can belong to it."""
        upto = self.options.upto
        self.options = self.options._replace(upto=head if upto is None else min(upto, head))

    def advance(self, events: Sequence[StoredEvent], *, cut: bool) -> int:
        """Note what has been read, and return the position through which the read is complete."""
        after, upto, limit, reverse, _ = self.options
        upto = upto or 0
        if not cut:
            self.complete = True
            return after if reverse else max(after, upto)
        if limit is not None:
            self.options = self.options._replace(limit=limit - len(events))
            self.complete = limit == len(events)
        if not events:  # a limit of 0
            return upto if reverse else after
        position = events[-1].position
        after, upto = (after, position - 1) if reverse else (position, upto)
        self.options = self.options._replace(after=after, upto=upto)
        return position


class TypeNames:
    """The names of the event types in the log, and their ids. It only grows, as the log does."""

    def __init__(self) -> None:
        self.ids: dict[str, int] = {}
        self.names: dict[int, str] = {}

    def note(self, names: Mapping[int, str]) -> None:
        """Add names by their ids. Another thread may have added newer ones meanwhile."""
        self.names.update(names)
        self.ids.update((name, id) for id, name in names.items())

    def lacks(self, names: Iterable[str]) -> bool:
        """Return whether some of these names are not known yet."""
        return any(name not in self.ids for name in names)

    def events(self, rows: Sequence[Sequence[Any]], tags: Mapping[Any, tuple[str, ...]]) -> list[StoredEvent]:
        """Return the events of whole rows; `tags` has the tags of each stored text."""
        names = self.names
        return [
            StoredEvent(position, microseconds, names[type], version, data, metadata, tags[text])
            for position, type, version, data, microseconds, metadata, text in rows
        ]

    def events_with_data(self, rows: Sequence[Sequence[Any]]) -> list[StoredEvent]:
        """Return the events of rows that were read with `data_only`."""
        names = self.names
        return [StoredEvent(position, 0, names[type], version, data, b"", ()) for position, type, version, data in rows]


MAX_READS_PER_ROUND = 128


class Closable(Protocol):
    """A database connection that can be closed."""

    def close(self) -> None:
        """Close it."""
        ...


T = TypeVar("T")
C = TypeVar("C", bound=Closable)
C_contra = TypeVar("C_contra", bound=Closable, contravariant=True)


class Batches(Protocol[C_contra]):
    """A read that proceeds batch by batch."""

    @property
    def complete(self) -> bool:
        """Return whether nothing is left to read."""
        ...

    def next_batch(self, connection: C_contra, /) -> Batch:
        """Read the next batch."""
        ...


class Job(Generic[C]):
    """A read that is under way, and its outcome."""

    __slots__ = ("error", "found", "outcome", "read")

    def __init__(self, read: Callable[[C], Any], outcome: asyncio.Future[Any]) -> None:
        self.read = read
        self.outcome = outcome
        self.found: Any = None
        self.error: BaseException | None = None

    def complete_all(self) -> None:
        """Give the caller the outcome, if it still waits."""
        if self.outcome.done():
            return
        if self.error is None:
            self.outcome.set_result(self.found)
        else:
            self.outcome.set_exception(self.error)


class ReadingThreads(Generic[C]):
    """Runs functions over a connection in threads; connections are opened when they are first needed.

    A thread takes all reads that wait, and answers them together. Otherwise, with many concurrent reads, the
    interpreter's lock would change hands with every answer, which costs more than the reads. `verify` is called once
    after the reads of such a round; if it raises, each of them gets that error. `named_errors` turns errors of the
    driver into leftfold's. A `lost` connection is replaced before the next read. Belongs to one event loop.
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
        """Return whether no read is under way."""
        return self._under_way == 0

    async def run(self, read: Callable[[C], T]) -> T:
        """Run `read` in one of the threads."""
        return await self.begin(read)

    def begin(self, read: Callable[[C], T]) -> asyncio.Future[T]:
        """Start `read` in one of the threads, whether or not anyone awaits its outcome."""
        outcome: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        outcome.add_done_callback(self._on_done)
        self._under_way += 1
        self._jobs.put(Job(read, outcome))
        return outcome

    async def ahead(self, reading: "Batches[C]") -> AsyncIterator[Batch]:
        """Yield the batches of a read; each is read while the caller uses the one before."""
        coming = None if reading.complete else self.begin(reading.next_batch)
        while coming is not None:
            batch = await coming
            coming = None if reading.complete else self.begin(reading.next_batch)
            yield batch

    async def run_apart(self, read: Callable[[C], T]) -> T:
        """Run a long read in a thread of its own, so that other reads do not wait for it."""

        def work() -> T:
            with self._named_errors(), closing(self._connect()) as connection:
                return read(connection)

        return await asyncio.to_thread(work)

    async def close(self) -> None:
        """Finish what is under way, then end the threads; each closes its connection."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    def _on_done(self, outcome: asyncio.Future[Any]) -> None:
        self._under_way -= 1
        if not outcome.cancelled():
            outcome.exception()  # mark the error as seen, so that asyncio does not log it

    def _run(self) -> None:
        connection: C | None = None
        ending = False
        while not ending:
            jobs, ending = self._take_jobs()
            for number, job in enumerate(jobs):
                try:
                    with self._named_errors():
                        if connection is None or self._lost(connection):
                            connection = self._connect()
                except BaseException as error:  # noqa: BLE001 the other jobs would wait as long for the same server
                    for each in jobs[number:]:
                        each.error = error
                    break
                self._run_job(job, connection)
            if jobs and connection is not None:
                self._verify_round(jobs, connection)
            if jobs:
                _answer(jobs)
        if connection is not None:
            connection.close()

    def _run_job(self, job: Job[C], connection: C) -> None:
        try:
            with self._named_errors():
                job.found = job.read(connection)
        except BaseException as error:  # noqa: BLE001 the caller gets it
            job.error = error

    def _verify_round(self, jobs: Sequence[Job[C]], connection: C) -> None:
        try:
            with self._named_errors():
                self._verify(connection)
        except BaseException as error:  # noqa: BLE001 the callers get it
            for job in jobs:
                job.error = job.error or error

    def _take_jobs(self) -> tuple[list[Job[C]], bool]:
        """Wait for a job, then take others that wait too; return whether it is time to end."""
        jobs: list[Job[C]] = []
        job = self._jobs.get()
        while job is not None:
            jobs.append(job)
            if len(jobs) == MAX_READS_PER_ROUND:
                return jobs, False
            try:
                job = self._jobs.get_nowait()
            except Empty:
                return jobs, False
        return jobs, True


def _answer(jobs: Sequence[Job[Any]]) -> None:
    def complete_all() -> None:
        for job in jobs:
            job.complete_all()

    with suppress(RuntimeError):  # the loop is closed, so nobody waits
        jobs[0].outcome.get_loop().call_soon_threadsafe(complete_all)
