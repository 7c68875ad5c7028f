"""The book of leases of a log's workers in PostgreSQL: a small table in the log's schema, which can be emptied."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import psycopg

from leftfold.home import keep_in_children
from leftfold.leases.book import Entry
from leftfold.store.postgres_arrays import texts
from leftfold.store.postgres_driver import Connection, connect, is_lost, named_errors, problem_of, run, run_script

READ = "SELECT name, holder, beat, microseconds FROM {log}.lease"
TAKE = "SELECT name, holder, beat, microseconds FROM {log}.take_lease(%s, %s, %s, %s)"
BEAT = "SELECT name, holder, beat, microseconds FROM {log}.beat_leases(%s, %s)"
RELEASE = "SELECT FROM {log}.release_leases(%s, %s)"
# One row if the functions of an older leftfold take a caller's temporary table for theirs, and may be changed.
SELECT_OPEN_FUNCTIONS = """
    SELECT
    FROM pg_catalog.pg_proc
    WHERE pronamespace = pg_catalog.to_regnamespace('{log}')
        AND proname = 'take_lease'
        AND NOT proconfig::text LIKE '%pg_temp%'
        AND pg_catalog.pg_has_role(proowner, 'USAGE')"""
CLOSE_FUNCTIONS = """
    SET LOCAL lock_timeout = '1s';
    SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('{name}', 1));
    """ + "".join(
    f"ALTER FUNCTION {{log}}.{name} SET search_path = {{log}}, pg_catalog, pg_temp;"
    for name in ("take_lease", "beat_leases", "release_leases")
)
T = TypeVar("T")

log = logging.getLogger("leftfold.leases")


class PostgresBook:
    """Leases in the schema of a log. Its one connection is opened when it is first needed, and anew when it is lost."""

    def __init__(self, url: str, log: str, *, session: bool = True) -> None:
        self._url = url
        self._log = log
        self._session = session
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="leftfold leases")
        self._connection: Connection | None = None
        keep_in_children(self)

    def __repr__(self) -> str:
        return f"<PostgresBook of the log {self._log}>"

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


def close_lease_functions(connection: Connection, name: str) -> None:
    """Have the functions of a log of an older leftfold look for a caller's temporary tables last, as those of today."""
    schema = f'"{name}"'
    if not run(connection, SELECT_OPEN_FUNCTIONS.format(log=schema)):
        return
    try:
        run_script(connection, CLOSE_FUNCTIONS.format(log=schema, name=name))
    except psycopg.Error as error:
        if connection.closed:
            raise
        log.warning("log %r: its functions for leases could not be mended: %s", name, problem_of(error))


def _by_holder(entries: Iterable[Entry]) -> dict[str, list[str]]:
    held: dict[str, list[str]] = {}
    for entry in entries:
        held.setdefault(entry.holder, []).append(entry.name)
    return held
