"""The PostgreSQL store: one schema per log, any number of processes, one round trip per batch of appends."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from functools import partial
from hashlib import md5
from itertools import pairwise
from typing import Any, NamedTuple, NoReturn

from leftfold.errors import (
    Conflict,
    StoreCorrupt,
    StoreNotFound,
)
from leftfold.model.clock import Clock, SystemClock, microseconds_of
from leftfold.model.criteria import EVERYTHING, Criteria
from leftfold.model.record import NewEvent, StoredEvent
from leftfold.store.admission import MAX_SHOWN_MATCHES, AppendRequest
from leftfold.store.base import DatabaseStore
from leftfold.store.bounds import EVENT_LIMIT, check_read
from leftfold.store.clock_guard import CLOCK_BOUND, ClockGuard
from leftfold.store.commit import LoopCommit
from leftfold.store.contract import AppendCondition, Appended, Batch, IdempotencyKey
from leftfold.store.head import Notifications
from leftfold.store.identity import Replacement
from leftfold.store.inspection import Statistics, StoredKey, TypeSample, type_samples_from
from leftfold.store.postgres.append import NOW, PostgresAppends
from leftfold.store.postgres.batch import key_text, texts
from leftfold.store.postgres.connection import AsyncConnection
from leftfold.store.postgres.driver import Connection, connect, is_lost, named_errors, run
from leftfold.store.postgres.inspection import problems, statistics, stored_keys, type_extents
from leftfold.store.postgres.reading import Reading, Types
from leftfold.store.postgres.schema import FORMAT, SELECT_VIEW, create_log, is_same_log, renew_log
from leftfold.store.postgres.select import AT_POSITIONS, COUNTS, SELECT_MENTIONS, Statement
from leftfold.store.reading import ReadingThreads, ReadOptions

MAX_QUEUED_APPENDS = 4_096
READING_THREADS = 4
BUSY_SECONDS = 10.0
POLL_SECONDS = 1.0  # the delay if a notification is lost
POLL_SECONDS_WITHOUT_NOTIFICATIONS = 0.02

SELECT_LOG = f"""
    SELECT
        id,
        format,
        created,
        coalesce((SELECT time FROM {{log}}.event ORDER BY position DESC LIMIT 1), 0),
        {NOW}
    FROM {{log}}.log"""
SELECT_WHOLE = """
    SELECT type.name, event.version, event.data, event.metadata, event.tags
    FROM {log}.event JOIN {log}.type ON type.id = event.type
    WHERE event.position = %s"""
SELECT_HEAD = "SELECT coalesce(max(position), 0) FROM {log}.event WHERE {same}"
SELECT_HEAD_AND_DIGEST = """
    SELECT
        coalesce(max(position), 0),
        (SELECT md5(seen.metadata || seen.data) FROM {log}.event AS seen WHERE seen.position = %s)
    FROM {log}.event
    WHERE {same}"""
SELECT_TYPES = f"""
    SELECT head.position, type.id, type.name
    FROM ({SELECT_HEAD}) AS head (position)
    LEFT JOIN {{log}}.type ON true"""
LISTEN = "SELECT {log}.listen()"
SELECT_KEY = "SELECT first_position, last_position, digest FROM {log}.idempotency_key WHERE key = %s"


logger = logging.getLogger("leftfold.store")


class PostgresStore(DatabaseStore):
    """A log in the schema `log` of a PostgreSQL database; see `EventStore` for its promises.

    `durable=False` commits without waiting for the disk: a crash of the server may lose the latest commits, in order,
    never half of one. `session=False` is for PgBouncer in transaction mode: it uses no prepared statements and no
    settings of the connection, and polls for commits of others every 20 ms instead of listening for notifications. An
    append waits at most `busy_timeout` seconds for the appends of others. The server sets times unless a `clock` is
    given.
    """

    def __init__(
        self,
        url: str,
        log: str = "leftfold",
        *,
        clock: Clock | None = None,
        durable: bool = True,
        read_only: bool = False,
        event_limit: int = EVENT_LIMIT,
        queue: int = MAX_QUEUED_APPENDS,
        readers: int = READING_THREADS,
        busy_timeout: float = BUSY_SECONDS,
        session: bool = True,
        clock_bound: float = CLOCK_BOUND,
        accept_time: datetime | None = None,
    ) -> None:
        where = f"log {log!r}"
        super().__init__(where, Replacement(where), read_only=read_only, event_limit=event_limit)
        self._url = url
        self._log = log
        self._names = {"log": f'"{log}"', "same": "true"}  # until the id of the log is known
        self._durable = durable
        self._session = session
        self._lock_timeout = f"{max(round(busy_timeout * 1000), 1)}ms"  # 0 would mean for ever
        self._guard = ClockGuard(clock or SystemClock(), clock_bound, accept_time)
        self._clock = None if isinstance(clock, SystemClock) else clock  # None for the clock of the server
        self._newest: StoredEvent | None = None  # seen so far; it must still be there after a reconnect
        self.log_id = ""
        connection = self._connect()
        try:
            with named_errors(self._where):
                self.log_id = self._identify(connection)
                self._names["same"] = is_same_log(connection, log, self.log_id)
        except BaseException:
            connection.close()
            raise
        self._write_connection = AsyncConnection(self._connect, connection)
        self._quick_connection = AsyncConnection(partial(self._connect, reading=True))
        self._types = Types(self._sql(SELECT_TYPES))
        self._readers = ReadingThreads(
            partial(self._connect, reading=True), readers, partial(named_errors, self._where), is_lost
        )
        appends = PostgresAppends(
            self._write_connection,
            log,
            self._where,
            durable=durable,
            clock=self._clock,
            guard=self._guard,
            lock_timeout=None if session else self._lock_timeout,
            same=self._names["same"],
        )
        self._commits = LoopCommit(appends.commit, appends.begin, self._head.advance, queue=queue)

    def __repr__(self) -> str:
        return f"<PostgresStore {self._log}{'' if self._durable else ', not durable'} at {self._head.known}>"

    async def append(
        self,
        events: Sequence[NewEvent],
        *,
        condition: AppendCondition | Iterable[AppendCondition] | None = None,
        key: str | IdempotencyKey | Sequence[IdempotencyKey] | None = None,
    ) -> Appended:
        """Append all events or none, durably; see `EventStore.append`."""
        request = self._checked(events, condition, key)
        known = self._head.known
        if any(not item.system for each in request.conditions for item in each.criteria.items):
            append = self._append_after_users
        else:
            append = self._commits.append
        try:
            appended = await append(request)
        except StoreNotFound:
            await self._refuse_if_replaced()
            raise
        if not appended.duplicate:
            self._check_appended(appended, known)
            self._note_newest(_stored(request.events[-1], appended.last))
        return appended

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
        known = self._head.known
        reading = Reading(self._names, self._types, criteria, ReadOptions(after, upto, limit, reverse, data_only))
        try:
            if (few := await self._probe(reading)) is not None:
                self._check_read(reading, few, known)
                yield few
                self._check_open()
            async for batch in self._readers.ahead(reading):
                self._check_read(reading, batch, known)
                yield batch
                self._check_open()
        except StoreNotFound:
            await self._refuse_if_replaced()
            raise

    async def head(self) -> int:
        """Return the position of the newest event that any process has committed."""
        self._check_open()
        query = self._head_query()
        [row] = await self._rows(*query.statement)
        self._check_head_row(query, row)
        self._head.advance(row[0])
        return self._head.known

    async def statistics(self) -> Statistics:
        """Return the statistics of the log; see `Inspectable`."""
        self._check_open()
        return await self._readers.run_apart(lambda connection: statistics(connection, f'"{self._log}"'))

    async def type_samples(self, *, at_most: int) -> list[TypeSample]:
        """Return the oldest and the newest event of every type, by the index; see `Sampled`."""
        self._check_open()
        return await self._readers.run(partial(_type_samples, log=f'"{self._log}"', types=self._types, at_most=at_most))

    async def counts(self, types: Sequence[str], edges: Sequence[int]) -> list[int]:
        """Return how many events of these types are between neighbouring edges, by the index; see `Counted`."""
        self._check_open()
        bounds = list(pairwise(edges))
        parameters = [texts(list(types)), [after for after, _ in bounds], [upto for _, upto in bounds]]
        return [count for (count,) in await self._rows(self._sql(COUNTS), parameters)]

    async def mentions(self, text: bytes, *, after: int, upto: int) -> list[StoredEvent]:
        """Return the events whose metadata contains a text, by a scan; see `Searchable`."""
        self._check_open()
        parameters = [after, upto, text.hex()]
        return await self._readers.run(
            partial(_mentions, log=f'"{self._log}"', types=self._types, parameters=parameters)
        )

    async def self_check(self) -> list[str]:
        """Return what is wrong with the tables of the log: gaps, and tags and keys that do not fit the events."""
        self._check_open()
        return await self._readers.run_apart(lambda connection: problems(connection, f'"{self._log}"'))

    async def _find_key(self, key: str) -> tuple[Appended, bytes] | None:
        rows = await self._rows(self._sql(SELECT_KEY), [key_text(key)])
        return next(((Appended(first, last), digest) for first, last, digest in rows), None)

    async def _keys_beyond(self, last: StoredKey | None) -> list[StoredKey]:
        return await self._readers.run(partial(stored_keys, log=f'"{self._log}"', beyond=last))

    async def _release(self) -> None:
        if self._home.is_gone:  # what was under way ended with the event loop
            await self._readers.close()
            self._quick_connection.abandon()
            self._write_connection.abandon()
            return
        await self._commits.close()
        await self._readers.close()
        await self._quick_connection.close()
        await self._write_connection.close()

    def _sql(self, text: str) -> str:
        return text.format(**self._names)

    def _connect(self, *, reading: bool = False) -> Connection:
        with named_errors(self._where):
            connection = connect(
                self._url,
                session=self._session,
                reading=reading or self._read_only,
                lock_timeout=self._lock_timeout,
            )
            try:
                self._check_history(connection)
            except BaseException:
                connection.close()
                raise
            return connection

    # --- is this still the log that was opened? A failover or a restore may have replaced it

    def _note_newest(self, event: StoredEvent) -> None:
        """Note an event of the log, if it is the newest so far."""
        if self._newest is None or event.position > self._newest.position:
            self._newest = event

    def _check_history(self, connection: Connection) -> None:
        """Refuse a server that lacks events that were seen here: it was promoted without them, or restored."""
        known, newest = self._head.known, self._newest
        if self.log_id:
            self._check_log_id(run(connection, self._sql(SELECT_LOG)))
        if not known:
            return
        self._check_head(self._head_of(connection), known)
        if newest is None:
            return
        rows = run(connection, self._sql(SELECT_WHOLE), [newest.position])
        if not rows and self._read_only:
            return  # another replica, which lags behind
        tags = "\n".join(newest.tags)
        if rows != [(newest.type, newest.version, newest.data, newest.metadata, tags)]:
            self._refuse_without(newest)

    def _head_query(self) -> "HeadQuery":
        """Return the query for the head, and for a digest of the newest event that was seen whole."""
        sql, newest = self._sql(SELECT_HEAD_AND_DIGEST), self._newest
        return HeadQuery(Statement(sql, [newest.position if newest else 0]), self._head.known, newest)

    def _check_head_row(self, query: "HeadQuery", row: tuple[Any, ...]) -> None:
        found, digest = row
        self._check_head(found, query.known)
        if query.newest is None or (digest is None and self._read_only):
            return
        if digest != md5(query.newest.metadata + query.newest.data, usedforsecurity=False).hexdigest():
            self._refuse_without(query.newest)

    def _check_appended(self, appended: Appended, known: int) -> None:
        """Refuse a log that has put new events at positions where it had others."""
        if appended.first <= known:
            there = f"what was just appended lies at positions {appended.first} to {appended.last} of it"
            self.replacement.refuse(f"it had {known} events before, and {there}", written=True)

    def _check_log_id(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Refuse another log, which has taken the name of the schema after a rename."""
        found = rows[0][0] if rows else "unknown"
        if found != self.log_id:
            self.replacement.refuse(f"the schema {self._log} has the log {found} in it, and had {self.log_id} before")

    async def _refuse_if_replaced(self) -> None:
        """Refuse another log with the name of this one, after something of this log was not found."""
        self._check_log_id(await self._readers.run(lambda connection: run(connection, self._sql(SELECT_LOG))))

    def _refuse_without(self, event: StoredEvent) -> NoReturn:
        self.replacement.refuse(f"it does not have the event any more that was at position {event.position}")

    def _check_read(self, reading: Reading, batch: Batch, known: int) -> None:
        """Refuse a log that ends before the head that was known when the read began; else note the newest event."""
        self._check_head(known if reading.head is None else reading.head, known)
        if batch.events and not reading.data_only:
            self._note_newest(batch.events[-1])

    def _check_head(self, found: int, known: int) -> None:
        """Refuse a log that ends before the known head. A replica may lag behind."""
        if found < known and not self._read_only:
            self.replacement.refuse(f"it has {found} events, and had {known} before")

    def _identify(self, connection: Connection) -> str:
        found = run(connection, SELECT_VIEW, [self._log])
        if not found:
            if self._read_only:
                raise StoreNotFound(f"log {self._log!r} in this database")
            create_log(connection, self._log)
        rows = run(connection, self._sql(SELECT_LOG))
        if not rows or rows[0][1] != FORMAT:
            raise StoreCorrupt(self._where, f"it has the format {rows[0][1] if rows else 'unknown'}, not {FORMAT}")
        log_id = str(rows[0][0])
        if found and not self._read_only:
            renew_log(connection, self._log, log_id, found[0])
        self._head.advance(self._head_of(connection))
        _, _, created, newest, now = rows[0]
        if self._clock is None:
            self._guard.begin(now, max(created, newest))
        else:  # the clock of the server made the log, which says nothing about the given clock
            given = microseconds_of(self._clock)
            self._guard.begin(given, newest or given)
        return log_id

    def _head_of(self, connection: Connection) -> int:
        [(position,)] = run(connection, self._sql(SELECT_HEAD))
        return int(position)

    # --- short reads

    async def _rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a short statement."""
        try:
            rows = await self._execute_at_once(Statement(sql, parameters))
            if rows is None:
                rows = await self._readers.run(lambda connection: run(connection, sql, parameters))
        except StoreNotFound:
            await self._refuse_if_replaced()
            raise
        return rows

    async def _append_after_users(self, request: AppendRequest) -> Appended:
        """Append with a condition that ignores leftfold's own events.

        For the log's function an item without types and tags means every event. If it finds one, this looks for events
        of users up to now; if there are none, it asks the function about the events after those.
        """
        asked: dict[int, int] = {}
        while True:
            try:
                return await self._commits.append(request)
            except Conflict as conflict:
                if conflict.item.system:
                    raise
                after = asked.get(conflict.after, conflict.after)
                through = await self._past_system_events(conflict, after)
                asked[through] = after
                request = request.moved(conflict.item, conflict.after, through)

    async def _past_system_events(self, conflict: Conflict, after: int) -> int:
        """Return the position through which no event is of a user, or raise the conflict with the first that are."""
        through = conflict.after
        async for batch in self.read(Criteria(conflict.item), after=through, limit=MAX_SHOWN_MATCHES):
            if batch.events:
                raise Conflict(conflict.item, after, batch.events) from None
            through = batch.through
        return through

    async def _probe(self, reading: Reading) -> Batch | None:
        query = reading.probe
        rows = None if query is None else await self._execute_at_once(query)
        return None if rows is None else reading.answer_of_probe(rows)

    async def _execute_at_once(self, statement: Statement) -> list[tuple[Any, ...]] | None:
        """Run a statement on the event loop, which saves waking a thread; return None if anything else is under way.

        Callers that continue together share a commit, so none of them should get ahead.
        """
        if self._quick_connection.busy or not (self._readers.idle and self._commits.idle):
            return None
        with named_errors(self._where):
            return await self._quick_connection.execute(*statement)

    # --- following other processes

    async def _follow_appends(self) -> None:
        notifications = Notifications(self._head)
        tasks = [asyncio.create_task(self._poll(notifications))]
        if self._session:
            tasks.append(asyncio.create_task(self._listen(notifications)))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self, notifications: Notifications) -> None:
        def on_start(rows: Sequence[tuple[Any, ...]]) -> None:
            if rows == [(False,)]:
                logger.warning(
                    "%s: another session holds the lock that tells appends who listens. Until this session reconnects, "
                    "it may notice appends of other processes up to %g s late",
                    self._where,
                    POLL_SECONDS,
                )
            notifications.note("")

        with named_errors(self._where):
            await self._write_connection.listen(self._sql(LISTEN), notifications.note, on_start)

    async def _poll(self, notifications: Notifications) -> None:
        """Look at the head once at the start, at each notification, and now and then in case one is lost."""
        pause = POLL_SECONDS if self._session else POLL_SECONDS_WITHOUT_NOTIFICATIONS
        while True:
            if self._head.awaited:
                query, before = self._head_query(), self._head.known
                try:
                    [row] = await self._readers.run(partial(_rows_of, query.statement))
                except StoreNotFound:
                    await self._refuse_if_replaced()
                    raise
                self._check_head_row(query, row)
                self._head.advance(row[0])
                if self._head.known == before and notifications.is_new:  # the notification was not true
                    await asyncio.sleep(POLL_SECONDS_WITHOUT_NOTIFICATIONS)
            await notifications.wait(pause)

    def _check_open(self) -> None:
        super()._check_open()
        self.replacement.check()


class HeadQuery(NamedTuple):
    """A query for the head, and what was known when it was sent."""

    statement: Statement
    known: int
    newest: StoredEvent | None


def _rows_of(statement: Statement, connection: Connection) -> list[tuple[Any, ...]]:
    return run(connection, *statement)


def _stored(event: NewEvent, position: int) -> StoredEvent:
    """Return an event as it was appended, without its time, which is not known here."""
    return StoredEvent(position, 0, event.type, event.version, event.data, event.metadata, event.tags)


def _mentions(connection: Connection, *, log: str, types: Types, parameters: Sequence[Any]) -> list[StoredEvent]:
    return _events_in(connection, types, run(connection, SELECT_MENTIONS.format(log=log), parameters))


def _events_in(connection: Connection, types: Types, rows: Sequence[tuple[Any, ...]]) -> list[StoredEvent]:
    """Return the events in rows; names of types that are new to this process are read."""
    if not types.knows(rows):
        types.load(connection)
    return types.stored(rows)


def _type_samples(connection: Connection, *, log: str, types: Types, at_most: int) -> list[TypeSample]:
    extents = type_extents(connection, log, at_most)
    positions = sorted({position for _, _, first, last in extents for position in (first, last)})
    rows = run(connection, AT_POSITIONS.format(log=log), [positions])
    return type_samples_from(extents, _events_in(connection, types, rows))
