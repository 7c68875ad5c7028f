"""Snapshots of decision models in an SQLite file beside the log, or in memory. The file can be deleted at any time."""

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from leftfold.errors import StoreFailed
from leftfold.store.home import keep_in_children
from leftfold.store.private_files import create_private
from leftfold.store.snapshot_store import SnapshotRow

MEMORY = ":memory:"
CREATE = """
    CREATE TABLE IF NOT EXISTS snapshot (
        log         TEXT NOT NULL,
        model       TEXT NOT NULL,
        key         TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        position    INTEGER NOT NULL,
        state       TEXT NOT NULL,
        identity    TEXT NOT NULL,  -- of the event at the position
        PRIMARY KEY (log, model, key)
    ) STRICT"""
FIND = """
    SELECT model, key, fingerprint, position, state, identity FROM snapshot
    WHERE log = ? AND model = ? AND key = ? AND fingerprint = ? AND position <= ?"""
KEEP = """
    INSERT INTO snapshot (log, model, key, fingerprint, position, state, identity) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (log, model, key) DO UPDATE
    SET fingerprint = excluded.fingerprint, position = excluded.position, state = excluded.state,
        identity = excluded.identity
    WHERE excluded.position >= snapshot.position OR excluded.fingerprint <> snapshot.fingerprint"""
OF_MODEL = """
    SELECT model, key, fingerprint, position, state, identity FROM snapshot
    WHERE log = ? AND model = ? AND fingerprint = ? ORDER BY key"""
FORGET = "DELETE FROM snapshot WHERE log = ? AND model = ? AND key = ? AND position = ?"
FORGET_BEYOND = "DELETE FROM snapshot WHERE log = ? AND position > ?"
COLUMNS = "SELECT name FROM pragma_table_info('snapshot')"


class SQLiteSnapshots:
    """The snapshots of one log in a file, or in memory (`:memory:`), used from one thread.

    A file that cannot be used is left alone, and memory is used instead. A new file gets the permissions of the file
    `like`.
    """

    def __init__(
        self,
        path: str,
        log_id: str,
        *,
        read_only: bool = False,
        problem: str | None = None,
        like: Path | None = None,
    ) -> None:
        self.read_only = read_only
        self.problem = problem
        self._log_id = log_id
        self._where = f"the file of snapshots {path}"
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="leftfold snapshots")
        if path != MEMORY and not read_only:
            create_private(Path(path), like=like)
        try:
            self._connection = _existing(path) if read_only and path != MEMORY else _created(path)
        except sqlite3.Error as error:
            self._connection = _created(MEMORY)
            if Path(path).exists():
                self.problem = f"the snapshots in {path} cannot be used: {error}"
        keep_in_children(self)

    def __repr__(self) -> str:
        return f"<SQLiteSnapshots of {self._log_id}>"

    async def find(self, model: str, key: str, fingerprint: str, *, upto: int) -> SnapshotRow | None:
        """Return the snapshot of a key that this code made, if it is for a position up to `upto`."""
        return next(iter(await self._rows(FIND, model, key, fingerprint, upto)), None)

    async def keep(self, row: SnapshotRow) -> None:
        """Store a snapshot, which replaces an older one, or one that other code made."""
        await self._rows(KEEP, *row)

    async def of_model(self, model: str, fingerprint: str) -> list[SnapshotRow]:
        """Return all snapshots of a model that this code made, in the order of their keys."""
        return await self._rows(OF_MODEL, model, fingerprint)

    async def forget(self, row: SnapshotRow) -> None:
        """Delete a snapshot, unless it was replaced since."""
        await self._rows(FORGET, row.model, row.key, row.position)

    async def forget_beyond(self, head: int) -> None:
        """Delete snapshots beyond the newest event."""
        await self._rows(FORGET_BEYOND, head)

    async def close(self) -> None:
        """Close the file."""
        await asyncio.to_thread(self._thread.shutdown)
        self._connection.close()

    async def _rows(self, statement: str, *values: Any) -> list[SnapshotRow]:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, statement, values)
        except sqlite3.Error as error:
            raise StoreFailed(self._where, str(error)) from error

    def _run(self, statement: str, values: tuple[Any, ...]) -> list[SnapshotRow]:
        return [SnapshotRow(*row) for row in self._connection.execute(statement, (self._log_id, *values))]


def _created(path: str) -> sqlite3.Connection:
    """Open the file, and create it unless it exists."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")  # lost snapshots are made again, but none may be damaged
        columns = {name for (name,) in connection.execute(COLUMNS)}
        if columns and "identity" not in columns:
            connection.execute("DROP TABLE snapshot")  # an older release made it, and its snapshots cannot be trusted
        connection.execute(CREATE)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _existing(path: str) -> sqlite3.Connection:
    """Open the file for reading."""
    uri = f"{Path(path).absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("SELECT count(identity) FROM snapshot")
    except sqlite3.Error:
        connection.close()
        raise
    return connection
