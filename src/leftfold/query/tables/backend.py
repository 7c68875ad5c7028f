"""What depends on the kind of database: its connections, how transactions begin, and what its errors mean."""

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.engine.default import DefaultDialect

from leftfold.errors import InvalidUrl
from leftfold.query.tables.database_url import DatabaseUrl


class Blame(Protocol):
    """The meaning of a driver's errors."""

    def is_trouble(self, error: exc.StatementError) -> bool:
        """Return whether the database failed, rather than a statement or a value."""
        ...

    def is_write_refused(self, error: exc.StatementError) -> bool:
        """Return whether a statement was refused because the transaction only reads."""
        ...


class Backend(Protocol):
    """One kind of database."""

    @property
    def blame(self) -> Blame:
        """The meaning of its driver's errors."""
        ...

    @property
    def one_connection(self) -> bool:
        """Whether there is a single connection, which is used by one thread at a time."""
        ...

    @property
    def of_one_log(self) -> bool:
        """Whether the database belongs to one log, so that anything in it may be replaced."""
        ...

    @property
    def longest_name(self) -> int:
        """The most characters that a table's name may have."""
        ...

    def engine(self) -> sa.Engine:
        """Return the engine; it makes no connection yet."""
        ...

    def prepare(self, connection: sa.Connection) -> None:
        """Create what tables need, in a writing transaction of its own."""
        ...

    def begin_writing(self, connection: sa.Connection, *, shared: bool) -> None:
        """Begin a transaction that excludes all other writers; a `shared` one excludes only those that are not."""
        ...

    def begin_reading(self, connection: sa.Connection, *, scratch: bool) -> None:
        """Begin a read-only transaction over one snapshot; `scratch` is for those that `writable_scratch` opens."""
        ...

    def before_renaming(self, connection: sa.Connection) -> None:
        """Wait for every query that could find one table before the renaming and another one after it."""
        ...

    def writable_scratch(self, connection: sa.Connection) -> AbstractContextManager[None]:
        """Let a reading transaction write to temporary tables, which are dropped when it ends."""
        ...

    def exists(self) -> bool:
        """Return whether there can be anything to read; a server counts as existing."""
        ...

    def may_write(self, connection: sa.Connection, table: str) -> bool:
        """Return whether this user may write to a table."""
        ...


STRICTEST = "SERIALIZABLE"


class PlainBlame:
    """The meaning of the errors of any driver."""

    def is_trouble(self, error: exc.StatementError) -> bool:
        """Return whether the driver calls it an operational error, or a lost connection."""
        return isinstance(error, exc.OperationalError | exc.InterfaceError)

    def is_write_refused(self, error: exc.StatementError) -> bool:
        """Return False: it is unknown."""
        return False


class PlainBackend:
    """Transactions as SQLAlchemy begins them, serializable if the database can: of two that conflict one fails."""

    one_connection = False
    of_one_log = False
    blame = PlainBlame()
    longest_name = 63

    def __init__(self, url: DatabaseUrl) -> None:
        self._url = url

    def engine(self) -> sa.Engine:
        """Return an engine with SQLAlchemy's own settings."""
        try:
            engine = sa.create_engine(self._url.url)
        except exc.NoSuchModuleError as error:
            raise InvalidUrl(str(self._url), f"SQLAlchemy knows no database {self._url.url.drivername!r}") from error
        except ImportError as error:
            raise InvalidUrl(str(self._url), f"its driver {error.name!r} is not installed") from error
        knows_levels = type(engine.dialect).get_isolation_level_values is not DefaultDialect.get_isolation_level_values
        return engine.execution_options(isolation_level=STRICTEST) if knows_levels else engine

    def prepare(self, connection: sa.Connection) -> None:
        """Do nothing: nothing is known to be needed."""

    def begin_writing(self, connection: sa.Connection, *, shared: bool) -> None:
        """Do nothing: it has begun."""

    def begin_reading(self, connection: sa.Connection, *, scratch: bool) -> None:
        """Do nothing: it has begun."""

    def before_renaming(self, connection: sa.Connection) -> None:
        """Do nothing: the database's own locks have to suffice."""

    @contextmanager
    def writable_scratch(self, connection: sa.Connection) -> Generator[None, None, None]:
        """Do nothing: everything is writable, and rolled back."""
        yield

    def exists(self) -> bool:
        """Return True: a server counts as existing."""
        return True

    def may_write(self, connection: sa.Connection, table: str) -> bool:
        """Return True: it is unknown."""
        return True
