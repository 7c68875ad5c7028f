"""The book of leases of a log's workers in PostgreSQL: a small table in the log's schema, which can be emptied."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from leftfold.follow.lease_store import Entry
from leftfold.store.home import keep_in_children
from leftfold.store.postgres.batch import texts
from leftfold.store.postgres.driver import Connection, connect, is_lost, named_errors, run

READ = "SELECT name, holder, beat, microseconds FROM {log}.lease"
TAKE = "SELECT name, holder, beat, microseconds FROM {log}.take_lease(%s, %s, %s, %s)"
BEAT = "SELECT name, holder, beat, microseconds FROM {log}.beat_leases(%s, %s)"
RELEASE = "SELECT FROM {log}.release_leases(%s, %s)"
T = TypeVar("T")


class PostgresLeaseStore:
    """Leases in the schema of a log. Its one connection is opened when it is first needed, and anew when it is lost."""

    def __init__(self, url: str, log: str, *, session: bool = True) -> None:
        self._url = url
        self._log = log
        self._session = session
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="leftfold leases")
        self._connection: Connection | None = None
        keep_in_children(self)

    def __repr__(self) -> str:
        return f"<PostgresLeaseStore of the log {self._log}>"

    async def read(self) -> Mapping[str, Entry]:
        """Every lease that is held."""
        return {entry.name: entry for entry in await self._entries(READ)}

    async def take(self, name: str, expected: Entry | None, holder: str) -> Entry | None:
        """Give the lease to a holder if it stands as expected."""
        before = (expected.holder, expected.beat) if expected else (None, None)
        taken = await self._entries(TAKE, name, *before, holder)
        return taken[0] if taken else None

    async def beat(self, entries: Iterable[Entry]) -> list[Entry]:
        """Say that their holder lives."""
        held = _by_holder(entries)
        return [each for holder, names in held.items() for each in await self._entries(BEAT, holder, texts(names))]

    async def release(self, entries: Iterable[Entry]) -> None:
        """Free them."""
        for holder, names in _by_holder(entries).items():
            await self._in_thread(partial(run, sql=self._sql(RELEASE), parameters=[holder, texts(names)]))

    async def close(self) -> None:
        """Close the connection."""
        await asyncio.to_thread(self._thread.shutdown)
        if self._connection is not None:
            self._connection.close()

    async def _entries(self, sql: str, *parameters: object) -> list[Entry]:
        rows = await self._in_thread(partial(run, sql=self._sql(sql), parameters=parameters))
        return [Entry(*row) for row in rows]

    async def _in_thread(self, work: Callable[[Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._with_names, work)

    def _with_names(self, work: Callable[[Connection], T]) -> T:
        with named_errors(f"log {self._log!r}"):
            if self._connection is None or is_lost(self._connection):
                self._connection = connect(self._url, session=self._session)
            return work(self._connection)

    def _sql(self, text: str) -> str:
        return text.format(log=f'"{self._log}"')


def _by_holder(entries: Iterable[Entry]) -> dict[str, list[str]]:
    held: dict[str, list[str]] = {}
    for entry in entries:
        held.setdefault(entry.holder, []).append(entry.name)
    return held
