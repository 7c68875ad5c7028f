"""Snapshots: states of long histories, kept beside the log and never trusted blindly.

They live in a file of their own that can be deleted at any time. A snapshot counts only while the model's
fingerprint and the log's id are those it was made with; `leftfold verify --snapshots` recomputes them all.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from leftfold.codec import Codec
from leftfold.errors import CannotEncode
from leftfold.fold import Fold

T = TypeVar("T")

CREATE = """
    CREATE TABLE IF NOT EXISTS snapshot (
        log         TEXT NOT NULL,
        model       TEXT NOT NULL,
        key         TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        position    INTEGER NOT NULL,
        state       TEXT NOT NULL,
        PRIMARY KEY (log, model, key)
    ) STRICT"""
FIND = """
    SELECT position, state FROM snapshot
    WHERE log = ? AND model = ? AND key = ? AND fingerprint = ? AND position <= ?"""
KEEP = """
    INSERT INTO snapshot (log, model, key, fingerprint, position, state) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (log, model, key) DO UPDATE
    SET fingerprint = excluded.fingerprint, position = excluded.position, state = excluded.state
    WHERE excluded.position >= snapshot.position OR excluded.fingerprint <> snapshot.fingerprint"""
OF_MODEL = "SELECT key, position, state FROM snapshot WHERE log = ? AND model = ? AND fingerprint = ? ORDER BY key"

log = logging.getLogger("leftfold.snapshots")


class Snapshot(NamedTuple):
    """A kept state: its key, the position at which it was true, and its value."""

    key: tuple[Any, ...]
    position: int
    value: Any


class Snapshots:
    """The snapshots of one log, in an SQLite file (`:memory:` for none that lasts), used from one thread.

    With `read_only` those that are there are found, and none is kept.
    """

    def __init__(self, path: str, log_id: str, codec: Codec, *, read_only: bool = False) -> None:
        self._log_id = log_id
        self._codec = codec
        self._read_only = read_only
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="leftfold snapshots")
        self._connection = _existing(path) if read_only else _created(path)

    async def find(self, fold: Fold, key: tuple[Any, ...], *, upto: int) -> tuple[Any, int] | None:
        """The snapshot of a key at or before a position: the state and its position."""
        wanted = (self._log_id, fold.name, self._text(key), fold.fingerprint(), upto)
        row = await self._run(lambda: self._connection.execute(FIND, wanted).fetchone())
        return (self._decode(fold, row[1]), row[0]) if row else None

    async def keep(self, fold: Fold, key: tuple[Any, ...], value: Any, position: int) -> None:
        """Keep a state, unless it does not come back equal from its stored form."""
        if self._read_only:
            return
        try:
            text = self._codec.encode(value).decode()
        except (CannotEncode, ValueError):
            text = ""
        if not text or self._decode(fold, text) != value:
            log.warning("no snapshot of %s: its fields do not come back equal from JSON", fold.name)
            return
        row = (self._log_id, fold.name, self._text(key), fold.fingerprint(), position, text)
        await self._run(lambda: self._connection.execute(KEEP, row))

    async def of_model(self, fold: Fold) -> list[Snapshot]:
        """Every snapshot of a model that counts."""
        wanted = (self._log_id, fold.name, fold.fingerprint())
        rows = await self._run(lambda: self._connection.execute(OF_MODEL, wanted).fetchall())
        values = ((position, self._decode(fold, state)) for _, position, state in rows)
        return [Snapshot(fold.key_of(value), position, value) for position, value in values]

    async def close(self) -> None:
        """Close the file."""
        await asyncio.to_thread(self._thread.shutdown)
        self._connection.close()

    def _decode(self, fold: Fold, text: str) -> Any:
        return self._codec.decoder(fold.owner)(text.encode())

    def _text(self, key: tuple[Any, ...]) -> str:
        return self._codec.encode(key).decode()

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _created(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = OFF")  # whatever is lost is folded again
    connection.execute(CREATE)
    return connection


def _existing(path: str) -> sqlite3.Connection:
    """The file for reading; in its place an empty one in memory when there is none, or none that can be read."""
    uri, connection = f"{Path(path).absolute().as_uri()}?mode=ro", None
    try:
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        connection.execute("SELECT count(*) FROM snapshot")
        return connection
    except sqlite3.Error:
        if connection is not None:
            connection.close()
        return _created(":memory:")
