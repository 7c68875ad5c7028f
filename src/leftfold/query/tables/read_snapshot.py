"""What one query sees: every model at one moment, the present or a past position."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

import sqlalchemy as sa

from leftfold.errors import ProjectionParked
from leftfold.query.parking import Held
from leftfold.query.past import PastReplay
from leftfold.query.progress import Behind
from leftfold.query.read_model import ReadModelDefinition
from leftfold.query.tables.checkpoints import position_of
from leftfold.query.tables.database import rows_of, writable_scratch
from leftfold.query.tables.folding import Folding
from leftfold.query.tables.handling import Handling, SqlTables, Stuck
from leftfold.query.tables.model_table import ModelTable
from leftfold.query.tables.selection import Selection, check_texts, is_text, projections_read, tables_in


class ReadSnapshot(Protocol):
    """The tables of one query, over one connection."""

    def source(self, definition: ReadModelDefinition) -> sa.FromClause:
        """What to select from to read the model's rows at this moment."""
        ...

    def get(self, definition: ReadModelDefinition, key: Sequence[Any]) -> Any:
        """One row, or None."""
        ...

    def selection(self, definition: ReadModelDefinition) -> Selection:
        """The rows at this moment."""
        ...

    def execute(self, statement: sa.Executable) -> Sequence[sa.Row[Any]]:
        """Run a statement over sources; one that is plain text is taken to read every model."""
        ...

    def position(self, definition: ReadModelDefinition) -> int:
        """The position that the model's rows stand for."""
        ...

    @property
    def touched(self) -> Collection[ReadModelDefinition]:
        """The models that have been read so far."""
        ...

    @property
    def lasting(self) -> bool:
        """Whether the same would be read as long as no row of these models changes."""
        ...


class PresentSnapshot:
    """The tables as they stand; where `after` is asked, each model that is touched must have reached it.

    `reached` is how far the models were known to be before the connection's snapshot was taken, so at least so far
    they are in it.
    """

    def __init__(
        self,
        connection: sa.Connection,
        tables: Mapping[ReadModelDefinition, ModelTable],
        reached: Mapping[ReadModelDefinition, int],
        after: int,
        free: Mapping[ReadModelDefinition, SqlTables],
    ) -> None:
        self._connection = connection
        self._tables = tables
        self._reached = reached
        self._after = after
        self.touched: set[ReadModelDefinition] = set()
        self.lasting = True
        self._free = free

    def source(self, definition: ReadModelDefinition) -> sa.FromClause:
        """The model's table; unwinds the query when the model is behind."""
        self._touch((definition,))
        return self._tables[definition].current

    def get(self, definition: ReadModelDefinition, key: Sequence[Any]) -> Any:
        """The row with this key."""
        return self.selection(definition).get(key)

    def selection(self, definition: ReadModelDefinition) -> Selection:
        """The model's rows."""
        return Selection(self._tables[definition], self.source(definition), self._connection)

    def execute(self, statement: sa.Executable) -> Sequence[sa.Row[Any]]:
        """Run a statement; one over tables of which it is not known what they are reads everything."""
        check_texts(statement, self._tables.values(), self._connection)
        read = set(projections_read(statement, self._free.values()))
        self._touch(table.definition for table in read)
        known: set[sa.FromClause] = {self._tables[each].current for each in self.touched if each in self._tables}
        known.update(each for table in read for each in table.schema)
        if is_text(statement) or not tables_in(statement) <= known:
            self._touch([*self._tables, *self._free])
        return rows_of(self._connection, statement)

    def position(self, definition: ReadModelDefinition) -> int:
        """The checkpoint in this snapshot."""
        self._touch((definition,))
        self.lasting = False  # the position goes on without the rows
        return position_of(self._connection, self._free.get(definition) or self._tables[definition])

    def _touch(self, definitions: Iterable[ReadModelDefinition]) -> None:
        for definition in definitions:
            if self._reached[definition] < self._after:
                raise Behind(definition, self._after)
            self.touched.add(definition)


class PastSnapshot:
    """The tables as they were at a position.

    With history they are read from their versions. Without, a single row is folded from the log, and for anything
    else the table is folded again, up to the position, into a temporary table that stands before the real one.
    """

    touched: Collection[ReadModelDefinition] = ()
    lasting = False

    def __init__(
        self,
        connection: sa.Connection,
        tables: Mapping[ReadModelDefinition, ModelTable],
        reached: Mapping[ReadModelDefinition, int],
        past: PastReplay,
        free: Mapping[ReadModelDefinition, SqlTables],
    ) -> None:
        self._connection = connection
        self._tables = tables
        self._reached = reached
        self._past = past
        self._free = free
        self._versions: dict[ReadModelDefinition, sa.FromClause] = {}
        self._scratch: set[ReadModelDefinition] = set()

    def source(self, definition: ReadModelDefinition) -> sa.FromClause:
        """A subquery over the versions, the same object throughout one query, or the temporary table."""
        if not definition.history:
            self._fold_again(definition)
            return self._tables[definition].current
        known = self._versions.get(definition)
        if known is None:
            known = self._versions[definition] = self._as_of(definition)
        return known

    def get(self, definition: ReadModelDefinition, key: Sequence[Any]) -> Any:
        """The row with this key."""
        if definition.history or definition in self._scratch:
            return self.selection(definition).get(key)
        return self._past.row(definition, key)

    def selection(self, definition: ReadModelDefinition) -> Selection:
        """The model's rows."""
        return Selection(self._tables[definition], self.source(definition), self._connection)

    def execute(self, statement: sa.Executable) -> Sequence[sa.Row[Any]]:
        """Run a statement; what plain text names is found as temporary tables."""
        check_texts(statement, self._tables.values(), self._connection)
        if is_text(statement):
            for definition in self._tables:
                self._fold_again(definition)
        for table in self._free.values() if is_text(statement) else projections_read(statement, self._free.values()):
            self._handle_again(table)
        return rows_of(self._connection, statement)

    def position(self, definition: ReadModelDefinition) -> int:
        """The moment itself."""
        return self._past.position

    def _as_of(self, definition: ReadModelDefinition) -> sa.FromClause:
        if self._reached[definition] < self._past.position:
            raise Behind(definition, self._past.position)
        return self._tables[definition].as_of(self._past.position)

    def _fold_again(self, definition: ReadModelDefinition) -> None:
        if definition in self._scratch:
            return
        self._scratch.add(definition)
        table = self._tables[definition]
        skipped, lot = self._past.skips.of(definition), Held()
        folding = Folding(table, self._past.decode, self._connection.dialect, history=False, skipped=skipped)
        with writable_scratch(self._connection):
            table.scratch.create(self._connection)
            for batch in self._past.batches(definition):
                folding.keep(folding.apply(self._connection, batch.events, lot))

    def _handle_again(self, table: SqlTables) -> None:
        """Let a projection's handler fill temporary tables that stand before the real ones."""
        definition = table.definition
        if definition in self._scratch:
            return
        self._scratch.add(definition)
        handling = Handling(definition, self._past.decode, self._past.loop, self._past.skips.of(definition))
        with writable_scratch(self._connection):
            table.create_temporary(self._connection)
            for batch in self._past.batches(definition):
                try:
                    handling.handle_all(self._connection, batch.events)
                except Stuck as stuck:
                    raise ProjectionParked(definition.name, stuck.position, stuck.words) from stuck.problem
