"""The leases of a log's workers in a small SQLite file beside the log. The file can be deleted at any time."""

import logging
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from leftfold.errors import StoreFailed
from leftfold.follow.lease_store import Parameters, SqlLeaseStore, Statement
from leftfold.model.clock import Clock, microseconds_of
from leftfold.store.home import keep_in_children
from leftfold.store.private_files import create_private

CREATE = """
    CREATE TABLE IF NOT EXISTS lease (
        log          TEXT NOT NULL,
        name         TEXT NOT NULL,
        holder       TEXT NOT NULL,
        beat         INTEGER NOT NULL,
        microseconds INTEGER NOT NULL,
        PRIMARY KEY (log, name)
    ) STRICT"""
# Holders are compared as bytes: what is stored there need not be valid text.
STATEMENTS: Mapping[Statement, str] = {
    "read": "SELECT name, holder, beat, microseconds FROM lease WHERE log = :log",
    "take": """
        INSERT INTO lease (log, name, holder, beat, microseconds)
        SELECT :log, :name, :holder, 1, :now
        WHERE :former IS NULL OR EXISTS (SELECT 1 FROM lease WHERE log = :log AND name = :name)
        ON CONFLICT (log, name) DO UPDATE
        SET holder = excluded.holder, beat = beat % 9223372036854775807 + 1, microseconds = excluded.microseconds
        WHERE CAST(lease.holder AS BLOB) = :former AND lease.beat = :beat
        RETURNING name, holder, beat, microseconds""",
    "renew": """
        UPDATE lease SET beat = beat % 9223372036854775807 + 1, microseconds = :now
        WHERE log = :log AND name = :name AND holder = :holder
        RETURNING name, holder, beat, microseconds""",
    "release": "DELETE FROM lease WHERE log = :log AND name = :name AND holder = :holder",
}
BUSY_SECONDS = 5.0
BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

log = logging.getLogger("leftfold.leases")


class FileLeaseStore(SqlLeaseStore):
    """Stores leases in an SQLite file, or in memory if the file cannot be used.

    Two processes that each use their own memory may both believe that they hold a lease. What they write is still
    fenced.
    """

    def __init__(self, path: str, log_id: str, clock: Clock, *, like: Path | None = None) -> None:
        super().__init__()
        self._path = Path(path)
        self._like = like  # the file whose permissions a new one gets
        self._log_id = log_id
        self._clock = clock
        self._connection: sqlite3.Connection | None = None
        self._file: int | None = None
        keep_in_children(self)

    def __repr__(self) -> str:
        return f"<FileLeaseStore {self._path}>"

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _rows(self, statement: Statement, sets: Sequence[Parameters]) -> Iterable[Sequence[Any]]:
        if statement == "read" and not self._path.exists():
            return []
        own = {"log": self._log_id, "now": microseconds_of(self._clock)}
        try:
            connection = self._opened()
            return [row for each in sets for row in connection.execute(STATEMENTS[statement], own | _as_bytes(each))]
        except sqlite3.Error as error:
            raise StoreFailed(str(self._path), str(error)) from error

    def _opened(self) -> sqlite3.Connection:
        """Return the connection to the file, or to a new file if the old one was deleted."""
        if self._connection is None or self._file != _inode(self._path):
            if self._connection is not None:
                self._connection.close()
            create_private(self._path, like=self._like)
            self._connection = _connected(self._path)
            self._file = _inode(self._path)
        return self._connection


def _as_bytes(parameters: Parameters) -> dict[str, Any]:
    former = parameters.get("former")
    return {**parameters, "former": None if former is None else former.encode(errors="surrogateescape")}


def _text(stored: bytes) -> str:
    return stored.decode(errors="surrogateescape")


def _connected(path: Path) -> sqlite3.Connection:
    connection = None
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_SECONDS)
        connection.text_factory = _text
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")  # a power failure ends the holders too
        connection.execute(CREATE)
        return connection
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        if error.sqlite_errorcode & 0xFF in BUSY:
            raise
        log.warning("could not use the leases file %s, so leases are kept in memory: %s", path, error)
        in_memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        in_memory.execute(CREATE)
        return in_memory


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None
