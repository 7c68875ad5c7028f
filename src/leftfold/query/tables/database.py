"""The models database: transactions that write, and transactions that read one snapshot."""

import re
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from leftfold.errors import LeftfoldError, ModelsUnavailable, UnsupportedExpression, UsageError
from leftfold.query.tables.backend import Backend, Blame
from leftfold.query.tables.database_url import DatabaseUrl, database_url
from leftfold.query.tables.postgres import PostgresBackend, PostgresBlame
from leftfold.query.tables.sqlite import SQLiteBackend, SQLiteBlame
from leftfold.store.home import keep_in_children

BLAME: Mapping[str, Blame] = {"sqlite3": SQLiteBlame(), "psycopg": PostgresBlame()}
BACKEND = "leftfold_backend"
OVERFLOW = "integer overflow"
NO_ORDER = "operators can be used with None/True/False"
NOT_TAKEN = re.compile(r"cannot adapt type '(\w+)'|type '(\w+)' is not supported")
"""What psycopg and sqlite3 say of a value that they cannot send."""


class Database:
    """Connections to the models database, which is of the kind that the URL names.

    A database in memory has one connection, which is used by one thread at a time.
    """

    def __init__(self, url: str, backend: Backend | None = None) -> None:
        self.url = database_url(url)
        self._backend = backend or backend_of(self.url)
        self._engine = self._backend.engine().execution_options(**{BACKEND: self._backend})
        self._turn = threading.Lock() if self._backend.one_connection else nullcontext()
        self._prepared = False
        keep_in_children(self)

    def __repr__(self) -> str:
        return f"<Database {self.url}>"

    @property
    def dialect(self) -> sa.Dialect:
        """The dialect for which statements are compiled."""
        return self._engine.dialect

    @property
    def of_one_log(self) -> bool:
        """Whether the database belongs to one log; if not, it may hold other tables too."""
        return self._backend.of_one_log

    @property
    def longest_name(self) -> int:
        """The most characters that a table's name may have."""
        return self._backend.longest_name

    @contextmanager
    def writing(self, *, shared: bool = False) -> Generator[sa.Connection, None, None]:
        """Begin a transaction that holds the write lock from its start; raise `ModelsUnavailable` if it cannot get it.

        `shared` transactions may run in parallel where the database can do that. Such a transaction writes only rows
        whose checkpoint it has moved.
        """
        with self._turn, self._named_trouble(), self._engine.connect() as connection:
            self._prepare(connection)
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

    def exists(self) -> bool:
        """Whether there can be anything to read."""
        return self._backend.exists()

    def may_write(self, table: str) -> bool:
        """Return whether this user may write to a table."""
        with self.reading() as connection:
            return self._backend.may_write(connection, table)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

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
                self._backend.begin_writing(connection, shared=shared)
            else:
                self._backend.begin_reading(connection, scratch=scratch)
        except BaseException:
            transaction.rollback()
            raise
        return transaction

    def _prepare(self, connection: sa.Connection) -> None:
        if not self._prepared:
            with self._begin(connection, writes=True):
                self._backend.prepare(connection)
            self._prepared = True

    @contextmanager
    def _named_trouble(self) -> Generator[None, None, None]:
        try:
            yield
        except exc.TimeoutError as error:  # no connection of the pool came free
            raise ModelsUnavailable(str(self.url), str(error)) from error
        except exc.StatementError as error:
            if not self._backend.blame.is_trouble(error):
                raise
            raise ModelsUnavailable(str(self.url), str(error.orig).strip()) from error


def backend_of(url: DatabaseUrl) -> Backend:
    """Return the backend for the kind of database that a URL names."""
    kind = url.url.get_backend_name()
    if kind == "sqlite":
        return SQLiteBackend(url)
    return PostgresBackend(url) if kind == "postgresql" else Backend(url)


def blame_of(error: exc.StatementError) -> Blame:
    """Return what knows the meaning of an error, by the driver that raised it."""
    driver = type(error.orig).__module__.partition(".")[0]
    return BLAME.get(driver) or Blame()


def is_trouble(error: Exception) -> bool:
    """Return whether the database failed, rather than a statement or a value."""
    return isinstance(error, exc.StatementError) and blame_of(error).is_trouble(error)


def rows_of(connection: sa.Connection, statement: sa.Executable) -> Sequence[sa.Row[Any]]:
    """Return what a query reads; refuse a write to a temporary table (the database refuses any other)."""
    result = connection.execute(statement)
    if not result.returns_rows:
        raise _write_refused(str(statement))
    return result.all()


def writable_scratch(connection: sa.Connection) -> AbstractContextManager[None]:
    """Let a reading connection write to temporary tables, which are dropped when its transaction ends."""
    return _backend(connection).writable_scratch(connection)


def before_renaming(connection: sa.Connection) -> None:
    """Wait for every query that could find one table before the renaming and another one after it."""
    _backend(connection).before_renaming(connection)


def _backend(connection: sa.Connection) -> Backend:
    backend: Backend = connection.get_execution_options()[BACKEND]
    return backend


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
        if blame_of(error).is_write_refused(error):
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
        f"a query tried to write: {statement}",
        "statements that read",
        "change state with commands; the read models' evolve writes what queries need",
    )
