"""The PostgreSQL store: a schema a log, any number of processes and machines, one round trip a batch of appends."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from functools import partial
from hashlib import md5
from types import TracebackType
from typing import Any, NamedTuple, NoReturn, Self

from leftfold.errors import (
    Conflict,
    StoreClosed,
    StoreCorrupt,
    StoreFailed,
    StoreNotFound,
    StoreReadOnly,
    StoreUnavailable,
)
from leftfold.model.clock import Clock, SystemClock, to_microseconds
from leftfold.model.criteria import EVERYTHING, Criteria
from leftfold.model.record import NewEvent, StoredEvent
from leftfold.store.admission import SHOWN_MATCHES, AppendRequest, recognised
from leftfold.store.bounds import EVENT_LIMIT, check_known_key, check_read, check_wait
from leftfold.store.clock_guard import CLOCK_BOUND, ClockGuard
from leftfold.store.commit import LoopCommit
from leftfold.store.contract import AppendCondition, Appended, Batch, IdempotencyKey
from leftfold.store.head import Head, News
from leftfold.store.home import Home, keep_in_children
from leftfold.store.identity import Replacement
from leftfold.store.inspection import Statistics, StoredKey, TypeSample, type_samples_from
from leftfold.store.postgres.append import NOW, PostgresAppends
from leftfold.store.postgres.batch import key_text
from leftfold.store.postgres.connection import AsyncConnection
from leftfold.store.postgres.driver import Connection, connect, is_lost, named_errors, run
from leftfold.store.postgres.inspection import problems, statistics, stored_keys, type_extents
from leftfold.store.postgres.reading import Reading, Types
from leftfold.store.postgres.schema import FORMAT, SELECT_VIEW, create_log, is_same_log, renew_log
from leftfold.store.postgres.select import AT_POSITIONS, Statement
from leftfold.store.reading import ReadingThreads, ReadOptions

QUEUE = 4_096
READING_THREADS = 4
BUSY_SECONDS = 10.0
POLL_SECONDS = 1.0  # what a lost notification costs
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


class PostgresStore:
    """A log in the schema `log` of a PostgreSQL database; see `EventStore` for what it promises.

    `durable=False` commits without waiting for the disk: a crash of the server may lose the latest commits, in order,
    never half of one. `session=False` is for PgBouncer in transaction mode: no prepared statements, no settings of the
    connection, and commits of others are looked for every 20 ms instead of being notified of. An append waits
    `busy_timeout` seconds at most for those of others. Times are the server's unless a `clock` is given.
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
        queue: int = QUEUE,
        readers: int = READING_THREADS,
        busy_timeout: float = BUSY_SECONDS,
        session: bool = True,
        clock_bound: float = CLOCK_BOUND,
        accept_time: datetime | None = None,
    ) -> None:
        self._url = url
        self._log = log
        self._where = f"log {log!r}"
        self._place = {"log": f'"{log}"', "same": "true"}  # until it is known what tells the log from another
        self._durable = durable
        self._read_only = read_only
        self._event_limit = event_limit
        self._session = session
        self._lock_timeout = f"{max(round(busy_timeout * 1000), 1)}ms"  # 0 would be for ever
        self._guard = ClockGuard(clock or SystemClock(), clock_bound, accept_time)
        self._clock = None if isinstance(clock, SystemClock) else clock  # the server's unless it is given
        self._head = Head()
        self._newest: StoredEvent | None = None  # that was seen here; to be there still after a lost connection
        self.replacement = Replacement(self._where)
        self._following: asyncio.Task[None] | None = None
        self._closed = False
        self._home = Home()
        self.log_id = ""
        keep_in_children(self)
        connection = self._connect()
        try:
            self.log_id = self._identify(connection)
            self._place["same"] = is_same_log(connection, log, self.log_id)
        except BaseException:
            connection.close()
            raise
        self._writer = AsyncConnection(self._connect, connection)
        self._quick = AsyncConnection(partial(self._connect, reading=True))
        self._types = Types(self._sql(SELECT_TYPES))
        self._readers = ReadingThreads(
            partial(self._connect, reading=True), readers, partial(named_errors, self._where), is_lost
        )
        appends = PostgresAppends(
            self._writer,
            log,
            self._where,
            durable=durable,
            clock=self._clock,
            guard=self._guard,
            lock_timeout=None if session else self._lock_timeout,
            same=self._place["same"],
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
        self._check_open()
        if self._read_only:
            raise StoreReadOnly(self._where, "it was opened with ?mode=ro")
        known = self._head.known
        request = AppendRequest(events, condition, key)
        request.check(self._event_limit)
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
            self._see(_stored(request.events[-1], appended.last))
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
        reading = Reading(self._place, self._types, criteria, ReadOptions(after, upto, limit, reverse, data_only))
        try:
            if (few := await self._first_look(reading)) is not None:
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
        """The position of the newest event that any process has committed."""
        self._check_open()
        look = self._look()
        [row] = await self._rows(*look.statement)
        self._check_look(look, row)
        self._head.advance(row[0])
        return self._head.known

    async def wait(self, after: int, timeout: float | None = None) -> int:
        """Return the head once it is beyond `after`; commits of other processes are notified of."""
        self._check_open()
        check_wait(after, timeout)
        self.replacement.listen(self._head.fail)
        if self._following is None or self._following.done():
            self._following = asyncio.create_task(self._follow())
        return await self._head.beyond(after, timeout)

    async def lookup(self, key: str | IdempotencyKey) -> Appended | None:
        """Where the append with this idempotency key lies."""
        self._check_open()
        check_known_key(key)
        wanted = key_text(key if isinstance(key, str) else key.value)
        rows = await self._rows(self._sql(SELECT_KEY), [wanted])
        known = ((Appended(first, last), digest) for first, last, digest in rows)
        return recognised(key, next(known, None))

    async def stored_keys(self) -> AsyncIterator[Sequence[StoredKey]]:
        """Every idempotency key; see `KeyedLog`."""
        last: StoredKey | None = None
        while True:
            self._check_open()
            page = await self._readers.run(partial(stored_keys, log=f'"{self._log}"', beyond=last))
            if not page:
                return
            yield page
            last = page[-1]

    async def statistics(self) -> Statistics:
        """The log's figures; see `Inspectable`."""
        self._check_open()
        return await self._readers.run_apart(lambda connection: statistics(connection, f'"{self._log}"'))

    async def type_samples(self, *, at_most: int) -> list[TypeSample]:
        """The oldest and the newest event of every type, by the index; see `Sampled`."""
        self._check_open()
        return await self._readers.run(partial(_type_samples, log=f'"{self._log}"', types=self._types, at_most=at_most))

    async def self_check(self) -> list[str]:
        """What is wrong with the log's tables: gaps, tags and keys that do not fit the events."""
        self._check_open()
        return await self._readers.run_apart(lambda connection: problems(connection, f'"{self._log}"'))

    async def close(self) -> None:
        """Commit what has been handed in, then close every connection."""
        if self._closed:
            return
        if self._home.is_elsewhere:  # the parent's
            self._closed = True
            return
        if not self._home.is_gone:
            self._home.check()
        self._closed = True
        if self._home.is_gone:  # and with it all that was under way
            await self._readers.close()
            self._quick.abandon()
            self._writer.abandon()
            return
        self._head.fail(StoreClosed())
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        await self._commits.close()
        await self._readers.close()
        await self._quick.close()
        await self._writer.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _sql(self, text: str) -> str:
        return text.format(**self._place)

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

    # --- whether the log is still the one that was opened, after a failover or a restore

    def _see(self, event: StoredEvent) -> None:
        """Note an event of the log, if it is the newest so far."""
        if self._newest is None or event.position > self._newest.position:
            self._newest = event

    def _check_history(self, connection: Connection) -> None:
        """Refuse a server that does not have what was seen here: it was promoted without it, or restored."""
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
            return  # another replica, which lags
        tags = "\n".join(newest.tags)
        if rows != [(newest.type, newest.version, newest.data, newest.metadata, tags)]:
            self._refuse_without(newest)

    def _look(self) -> "Look":
        """What to ask for the head, and for the identity of the newest event that was seen whole."""
        sql, newest = self._sql(SELECT_HEAD_AND_DIGEST), self._newest
        return Look(Statement(sql, [newest.position if newest else 0]), self._head.known, newest)

    def _check_look(self, look: "Look", row: tuple[Any, ...]) -> None:
        found, digest = row
        self._check_head(found, look.known)
        if look.newest is None or (digest is None and self._read_only):
            return
        if digest != md5(look.newest.metadata + look.newest.data, usedforsecurity=False).hexdigest():
            self._refuse_without(look.newest)

    def _check_appended(self, appended: Appended, known: int) -> None:
        """Refuse a log that has taken events in where it had others before."""
        if appended.first <= known:
            there = f"what was just appended lies at positions {appended.first} to {appended.last} of it"
            self.replacement.refuse(f"it had {known} events before, and {there}", written=True)

    def _check_log_id(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Refuse another log: a schema that was renamed, and one that has its name now."""
        found = rows[0][0] if rows else "unknown"
        if found != self.log_id:
            self.replacement.refuse(f"the schema {self._log} has the log {found} in it, and had {self.log_id} before")

    async def _refuse_if_replaced(self) -> None:
        """Where what belongs to this log is not found under its name, refuse another log that has the name."""
        self._check_log_id(await self._readers.run(lambda connection: run(connection, self._sql(SELECT_LOG))))

    def _refuse_without(self, event: StoredEvent) -> NoReturn:
        self.replacement.refuse(f"it does not have the event any more that was at position {event.position}")

    def _check_read(self, reading: Reading, batch: Batch, known: int) -> None:
        """Refuse a log that ends before what was known when reading began; else note the newest event."""
        self._check_head(known if reading.head is None else reading.head, known)
        if batch.events and not reading.data_only:
            self._see(batch.events[-1])

    def _check_head(self, found: int, known: int) -> None:
        """Refuse a log that ends before where it was seen to end; a replica may lag."""
        if found < known and not self._read_only:
            self.replacement.refuse(f"it has {found} events, and had {known} before")

    def _identify(self, connection: Connection) -> str:
        with named_errors(self._where):
            found = run(connection, SELECT_VIEW, [self._log])
            if not found:
                if self._read_only:
                    raise StoreNotFound(f"log {self._log!r} in this database")
                create_log(connection, self._log)
            rows = run(connection, self._sql(SELECT_LOG))
            if not rows or rows[0][1] != FORMAT:
                raise StoreCorrupt(self._where, f"it is of format {rows[0][1] if rows else 'unknown'}, not {FORMAT}")
            log_id = str(rows[0][0])
            if found and not self._read_only:
                renew_log(connection, self._log, log_id, found[0])
        self._head.advance(self._head_of(connection))
        _, _, created, newest, now = rows[0]
        if self._clock is None:
            self._guard.begin(now, max(created, newest))
        else:  # the log was made by the server's clock, which says nothing about another one
            given = to_microseconds(self._clock.now())
            self._guard.begin(given, newest or given)
        return log_id

    def _head_of(self, connection: Connection) -> int:
        [(position,)] = run(connection, self._sql(SELECT_HEAD))
        return int(position)

    # --- short reads

    async def _rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a short statement."""
        try:
            rows = await self._quickly(Statement(sql, parameters))
            if rows is None:
                rows = await self._readers.run(lambda connection: run(connection, sql, parameters))
        except StoreNotFound:
            await self._refuse_if_replaced()
            raise
        return rows

    async def _append_after_users(self, request: AppendRequest) -> Appended:
        """Append on a condition that leaves out leftfold's own events.

        The log's function takes an item without types and tags to mean every event. Where it finds one, the users'
        events up to now are looked for here; if there are none, the function is asked about those that come after.
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
        """Return the position through which no event is a user's; raise the conflict with the first that are."""
        through = conflict.after
        async for batch in self.read(Criteria(conflict.item), after=through, limit=SHOWN_MATCHES):
            if batch.events:
                raise Conflict(conflict.item, after, batch.events) from None
            through = batch.through
        return through

    async def _first_look(self, reading: Reading) -> Batch | None:
        look = reading.first_look
        rows = None if look is None else await self._quickly(look)
        return None if rows is None else reading.seen(rows)

    async def _quickly(self, statement: Statement) -> list[tuple[Any, ...]] | None:
        """All rows from the event loop, which saves waking a thread; None where others are at it too.

        Callers who go on together share a commit: none of them is to run ahead.
        """
        if self._quick.busy or not (self._readers.idle and self._commits.idle):
            return None
        with named_errors(self._where):
            return await self._quick.ask(*statement)

    # --- following other processes

    async def _follow(self) -> None:
        """Advance the head as others commit; whoever waits hears of it when that is not possible.

        That is the last thing done here: whoever comes to wait after it finds nobody following, and begins anew.
        """
        try:
            await self._follow_until_trouble()
        except StoreUnavailable as error:
            self._head.fail(error)
        except Exception as error:  # noqa: BLE001 who waits would wait for ever
            self._head.fail(StoreFailed(self._where, repr(error)))

    async def _follow_until_trouble(self) -> None:
        news = News(self._head)
        tasks = [asyncio.create_task(self._poll(news))]
        if self._session:
            tasks.append(asyncio.create_task(self._listen(news)))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self, news: News) -> None:
        def began(rows: Sequence[tuple[Any, ...]]) -> None:
            if rows == [(False,)]:
                logger.warning(
                    "%s: another session holds the lock by which appends know who listens: until this one connects "
                    "again, it may notice appends of other processes up to %g s later",
                    self._where,
                    POLL_SECONDS,
                )
            news.hear("")

        with named_errors(self._where):
            await self._writer.listen(self._sql(LISTEN), news.hear, began)

    async def _poll(self, news: News) -> None:
        """Look once when notifications begin to come, at each of them, and now and then, in case one is lost."""
        pause = POLL_SECONDS if self._session else POLL_SECONDS_WITHOUT_NOTIFICATIONS
        while True:
            if self._head.awaited:
                look, before = self._look(), self._head.known
                try:
                    [row] = await self._readers.run(partial(_rows_of, look.statement))
                except StoreNotFound:
                    await self._refuse_if_replaced()
                    raise
                self._check_look(look, row)
                self._head.advance(row[0])
                if self._head.known == before and news.came:  # they are not true
                    await asyncio.sleep(POLL_SECONDS_WITHOUT_NOTIFICATIONS)
            await news.wait(pause)

    def _check_open(self) -> None:
        self._home.check()
        if self._closed:
            raise StoreClosed
        self.replacement.check()


class Look(NamedTuple):
    """A statement for the head, and what was known when it was sent."""

    statement: Statement
    known: int
    newest: StoredEvent | None


def _rows_of(statement: Statement, connection: Connection) -> list[tuple[Any, ...]]:
    return run(connection, *statement)


def _stored(event: NewEvent, position: int) -> StoredEvent:
    """An event as it was appended; its time is not known here."""
    return StoredEvent(position, 0, event.type, event.version, event.data, event.metadata, event.tags)


def _type_samples(connection: Connection, *, log: str, types: Types, at_most: int) -> list[TypeSample]:
    extents = type_extents(connection, log, at_most)
    positions = sorted({position for _, _, first, last in extents for position in (first, last)})
    rows = run(connection, AT_POSITIONS.format(log=log), [positions])
    if not types.knows(rows):
        types.load(connection)
    return type_samples_from(extents, types.stored(rows))
