"""The leases of projections, written in the models database, where taking one over fences its former holder."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from concurrent.futures import Executor
from functools import partial
from time import time_ns
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy import exc

from leftfold.errors import ModelsUnavailable
from leftfold.follow.lease_store import Entry, next_beat
from leftfold.query.shard import Shard
from leftfold.query.tables.checkpoints import create_checkpoints, disturb_all
from leftfold.query.tables.database import Database, is_trouble
from leftfold.query.tables.own_tables import lease

T = TypeVar("T")

log = logging.getLogger("leftfold.leases")


def is_held(connection: sa.Connection, name: str, holder: str) -> bool:
    """Whether the lease is this holder's, in the connection's transaction."""
    mine = sa.select(lease.c.beat).where(lease.c.name == name, lease.c.holder == holder)
    return connection.execute(mine).first() is not None


class ModelsLeaseStore:
    """Leases in the models database, of these shards."""

    def __init__(self, database: Database, shards: Iterable[Shard], thread: Executor) -> None:
        self._database = database
        self._shards = {shard.lease: shard for shard in shards}
        self._thread = thread
        self._begun = False
        self._unreadable: Set[object] = frozenset()  # names of what nobody can have written who knows what a lease is

    def __repr__(self) -> str:
        return f"<ModelsLeaseStore in {self._database!r}>"

    async def read(self) -> Mapping[str, Entry]:
        """Every lease that is held."""
        return await self._in_thread(self._read)

    async def take(self, name: str, expected: Entry | None, holder: str) -> Entry | None:
        """Give the lease to a holder if it stands as expected, and fence the former one, in one transaction."""
        return await self._in_thread(partial(self._take, name, expected, holder))

    async def beat(self, entries: Iterable[Entry]) -> list[Entry]:
        """Say that their holder lives."""
        return await self._in_thread(partial(self._beat, list(entries)))

    async def release(self, entries: Iterable[Entry]) -> None:
        """Free them."""
        await self._in_thread(partial(self._release, list(entries)))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _read(self) -> dict[str, Entry]:
        try:
            with self._database.reading() as connection:
                self._begun = self._begun or sa.inspect(connection).has_table(lease.name)
                if not self._begun:
                    return {}
                return self._readable([Entry(*row) for row in connection.execute(sa.select(lease))])
        except exc.DBAPIError as error:
            if not is_trouble(error):
                raise
            raise ModelsUnavailable(str(self._database.url), str(error.orig)) from error

    def _readable(self, entries: Sequence[Entry]) -> dict[str, Entry]:
        """Return those that are leases: SQLite holds anything that somebody has written there."""
        found = {each.name: each for each in entries if _is_readable(each)}
        unreadable = {each.name for each in entries if each.name not in found}
        for name in unreadable - self._unreadable:
            log.warning("the lease of %r names no process: it counts as free", name)
        self._unreadable = unreadable
        return found

    def _take(self, name: str, expected: Entry | None, holder: str) -> Entry | None:
        taken = Entry(name, holder, next_beat(expected.beat) if expected else 1, _now())
        try:
            with self._database.writing() as connection:
                if not self._begun:
                    create_checkpoints(connection)
                if expected is None and name in self._unreadable:
                    connection.execute(sa.delete(lease).where(lease.c.name == name))
                if not _put(connection, expected, taken):
                    return None
                if expected is not None and name in self._shards:  # a holder that gave it up has stopped writing
                    disturb_all(connection, self._shards[name])
        except exc.IntegrityError:  # another process was first to take a lease that nobody had
            return None
        return taken

    def _beat(self, entries: list[Entry]) -> list[Entry]:
        with self._database.writing() as connection:
            beaten = [(each, Entry(each.name, each.holder, next_beat(each.beat), _now())) for each in entries]
            return [now for before, now in beaten if _put(connection, before, now)]

    def _release(self, entries: list[Entry]) -> None:
        with self._database.writing() as connection:
            for each in entries:
                connection.execute(sa.delete(lease).where(lease.c.name == each.name, lease.c.holder == each.holder))


def _put(connection: sa.Connection, expected: Entry | None, entry: Entry) -> bool:
    """Write an entry where one stands that is as expected; whether it did."""
    values = {"name": entry.name, "holder": entry.holder, "beat": entry.beat, "microseconds": entry.microseconds}
    if expected is None:
        connection.execute(sa.insert(lease).values(values))
        return True
    as_expected = (lease.c.name == entry.name, lease.c.holder == expected.holder, lease.c.beat == expected.beat)
    return connection.execute(sa.update(lease).where(*as_expected).values(values)).rowcount == 1


def _is_readable(entry: Entry) -> bool:
    found: tuple[object, ...] = (entry.name, entry.holder, entry.beat)
    return all(map(isinstance, found, (str, str, int)))


def _now() -> int:
    return time_ns() // 1_000
