"""The models database: transactions that write, and transactions that read one snapshot."""

import re
import sqlite3
import threading
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.engine.default import DefaultDialect

from leftfold.errors import InvalidUrl, LeftfoldError, ModelsUnavailable, UnsupportedExpression, UsageError
from leftfold.query.tables.database_url import DatabaseUrl, database_url
from leftfold.store.home import keep_in_children

STRICTEST = "SERIALIZABLE"
DATABASE = "leftfold_database"
OVERFLOW = "integer overflow"
NO_ORDER = "operators can be used with None/True/False"
NOT_TAKEN = re.compile(r"cannot adapt type '(\w+)'|type '(\w+)' is not supported")
"""What psycopg and sqlite3 say of a value that they cannot send."""


class Database:
    """Connections to a models database; here, to any that SQLAlchemy knows. `open_database` makes one.

    Its transactions begin as SQLAlchemy begins them, serializable if the database can: of two that conflict one fails.
    A database with one connection is used by one thread at a time.
    """

    of_one_log = False
    """Whether the database belongs to one log, so that anything in it may be replaced."""
    longest_name = 63
    """The most characters that a table's name may have."""

    def __init__(self, url: DatabaseUrl, *, one_connection: bool = False) -> None:
        self.url = url
        self._engine = self._make_engine().execution_options(**{DATABASE: self})
        self._turn = threading.Lock() if one_connection else nullcontext()
        self._prepared = False
        keep_in_children(self)

    def __repr__(self) -> str:
        return f"<Database {self.url}>"

    @property
    def dialect(self) -> sa.Dialect:
        """The dialect for which statements are compiled."""
        return self._engine.dialect

    @contextmanager
    def writing(self, *, shared: bool = False) -> Generator[sa.Connection, None, None]:
        """Begin a transaction that holds the write lock from its start; raise `ModelsUnavailable` if it cannot get it.

        `shared` transactions may run in parallel where the database can do that. Such a transaction writes only rows
        whose checkpoint it has moved.
        """
        with self._turn, self._named_trouble(), self._engine.connect() as connection:
            if not self._prepared:
                with self._begin(connection, writes=True):
                    self._prepare(connection)
                self._prepared = True
            with self._begin(connection, writes=True, shared=shared):
                yield connection

    @contextmanager
    def reading(self, *, scratch: bool = False) -> Generator[sa.Connection, None, None]:
        """Begin a read-only transaction, which sees everything as it was at the first statement.

        With `scratch`, `writable_scratch` lets it write to temporary tables.
        """
        with (
            self._turn,
            self._named_trouble(),
            _named_misuse(),
            self._engine.connect() as connection,
            self._begin(connection, scratch=scratch) as transaction,
        ):
            yield connection
            transaction.rollback()

    def connect_alone(self) -> sa.Connection:
        """Return a connection for temporary tables, which are dropped when it is closed."""
        connection = self._engine.connect()
        connection.detach()  # otherwise it would return to the pool with its temporary tables
        return connection

    @contextmanager
    def transaction(
        self, connection: sa.Connection, *, writes: bool = False
    ) -> Generator[sa.RootTransaction, None, None]:
        """Begin a transaction on such a connection, which reads, or `writes` as `writing` does."""
        with self._named_trouble(), self._begin(connection, writes=writes, scratch=not writes) as transaction:
            yield transaction

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    # --- what depends on the kind of database

    def exists(self) -> bool:
        """Return whether there can be anything to read; a server counts as existing."""
        return True

    def may_write(self, connection: sa.Connection, table: str) -> bool:
        """Return whether this user may write to a table; True if that is unknown."""
        return True

    def wait_for_queries(self, connection: sa.Connection) -> None:
        """Wait for every query that could find one table before a renaming and another one after it."""

    @contextmanager
    def open_scratch(self, connection: sa.Connection) -> Generator[None, None, None]:
        """Let a reading transaction write to temporary tables, which are dropped when it ends."""
        yield

    def _make_engine(self) -> sa.Engine:
        """Return the engine; it makes no connection yet."""
        url = self.url
        try:
            engine = sa.create_engine(url.url)
        except exc.NoSuchModuleError as error:
            raise InvalidUrl(str(url), f"SQLAlchemy knows no database {url.url.drivername!r}") from error
        except ImportError as error:
            raise InvalidUrl(str(url), f"its driver {error.name!r} is not installed") from error
        knows_levels = type(engine.dialect).get_isolation_level_values is not DefaultDialect.get_isolation_level_values
        return engine.execution_options(isolation_level=STRICTEST) if knows_levels else engine

    def _prepare(self, connection: sa.Connection) -> None:
        """Create what tables need, in a writing transaction of its own."""

    def _begin_writing(self, connection: sa.Connection, *, shared: bool) -> None:
        """Begin a transaction that excludes all other writers; a `shared` one excludes only those that are not."""

    def _begin_reading(self, connection: sa.Connection, *, scratch: bool) -> None:
        """Begin a read-only transaction over one snapshot; `scratch` is for those that `open_scratch` opens."""

    # --- private

    def _begin(
        self, connection: sa.Connection, *, writes: bool = False, shared: bool = False, scratch: bool = False
    ) -> sa.RootTransaction:
        """Begin; try once more if an idle connection turns out to be dead."""
        try:
            return self._begin_once(connection, writes, shared, scratch)
        except exc.DBAPIError as error:
            if not error.connection_invalidated:
                raise
        return self._begin_once(connection, writes, shared, scratch)

    def _begin_once(self, connection: sa.Connection, writes: bool, shared: bool, scratch: bool) -> sa.RootTransaction:
        transaction = connection.begin()
        try:
            if writes:
                self._begin_writing(connection, shared=shared)
            else:
                self._begin_reading(connection, scratch=scratch)
        except BaseException:
            transaction.rollback()
            raise
        return transaction

    @contextmanager
    def _named_trouble(self) -> Generator[None, None, None]:
        try:
            yield
        except exc.TimeoutError as error:  # no connection of the pool came free
            raise ModelsUnavailable(str(self.url), str(error)) from error
        except exc.StatementError as error:
            if not is_trouble(error):
                raise
            raise ModelsUnavailable(str(self.url), str(error.orig).strip()) from error


def open_database(url: str) -> Database:
    """Return the models database at a URL; it makes no connection yet."""
    parsed = database_url(url)
    kind = parsed.url.get_backend_name()
    if kind == "sqlite":
        from leftfold.query.tables.sqlite import SQLiteDatabase

        return SQLiteDatabase(parsed)
    if kind == "postgresql":
        from leftfold.query.tables.postgres import PostgresDatabase

        return PostgresDatabase(parsed)
    return Database(parsed)


def database_of(connection: sa.Connection) -> Database:
    """Return the database of a connection."""
    database: Database = connection.get_execution_options()[DATABASE]
    return database


def writable_scratch(connection: sa.Connection) -> AbstractContextManager[None]:
    """Let a reading connection write to temporary tables, which are dropped when its transaction ends."""
    return database_of(connection).open_scratch(connection)


def rows_of(connection: sa.Connection, statement: sa.Executable) -> Sequence[sa.Row[Any]]:
    """Return what a query reads; refuse a write to a temporary table (the database refuses any other)."""
    result = connection.execute(statement)
    if not result.returns_rows:
        raise _write_refused(str(statement))
    return result.all()


# --- what a driver's errors mean

SQLITE_TROUBLE = {
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
"""SQLite's codes for problems of the file or the machine, rather than of a statement or a value."""
WRITE_REFUSED = "25006"  # also by a standby, or by a server that was set to reading
POSTGRES_TROUBLE = ("08", "28", "40", "53", "57", "58", "F0", "XX", WRITE_REFUSED, "3D000", "42501", "55P03")
"""The beginnings of SQLSTATEs for problems of the server or its permissions, rather than of a statement or a value.

The last three: there is no such database, not permitted, and a lock that was not given in time.
"""


def is_trouble(error: Exception) -> bool:
    """Return whether the database failed, rather than a statement or a value."""
    if not isinstance(error, exc.StatementError):
        return False
    if isinstance(error.orig, sqlite3.Error):
        return _sqlite_code(error.orig) in SQLITE_TROUBLE
    state = sqlstate_of(error)
    if state is not None:
        return state.startswith(POSTGRES_TROUBLE)
    return isinstance(error, exc.OperationalError | exc.InterfaceError)  # such as a lost connection


def sqlstate_of(error: exc.StatementError) -> str | None:
    """Return the SQLSTATE of an error of PostgreSQL's driver; a lost or failed connection has none."""
    by_psycopg = type(error.orig).__module__.partition(".")[0] == "psycopg"
    state: str | None = getattr(error.orig, "sqlstate", None) if by_psycopg else None
    return state


def _sqlite_code(error: sqlite3.Error) -> int | None:
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _is_write_refused(error: exc.StatementError) -> bool:
    """Return whether a statement was refused because the transaction only reads; False if that is unknown."""
    if isinstance(error.orig, sqlite3.Error):
        return _sqlite_code(error.orig) == sqlite3.SQLITE_READONLY  # `query_only` gives it too
    return sqlstate_of(error) == WRITE_REFUSED


@contextmanager
def _named_misuse() -> Generator[None, None, None]:
    """Translate the errors of a misused query; SQLAlchemy's other errors are clear enough."""
    try:
        yield
    except exc.StatementError as error:
        if isinstance(error.orig, LeftfoldError):
            raise error.orig from error
        if isinstance(error.orig, TypeError | ValueError | AttributeError) or NOT_TAKEN.search(str(error.orig)):
            kind = f"a column with a value of another type ({error.orig})"
            raise UnsupportedExpression("comparison", kind, "give a value of the column's type") from error
        if _is_write_refused(error):
            raise _write_refused(error.statement) from error
        if str(error.orig) == OVERFLOW:
            remedy = "add up decimals, in a column of type Decimal, or in Python"
            raise UnsupportedExpression("sum()", "integers on SQLite, beyond 64 bits", remedy) from error
        raise
    except exc.ArgumentError as error:
        if NO_ORDER not in str(error):
            raise
        remedy = "compare with == and !=, or with is_() and is_not()"
        raise UnsupportedExpression("the order", "a column and True, False or None", remedy) from error


def _write_refused(statement: str | None) -> UsageError:
    return UsageError(
        f"a query tried to write to the database: {statement}",
        "statements that read",
        "change state with commands; the read models' evolve writes what queries need",
    )
