"""Copy a log into another one: events with their positions, times and bytes, and the idempotency keys."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing
from datetime import datetime
from threading import Lock
from types import TracebackType
from typing import Literal, Self

import msgspec
from msgspec.structs import replace

from leftfold.errors import Conflict, ForeignTarget, SameLog
from leftfold.model.clock import Clock, SystemClock, from_microseconds, to_microseconds
from leftfold.model.criteria import EVERYTHING
from leftfold.model.record import CopiedEvent, StoredEvent
from leftfold.store.contract import AppendCondition, Batch, EventStore, IdempotencyKey
from leftfold.store.inspection import KeyedLog, StoredKey

CREATE = """
    CREATE TABLE key (
        value          BLOB PRIMARY KEY,
        first_position INTEGER NOT NULL,
        last_position  INTEGER NOT NULL,
        digest         BLOB NOT NULL
    ) WITHOUT ROWID"""
CREATE_INDEX = "CREATE INDEX IF NOT EXISTS key_last ON key (last_position)"
INSERT = "INSERT INTO key (value, first_position, last_position, digest) VALUES (?, ?, ?, ?)"
COUNT = "SELECT count(*) FROM key WHERE last_position > ? AND last_position <= ?"
SELECT_ENDING = """
    SELECT value, first_position, last_position, digest
    FROM key
    WHERE last_position > ? AND last_position <= ?
    ORDER BY last_position, first_position"""
SELECT_ONE = "SELECT value, first_position, last_position, digest FROM key WHERE value = ?"


class KeySpool:
    """Keeps keys, and finds those that end in a range of positions; a store only finds keys by their value.

    Several threads may use it. To close it waits for what is under way, because a cancelled caller may have left a
    thread at work.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = OFF")
        self._connection.execute(CREATE)

    def __repr__(self) -> str:
        return f"<KeySpool of {self.count(0, 2**63 - 1)} keys>"

    def add(self, keys: Iterable[StoredKey]) -> None:
        """Add keys."""
        rows = [(_bytes(key.value), key.first, key.last, key.digest) for key in keys]
        with self._lock:
            self._connection.execute("BEGIN")
            self._connection.executemany(INSERT, rows)
            self._connection.execute("COMMIT")

    def ready(self) -> None:
        """Index the keys by their positions, after all have been added."""
        with self._lock:
            self._connection.execute(CREATE_INDEX)

    def count(self, after: int, upto: int) -> int:
        """Return how many keys end in a range."""
        with self._lock:
            (count,) = self._connection.execute(COUNT, (after, upto)).fetchone()
        return int(count)

    def ending(self, after: int, upto: int) -> list[StoredKey]:
        """Return the keys that end in a range, in order."""
        with self._lock:
            rows = self._connection.execute(SELECT_ENDING, (after, upto)).fetchall()
        return [_key(*row) for row in rows]

    def unlike(self, keys: Iterable[StoredKey]) -> StoredKey | None:
        """Return the first of some keys that is not in here exactly as it is."""
        with self._lock:
            for key in keys:
                row = self._connection.execute(SELECT_ONE, (_bytes(key.value),)).fetchone()
                if row is None or _key(*row) != key:
                    return key
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._connection.close()


def _bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")


def _key(value: bytes, first: int, last: int, digest: bytes) -> StoredKey:
    return StoredKey(str(value, "utf-8", "surrogatepass"), first, last, digest)


Phase = Literal["checking", "copying", "comparing"]
OnProgress = Callable[[Phase, int, int], None]

Retag = Callable[[StoredEvent], tuple[str, ...]]

FIELDS = ("type", "version", "data", "metadata", "tags")


class Difference(msgspec.Struct, frozen=True):
    """The position at which a target differs from its source, and how."""

    position: int
    problem: str


class Copied(msgspec.Struct, frozen=True):
    """The result of a copy: both logs are equal through `position`, with `keys` keys, unless there is a `difference`.

    This copy wrote `copied` events; the target already had those before them.
    """

    source: str
    target: str
    position: int
    copied: int
    keys: int
    difference: Difference | None


class LatestClock:
    """The clock of the machine, but never behind a given time: a copy must keep events whose times are ahead."""

    def __init__(self, least: datetime, clock: Clock | None = None) -> None:
        self._least = least
        self._clock = clock or SystemClock()

    def now(self) -> datetime:
        """Return the present time in UTC, or the given time if that is later."""
        return max(self._clock.now(), self._least)


def _ignore_progress(step: Phase, done: int, upto: int) -> None:
    pass


async def clock_for(source: EventStore, latest: datetime | None = None) -> LatestClock:
    """Return a clock to open the target with: no present event of the source, up to `latest`, is in its future."""
    newest = [event.time async for batch in source.read(EVERYTHING, reverse=True, limit=1) for event in batch.events]
    least = newest[0] if newest else SystemClock().now()
    return LatestClock(least if latest is None else from_microseconds(min(map(to_microseconds, (least, latest)))))


async def copy_log(
    source: KeyedLog,
    target: KeyedLog,
    *,
    on_progress: OnProgress = _ignore_progress,
    retag: Retag | None = None,
    latest: datetime | None = None,
) -> Copied:
    """Write what the source holds now behind what the target has of it, then compare what was written.

    The target has to be empty, or the beginning of a copy: that is checked first, and `ForeignTarget` raised before
    anything is written. Each batch is an append, durable and on the condition that nobody else has written, so a copy
    that was cut off goes on where the target ends. A key is written with the last event that it stands for. Events that
    are appended to the source meanwhile are left for the next time. The target's clock may not be behind the source's
    newest event: see `clock_for`. Raises `SameLog` too. `retag(event)` gives the tags that an event has in the target.
    Events with a time after `latest`, which a wrong clock gave them, have that time in the target.
    """
    with KeySpool() as keys:
        copying = await _begin(source, target, keys, on_progress, Change(retag, latest))
        begun = await target.head()
        if found := await copying.difference("checking", 0, min(begun, copying.upto)):
            raise ForeignTarget(found.position, found.problem)
        await copying.write(begun)
        found = await copying.difference("comparing", begun, copying.upto)
        return copying.outcome(found, copied=copying.upto - begun)


async def compare_logs(
    source: KeyedLog,
    target: KeyedLog,
    *,
    on_progress: OnProgress = _ignore_progress,
    retag: Retag | None = None,
    latest: datetime | None = None,
) -> Copied:
    """Compare two logs, event by event and key by key, through the head of the source; write nothing."""
    with KeySpool() as keys:
        comparing = await _begin(source, target, keys, on_progress, Change(retag, latest))
        head = await target.head()
        found = await comparing.difference("comparing", 0, min(head, comparing.upto))
        if found is None and head < comparing.upto:
            found = Difference(head + 1, f"the target ends at {head}, the source at {comparing.upto}")
        return comparing.outcome(found, copied=0)


async def _begin(
    source: KeyedLog, target: KeyedLog, keys: KeySpool, on_progress: OnProgress, change: "Change"
) -> "Copying":
    """Take the head first, so that all keys up to it can be listed."""
    if source.log_id == target.log_id:
        raise SameLog(source.log_id)
    upto = await source.head()
    async for page in source.stored_keys():
        await asyncio.to_thread(keys.add, [key for key in page if key.last <= upto])
    await asyncio.to_thread(keys.ready)
    return Copying(source, target, keys, upto, on_progress, change)


class Change:
    """The changes that a copy makes: new tags, and `latest` instead of any later time."""

    def __init__(self, retag: Retag | None, latest: datetime | None) -> None:
        self._retag = retag
        self._latest = None if latest is None else to_microseconds(latest)

    def of(self, events: Sequence[StoredEvent]) -> Sequence[StoredEvent]:
        """Return the events as the target will have them."""
        if self._latest is not None and events and events[-1].microseconds > self._latest:
            events = [replace(event, microseconds=min(event.microseconds, self._latest)) for event in events]
        return events if self._retag is None else [replace(event, tags=self._retag(event)) for event in events]


class Copying:
    """A copy under way, through a position of the source; the keys up to there are in the spool."""

    def __init__(
        self, source: KeyedLog, target: KeyedLog, keys: KeySpool, upto: int, on_progress: OnProgress, change: "Change"
    ) -> None:
        self.upto = upto
        self._change = change
        self._source = source
        self._target = target
        self._keys = keys
        self._on_progress = on_progress

    def __repr__(self) -> str:
        return f"<Copying {self._source!r} to {self._target!r}, up to {self.upto}>"

    def outcome(self, found: Difference | None, *, copied: int) -> Copied:
        """Return the result."""
        keys = self._keys.count(0, self.upto)
        return Copied(self._source.log_id, self._target.log_id, self.upto, copied, keys, found)

    async def write(self, after: int) -> None:
        """Write the events after a position; the next batch is read while one is written."""
        async with aclosing(read_ahead(self._source.read(EVERYTHING, after=after, upto=self.upto))) as batches:
            async for batch in batches:
                if batch.events:
                    await self._append(self._change.of(batch.events), batch.through, after)
                    after = batch.through
                    self._on_progress("copying", after, self.upto)

    async def difference(self, step: Phase, after: int, upto: int) -> Difference | None:
        """Return the first difference between these positions, or the first event that only the target has."""
        found = await self._unlike_event(step, after, upto) or await self._unlike_key(after, upto)
        head = await self._target.head()
        if found is None and head > self.upto:
            found = Difference(self.upto + 1, f"the target goes on to {head}, the source to {self.upto}")
        return found

    async def _append(self, copied: Sequence[StoredEvent], through: int, after: int) -> None:
        events = [_again(event) for event in copied]
        stored = await asyncio.to_thread(self._keys.ending, after, through)
        keys = [
            IdempotencyKey(key.value, key.digest, key.first - 1 - after, key.last - key.first + 1) for key in stored
        ]
        try:
            await self._target.append(events, condition=AppendCondition(EVERYTHING, after), key=keys)
        except Conflict as conflict:
            raise ForeignTarget(after + 1, "something else was appended to the target meanwhile") from conflict

    async def _unlike_event(self, step: Phase, after: int, upto: int) -> Difference | None:
        async with aclosing(read_ahead(self._source.read(EVERYTHING, after=after, upto=upto))) as batches:
            async for batch in batches:
                copied = await _events(self._target, after, batch.through)
                expected = self._change.of(batch.events)
                if copied != expected:
                    return _difference(expected, copied, after)
                after = batch.through
                if batch.events:
                    self._on_progress(step, after, upto)
        return None

    async def _unlike_key(self, after: int, upto: int) -> Difference | None:
        found = 0
        async for page in self._target.stored_keys():
            asked = [key for key in page if after < key.last <= upto]
            unlike = await asyncio.to_thread(self._keys.unlike, asked)
            if unlike is not None:
                return Difference(unlike.first, f"the source has no such key as {_shown(unlike)}")
            found += len(asked)
        missing = self._keys.count(after, upto) - found
        if missing:
            return Difference(after + 1, f"idempotency keys of the source are missing: {missing}")
        return None


async def read_ahead(batches: AsyncIterator[Batch]) -> AsyncGenerator[Batch]:
    """Yield the same batches; each is read while the caller handles the one before."""
    coming = asyncio.create_task(_next(batches))
    try:
        while (batch := await coming) is not None:
            coming = asyncio.create_task(_next(batches))
            yield batch
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)


async def _next(batches: AsyncIterator[Batch]) -> Batch | None:
    return await anext(batches, None)


async def _events(log: EventStore, after: int, upto: int) -> list[StoredEvent]:
    return [event async for batch in log.read(EVERYTHING, after=after, upto=upto) for event in batch.events]


def _again(event: StoredEvent) -> CopiedEvent:
    return CopiedEvent(event.type, event.data, event.tags, event.version, event.metadata, event.time)


def _difference(expected: Sequence[StoredEvent], found: Sequence[StoredEvent], after: int) -> Difference:
    for source, target in zip(expected, found, strict=False):
        if source.position != target.position:
            break
        if source.microseconds != target.microseconds:
            return Difference(source.position, f"its time is {target.time}, the source's {source.time}")
        for name in FIELDS:
            if getattr(source, name) != getattr(target, name):
                return Difference(source.position, f"its {name} and the source's differ")
    position = after + 1 + min(len(expected), len(found))
    return Difference(position, "one of the logs has no event there")


def _shown(key: StoredKey) -> str:
    return f"{key.value!r} for positions {key.first} to {key.last}"
