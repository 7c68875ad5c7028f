"""Snapshots of decision models in PostgreSQL: a table in the log's schema, which can be emptied at any time."""

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from time import monotonic
from typing import Any

import psycopg

from leftfold.errors import StoreFailed
from leftfold.store.home import keep_in_children
from leftfold.store.postgres.driver import Connection, connect, is_lost, problem_of, run
from leftfold.store.snapshot_store import SnapshotRow

ROWS_PER_PAGE = 100  # rows of one statement
PATIENCE_SECONDS = 5.0
LOCK_TIMEOUT = "1s"
SLOW_SECONDS = 0.5
PAUSE_SECONDS = 10.0  # after a slow failure, during which nothing is tried, because commands wait for it

COLUMNS = "model, key, fingerprint, position, state, identity"
FIND = f"""
    SELECT {COLUMNS} FROM {{log}}.snapshot
    WHERE model = %s AND key_digest = %s AND key = %s AND fingerprint = %s AND position <= %s"""
# This commit does not wait for the disk: snapshots that a crash of the server loses are made again.
KEEP = """
    INSERT INTO {log}.snapshot (model, key_digest, key, fingerprint, position, state, identity)
    SELECT %s, %s, %s, %s, %s, %s, %s FROM pg_catalog.set_config('synchronous_commit', 'off', true)
    ON CONFLICT (model, key_digest) DO UPDATE
    SET key = excluded.key, fingerprint = excluded.fingerprint, position = excluded.position,
        state = excluded.state, identity = excluded.identity
    WHERE excluded.position >= snapshot.position OR excluded.fingerprint <> snapshot.fingerprint"""
OF_MODEL = f"""
    SELECT key_digest, {COLUMNS} FROM {{log}}.snapshot
    WHERE model = %s AND fingerprint = %s AND key_digest > %s ORDER BY key_digest LIMIT {ROWS_PER_PAGE}"""
FORGET = "DELETE FROM {log}.snapshot WHERE model = %s AND key_digest = %s AND position = %s"
# The statement takes the head itself, because other processes go on appending.
FORGET_BEYOND = """
    DELETE FROM {log}.snapshot WHERE position > (SELECT coalesce(max(position), 0) FROM {log}.event)"""
# Whether the table exists, which rights on it are missing, and the name of the present role.
SELECT_RIGHTS = """
    SELECT
        kept.oid IS NOT NULL,
        (
            SELECT pg_catalog.array_agg(needed.privilege ORDER BY needed.number)
            FROM pg_catalog.unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE'])
                WITH ORDINALITY AS needed (privilege, number)
            WHERE NOT pg_catalog.has_table_privilege(kept.oid, needed.privilege)
        ),
        pg_catalog.quote_ident(current_user)
    FROM pg_catalog.pg_namespace AS log
    LEFT JOIN pg_catalog.pg_class AS kept
        ON kept.relnamespace = log.oid AND kept.relname = 'snapshot' AND kept.relkind IN ('r', 'p')
    WHERE log.nspname = %s"""
log = logging.getLogger("leftfold.snapshots")


class PostgresSnapshots:
    """The snapshots in the schema of a log. Its connection is opened when it is needed, and again after it was lost.

    A command may wait for it, so nothing may take long: a statement that waits for a lock or for a silent server is
    cancelled, and for a while no other one is sent.
    """

    def __init__(self, url: str, log: str, *, session: bool = True, read_only: bool = False) -> None:
        self.read_only = read_only
        self.problem: str | None = None
        self._url = url
        self._log = log
        self._where = f"the table {log}.snapshot"
        self._session = session
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="leftfold snapshots")
        self._connection: Connection | None = None
        self._pause = 0.0, ""  # until when nothing is tried, and why
        keep_in_children(self)

    def __repr__(self) -> str:
        return f"<PostgresSnapshots of the log {self._log}>"

    async def look(self) -> bool:
        """Look for the table and the rights on it; return whether snapshots can be found there at all.

        `problem` then says what is missing. With only the right to read, no snapshot is kept.
        """
        rows = await self._rows(SELECT_RIGHTS, self._log)
        is_there, missing, role = rows[0] if rows else (False, None, "")
        if not is_there:
            if not self.read_only:
                self.problem = (
                    f"snapshots of decision models are kept in memory: the log {self._log!r} is of an older leftfold "
                    "and has no table for them. Run leftfold init as its owner, or open it once as that role"
                )
            return False
        lacking: list[str] = missing or []
        if self.read_only:
            lacking = [each for each in lacking if each == "SELECT"]
        if not lacking:
            return True
        self.read_only = True
        found = "kept in memory" if "SELECT" in lacking else "found, but not kept"
        self.problem = (
            f"snapshots of decision models are {found}: the role {role} lacks rights. "
            f'GRANT {", ".join(lacking)} ON "{self._log}".snapshot TO {role}'
        )
        return "SELECT" not in lacking

    async def find(self, model: str, key: str, fingerprint: str, *, upto: int) -> SnapshotRow | None:
        """Return the snapshot of a key that this code made, if it is for a position up to `upto`."""
        rows = await self._rows(FIND, model, _digest(key), key, fingerprint, upto)
        return SnapshotRow(*rows[0]) if rows else None

    async def keep(self, row: SnapshotRow) -> None:
        """Store a snapshot, which replaces an older one, or one that other code made."""
        await self._rows(KEEP, row.model, _digest(row.key), *row[1:])

    async def of_model(self, model: str, fingerprint: str) -> list[SnapshotRow]:
        """Return all snapshots of a model that this code made, in the order of their keys."""
        found: list[SnapshotRow] = []
        digest = ""
        while True:
            page = await self._rows(OF_MODEL, model, fingerprint, digest)
            found += (SnapshotRow(*row) for _, *row in page)
            if len(page) < ROWS_PER_PAGE:
                return sorted(found)
            digest = page[-1][0]

    async def forget(self, row: SnapshotRow) -> None:
        """Delete a snapshot, unless it was replaced since."""
        await self._rows(FORGET, row.model, _digest(row.key), row.position)

    async def forget_beyond(self, head: int) -> None:
        """Delete snapshots beyond the newest event."""
        await self._rows(FORGET_BEYOND)

    async def close(self) -> None:
        """Close the connection."""
        await asyncio.to_thread(self._thread.shutdown)
        if self._connection is not None:
            self._connection.close()

    async def _rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        text = sql.format(log=f'"{self._log}"')
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, text, parameters)

    def _run(self, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        begun, (until, why) = monotonic(), self._pause
        if begun < until:
            raise StoreFailed(self._where, why)
        try:
            if self._connection is None or is_lost(self._connection):
                self._connection = self._connect()
            return run(self._connection, sql, parameters)
        except psycopg.Error as error:
            why = problem_of(error)
            if monotonic() - begun > SLOW_SECONDS:
                self._pause = monotonic() + PAUSE_SECONDS, why
            raise StoreFailed(self._where, why) from error

    def _connect(self) -> Connection:
        connection = connect(self._url, session=self._session, lock_timeout=LOCK_TIMEOUT)
        connection.patience = PATIENCE_SECONDS
        return connection


def _digest(key: str) -> str:
    return sha256(key.encode()).hexdigest()
