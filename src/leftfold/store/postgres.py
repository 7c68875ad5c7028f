"""The PostgreSQL store: a schema a log, any number of processes and machines, one round trip a batch of appends."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from functools import partial
from importlib.resources import files
from types import TracebackType
from typing import Any, Self

from leftfold.clock import Clock, SystemClock, to_microseconds
from leftfold.criteria import ALL, Criteria
from leftfold.errors import (
    LeftfoldError,
    StoreBusy,
    StoreClosed,
    StoreCorrupt,
    StoreFailed,
    StoreNotFound,
    StoreReadOnly,
    StoreUnavailable,
    StoreUnreachable,
)
from leftfold.store.admission import EVENT_LIMIT, AppendRequest, recognised
from leftfold.store.contract import AppendCondition, Appended, Batch, Key, NewEvent, StoredEvent
from leftfold.store.group_commit import GroupCommit, Outcome
from leftfold.store.head import Head
from leftfold.store.inspection import Statistics, StoredKey
from leftfold.store.postgres_batch import COLUMNS, AppendCall, calls_of, key_text
from leftfold.store.postgres_driver import (
    Connection,
    committing,
    connect,
    is_lost,
    named_errors,
    notifications,
    rows_in_parts,
    run,
    run_script,
)
from leftfold.store.postgres_inspection import problems, statistics, stored_keys
from leftfold.store.postgres_select import FEW, Arm, arms_of, bytes_of, choices, first_look, leaves_a_choice, selection
from leftfold.store.reading_threads import ReadingThreads
from leftfold.store.stretch import BYTES_A_BATCH, Range, Stretch

FORMAT = 1
QUEUE = 4_096
READING_THREADS = 4
BUSY_SECONDS = 10.0
POLL_SECONDS = 1.0  # what a lost notification costs
POLL_SECONDS_WITHOUT_NOTIFICATIONS = 0.02
SCHEMA = "leftfold_log"  # what stands for the log's name in the scripts

SELECT_LOG = "SELECT id, format FROM {log}.log"
SELECT_HEAD = "SELECT coalesce(max(position), 0) FROM {log}.event"
SELECT_TYPES = f"""
    SELECT head.position, type.id, type.name
    FROM ({SELECT_HEAD}) AS head (position)
    LEFT JOIN {{log}}.type ON true"""
SELECT_KEY = "SELECT first_position, last_position, digest FROM {log}.idempotency_key WHERE key = %s"
APPEND = f"""
    SELECT codes, firsts, lasts, details, moment, newest, head
    FROM (SELECT %s AS durable, set_config('lock_timeout', %s, true)) AS asked
    CROSS JOIN LATERAL {{log}}.append(asked.durable, {", ".join(["%s"] * (1 + COLUMNS))})"""


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
    ) -> None:
        self._url = url
        self._log = log
        self._where = f"log {log!r}"
        self._clock = None if isinstance(clock, SystemClock) else clock
        self._durable = durable
        self._read_only = read_only
        self._event_limit = event_limit
        self._session = session
        self._lock_timeout = f"{max(round(busy_timeout * 1000), 1)}ms"  # 0 would be for ever
        self._head = Head()
        self._following: asyncio.Task[None] | None = None
        self._closed = False
        self._writer = self._connect()
        try:
            self.log_id = self._identify(self._writer)
        except BaseException:
            self._writer.close()
            raise
        self._types = Types(self._sql(SELECT_TYPES))
        self._readers = ReadingThreads(
            partial(connect, url, session=session, reading=True), readers, partial(named_errors, self._where), is_lost
        )
        self._commits = GroupCommit(self._commit, self._head.advance, queue=queue)

    def __repr__(self) -> str:
        return f"<PostgresStore {self._log}{'' if self._durable else ', not durable'} at {self._head.known}>"

    async def append(
        self,
        events: Sequence[NewEvent],
        *,
        condition: AppendCondition | Iterable[AppendCondition] | None = None,
        key: str | Key | Sequence[Key] | None = None,
    ) -> Appended:
        """Append all events or none, durably; see `EventStore.append`."""
        self._check_open()
        if self._read_only:
            raise StoreReadOnly(self._where, "it was opened with ?mode=ro")
        request = AppendRequest(events, condition, key)
        request.check(self._event_limit)
        return await self._commits.append(request)

    async def read(
        self,
        criteria: Criteria = ALL,
        *,
        after: int = 0,
        upto: int | None = None,
        limit: int | None = None,
        reverse: bool = False,
        data_only: bool = False,
    ) -> AsyncIterator[Batch]:
        """Read matching events in batches, the next one while the last is used; see `EventStore.read`."""
        self._check_open()
        reading = Reading(self._log, self._types, criteria, Range(after, upto, limit, reverse, data_only))
        async for batch in self._readers.ahead(reading):
            yield batch
            self._check_open()

    async def head(self) -> int:
        """The position of the newest event that any process has committed."""
        self._check_open()
        self._head.advance(await self._readers.run(self._head_of))
        return self._head.known

    async def wait(self, after: int, timeout: float | None = None) -> int:
        """Return the head once it is beyond `after`; commits of other processes are notified of."""
        self._check_open()
        if self._following is None or self._following.done():
            self._following = asyncio.create_task(self._follow())
        return await self._head.beyond(after, timeout)

    async def lookup(self, key: str | Key) -> Appended | None:
        """Where the append with this idempotency key lies."""
        self._check_open()
        wanted = key_text(key if isinstance(key, str) else key.value)
        rows = await self._readers.run(lambda connection: run(connection, self._sql(SELECT_KEY), [wanted]))
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

    async def self_check(self) -> list[str]:
        """What is wrong with the log's tables: gaps, tags and keys that do not fit the events."""
        self._check_open()
        return await self._readers.run_apart(lambda connection: problems(connection, f'"{self._log}"'))

    async def close(self) -> None:
        """Commit what has been handed in, then close every connection."""
        if self._closed:
            return
        self._closed = True
        self._head.fail(StoreClosed())
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        await self._commits.close()
        await self._readers.close()
        self._writer.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _sql(self, text: str) -> str:
        return text.format(log=f'"{self._log}"')

    def _connect(self) -> Connection:
        with named_errors(self._where):
            return connect(self._url, session=self._session, reading=self._read_only)

    def _identify(self, connection: Connection) -> str:
        with named_errors(self._where):
            exists = run(connection, "SELECT FROM pg_namespace WHERE nspname = %s", [self._log])
            if not exists:
                if self._read_only:
                    raise StoreNotFound(f"log {self._log!r} in this database")
                create_log(connection, self._log)
            rows = run(connection, self._sql(SELECT_LOG))
        if not rows or rows[0][1] != FORMAT:
            raise StoreCorrupt(self._where, f"it is of format {rows[0][1] if rows else 'unknown'}, not {FORMAT}")
        self._head.advance(self._head_of(connection))
        return str(rows[0][0])

    def _head_of(self, connection: Connection) -> int:
        [(position,)] = run(connection, self._sql(SELECT_HEAD))
        return int(position)

    # --- committing, in the writing thread

    def _commit(self, requests: Sequence[AppendRequest]) -> Sequence[Outcome]:
        outcomes: list[Outcome] = []
        for call in calls_of(requests):
            try:
                outcomes += self._call(call)
            except (StoreBusy, StoreUnreachable) as error:  # those behind would wait as long, and for nothing
                return outcomes + [error] * (len(requests) - len(outcomes))
            except LeftfoldError as error:  # what other calls have committed is answered all the same
                outcomes += [error] * len(call)
        return outcomes

    def _call(self, requests: Sequence[AppendRequest]) -> Sequence[Outcome]:
        if is_lost(self._writer):
            self._writer = self._connect()
        clock = None if self._clock is None else to_microseconds(self._clock.now())
        call = AppendCall(requests)
        with committing(self._where, self._writer):
            [answer] = run(self._writer, self._sql(APPEND), [self._durable, self._lock_timeout, clock, *call.columns()])
        return call.outcomes(answer)

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
        listening = asyncio.Event()
        tasks = [asyncio.create_task(self._poll(listening))]
        if self._session:
            tasks.append(asyncio.create_task(self._listen(listening)))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self, listening: asyncio.Event) -> None:
        with named_errors(self._where):
            async for head in notifications(self._url, self._log, listening):
                self._head.advance(int(head))
        raise StoreUnreachable(self._where, "the server ended the connection")

    async def _poll(self, listening: asyncio.Event) -> None:
        """Look once when notifications begin to come, then now and then, in case one is lost."""
        pause = POLL_SECONDS if self._session else POLL_SECONDS_WITHOUT_NOTIFICATIONS
        while True:
            if self._head.awaited:
                self._head.advance(await self._readers.run(self._head_of))
            try:
                async with asyncio.timeout(pause):
                    await (asyncio.Event() if listening.is_set() or not self._session else listening).wait()
            except TimeoutError:
                pass

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosed


class Types:
    """The type names of the log and their ids; grows as the log does."""

    def __init__(self, sql: str) -> None:
        self._sql = sql
        self._ids: dict[str, int] = {}
        self._names: dict[int, str] = {}

    def lacks(self, names: Iterable[str]) -> bool:
        """Whether some of these names have not been seen in the log so far."""
        return any(name not in self._ids for name in names)

    @property
    def ids(self) -> Mapping[str, int]:
        """The ids of the names that have been seen."""
        return self._ids

    def stored(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> list[StoredEvent]:
        """The events of whole rows."""
        names = self._names_of(connection, rows)
        tags = {text: tuple(text.split("\n")) if text else () for text in {row[6] for row in rows}}
        return [
            StoredEvent(position, microseconds, names[type], version, data, metadata, tags[text])
            for position, type, version, data, microseconds, metadata, text in rows
        ]

    def stored_data(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> list[StoredEvent]:
        """The events of rows that have their data only."""
        names = self._names_of(connection, rows)
        return [StoredEvent(position, 0, names[type], version, data, b"", ()) for position, type, version, data in rows]

    def _names_of(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> Mapping[int, str]:
        if {row[1] for row in rows} - self._names.keys():
            self.load(connection)
        return self._names

    def load(self, connection: Connection) -> int:
        """See all that there are, and return the head of the same moment: events of other types lie after it."""
        rows = run(connection, self._sql)
        names = {id: name for _, id, name in rows if id is not None}
        self._names.update(names)  # only ever more: another thread may have loaded newer ones meanwhile
        self._ids.update((name, id) for id, name in names.items())
        return int(rows[0][0])


class Reading:
    """One read under way: what it still has to look at."""

    def __init__(self, log: str, types: Types, criteria: Criteria, chosen: Range) -> None:
        self._log = f'"{log}"'
        self._types = types
        self._criteria = criteria
        self._stretch = Stretch(chosen)
        self._arms: Sequence[Arm] | None = None

    @property
    def complete(self) -> bool:
        """Whether there is nothing left to read."""
        return self._stretch.complete

    def next_batch(self, connection: Connection) -> Batch:
        """Read the next batch; in a reading thread."""
        if self._arms is None and (few := self._first_look(connection)) is not None:
            return few
        arms = self._arms if self._arms is not None else self._begin(connection)
        if not arms:
            return Batch([], self._stretch.advance([], cut=False))
        chosen, size = self._stretch.chosen, self._stretch.size
        sql, parameters = selection(arms, chosen, size)
        return self._batch(connection, sql.format(log=self._log), parameters, size)

    def _first_look(self, connection: Connection) -> Batch | None:
        """All events of one tag, where they are few."""
        chosen, items = self._stretch.chosen, self._criteria.items
        if chosen.reverse or chosen.limit == 0 or len(items) != 1 or len(items[0].tags) != 1:
            return None
        [tag] = items[0].tags
        sql, parameters = first_look(tag, chosen)
        rows = run(connection, sql.format(log=self._log), parameters)
        if len(rows) > FEW:
            return None
        self._stretch.end_at(rows[0][0])
        found = self._stored(connection, [row[1:] for row in rows if row[1] is not None])
        types = items[0].types
        events = [event for event in found if not types or event.type in types][: chosen.limit]
        return Batch(events, self._stretch.advance(events, cut=len(events) == chosen.limit))

    def _stored(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> list[StoredEvent]:
        of_rows = self._types.stored_data if self._stretch.chosen.data_only else self._types.stored
        return of_rows(connection, rows)

    def _batch(self, connection: Connection, sql: str, parameters: Sequence[Any], size: int) -> Batch:
        rows: list[tuple[Any, ...]] = []
        room = BYTES_A_BATCH
        parts = rows_in_parts(connection, sql, parameters)
        for part in parts:
            rows += part
            room -= sum(map(bytes_of, part))
            if room < 0:
                break
        parts.close()
        events = self._stored(connection, rows)
        return Batch(events, self._stretch.advance(events, cut=room < 0 or len(events) == size))

    def _begin(self, connection: Connection) -> Sequence[Arm]:
        """Take the head first, or in the same moment, then look at events up to it.

        That goes for types too which may not be in the log yet: an event of such a type that is committed in between
        must lie after the head, or it would be passed over.
        """
        names = [name for item in self._criteria.items for name in item.types]
        head = self._types.load(connection) if self._types.lacks(names) else None
        ids = self._types.ids
        counted: Sequence[Sequence[int]] = []
        if head is None or leaves_a_choice(self._criteria):
            sql, parameters = choices(self._criteria, ids, self._stretch.chosen.after)
            [(now, *counted)] = run(connection, sql.format(log=self._log), parameters)
            head = now if head is None else head
        self._stretch.end_at(head)
        self._arms = arms_of(self._criteria, ids, counted)
        return self._arms


def create_log(connection: Connection, log: str) -> None:
    """Make the schema of a log that is not there; of several processes that try at once one does it."""
    script = _script("postgres.sql", log) + _script("postgres_leases.sql", log)
    once = f"""
        SELECT pg_advisory_xact_lock(hashtextextended('{log}', 1));
        DO $outer$ BEGIN
            IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = '{log}') THEN
                EXECUTE $script${script}$script$;
            END IF;
        END $outer$"""
    run_script(connection, once)


def create_roles(url: str, log: str) -> None:
    """Make the roles `<log>_writer` and `<log>_reader`, with exactly the rights that they need."""
    with named_errors(f"log {log!r}"), connect(url, session=False) as connection:
        run_script(connection, _script("postgres_roles.sql", log))


def _script(name: str, log: str) -> str:
    return files("leftfold.store").joinpath(name).read_text().replace(SCHEMA, log)
