"""What depends on the kind of database: how connections are set up, how transactions begin, what its errors mean."""

from contextlib import AbstractContextManager
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy import exc


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
