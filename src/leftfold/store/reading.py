"""Reading in batches: a cursor over the log, the names of event types, and threads with connections of their own."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, closing, suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from leftfold.model.record import StoredColumns, StoredEvent
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

    def columns(self, rows: Sequence[Sequence[Any]]) -> StoredColumns | None:
        """Return the same as columns; None if the data of an event is not one line."""
        positions, types, versions, data = zip(*rows, strict=True)
        lines = b"\n".join(data)
        if lines.count(b"\n") != len(rows) - 1:
            return None
        forms = {form: (self.names[form[0]], form[1]) for form in set(zip(types, versions, strict=True))}
        return StoredColumns(positions, [forms[form] for form in zip(types, versions, strict=True)], lines)


MAX_READS_PER_ROUND = 128
MAX_BATCHES_AHEAD = 4  # of one read, if they are small
MAX_BATCHES_PER_JOB = 4  # reads that wait for the same thread begin after it
SMALL_BATCH_BYTES = 1_048_576


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


class Announcement(NamedTuple):
    """Something that a reading thread has another one tell the event loop."""

    tell: Callable[[], None]

    def make(self) -> None:
        """Tell it."""
        with suppress(RuntimeError):  # the loop is closed, so nobody waits
            self.tell()


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
        self._jobs: SimpleQueue[Job[C] | Announcement | None] = SimpleQueue()
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
        """Yield the batches of a read; the next ones are read while the caller uses one."""
        if reading.complete:
            return
        first = await self.begin(reading.next_batch)
        ahead = _ahead_of(reading, self)
        yield first
        while ahead is not None and (batch := await ahead.next_batch()) is not None:
            yield batch

    def announce(self, tell: Callable[[], None]) -> None:
        """Let another thread tell the event loop that something is ready, while this one goes on.

        A thread that wakes the event loop by itself may lose the interpreter's lock to it, for as long as it takes to
        use what is ready. The other one gets the lock when this one lets go of it, thus once the next read has begun.
        """
        self._jobs.put(Announcement(tell))

    def verify(self, connection: C) -> None:
        """Verify what was read over a connection, in a reading thread."""
        self._verify(connection)

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
            if isinstance(job, Announcement):
                job.make()
            else:
                jobs.append(job)
            if len(jobs) == MAX_READS_PER_ROUND:
                return jobs, False
            try:
                job = self._jobs.get_nowait()
            except Empty:
                return jobs, False
        return jobs, True


class ReadAhead(Generic[C]):
    """The batches of one read, some of which are read before the caller asks for them.

    One job reads several batches if they are small. If the thread had to be asked for each, it would begin when the
    event loop lets go of the interpreter's lock, so after the caller has used the batch before.
    """

    def __init__(self, threads: ReadingThreads[C], reading: Batches[C]) -> None:
        self._threads = threads
        self._reading = reading
        self._loop = asyncio.get_running_loop()
        self._ready: deque[Batch] = deque()
        self._read = self._taken = 0  # batches
        self._job: asyncio.Future[None] | None = None
        self._news = asyncio.Event()

    def __repr__(self) -> str:
        return f"<ReadAhead {self._read} batches read, {self._taken} taken>"

    def begin(self) -> None:
        """Begin to read, unless that is under way, has failed or is done."""
        if self._job is not None and not (self._job.done() and self._job.exception() is None):
            return
        if not self._reading.complete and self._read - self._taken < MAX_BATCHES_AHEAD:
            self._job = self._threads.begin(self._read_some)
            self._job.add_done_callback(lambda _: self._news.set())

    async def next_batch(self) -> Batch | None:
        """Return the next batch, or None at the end."""
        while not self._ready:
            if self._job is not None and self._job.done():
                self._job.result()
            self.begin()
            if self._job is None or self._job.done():
                return None
            self._news.clear()
            await self._news.wait()
        self._taken += 1
        batch = self._ready.popleft()
        self.begin()
        return batch

    def _read_some(self, connection: C) -> None:
        """Read some batches, in a reading thread."""
        for _ in range(MAX_BATCHES_PER_JOB):
            batch = self._reading.next_batch(connection)
            self._threads.verify(connection)
            self._read += 1
            self._ready.append(batch)
            many = self._read - self._taken >= MAX_BATCHES_AHEAD
            if many or self._reading.complete or not _is_small(batch):
                break
            self._threads.announce(self._tell)

    def _tell(self) -> None:
        self._loop.call_soon_threadsafe(self._news.set)


def _is_small(batch: Batch) -> bool:
    """Tell whether another batch may be read before this one is used."""
    return isinstance(batch.events, StoredColumns) and batch.events.size <= SMALL_BATCH_BYTES


def _ahead_of(reading: Batches[C], threads: ReadingThreads[C]) -> ReadAhead[C] | None:
    """Begin to read ahead, if the first batch was not all."""
    if reading.complete:
        return None
    ahead = ReadAhead(threads, reading)
    ahead.begin()
    return ahead


def _answer(jobs: Sequence[Job[Any]]) -> None:
    def complete_all() -> None:
        for job in jobs:
            job.complete_all()

    with suppress(RuntimeError):  # the loop is closed, so nobody waits
        jobs[0].outcome.get_loop().call_soon_threadsafe(complete_all)
