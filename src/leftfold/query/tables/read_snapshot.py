"""What one query sees: every model at one position, the present or a past one."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from leftfold.errors import InvalidKey
from leftfold.query.parking import ReplayParkedEvents
from leftfold.query.past import PastReplay
from leftfold.query.progress import Behind
from leftfold.query.read_model import ReadModelDefinition
from leftfold.query.tables.checkpoints import position_of
from leftfold.query.tables.database import rows_of, writable_scratch
from leftfold.query.tables.keyed_target import KeyedTarget
from leftfold.query.tables.model_table import ModelTable
from leftfold.query.tables.selection import Selection, check_texts, is_text, projections_read, tables_in
from leftfold.query.tables.sql_target import SqlTables
from leftfold.query.tables.target import Target, apply_all, stopped_at

Models = Mapping[ReadModelDefinition, ModelTable]
Projections = Mapping[ReadModelDefinition, SqlTables]


class ReadSnapshot(ABC):
    """The tables of one query, over one connection.

    `touched` are the models that have been read so far. `lasting` says whether the answer stays the same as long as no
    row of these models changes.
    """

    lasting = False

    def __init__(
        self,
        connection: sa.Connection,
        models: Models,
        projections: Projections,
        reached: Mapping[ReadModelDefinition, int],
    ) -> None:
        self.touched: set[ReadModelDefinition] = set()
        self._connection = connection
        self._models = models
        self._projections = projections
        self._reached = reached

    def get(self, definition: ReadModelDefinition, key: Sequence[Any]) -> Any:
        """Return one row, or None."""
        table = self._models[definition]
        if len(key) != len(table.key):
            raise InvalidKey(table.name, key, table.key)
        found = self.selection(definition).select(dict(zip(table.key, key, strict=True)), {}, (), 1, 0)
        return found[0] if found else None

    def selection(self, definition: ReadModelDefinition) -> Selection:
        """Return the model's rows, to be selected from."""
        return Selection(self._models[definition], self.source(definition), self._connection)

    def execute(self, statement: sa.Executable) -> Sequence[sa.Row[Any]]:
        """Run a statement over sources; plain text counts as reading every model."""
        check_texts(statement, self._models.values(), self._connection)
        self._prepare(statement)
        return rows_of(self._connection, statement)

    @abstractmethod
    def source(self, definition: ReadModelDefinition) -> sa.FromClause:
        """Return what to select from to read the model's rows."""

    @abstractmethod
    def position(self, definition: ReadModelDefinition) -> int:
        """Return the position of the model's rows."""

    @abstractmethod
    def _prepare(self, statement: sa.Executable) -> None:
        """Prepare the tables that a statement reads."""


class PresentSnapshot(ReadSnapshot):
    """The tables as they are; with `after`, each model that is touched must have reached that position.

    `reached` is how far the models were known to be before the connection's snapshot was taken: in the snapshot they
    are at least so far.
    """

    def __init__(
        self,
        connection: sa.Connection,
        models: Models,
        projections: Projections,
        reached: Mapping[ReadModelDefinition, int],
        after: int,
    ) -> None:
        super().__init__(connection, models, projections, reached)
        self._after = after
        self.lasting = True

    def source(self, definition: ReadModelDefinition) -> sa.FromClause:
        """Return the model's table; unwind the query if the model is behind."""
        self._touch((definition,))
        return self._models[definition].current

    def position(self, definition: ReadModelDefinition) -> int:
        """Return the checkpoint in this snapshot."""
        self._touch((definition,))
        self.lasting = False  # the position goes on without the rows
        return position_of(self._connection, self._models.get(definition) or self._projections[definition])

    def _prepare(self, statement: sa.Executable) -> None:
        """Touch what the statement reads; one over unknown tables counts as reading everything."""
        read = set(projections_read(statement, self._projections.values()))
        self._touch(tables.definition for tables in read)
        known: set[sa.FromClause] = {self._models[each].current for each in self.touched if each in self._models}
        known.update(table for tables in read for table in tables.schema)
        if is_text(statement) or not tables_in(statement) <= known:
            self._touch([*self._models, *self._projections])

    def _touch(self, definitions: Iterable[ReadModelDefinition]) -> None:
        for definition in definitions:
            if self._reached[definition] < self._after:
                raise Behind(definition, self._after)
            self.touched.add(definition)


class PastSnapshot(ReadSnapshot):
    """The tables as they were at a position.

    With history they are read from their versions. Without it, a single row is folded from the log; for anything else
    the events up to the position are applied again, to temporary tables that hide the stored ones.
    """

    def __init__(
        self,
        connection: sa.Connection,
        models: Models,
        projections: Projections,
        reached: Mapping[ReadModelDefinition, int],
        past: PastReplay,
    ) -> None:
        super().__init__(connection, models, projections, reached)
        self._past = past
        self._versions: dict[ReadModelDefinition, sa.FromClause] = {}
        self._replayed: set[ReadModelDefinition] = set()

    def source(self, definition: ReadModelDefinition) -> sa.FromClause:
        """Return a subquery over the versions, the same object throughout one query, or the temporary table."""
        if not definition.history:
            self._replay_model(definition)
            return self._models[definition].current
        known = self._versions.get(definition)
        if known is None:
            known = self._versions[definition] = self._as_of(definition)
        return known

    def get(self, definition: ReadModelDefinition, key: Sequence[Any]) -> Any:
        """Return the row with this key."""
        if definition.history or definition in self._replayed:
            return super().get(definition, key)
        return self._past.row(definition, key)

    def position(self, definition: ReadModelDefinition) -> int:
        """Return the position that was asked for."""
        return self._past.position

    def _prepare(self, statement: sa.Executable) -> None:
        """Fill temporary tables for projections, and for every model that plain text may name."""
        projections: Iterable[SqlTables] = self._projections.values()
        if is_text(statement):
            for definition in self._models:
                self._replay_model(definition)
        else:
            projections = projections_read(statement, projections)
        for tables in projections:
            self._replay(tables.target(self._past.log))

    def _as_of(self, definition: ReadModelDefinition) -> sa.FromClause:
        if self._reached[definition] < self._past.position:
            raise Behind(definition, self._past.position)
        return self._models[definition].as_of(self._past.position)

    def _replay_model(self, definition: ReadModelDefinition) -> None:
        tables, dialect = self._models[definition], self._connection.dialect
        self._replay(KeyedTarget(tables, self._past.log, dialect, history=False))

    def _replay(self, target: Target) -> None:
        """Apply the events up to the position to temporary tables, once."""
        definition = target.tables.definition
        if definition in self._replayed:
            return
        self._replayed.add(definition)
        parked = ReplayParkedEvents()
        with writable_scratch(self._connection):
            target.tables.create_temporary(self._connection)
            for batch in self._past.batches(definition):
                stuck = apply_all(target, self._connection, batch.events, parked)
                if stuck is not None:
                    raise stopped_at(stuck, definition) from stuck.error
                target.committed()
