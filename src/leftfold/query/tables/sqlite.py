"""SQLite as the models database: a file in WAL mode, or a database in memory."""

import os
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.pool import StaticPool

from leftfold.errors import InvalidUrl, ModelsUnavailable
from leftfold.query.tables.column_types import strict_json
from leftfold.query.tables.compiling import SQLiteStatements
from leftfold.query.tables.database import Database
from leftfold.query.tables.database_url import DatabaseUrl
from leftfold.query.tables.decimal_text import add_functions
from leftfold.store.open import DECIMAL

BUSY_SECONDS = 10.0
LONGEST_BUSY_SECONDS = 86_400
SETTINGS = (
    "journal_mode = WAL",
    "synchronous = NORMAL",
    "wal_autocheckpoint = 4000",
    "journal_size_limit = 67108864",
    "temp_store = MEMORY",
    "cache_size = -32768",
    "case_sensitive_like = ON",
)


class SQLiteDatabase(Database):
    """A file is in WAL mode, so readers and the writer do not wait for each other.

    It syncs less than the log (`synchronous=NORMAL`): after a power failure it may be at an earlier commit, never at
    half of one; the events since are then folded again. The names of tables are part of every snapshot, so a renaming
    waits for no query.
    """

    of_one_log = True
    longest_name = 1_000

    def __init__(self, url: DatabaseUrl) -> None:
        self._in_memory = not url.url.database or url.url.database == ":memory:"
        super().__init__(url, one_connection=self._in_memory)

    def _make_engine(self) -> sa.Engine:
        """Return an engine whose connections leave it to us to begin transactions."""
        options: dict[str, Any] = {"poolclass": StaticPool} if self._in_memory else {}
        if not self._in_memory:
            self._check_folder()
        arguments = {"timeout": self._timeout(), "check_same_thread": False}
        url = self.url.url.difference_update_query(["timeout"])
        if self._is_immutable():
            name = Path(self.url.url.database or "").absolute().as_uri()
            url = url.set(database=name).update_query_dict({"immutable": "1", "uri": "true"})
        engine = sa.create_engine(url, connect_args=arguments, json_serializer=strict_json, **options)
        engine.dialect.statement_compiler = SQLiteStatements
        event.listen(engine, "connect", _set_up)
        return engine

    def _timeout(self) -> float:
        given = self.url.url.query.get("timeout", str(BUSY_SECONDS))
        plain = isinstance(given, str) and DECIMAL.fullmatch(given)
        seconds = float(given) if isinstance(given, str) and plain else -1.0
        if not 0 <= seconds <= LONGEST_BUSY_SECONDS:
            raise InvalidUrl(str(self.url), f"timeout={given!r} is not a number from 0 to {LONGEST_BUSY_SECONDS:,}")
        return seconds

    def _is_immutable(self) -> bool:
        """Return whether the file can only be read as it is: nobody has it open, and no file can be made beside it.

        SQLite reads a WAL database through files beside it.
        """
        path = self.url.url.database or ""
        return self.exists() and not os.access(Path(path).parent, os.W_OK) and not Path(f"{path}-wal").exists()

    def _check_folder(self) -> None:
        path = Path(self.url.url.database or "")
        if not path.parent.is_dir():
            raise ModelsUnavailable(str(self.url), f"there is no folder {path.parent}")
        if path.is_dir():
            raise ModelsUnavailable(str(self.url), f"{path} is a folder")

    def _begin_writing(self, connection: sa.Connection, *, shared: bool) -> None:
        """Begin as the only writer."""
        connection.exec_driver_sql("PRAGMA query_only = OFF")
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    def _begin_reading(self, connection: sa.Connection, *, scratch: bool) -> None:
        """Begin; the first statement takes the snapshot."""
        connection.exec_driver_sql("PRAGMA query_only = ON")
        connection.exec_driver_sql("BEGIN")

    @contextmanager
    def open_scratch(self, connection: sa.Connection) -> Generator[None, None, None]:
        """Make every table writable meanwhile; only temporary ones are written to."""
        connection.exec_driver_sql("PRAGMA query_only = OFF")
        try:
            yield
        finally:
            connection.exec_driver_sql("PRAGMA query_only = ON")

    def exists(self) -> bool:
        """Return whether there is such a file."""
        return Path(self.url.url.database or "").is_file()

    def may_write(self, connection: sa.Connection, table: str) -> bool:
        """Return whether the file may be written."""
        return os.access(self.url.url.database or "", os.W_OK)


def _set_up(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # transactions begin where we say, not where the driver guesses
    add_functions(connection)
    for setting in SETTINGS:
        connection.execute(f"PRAGMA {setting}")
