"""The SQLite store: one file in WAL mode, one writing thread, a few reading threads, any number of processes."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from itertools import count
from operator import itemgetter
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from leftfold.errors import LeftfoldError, StoreClosed, StoreCorrupt
from leftfold.model.clock import Clock, SystemClock, microseconds_of
from leftfold.model.criteria import EVERYTHING, Criteria, CriteriaItem
from leftfold.model.record import NewEvent, StoredEvent
from leftfold.store.admission import MAX_SHOWN_MATCHES, Admission, AppendRequest
from leftfold.store.base import DatabaseStore
from leftfold.store.bounds import EVENT_LIMIT, check_read
from leftfold.store.clock_guard import CLOCK_BOUND, ClockGuard
from leftfold.store.commit import AppendResult, GroupCommit
from leftfold.store.contract import AppendCondition, Appended, Batch, IdempotencyKey
from leftfold.store.inspection import Statistics, StoredKey, TypeSample
from leftfold.store.private_files import Group
from leftfold.store.reading import ReadingThreads, ReadOptions
from leftfold.store.recent_tags import RecentTags
from leftfold.store.sqlite.errors import Transaction, named, named_errors
from leftfold.store.sqlite.file import LogFile, Use
from leftfold.store.sqlite.format import hide_replacement_triggers
from leftfold.store.sqlite.inspection import problems, statistics, stored_keys
from leftfold.store.sqlite.loop_reads import LoopReads, TooLong
from leftfold.store.sqlite.reading import Reading, Types, counts, head_of, mentions, type_samples
from leftfold.store.sqlite.select import scans_for, select
from leftfold.store.sqlite.tags import (
    BULK_INSERT_ROWS,
    MergeStep,
    TagIndex,
    TagRows,
    finish_merges,
    insert_many,
    next_step,
    tag_rows,
)

T = TypeVar("T")
log = logging.getLogger("leftfold.store")

MAX_QUEUED_APPENDS = 4_096
SHORT_READ_EVENTS = 100  # that a read on the event loop may have; a read of data alone begins with as few
POLL_SECONDS = 0.02  # the longest delay, plus one read, until a commit of another process is noticed
READING_THREADS = 2
# After this process has written so many events, it hides the triggers; before, to read the schema would cost more.
EVENTS_BEFORE_HIDING_TRIGGERS = 64

INSERT_EVENT = """
    INSERT INTO event (position, time, type, version, data, metadata, tags)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""
INSERT_KEY = "INSERT INTO idempotency_key (key, first_position, last_position, digest) VALUES (?, ?, ?, ?)"
SELECT_KEY = "SELECT first_position, last_position, digest FROM idempotency_key WHERE key = ?"
SELECT_NEWEST = "SELECT position, time FROM event ORDER BY position DESC LIMIT 1"
SELECT_WHOLE = "SELECT position, time, version, data, metadata, tags FROM event WHERE position = ?"
SELECT_WHOLE_AND_HEAD = """
    SELECT position, time, version, data, metadata, tags, (SELECT max(position) FROM event) FROM event
    WHERE position = ?"""


class SQLiteStore(DatabaseStore):
    """A log in one SQLite file; see `EventStore` for its promises.

    `durable=False` syncs only at checkpoints: a crash of the process loses nothing, a power failure may lose the latest
    commits. `read_only=True` refuses appends, and needs no right to write the file. Only the owner may use a new file,
    unless its `group` may also "read" or "write" it.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        clock: Clock | None = None,
        durable: bool = True,
        read_only: bool = False,
        event_limit: int = EVENT_LIMIT,
        busy_timeout: float = 10.0,
        queue: int = MAX_QUEUED_APPENDS,
        clock_bound: float = CLOCK_BOUND,
        accept_time: datetime | None = None,
        group: Group | None = None,
    ) -> None:
        self._path = Path(path)
        self._clock = clock or SystemClock()
        self._guard = ClockGuard(self._clock, clock_bound, accept_time)
        self._file = LogFile(
            self._path,
            self._clock,
            durable=durable,
            read_only=read_only,
            busy_timeout=busy_timeout,
            group=group,
        )
        super().__init__(str(self._path), self._file.replacement, read_only=read_only, event_limit=event_limit)
        self._types = Types()
        self._recent = RecentTags()
        self._newest = Newest(self._file)
        self._tags = TagIndex()
        self._writer = self._file.open()
        self.log_id = self._identify(self._writer)
        self._readers = ReadingThreads(
            self._file.open_reader,
            READING_THREADS,
            partial(named_errors, self._where),
            verify=self._newest.verify,
        )
        self._unmerged = False  # whether there may be tags to merge, as after a segment has been filled
        self._step: MergeStep | None = None  # of a merge, to run between commits
        self._written = 0
        self._hidden = False  # whether the writer inserts without the triggers against replacement
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="leftfold tag rows")
        self._commits = GroupCommit(
            partial(self._commit, Use.COMMIT),
            self._head.advance,
            queue=queue,
            tidy=self._merge,
            on_loop=partial(self._commit, Use.COMMIT_ON_LOOP),
        )
        self._loop_reads = LoopReads(self._writer, self._commits.writing, self._newest.verify)

    def __repr__(self) -> str:
        return f"<SQLiteStore {self._path}{'' if self._file.durable else ', not durable'} at {self._head.known}>"

    async def append(
        self,
        events: Sequence[NewEvent],
        *,
        condition: AppendCondition | Iterable[AppendCondition] | None = None,
        key: str | IdempotencyKey | Sequence[IdempotencyKey] | None = None,
    ) -> Appended:
        """Append all events or none, durably; see `EventStore.append`."""
        return await self._commits.append(self._checked(events, condition, key))

    async def read(
        self,
        criteria: Criteria = EVERYTHING,
        *,
        after: int = 0,
        upto: int | None = None,
        limit: int | None = None,
        reverse: bool = False,
        data_only: bool = False,
    ) -> AsyncIterator[Batch]:
        """Read matching events in batches, the next one while the last is used; see `EventStore.read`."""
        self._check_open()
        check_read(criteria, after, upto, limit)
        options = ReadOptions(after, upto, limit, bool(reverse), data_only)
        reading = Reading(self._types, criteria, options)
        if data_only or (limit is not None and limit <= SHORT_READ_EVENTS):
            try:
                batch = await self._read_on_loop(reading.next_batch)
            except TooLong:
                reading = Reading(self._types, criteria, options)
            else:
                yield batch
                self._check_open()
        self._file.check_in_place()
        async for batch in self._readers.ahead(reading):
            yield batch
            self._check_open()

    async def _read_on_loop(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """Run a short read on the event loop, after other tasks have had a turn; or raise `TooLong`."""
        await asyncio.sleep(0)
        self._check_open()
        self._file.check_in_place()
        return self._loop_reads.run(read)

    async def head(self) -> int:
        """Return the position of the newest event that any process has committed."""
        self._check_open()
        await self._look_at_head()
        return self._head.known

    async def _look_at_head(self) -> None:
        """Advance the head, or raise `LogReplaced` if the log ends before it or was moved."""
        known = self._head.known
        self._file.check_in_place()
        found = await self._readers.run(head_of)
        if found < known:
            self.replacement.refuse(f"it has {found} events, and had {known} before")
        self._head.advance(found)

    async def statistics(self) -> Statistics:
        """Return the statistics of the log, by its indexes; see `Inspectable`."""
        self._check_open()
        return await self._readers.run(lambda connection: statistics(connection, self._file))

    async def type_samples(self, *, at_most: int) -> list[TypeSample]:
        """Return the oldest and the newest event of every type, by the index; see `Sampled`."""
        self._check_open()
        return await self._readers.run(partial(type_samples, types=self._types, at_most=at_most))

    async def counts(self, types: Sequence[str], edges: Sequence[int]) -> list[int]:
        """Return how many events of these types are between neighbouring edges, by the index; see `Counted`."""
        self._check_open()
        return await self._readers.run(partial(counts, types=self._types, names=types, edges=edges))

    async def mentions(self, text: bytes, *, after: int, upto: int) -> list[StoredEvent]:
        """Return the events whose metadata contains a text, by a scan; see `Searchable`."""
        self._check_open()
        return await self._readers.run(partial(mentions, types=self._types, text=text, after=after, upto=upto))

    async def self_check(self) -> list[str]:
        """Return what is wrong with the file: by SQLite's own check, then whether indexes and tags fit the events."""
        self._check_open()
        return await self._readers.run_apart(problems)

    async def _find_key(self, key: str) -> tuple[Appended, bytes] | None:
        self._file.check_in_place()
        return await self._readers.run(partial(_appended, key=key))

    async def _keys_beyond(self, last: StoredKey | None) -> list[StoredKey]:
        return await self._readers.run(partial(stored_keys, beyond=last))

    async def _release(self) -> None:
        await self._commits.close()
        self._beside.shutdown(wait=False)  # the commits have waited for its results
        await self._readers.close()
        self._writer.close()

    def _identify(self, connection: sqlite3.Connection) -> str:
        try:
            with named_errors(self._where):
                row = connection.execute("SELECT id, created FROM log").fetchone()
                if row is None or not row[0].isascii():
                    raise StoreCorrupt(self._where, "it has no identity")
                self._newest.found(connection)
                _, newest = self._newest.place
                self._guard.begin(microseconds_of(self._clock), max(row[1], newest))
                self._head.advance(head_of(connection))
                return str(row[0], "ascii")
        except BaseException:
            connection.close()
            raise

    # --- commits, in the writing thread or on the event loop

    def _commit(self, use: Use, requests: Sequence[AppendRequest]) -> Sequence[AppendResult]:
        connection = self._writer
        try:
            with Transaction(self._file.set_up(connection, use)):
                self._file.check_in_place()  # under the lock, for which this may have waited
                head, newest = self._newest.look(connection)
                if not self._newest.is_alone:
                    self._tags.forget()
                now = microseconds_of(self._clock)
                latest = self._guard.latest(now)
                admission = Admission(self, self._recent, head=head, newest=newest, now=now, latest=latest)
                outcomes = [admission.admit(request) for request in requests]
                if admission.placed:
                    self._write(connection, admission, requests)
        except sqlite3.Error as error:
            raise named(self._where, error) from error
        self._file.check_in_place(written=True)
        try:
            self._recent.done(admission.head)
            self._newest.committed(admission)
            if self._unmerged and use is Use.COMMIT_ON_LOOP:
                self._commits.wake()
            elif self._unmerged:
                self._prepare_merge()
        except Exception:  # the batch is committed; the next commit looks for what was not noted
            log.exception("an error after a commit to %s; the events are stored", self._path)
        return outcomes

    def _write(self, connection: sqlite3.Connection, admission: Admission, requests: Sequence[AppendRequest]) -> None:
        positions = range(admission.placed[0].first, admission.head + 1)
        self._written += len(positions)
        if self._written > EVENTS_BEFORE_HIDING_TRIGGERS and not self._hidden:
            self._hidden = True
            hide_replacement_triggers(connection)
        types = {event.type for placed in admission.placed for event in placed.events}
        ids = self._types.ids_for(connection, types)
        if len(positions) < BULK_INSERT_ROWS:
            tags = self._insert_few(connection, admission, ids)
        else:
            tags = self._insert_many(connection, admission, ids, sum(request.size for request in requests))
        for key, appended in admission.keys:
            connection.execute(INSERT_KEY, (key.value, appended.first, appended.last, key.digest))
        if self._tags.add(connection, positions, tags):
            self._unmerged = True

    def _insert_few(self, connection: sqlite3.Connection, admission: Admission, ids: Mapping[str, int]) -> TagRows:
        """Insert events row by row; return their tags in the order of the index."""
        rows: list[tuple[Any, ...]] = []
        tags: list[tuple[str, int, int]] = []
        for placed in admission.placed:
            for position, time, event in zip(count(placed.first), placed.times, placed.events, strict=False):
                type = ids[event.type]
                data, metadata = _readable(event.data), _readable(event.metadata)
                rows.append((position, time, type, event.version, data, metadata, "\n".join(event.tags)))
                tags += [(tag, position, type) for tag in event.tags]
        if len(rows) == 1:
            connection.execute(INSERT_EVENT, rows[0])
        else:
            connection.executemany(INSERT_EVENT, rows)
            tags.sort()
        return tags

    def _insert_many(
        self, connection: sqlite3.Connection, admission: Admission, ids: Mapping[str, int], size: int
    ) -> TagRows:
        """Insert events of `size` bytes with long statements, while another thread sorts their tags."""
        events = [event for placed in admission.placed for event in placed.events]
        times = [time for placed in admission.placed for time in placed.times]
        positions = range(admission.placed[0].first, admission.head + 1)
        types = [ids[event.type] for event in events]
        making = self._beside.submit(tag_rows, events, positions, types)
        insert_many(connection, "event", _columns(events, positions, times, types), size)
        return making.result()

    def _prepare_merge(self) -> None:
        """Find out what to merge next, before the callers get their results and continue."""
        try:
            connection = self._file.set_up(self._writer, Use.TIDY)
            self._step = self._step or next_step(connection)
        except sqlite3.Error:
            log.exception("could not merge the tag index of %s; trying again later", self._path)

    def _merge(self) -> bool:
        """Merge some tags while nobody waits for a commit; return whether there is more to do.

        If it fails, the next append meets the same problem and raises it. If another process holds the lock, the merge
        is postponed. A merge is not synced: after a power failure it is done again, and the next sync includes it.
        """
        if not self._unmerged:
            return False
        try:
            with named_errors(self._where):
                self._unmerged = self._merge_some(self._file.set_up(self._writer, Use.TIDY))
        except LeftfoldError:
            return False
        except Exception:  # no caller waits for it, and the thread must survive it
            log.exception("tags of %s were not merged", self._path)
            return False
        return self._unmerged

    def _merge_some(self, connection: sqlite3.Connection) -> bool:
        self._file.check_in_place()
        if self._step is None:
            with Transaction(connection):
                more = finish_merges(connection)
        else:
            more = True
            connection.execute(*self._step)
        self._step = next_step(connection) if more else None
        return more

    def first_matches(self, item: CriteriaItem, after: int) -> Sequence[StoredEvent]:
        """Return the first few committed events after `after` that match the item, under the write lock."""
        ids = self._types.ids_among(self._writer, item.types)
        scans = scans_for(Criteria(item), ids, self._writer, after=after)
        rows = list(select(self._writer, scans, ReadOptions(after, limit=MAX_SHOWN_MATCHES)))
        return self._types.stored(self._writer, rows)

    def appended(self, key: str) -> tuple[Appended, bytes] | None:
        """Return what was appended with this key, and its digest, under the write lock."""
        return _appended(self._writer, key)

    # --- following other processes

    async def _follow_appends(self) -> None:
        while self._head.awaited:
            await asyncio.sleep(POLL_SECONDS)
            await self._look_at_head()

    def _check_open(self) -> None:
        self._home.check()
        if self._closed:
            raise StoreClosed
        if self.replacement.found or self._file.standing:
            self._file.check_standing()


class Newest:
    """The newest event that this process wrote or found. While nobody else writes, the log need not be asked."""

    def __init__(self, file: LogFile) -> None:
        self._file = file
        self._row: tuple[Any, ...] | None = None
        self._place = (0, 0)  # position and time of the newest event, only for the writing thread
        self.is_alone = False  # whether nobody else has committed since the last commit of this process
        self._seen = 0  # SQLite's data version, which changes when another connection commits
        self._version: int | None = None  # the data version at the last commit; None while a commit is under way
        self._versions: dict[sqlite3.Connection, int] = {}  # the data version of each connection that reads

    def found(self, connection: sqlite3.Connection) -> None:
        """Note the newest event of a log that is opened."""
        position, _ = self.look(connection)
        self._version = self._seen
        self._row = connection.execute(SELECT_WHOLE, (position,)).fetchone()

    @property
    def place(self) -> tuple[int, int]:
        """Return the position and the time of the newest event as last seen, only for the writing thread."""
        return self._place

    def look(self, connection: sqlite3.Connection) -> tuple[int, int]:
        """Return the position and the time of the newest event, in the transaction that is going to write.

        Raise `LogReplaced` if the event that was the newest before is no longer in the log.
        """
        self._seen = _data_version(connection)
        self.is_alone = self._seen == self._version
        if not self.is_alone:
            known = self._row  # a reading thread may replace it meanwhile
            if known and connection.execute(SELECT_WHOLE, known[:1]).fetchone() != known:
                self._refuse(known)
            self._place = connection.execute(SELECT_NEWEST).fetchone() or (0, 0)
        self._version = None
        return self._place

    def verify(self, connection: sqlite3.Connection) -> None:
        """Raise `LogReplaced` if the log that this connection has read lacks the event; in a reading thread."""
        version = _data_version(connection)
        if version == self._versions.get(connection):
            return
        known = self._row
        head = self._head_beside(connection, known) if known else head_of(connection)
        if known is None or head > known[0]:
            newest = connection.execute(SELECT_WHOLE, (head,)).fetchone()
            found = [row for row in (self._row, newest) if row]  # another thread may have found a newer one
            self._row = max(found, key=itemgetter(0), default=None)
        self._versions[connection] = version

    def _head_beside(self, connection: sqlite3.Connection, known: tuple[Any, ...]) -> int:
        """Return the position of the newest event, after checking that the log still has the known one."""
        found = connection.execute(SELECT_WHOLE_AND_HEAD, known[:1]).fetchone()
        if found is None or found[:-1] != known:
            self._refuse(known)
        head: int = found[-1]
        return head

    def _refuse(self, row: tuple[Any, ...]) -> NoReturn:
        self._file.replacement.refuse(f"it does not have the event any more that was at position {row[0]}")

    def committed(self, admission: Admission) -> None:
        """Note the newest event of a commit."""
        if admission.placed:
            event, time = admission.placed[-1].events[-1], admission.placed[-1].times[-1]
            tags = "\n".join(event.tags).encode()
            self._place = (admission.head, time)
            self._row = (admission.head, time, event.version, event.data, event.metadata, tags)
        self._version = self._seen


def _appended(connection: sqlite3.Connection, key: str) -> tuple[Appended, bytes] | None:
    row = connection.execute(SELECT_KEY, (key,)).fetchone()
    return (Appended(row[0], row[1]), row[2]) if row else None


def _data_version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA data_version").fetchone()
    return int(version)


def _columns(
    events: Sequence[NewEvent], positions: Sequence[int], times: Sequence[int], types: Sequence[int]
) -> dict[str, Sequence[Any]]:
    return {
        "position": positions,
        "time": times,
        "type": types,
        "version": [event.version for event in events],
        "data": _texts([event.data for event in events]),
        "metadata": _texts([event.metadata for event in events]),
        "tags": ["\n".join(event.tags) for event in events],
    }


def _texts(column: Sequence[bytes]) -> list[str] | list[str | bytes]:
    if column.count(column[0]) == len(column):
        return [_readable(column[0])] * len(column)
    return [_readable(data) for data in column]


def _readable(data: bytes) -> str | bytes:
    """Return text if the bytes are UTF-8, so that people and SQL's JSON functions can read them."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data
