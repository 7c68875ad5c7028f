"""What is kept in tables, whatever fills it: a keyed read model folds rows, an SQL projection calls its handler."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import Protocol

import sqlalchemy as sa

from leftfold.errors import LeftfoldError, ProjectionFailed, ProjectionParked
from leftfold.model.record import StoredEvent
from leftfold.query.event_keys import Key
from leftfold.query.parking import ParkedEvent, problem_of
from leftfold.query.read_model import ReadModelDefinition
from leftfold.query.rebuild_report import Differences
from leftfold.query.tables.database import is_trouble

Held = Callable[[sa.Connection, AbstractSet[Key]], AbstractSet[Key]]
"""Return those of the keys that a parked event holds up."""


class Tables(ABC):
    """The tables of one definition, by their names.

    `stem` is the name of the checkpoint, before the number of a shard; `checkpoints` has one name, or one for each
    shard that is defined. Tables whose columns are in a former `form` are rebuilt.
    """

    form = 1

    def __init__(
        self, definition: ReadModelDefinition, stem: str, checkpoints: Sequence[str], tables: tuple[str, ...]
    ) -> None:
        self.definition = definition
        self.name = definition.name
        self.stem = stem
        self.checkpoints = checkpoints
        self.tables = tables

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {' and '.join(self.tables)}>"

    def exists(self, connection: sa.Connection) -> bool:
        """Return whether the tables exist."""
        present = sa.inspect(connection)
        return all(present.has_table(name) for name in self.tables)

    @abstractmethod
    def create(self, connection: sa.Connection) -> None:
        """Create the tables, empty; drop whatever has their names."""

    @abstractmethod
    def create_temporary(self, connection: sa.Connection) -> None:
        """Create empty temporary tables of the same names, which hide the stored ones on this connection."""

    @abstractmethod
    def answers(self, connection: sa.Connection) -> bool:
        """Return whether the stored tables have the columns that the code selects."""

    def align(self, connection: sa.Connection) -> None:  # noqa: B027 only read models declare indexes
        """Bring the indexes of existing tables in line with the code."""

    def reads(self, form: int) -> bool:
        """Return whether this code reads rows of a former form correctly."""
        return True


class Target(ABC):
    """Tables, and how events get into them."""

    batch_limit: int | None = None
    """How many events one transaction may apply; None for as many as a batch has."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.tables.stem}>"

    @abstractmethod
    def apply(self, connection: sa.Connection, events: Sequence[StoredEvent], held: Held) -> list[ParkedEvent]:
        """Apply a batch and return the events to park; raise whatever concerns the batch as a whole."""

    @abstractmethod
    def apply_alone(self, connection: sa.Connection, event: StoredEvent, held: Held) -> list[ParkedEvent]:
        """Apply one event, undoing what fails; raise if it is not known which keys to park."""

    @abstractmethod
    def compare(self, connection: sa.Connection) -> Differences:
        """Compare the rows built beside the present ones with them."""

    @abstractmethod
    def swap(self, connection: sa.Connection) -> None:
        """Put the built rows in the place of the present ones, which are kept until the next swap."""

    def changed(self, connection: sa.Connection) -> None:  # noqa: B027 most targets are only tables
        """Prepare what is kept outside the tables, in the transaction that has changed the stored tables.

        It is not called while temporary tables are filled, as by queries of the past. `committed` follows.
        """

    def committed(self) -> None:  # noqa: B027 a target need not cache rows
        """Note that what was applied last is committed."""

    def forget(self) -> None:  # noqa: B027 as above
        """Forget cached rows: something else may have written them."""


class ParkedEvents(Protocol):
    """The parked events of one read model or projection: stored, or kept in memory during one replay."""

    def held(self, connection: sa.Connection, keys: AbstractSet[Key]) -> AbstractSet[Key]:
        """Return those of the keys that a parked event holds up."""
        ...

    def park(self, connection: sa.Connection, events: Sequence[ParkedEvent]) -> None:
        """Park events: those that could not be applied, and those that wait behind them."""
        ...


def apply_all(
    target: Target, connection: sa.Connection, events: Sequence[StoredEvent], parked: ParkedEvents
) -> ParkedEvent | None:
    """Apply events within a transaction, one at a time if that fails; return the event that stopped it, if any."""
    try:
        with connection.begin_nested():
            parked.park(connection, target.apply(connection, events, parked.held))
            return None
    except Exception as problem:
        if is_trouble(problem):
            raise
    return apply_one_by_one(target, connection, events, parked)


def apply_one_by_one(
    target: Target, connection: sa.Connection, events: Sequence[StoredEvent], parked: ParkedEvents
) -> ParkedEvent | None:
    """Apply events one at a time, parking those that fail; return the event that stopped it, if any."""
    target.forget()
    for event in events:
        try:
            with connection.begin_nested():
                failed = target.apply_alone(connection, event, parked.held)
                parked.park(connection, failed)
        except Exception as problem:
            if is_trouble(problem):
                raise
            return ParkedEvent((), event.position, problem_of(problem), problem)
        if failed and target.tables.definition.stops_at_errors:
            return failed[0]
    return None


def stopped_at(stuck: ParkedEvent, definition: ReadModelDefinition) -> LeftfoldError:
    """Return the error that says which event stops a target."""
    error = ProjectionParked if definition.stops_at_errors else ProjectionFailed
    return error(definition.name, stuck.position, stuck.problem or "")
