"""What depends on the kind of database: how connections are set up, how transactions begin, what its errors mean."""

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.engine.default import DefaultDialect

from leftfold.errors import InvalidUrl
from leftfold.query.tables.database_url import DatabaseUrl


class Blame(Protocol):
    """What the errors of a driver mean."""

    def is_trouble(self, error: exc.StatementError) -> bool:
        """Whether the database is to blame, not a statement or a value."""
        ...

    def is_write_refused(self, error: exc.StatementError) -> bool:
        """Whether a statement was refused because the transaction only reads."""
        ...


class Backend(Protocol):
    """One kind of database."""

    @property
    def blame(self) -> Blame:
        """What its driver's errors mean."""
        ...

    @property
    def one_connection(self) -> bool:
        """Whether there is a single connection, which everyone takes in turn."""
        ...

    @property
    def of_one_log(self) -> bool:
        """Whether the database is the log's own, so that all in it may be begun anew; else others keep things there."""
        ...

    @property
    def longest_name(self) -> int:
        """How many characters the name of a table may have."""
        ...

    def engine(self) -> sa.Engine:
        """The engine; no connection is made yet."""
        ...

    def prepare(self, connection: sa.Connection) -> None:
        """Make what has to be there before tables can be made. In a writing transaction of its own."""
        ...

    def begin_writing(self, connection: sa.Connection, *, shared: bool) -> None:
        """Begin a transaction that no other one writes beside, but for those that are `shared` like it."""
        ...

    def begin_reading(self, connection: sa.Connection, *, scratch: bool) -> None:
        """Begin a read-only transaction over one snapshot; with `scratch`, one that `writable_scratch` can open."""
        ...

    def before_renaming(self, connection: sa.Connection) -> None:
        """Wait until no query is under way that could find one table before and another one after."""
        ...

    def writable_scratch(self, connection: sa.Connection) -> AbstractContextManager[None]:
        """Let a reading transaction write to temporary tables, which go when it ends."""
        ...

    def is_there(self) -> bool:
        """Whether there can be anything to read; a server is taken to be there."""
        ...

    def may_write(self, connection: sa.Connection, table: str) -> bool:
        """Whether this user may write to a table."""
        ...


STRICTEST = "SERIALIZABLE"


class PlainBlame:
    """What can be said of any driver's errors."""

    def is_trouble(self, error: exc.StatementError) -> bool:
        """What the driver calls an operational error, or a lost connection."""
        return isinstance(error, exc.OperationalError | exc.InterfaceError)

    def is_write_refused(self, error: exc.StatementError) -> bool:
        """It cannot be told."""
        return False


class PlainBackend:
    """Transactions as SQLAlchemy begins them, serializable where the database can: of two that clash one fails."""

    one_connection = False
    of_one_log = False
    blame = PlainBlame()
    longest_name = 63

    def __init__(self, url: DatabaseUrl) -> None:
        self._url = url

    def engine(self) -> sa.Engine:
        """An engine with SQLAlchemy's own settings."""
        try:
            engine = sa.create_engine(self._url.url)
        except exc.NoSuchModuleError as error:
            raise InvalidUrl(str(self._url), f"SQLAlchemy knows no database {self._url.url.drivername!r}") from error
        except ImportError as error:
            raise InvalidUrl(str(self._url), f"its driver {error.name!r} is not installed") from error
        knows_levels = type(engine.dialect).get_isolation_level_values is not DefaultDialect.get_isolation_level_values
        return engine.execution_options(isolation_level=STRICTEST) if knows_levels else engine

    def prepare(self, connection: sa.Connection) -> None:
        """Nothing is known to be needed."""

    def begin_writing(self, connection: sa.Connection, *, shared: bool) -> None:
        """It has begun."""

    def begin_reading(self, connection: sa.Connection, *, scratch: bool) -> None:
        """It has begun."""

    def before_renaming(self, connection: sa.Connection) -> None:
        """The database's own locks have to do."""

    @contextmanager
    def writable_scratch(self, connection: sa.Connection) -> Generator[None, None, None]:
        """Everything is writable, and rolled back."""
        yield

    def is_there(self) -> bool:
        """It is taken to be."""
        return True

    def may_write(self, connection: sa.Connection, table: str) -> bool:
        """It is taken to be so."""
        return True
