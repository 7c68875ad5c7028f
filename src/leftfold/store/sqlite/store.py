"""The SQLite store: one file in WAL mode, one writing thread, a few reading threads, any number of processes."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from functools import partial
from itertools import islice
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

from leftfold.errors import LeftfoldError, StoreClosed, StoreCorrupt, StoreReadOnly, StoreUnavailable
from leftfold.model.clock import Clock, SystemClock, to_microseconds
from leftfold.model.criteria import EVERYTHING, Criteria, Item
from leftfold.model.record import NewEvent, StoredEvent
from leftfold.store.admission import SHOWN_MATCHES, Admission, AppendRequest, recognised
from leftfold.store.bounds import EVENT_LIMIT, check_known_key, check_read, check_wait
from leftfold.store.clock_guard import CLOCK_BOUND, ClockGuard
from leftfold.store.commit import GroupCommit, Outcome
from leftfold.store.contract import AppendCondition, Appended, Batch, IdempotencyKey
from leftfold.store.head import Head
from leftfold.store.home import Home, keep_in_children
from leftfold.store.inspection import Statistics, StoredKey, TypeSample, type_samples_from
from leftfold.store.private_files import Group
from leftfold.store.reading import BYTES_A_BATCH, ReadCursor, ReadingThreads, ReadOptions
from leftfold.store.recent_tags import RecentTags
from leftfold.store.sqlite.errors import named_errors, transaction
from leftfold.store.sqlite.file import LogFile
from leftfold.store.sqlite.format import hide_replacement_triggers
from leftfold.store.sqlite.inspection import problems, statistics, stored_keys, type_extents
from leftfold.store.sqlite.select import IndexScan, arms_of, at_positions, select
from leftfold.store.sqlite.tags import MANY, Step, index_tags, insert_many, next_step, settle, tag_rows

log = logging.getLogger("leftfold.store")

ROWS_AT_ONCE = 100
LARGE_ROWS_AT_ONCE = 8
SMALL_PART = 262_144  # bytes of rows after which many more may be fetched at once
QUEUE = 4_096
POLL_SECONDS = 0.02  # another process's commit is noticed this late at most, plus one read
READING_THREADS = 2
FEW_EVENTS = 64  # written by this process, below which triggers cost less than to read the schema without them

INSERT_EVENT = """
    INSERT INTO event (position, time, type, version, data, metadata, tags)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""
INSERT_TYPE = "INSERT INTO type (name) VALUES (?)"
INSERT_KEY = "INSERT INTO idempotency_key (key, first_position, last_position, digest) VALUES (?, ?, ?, ?)"
SELECT_KEY = "SELECT first_position, last_position, digest FROM idempotency_key WHERE key = ?"
SELECT_NEWEST = "SELECT position, time FROM event ORDER BY position DESC LIMIT 1"
SELECT_WHOLE = "SELECT position, time, version, data, metadata, tags FROM event WHERE position = ?"
SELECT_WHOLE_AND_HEAD = """
    SELECT position, time, version, data, metadata, tags, (SELECT max(position) FROM event) FROM event
    WHERE position = ?"""
SELECT_HEAD = "SELECT max(position) FROM event"
SELECT_TYPES = "SELECT id, name FROM type"


class SQLiteStore:
    """A log in one SQLite file; see `EventStore` for what it promises.

    `durable=False` syncs at checkpoints only: a crash of the process loses nothing, a power failure may lose the
    latest commits. `read_only=True` refuses appends and needs no right to write the file. A new file is its owner's
    alone, unless its `group` may "read" or "write" it too.
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
        queue: int = QUEUE,
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
        self.replacement = self._file.replacement
        self._event_limit = event_limit
        self._head = Head()
        self._polling: asyncio.Task[None] | None = None
        self._closed = False
        self._home = Home()
        keep_in_children(self)
        self._types = Types()
        self._recent = RecentTags()
        self._newest = Newest(self._file)
        self._writer = self._file.open()
        self.log_id = self._identify(self._writer)
        self._readers = ReadingThreads(
            self._file.open_reader,
            READING_THREADS,
            partial(named_errors, str(self._path)),
            verify=self._newest.verify,
        )
        self._unmerged = False  # whether there may be tags to merge: as each segment is full
        self._step: Step | None = None  # of merging, to be done between commits
        self._written = 0
        self._hidden = False  # whether the writer inserts without looking for what it would replace
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="leftfold tag rows")
        self._commits = GroupCommit(self._commit, self._head.advance, queue=queue, tidy=self._merge)

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
        self._check_open()
        if self._file.read_only:
            raise StoreReadOnly(str(self._path), "it was opened with ?mode=ro")
        request = AppendRequest(events, condition, key)
        request.check(self._event_limit)
        return await self._commits.append(request)

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
        self._file.check_in_place()
        chosen = ReadOptions(after, upto, limit, bool(reverse), data_only)
        async for batch in self._readers.ahead(Reading(self._types, criteria, chosen)):
            yield batch
            self._check_open()

    async def head(self) -> int:
        """The position of the newest event that any process has committed."""
        self._check_open()
        await self._look_at_head()
        return self._head.known

    async def _look_at_head(self) -> None:
        """Advance the head; `LogReplaced` where the log ends before it, or lies elsewhere by now."""
        known = self._head.known
        self._file.check_in_place()
        found = await self._readers.run(_head_of)
        if found < known:
            self.replacement.refuse(f"it has {found} events, and had {known} before")
        self._head.advance(found)

    async def wait(self, after: int, timeout: float | None = None) -> int:
        """Return the head once it is beyond `after`; commits of other processes are looked for every 20 ms."""
        self._check_open()
        check_wait(after, timeout)
        self.replacement.listen(self._head.fail)
        if self._head.known <= after and (self._polling is None or self._polling.done()):
            self._polling = asyncio.create_task(self._poll())
        return await self._head.beyond(after, timeout)

    async def lookup(self, key: str | IdempotencyKey) -> Appended | None:
        """Where the append with this idempotency key lies."""
        self._check_open()
        check_known_key(key)
        wanted = key if isinstance(key, str) else key.value
        self._file.check_in_place()
        with named_errors(str(self._path)):
            return recognised(key, await self._readers.run(lambda connection: _appended(connection, wanted)))

    async def stored_keys(self) -> AsyncIterator[Sequence[StoredKey]]:
        """Every idempotency key; see `KeyedLog`."""
        last: StoredKey | None = None
        while True:
            self._check_open()
            page = await self._readers.run(partial(stored_keys, beyond=last))
            if not page:
                return
            yield page
            last = page[-1]

    async def statistics(self) -> Statistics:
        """The log's figures, by its indexes; see `Inspectable`."""
        self._check_open()
        return await self._readers.run(lambda connection: statistics(connection, self._file))

    async def type_samples(self, *, at_most: int) -> list[TypeSample]:
        """The oldest and the newest event of every type, by the index; see `Sampled`."""
        self._check_open()
        return await self._readers.run(partial(_type_samples, types=self._types, at_most=at_most))

    async def self_check(self) -> list[str]:
        """What is wrong with the file itself: SQLite's own check, then whether indexes and tags fit the events."""
        self._check_open()
        return await self._readers.run_apart(problems)

    async def close(self) -> None:
        """Commit what has been handed in, then close the file."""
        if self._closed:
            return
        if self._home.is_elsewhere:  # the parent's
            self._closed = True
            return
        if not self._home.is_gone:
            self._home.check()
        self._closed = True
        if not self._home.is_gone:
            self._head.fail(StoreClosed())
        if self._polling is not None and not self._home.is_gone:
            self._polling.cancel()
        await self._commits.close()
        self._beside.shutdown(wait=False)  # what it was to do has been waited for
        await self._readers.close()
        self._writer.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _identify(self, connection: sqlite3.Connection) -> str:
        try:
            with named_errors(str(self._path)):
                row = connection.execute("SELECT id, created FROM log").fetchone()
                if row is None or not row[0].isascii():
                    raise StoreCorrupt(str(self._path), "it has no identity")
                self._newest.found(connection)
                _, newest = self._newest.place
                self._guard.begin(to_microseconds(self._clock.now()), max(row[1], newest))
                self._head.advance(_head_of(connection))
                return str(row[0], "ascii")
        except BaseException:
            connection.close()
            raise

    # --- committing, in the writing thread

    def _commit(self, requests: Sequence[AppendRequest]) -> Sequence[Outcome]:
        connection = self._writer
        with named_errors(str(self._path)), transaction(self._file.in_front(connection)):
            self._file.check_in_place()  # with the lock in hand: it may have been waited for
            head, newest = self._newest.look(connection)
            now = to_microseconds(self._clock.now())
            latest = self._guard.latest(now)
            admission = Admission(self, self._recent, head=head, newest=newest, now=now, latest=latest)
            outcomes = [admission.admit(request) for request in requests]
            self._write(connection, admission, sum(request.size for request in requests))
        self._file.check_in_place(written=True)
        try:
            self._recent.done(admission.head)
            self._newest.committed(admission)
            self._prepare_merge()
        except Exception:  # it is committed, and what was not noted of it is looked for by the next commit
            log.exception("after a commit to %s", self._path)
        return outcomes

    def _write(self, connection: sqlite3.Connection, admission: Admission, size: int) -> None:
        if not admission.placed:
            return
        events = [event for placed in admission.placed for event in placed.events]
        self._written += len(events)
        if self._written > FEW_EVENTS and not self._hidden:
            self._hidden = True
            hide_replacement_triggers(connection)
        times = [time for placed in admission.placed for time in placed.times]
        positions = range(admission.placed[0].first, admission.head + 1)
        ids = self._types.ids_for(connection, {event.type for event in events})
        types = [ids[event.type] for event in events]
        columns = _columns(events, positions, times, types)
        if len(events) < MANY:
            connection.executemany(INSERT_EVENT, zip(*columns.values(), strict=True))
            tags = tag_rows(events, positions, types)
        else:
            making = self._beside.submit(tag_rows, events, positions, types)
            insert_many(connection, "event", columns, size)
            tags = making.result()
        if index_tags(connection, positions, tags):
            self._unmerged = True
        for key, appended in admission.keys:
            connection.execute(INSERT_KEY, (key.value, appended.first, appended.last, key.digest))

    def _prepare_merge(self) -> None:
        """Find out what to merge next, before the callers have their answers and go on with work of theirs."""
        if not self._unmerged:
            return
        try:
            connection = self._file.aside(self._writer)
            self._step = self._step or next_step(connection)
        except sqlite3.Error:
            log.exception("tags of %s are not merged", self._path)

    def _merge(self) -> bool:
        """Merge some tags while nobody waits for a commit; whether there is more to do.

        What goes wrong is left to the next append, which meets it too; where another process holds the lock it is put
        off. A merge is not synced: if a power failure takes it, it is done again, and the next sync includes it.
        """
        if not self._unmerged:
            return False
        try:
            with named_errors(str(self._path)):
                self._unmerged = self._merge_some(self._file.aside(self._writer))
                if not self._unmerged:
                    self._file.in_front(self._writer)
        except LeftfoldError:
            return False
        except Exception:  # nobody waits for it, and the thread must outlive it
            log.exception("tags of %s were not merged", self._path)
            return False
        return self._unmerged

    def _merge_some(self, connection: sqlite3.Connection) -> bool:
        self._file.check_in_place()
        if self._step is None:
            with transaction(connection):
                more = settle(connection)
        else:
            more = True
            connection.execute(*self._step)
        self._step = next_step(connection) if more else None
        return more

    def first_matches(self, item: Item, after: int) -> Sequence[StoredEvent]:
        """The first few committed events after `after` that match the item; asked under the write lock."""
        ids = self._types.ids_among(self._writer, item.types)
        arms = arms_of(Criteria(item), ids, self._writer, after=after)
        rows = list(select(self._writer, arms, ReadOptions(after, limit=SHOWN_MATCHES)))
        return self._types.stored(self._writer, rows)

    def appended(self, key: str) -> tuple[Appended, bytes] | None:
        """What was appended with this key, and its digest; asked under the write lock."""
        return _appended(self._writer, key)

    # --- following other processes

    async def _poll(self) -> None:
        """Look for commits of other processes for as long as anyone waits."""
        try:
            while self._head.awaited:
                await asyncio.sleep(POLL_SECONDS)
                await self._look_at_head()
        except StoreUnavailable as error:
            self._head.fail(error)

    def _check_open(self) -> None:
        self._home.check()
        if self._closed:
            raise StoreClosed
        self._file.check_standing()


class Newest:
    """The newest event that this process wrote or found: as long as nobody else writes, the log need not be asked."""

    def __init__(self, file: LogFile) -> None:
        self._file = file
        self._row: tuple[Any, ...] | None = None
        self._place = (0, 0)  # position and time of the newest event, for the writing thread alone
        self._seen = 0  # SQLite's number for the data, which changes when another connection commits
        self._version: int | None = None  # the same as of the last commit; None while the outcome of one is open
        self._versions: dict[sqlite3.Connection, int] = {}  # the same, of each connection that reads

    def found(self, connection: sqlite3.Connection) -> None:
        """Note the newest event of a log that is opened."""
        position, _ = self.look(connection)
        self._version = self._seen
        self._row = connection.execute(SELECT_WHOLE, (position,)).fetchone()

    @property
    def place(self) -> tuple[int, int]:
        """The position and the time of the newest event as they were last seen, for the writing thread alone."""
        return self._place

    def look(self, connection: sqlite3.Connection) -> tuple[int, int]:
        """The position and the time of the newest event, in the transaction that is to write.

        `LogReplaced` if the event that was the newest one before is not in the log any more.
        """
        self._seen = _data_version(connection)
        if self._seen != self._version:
            known = self._row  # a reading thread may find a newer one meanwhile
            if known and connection.execute(SELECT_WHOLE, known[:1]).fetchone() != known:
                self._refuse(known)
            self._place = connection.execute(SELECT_NEWEST).fetchone() or (0, 0)
        self._version = None
        return self._place

    def verify(self, connection: sqlite3.Connection) -> None:
        """Raise `LogReplaced` if the event is not in the log that this connection has read; in a reading thread."""
        version = _data_version(connection)
        if version == self._versions.get(connection):
            return
        known = self._row
        head = self._head_beside(connection, known) if known else _head_of(connection)
        if known is None or head > known[0]:
            newest = connection.execute(SELECT_WHOLE, (head,)).fetchone()
            found = [row for row in (self._row, newest) if row]  # another thread may have come further
            self._row = max(found, key=itemgetter(0), default=None)
        self._versions[connection] = version

    def _head_beside(self, connection: sqlite3.Connection, known: tuple[Any, ...]) -> int:
        """The position of the newest event of a log that has the known one."""
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


class Types:
    """The type names of the log and their ids; grows as the log does."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}
        self._names: dict[int, str] = {}

    def ids_among(self, connection: sqlite3.Connection, names: Iterable[str]) -> dict[str, int]:
        """The ids of those names that the log has."""
        if any(name not in self._ids for name in names):
            self._load(connection)
        return self._ids

    def ids_for(self, connection: sqlite3.Connection, names: set[str]) -> dict[str, int]:
        """The ids of all these names; new ones are inserted in the running transaction.

        Ids of new names are not kept here: they come with the next look, when the transaction has been committed.
        """
        known = self.ids_among(connection, names)
        missing = sorted(names - known.keys())
        if not missing:
            return known
        connection.executemany(INSERT_TYPE, [(name,) for name in missing])
        return {name: id for id, name in _named(connection.execute(SELECT_TYPES))}

    def stored(self, connection: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> list[StoredEvent]:
        """The events of whole rows."""
        names = self._names_of(connection, {row[1] for row in rows})
        try:
            tags = {text: _tags_of(text) for text in {row[6] for row in rows}}
        except UnicodeDecodeError as error:
            raise StoreCorrupt("the file", _odd_tags(rows)) from error
        return [
            StoredEvent(position, microseconds, names[type], version, data, metadata, tags[text])
            for position, type, version, data, microseconds, metadata, text in rows
        ]

    def stored_data(self, connection: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> list[StoredEvent]:
        """The events of rows that have their data only."""
        names = self._names_of(connection, {row[1] for row in rows})
        return [StoredEvent(position, 0, names[type], version, data, b"", ()) for position, type, version, data in rows]

    def _names_of(self, connection: sqlite3.Connection, types: set[int]) -> dict[int, str]:
        if types - self._names.keys():
            self._load(connection)
            for type in types - self._names.keys():
                raise StoreCorrupt("the file", f"it has events of a type {type} without a name that is text")
        return self._names

    def _load(self, connection: sqlite3.Connection) -> None:
        names = dict(_named(connection.execute(SELECT_TYPES)))
        self._names.update(names)  # only ever more: another thread may have loaded newer ones meanwhile
        self._ids.update((name, id) for id, name in names.items())


class Reading:
    """One read under way: what it still has to look at."""

    def __init__(self, types: Types, criteria: Criteria, chosen: ReadOptions) -> None:
        self._types = types
        self._criteria = criteria
        self._stretch = ReadCursor(chosen)
        self._arms: Sequence[IndexScan] | None = None

    @property
    def complete(self) -> bool:
        """Whether there is nothing left to read."""
        return self._stretch.complete

    def next_batch(self, connection: sqlite3.Connection) -> Batch:
        """Read the next batch; in a reading thread."""
        arms = self._arms if self._arms is not None else self._begin(connection)
        chosen, size = self._stretch.chosen, self._stretch.size
        found = select(connection, arms, chosen._replace(limit=size))
        stored = self._types.stored_data if chosen.data_only else self._types.stored
        events: list[StoredEvent] = []
        room, rows_at_once = BYTES_A_BATCH, LARGE_ROWS_AT_ONCE
        while room >= 0 and (rows := list(islice(found, rows_at_once))):
            part = stored(connection, rows)
            events += part
            fetched = _size_of(part)
            room -= fetched
            rows_at_once = ROWS_AT_ONCE if fetched < SMALL_PART else LARGE_ROWS_AT_ONCE
        return Batch(events, self._stretch.advance(events, cut=room < 0 or len(events) == size))

    def _begin(self, connection: sqlite3.Connection) -> Sequence[IndexScan]:
        """Take the head first, then look at events up to it."""
        self._stretch.end_at(_head_of(connection))
        names = [name for item in self._criteria.items for name in item.types]
        ids = self._types.ids_among(connection, names)
        self._arms = arms_of(self._criteria, ids, connection, after=self._stretch.chosen.after)
        return self._arms


def _appended(connection: sqlite3.Connection, key: str) -> tuple[Appended, bytes] | None:
    row = connection.execute(SELECT_KEY, (key,)).fetchone()
    return (Appended(row[0], row[1]), row[2]) if row else None


def _type_samples(connection: sqlite3.Connection, types: Types, at_most: int) -> list[TypeSample]:
    extents = type_extents(connection, at_most)
    positions = {position for _, _, first, last in extents for position in (first, last)}
    return type_samples_from(extents, types.stored(connection, at_positions(connection, sorted(positions))))


def _data_version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA data_version").fetchone()
    return int(version)


def _head_of(connection: sqlite3.Connection) -> int:
    (position,) = connection.execute(SELECT_HEAD).fetchone()
    return position or 0


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
    try:
        if column.count(column[0]) == len(column):
            return [column[0].decode()] * len(column)
        return [data.decode() for data in column]
    except UnicodeDecodeError:
        return [_readable(data) for data in column]


def _size_of(events: Sequence[StoredEvent]) -> int:
    try:
        return sum(len(event.data) + len(event.metadata) for event in events)
    except TypeError as error:
        odd = next(each for each in events if {type(each.data), type(each.metadata)} != {bytes})
        problem = f"the event at {odd.position} has data or metadata that are neither text nor bytes"
        raise StoreCorrupt("the file", problem) from error


def _named(rows: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, str]]:
    """The types whose names are text; the others are as good as without one."""
    for id, name in rows:
        with suppress(UnicodeDecodeError):
            yield id, str(name, "utf-8")


def _odd_tags(rows: Sequence[tuple[Any, ...]]) -> str:
    for row in rows:
        try:
            _tags_of(row[6])
        except UnicodeDecodeError:
            return f"the event at {row[0]} has tags that are not UTF-8"
    raise AssertionError("all tags are text")


def _tags_of(text: bytes) -> tuple[str, ...]:
    return tuple(str(text, "utf-8").split("\n")) if text else ()


def _readable(data: bytes) -> str | bytes:
    """Text where the bytes are UTF-8, so that SQL's JSON functions and people can read them."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data
