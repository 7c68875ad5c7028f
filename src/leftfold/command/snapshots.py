"""Snapshots: states of long histories, kept beside the log and never trusted blindly.

They live in a file of their own that can be deleted at any time. A snapshot counts only while the model's
fingerprint, the log's id and the identity of the event at its position are those it was made with;
`leftfold verify --snapshots` recomputes them all. Whatever is wrong with the file is logged and costs time, never an
answer: the events are folded again.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from leftfold.codec import Codec
from leftfold.errors import LeftfoldError
from leftfold.fold import Fold
from leftfold.home import keep_in_children
from leftfold.stored_form import NOT_DECODED, StoredForm

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
    SELECT position, state, identity FROM snapshot
    WHERE log = ? AND model = ? AND key = ? AND fingerprint = ? AND position <= ?"""
KEEP = """
    INSERT INTO snapshot (log, model, key, fingerprint, position, state, identity) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (log, model, key) DO UPDATE
    SET fingerprint = excluded.fingerprint, position = excluded.position, state = excluded.state,
        identity = excluded.identity
    WHERE excluded.position >= snapshot.position OR excluded.fingerprint <> snapshot.fingerprint"""
OF_MODEL = """
    SELECT key, position, state, identity FROM snapshot
    WHERE log = ? AND model = ? AND fingerprint = ? ORDER BY key"""
FORGET_ONE = "DELETE FROM snapshot WHERE log = ? AND model = ? AND key = ? AND position = ?"
COLUMNS = "SELECT name FROM pragma_table_info('snapshot')"
FORGET = "DELETE FROM snapshot WHERE log = ? AND position > ?"

log = logging.getLogger("leftfold.snapshots")

Identify = Callable[[int], Awaitable[str | None]]


class Snapshot(NamedTuple):
    """A kept state: its key, the position at which it was true, and its value."""

    key: tuple[Any, ...]
    position: int
    value: Any


class Snapshots:
    """The snapshots of one log, in an SQLite file (`:memory:` for none that lasts), used from one thread.

    With `read_only` those that are there are found, and none is kept.
    """

    def __init__(self, path: str, log_id: str, codec: Codec, identify: Identify, *, read_only: bool = False) -> None:
        self._log_id = log_id
        self._identify = identify
        self._codec = codec
        self._told: set[str] = set()
        self._forms: dict[Fold, StoredForm] = {}
        self._read_only = read_only
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="leftfold snapshots")
        self._connection = _existing(path) if read_only else _created(path)
        keep_in_children(self)

    async def find(self, fold: Fold, key: tuple[Any, ...], *, upto: int) -> tuple[Any, int] | None:
        """The snapshot of a key at or before a position: the state and its position."""
        code = self._code_of(fold)
        rows = await self._ask(FIND, self._log_id, fold.name, self._text(key), code, upto) if code else ()
        for position, text, identity in rows:
            if await self._identify(position) != identity:
                await self._forget(fold, key, position)
                continue
            try:
                value = self._decode(fold, text)
            except NOT_DECODED as error:
                log.warning("a snapshot of %s%r is not used: %s", fold.name, key, error)
                continue
            if fold.key_of(value) == key:
                return value, position
        return None

    async def keep(self, fold: Fold, key: tuple[Any, ...], value: Any, position: int) -> None:
        """Keep a state, unless it does not come back equal from its stored form."""
        code = self._code_of(fold)
        if self._read_only or not code:
            return
        text = self._form_of(fold, value)
        if text is None:
            log.warning("no snapshot of %s: its fields do not come back equal from their stored form", fold.name)
            return
        identity = await self._identify(position)
        if identity is not None:
            await self._ask(KEEP, self._log_id, fold.name, self._text(key), code, position, text, identity)

    async def forget_beyond(self, head: int) -> None:
        """Forget what was kept beyond the log's head: the log is an older copy, and will go on in another way."""
        if not self._read_only:
            await self._ask(FORGET, self._log_id, head)

    async def of_model(self, fold: Fold) -> list[Snapshot]:
        """Every snapshot of a model that counts; one that cannot be decoded has its stored form as value."""
        rows = await self._ask(OF_MODEL, self._log_id, fold.name, str(fold.fingerprint()))
        return [
            Snapshot(self._key(fold, key), position, self._value(fold, text))
            for key, position, text, identity in rows
            if await self._identify(position) == identity
        ]

    async def close(self) -> None:
        """Close the file."""
        await asyncio.to_thread(self._thread.shutdown)
        self._connection.close()

    async def _forget(self, fold: Fold, key: tuple[Any, ...], position: int) -> None:
        """Forget a snapshot of another history: the log was restored or replaced, and has grown beyond it since."""
        log.warning("a snapshot of %s%r at position %d is of another history of the log", fold.name, key, position)
        if not self._read_only:
            await self._ask(FORGET_ONE, self._log_id, fold.name, self._text(key), position)

    def _code_of(self, fold: Fold) -> str:
        """The model's fingerprint; nothing when its source cannot be had, since nothing tells then if it changed."""
        found = fold.fingerprint()
        if not found.code and fold.name not in self._told:
            self._told.add(fold.name)
            log.warning(
                "no snapshots of %s: its source cannot be had, and so a change of it would not be noticed", fold.name
            )
        return str(found) if found.code else ""

    def _form_of(self, fold: Fold, value: Any) -> str | None:
        try:
            return self._form(fold).encode(value)[0].decode()
        except (LeftfoldError, ValueError):
            return None

    def _value(self, fold: Fold, text: str) -> Any:
        try:
            return self._decode(fold, text)
        except NOT_DECODED:
            return text

    def _key(self, fold: Fold, text: str) -> tuple[Any, ...]:
        types: Any = tuple.__class_getitem__(tuple(field.value_type for field in fold.key))
        key: tuple[Any, ...] = self._codec.decoder(types)(text.encode())
        return key

    def _form(self, fold: Fold) -> StoredForm:
        found = self._forms.get(fold)
        if found is None:
            found = self._forms[fold] = StoredForm(fold.owner, self._codec)
        return found

    def _decode(self, fold: Fold, text: str) -> Any:
        return self._codec.decoder(fold.owner)(text.encode())

    def _text(self, key: tuple[Any, ...]) -> str:
        return self._codec.encode(key).decode()

    async def _ask(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of a statement; none when the file cannot be used."""
        work = partial(_execute, self._connection, statement, values)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except sqlite3.Error as error:
            log.warning("the snapshots cannot be used: %s", error)
            return []


def _execute(connection: sqlite3.Connection, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    return connection.execute(statement, values).fetchall()


def _created(path: str) -> sqlite3.Connection:
    """The file, made when it is not there; one in memory in its place when it cannot be used."""
    connection = None
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")  # what is lost is folded again, but nothing may be torn
        columns = {name for (name,) in connection.execute(COLUMNS)}
        if columns and "identity" not in columns:
            connection.execute("DROP TABLE snapshot")  # of a former release, whose snapshots cannot be trusted
        connection.execute(CREATE)
        return connection
    except sqlite3.Error as error:
        return _in_memory(path, connection, error)


def _existing(path: str) -> sqlite3.Connection:
    """The file for reading; an empty one in memory in its place when there is none, or none that can be read."""
    uri, connection = f"{Path(path).absolute().as_uri()}?mode=ro", None
    try:
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        connection.execute("SELECT count(identity) FROM snapshot")
        return connection
    except sqlite3.Error as error:
        return _in_memory(path, connection, error)


def _in_memory(path: str, unusable: sqlite3.Connection | None, error: sqlite3.Error) -> sqlite3.Connection:
    if unusable is not None:
        unusable.close()
    if Path(path).exists():
        log.warning("the snapshots in %s cannot be used: %s", path, error)
    return _created(":memory:")
