"""Any other database that SQLAlchemy knows as the models database: correct where it can be, and not fast.

A query that writes is not refused there: what it writes is rolled back.
"""

from collections.abc import Generator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.engine.default import DefaultDialect

from leftfold.errors import InvalidUrl
from leftfold.query.tables.database_url import DatabaseUrl

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
