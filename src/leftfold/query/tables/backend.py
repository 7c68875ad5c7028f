"""What depends on the kind of database: its connections, how transactions begin, and what its errors mean."""

from collections.abc import Generator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.engine.default import DefaultDialect

from leftfold.errors import InvalidUrl
from leftfold.query.tables.database_url import DatabaseUrl

STRICTEST = "SERIALIZABLE"


class Blame:
    """The meaning of a driver's errors; here, of any driver's."""

    def is_trouble(self, error: exc.StatementError) -> bool:
        """Return whether the database failed, rather than a statement or a value."""
        return isinstance(error, exc.OperationalError | exc.InterfaceError)

    def is_write_refused(self, error: exc.StatementError) -> bool:
        """Return whether a statement was refused because the transaction only reads; False if that is unknown."""
        return False


class Backend:
    """One kind of database; here, any that SQLAlchemy knows.

    Its transactions begin as SQLAlchemy begins them, serializable if the database can: of two that conflict one fails.
    """

    blame = Blame()
    one_connection = False
    """Whether there is a single connection, which is used by one thread at a time."""
    of_one_log = False
    """Whether the database belongs to one log, so that anything in it may be replaced."""
    longest_name = 63
    """The most characters that a table's name may have."""

    def __init__(self, url: DatabaseUrl) -> None:
        self.url = url

    def engine(self) -> sa.Engine:
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

    def prepare(self, connection: sa.Connection) -> None:
        """Create what tables need, in a writing transaction of its own."""

    def begin_writing(self, connection: sa.Connection, *, shared: bool) -> None:
        """Begin a transaction that excludes all other writers; a `shared` one excludes only those that are not."""

    def begin_reading(self, connection: sa.Connection, *, scratch: bool) -> None:
        """Begin a read-only transaction over one snapshot; `scratch` is for those that `writable_scratch` opens."""

    def before_renaming(self, connection: sa.Connection) -> None:
        """Wait for every query that could find one table before the renaming and another one after it."""

    @contextmanager
    def writable_scratch(self, connection: sa.Connection) -> Generator[None, None, None]:
        """Let a reading transaction write to temporary tables, which are dropped when it ends."""
        yield

    def exists(self) -> bool:
        """Return whether there can be anything to read; a server counts as existing."""
        return True

    def may_write(self, connection: sa.Connection, table: str) -> bool:
        """Return whether this user may write to a table; True if that is unknown."""
        return True
