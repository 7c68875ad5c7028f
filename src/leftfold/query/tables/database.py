"""The models database: one writer, many readers, each query in one snapshot."""

import sqlite3
import threading
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.pool import StaticPool

from leftfold.errors import InvalidUrl, LeftfoldError, ModelsUnavailable, UsageError
from leftfold.query.tables.column_types import DECIMAL_ORDER, compare_decimals

BUSY_SECONDS = 10.0
WRITES = "leftfold_writes"
SETTINGS = (
    "journal_mode = WAL",
    "synchronous = NORMAL",
    "wal_autocheckpoint = 4000",
    "journal_size_limit = 67108864",
    "temp_store = MEMORY",
    "cache_size = -32768",
)
TROUBLE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}
"""SQLite's codes for what is wrong with the file or the machine, not with a statement or a value."""


class Database:
    """Connections to the models database.

    A file is in WAL mode, so readers and the writer do not wait for each other. It syncs less than the log
    (`synchronous=NORMAL`): a power failure may take it back to an earlier commit, never to half of one, and then the
    events since are folded again. A database in memory has one connection, which everyone takes in turn.
    """

    def __init__(self, url: str) -> None:
        self.url = sa.make_url(url)
        if self.url.get_backend_name() != "sqlite":
            raise InvalidUrl(url, f"there is no backend {self.url.get_backend_name()!r} for read models")
        in_memory = not self.url.database or self.url.database == ":memory:"
        options: dict[str, Any] = {"poolclass": StaticPool} if in_memory else {}
        self._engine = sa.create_engine(
            self.url, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False}, **options
        )
        self._turn = threading.Lock() if in_memory else nullcontext()
        event.listen(self._engine, "connect", _set_up)
        event.listen(self._engine, "begin", _begin)

    def __repr__(self) -> str:
        return f"<Database {self.url}>"

    @property
    def dialect(self) -> sa.Dialect:
        """The dialect that statements are compiled for."""
        return self._engine.dialect

    @contextmanager
    def writing(self) -> Generator[sa.Connection, None, None]:
        """A transaction that holds the write lock from its start; `ModelsUnavailable` when it cannot be had."""
        with (
            self._turn,
            self._named_trouble(),
            self._engine.connect() as connection,
            connection.execution_options(**{WRITES: True}).begin(),
        ):
            yield connection

    @contextmanager
    def reading(self) -> Generator[sa.Connection, None, None]:
        """A read-only transaction, in which everything is seen as it was at the first statement."""
        with self._turn, _named_misuse(), self._engine.connect() as connection:
            yield connection

    def connect_alone(self) -> sa.Connection:
        """A connection for temporary tables, which go when it is closed."""
        connection = self._engine.connect()
        connection.detach()  # else it would go back to the pool with its temporary tables
        return connection

    @contextmanager
    def transaction(
        self, connection: sa.Connection, *, writes: bool = False
    ) -> Generator[sa.engine.RootTransaction, None, None]:
        """A transaction on such a connection; one that `writes` is as `writing` has it."""
        with self._named_trouble(), connection.execution_options(**{WRITES: writes}).begin() as transaction:
            yield transaction

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def _named_trouble(self) -> Generator[None, None, None]:
        try:
            yield
        except exc.DBAPIError as error:
            if not is_trouble(error):
                raise
            raise ModelsUnavailable(str(self.url), str(error.orig)) from error


def is_trouble(error: Exception) -> bool:
    """Whether the database is to blame, not a statement or a value."""
    return isinstance(error, exc.DBAPIError) and _code(error) in TROUBLE


@contextmanager
def writable_scratch(connection: sa.Connection) -> Generator[None, None, None]:
    """Let a reading connection write to temporary tables, which go when its transaction ends."""
    connection.exec_driver_sql("PRAGMA query_only = OFF")
    try:
        yield
    finally:
        connection.exec_driver_sql("PRAGMA query_only = ON")


def _set_up(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # transactions begin where _begin says, not where the driver guesses
    connection.create_collation(DECIMAL_ORDER, compare_decimals)
    for setting in SETTINGS:
        connection.execute(f"PRAGMA {setting}")


def _begin(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql(f"PRAGMA query_only = {'OFF' if writes else 'ON'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _named_misuse() -> Generator[None, None, None]:
    """What a query handler did wrong, said in our words; SQLAlchemy's other errors speak for themselves."""
    try:
        yield
    except exc.StatementError as error:
        if isinstance(error.orig, LeftfoldError):
            raise error.orig from error
        if _code(error) == sqlite3.SQLITE_READONLY:
            raise UsageError(
                f"a query tried to write: {error.statement}",
                "statements that read",
                "change state by commands; what queries need is written by the read models' evolve",
            ) from error
        raise


def _code(error: exc.StatementError) -> int | None:
    code: int | None = getattr(error.orig, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
