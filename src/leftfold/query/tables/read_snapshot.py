"""What one query sees: every model at one position, the present or a past one."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from time import monotonic
from typing import Any

import sqlalchemy as sa

from leftfold.errors import InvalidKey, UsageError
from leftfold.model.criteria import Criteria
from leftfold.query.batch_fold import BatchFold, Row
from leftfold.query.event_keys import Key
from leftfold.query.folded_log import FoldedLog, ReplayProgress
from leftfold.query.parking import ReplayParkedEvents
from leftfold.query.progress import Behind
from leftfold.query.read_model import ReadModelDefinition
from leftfold.query.reference import Reference
from leftfold.query.statement_plan import StatementPlan
from leftfold.query.tables.checkpoints import find
from leftfold.query.tables.database import rows_of, writable_scratch
from leftfold.query.tables.joining import JoinedSelection, Referred
from leftfold.query.tables.model_table import ModelTable
from leftfold.query.tables.plans import recorded, statement_plans
from leftfold.query.tables.scans import ScanLog
from leftfold.query.tables.selection import Selection, check_texts, is_text, projections_read, tables_in
from leftfold.query.tables.sql_target import SqlTables
from leftfold.query.tables.target import Target, apply_all, stopped_at
from leftfold.store.contract import Batch

SECONDS_BEFORE_PROGRESS = 2.0
Models = Mapping[ReadModelDefinition, ModelTable]
Projections = Mapping[ReadModelDefinition, SqlTables]


class ReadSnapshot(ABC):
    """The tables of one query, over one connection.

    `touched` are the models that have been read so far. `lasting` says whether the answer stays the same as long as no
    row of these models changes.
    """

    lasting = False
    _scans: ScanLog | None = None

    def __init__(
        self,
        connection: sa.Connection,
        models: Models,
        projections: Projections,
        reached: Mapping[ReadModelDefinition, int],
    ) -> None:
        self.touched: set[ReadModelDefinition] = set()
        self._referred: dict[Reference[Any], sa.FromClause] = {}
        self._connection = connection
        self._models = models
        self._projections = projections
        self._reached = reached

    def get(self, definition: ReadModelDefinition, key: Sequence[Any]) -> Any:
        """Return one row, or None."""
        table = self._models[definition]
        if len(key) != len(table.key):
            raise InvalidKey(table.name, key, table.key)
        return self.selection(definition).get(key)

    def selection(self, definition: ReadModelDefinition) -> Selection:
        """Return the model's rows, to be selected from."""
        return Selection(self._models[definition], self.source(definition), self._connection, self._scans)

    def joined(
        self, definition: ReadModelDefinition, references: Sequence[tuple[Reference[Any], ReadModelDefinition, int]]
    ) -> JoinedSelection:
        """Return the model's rows with the rows that they refer to; each reference begins at the row of a place."""
        referred = [
            Referred(reference, self._models[target], self.referred(reference, target), place)
            for reference, target, place in references
        ]
        source = self.source(definition)
        return JoinedSelection(self._models[definition], source, self._connection, self._scans, referred)

    def referred(self, reference: Reference[Any], target: ReadModelDefinition) -> sa.FromClause:
        """Return what to select from to read the rows that a reference leads to; the same throughout one query."""
        source = self.source(target)
        if reference not in self._referred:
            self._referred[reference] = source.alias()
        return self._referred[reference]

    def search(self, definition: ReadModelDefinition) -> Selection:
        """Return the model's rows, to be searched."""
        return self.selection(definition)

    def plans_of(self, ask: Callable[[], object]) -> list[StatementPlan]:
        """Return how the database runs the statements of a query."""
        self._scans = None  # its statements are not the query's
        with recorded(self._connection) as sent:
            ask()
        return statement_plans(self._connection, self._models.values(), sent)

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
        scans: ScanLog,
    ) -> None:
        super().__init__(connection, models, projections, reached)
        self._after = after
        self._scans = scans
        self.lasting = True

    def source(self, definition: ReadModelDefinition) -> sa.FromClause:
        """Return the model's table; unwind the query if the model is behind."""
        self._touch((definition,))
        return self._models[definition].current

    def position(self, definition: ReadModelDefinition) -> int:
        """Return the checkpoint in this snapshot."""
        self._touch((definition,))
        self.lasting = False  # the position goes on without the rows
        found = find(self._connection, self._models.get(definition) or self._projections[definition])
        return found.position if found else 0

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
    the events up to the position are applied again, to temporary tables that hide the stored ones. The query runs in a
    thread; the log is read on the event loop, which stays free meanwhile.
    """

    def __init__(
        self,
        connection: sa.Connection,
        models: Models,
        projections: Projections,
        reached: Mapping[ReadModelDefinition, int],
        log: FoldedLog,
        as_of: int,
        target_of: Callable[[ModelTable], Target],
    ) -> None:
        super().__init__(connection, models, projections, reached)
        self._log = log
        self._as_of = as_of
        self._target_of = target_of
        self._rows: dict[tuple[ReadModelDefinition, Key], Any] = {}
        self._versions: dict[ReadModelDefinition, sa.FromClause] = {}
        self._replayed: set[ReadModelDefinition] = set()

    def source(self, definition: ReadModelDefinition) -> sa.FromClause:
        """Return a subquery over the versions, the same object throughout one query, or the temporary table."""
        if not definition.history:
            self._replay_model(definition)
            return self._models[definition].current
        known = self._versions.get(definition)
        if known is None:
            if self._reached[definition] < self._as_of:
                raise Behind(definition, self._as_of)
            known = self._versions[definition] = self._models[definition].as_of(self._as_of)
        return known

    def get(self, definition: ReadModelDefinition, key: Sequence[Any]) -> Any:
        """Return the row with this key."""
        if definition.history or definition in self._replayed or definition.concerns:
            return super().get(definition, key)
        name = (definition, tuple(key))
        if name not in self._rows:
            self._rows[name] = self._folded(definition, tuple(key))
        return self._rows[name]

    def search(self, definition: ReadModelDefinition) -> Selection:
        """Refuse to search: the full-text index is that of the present rows."""
        raise UsageError(
            f"a search in {definition.name} as of position {self._as_of}",
            "a search of the present: its index has the words of the present rows",
            "search without as_of, or select rows of the past by their fields",
        )

    def position(self, definition: ReadModelDefinition) -> int:
        """Return the position that was asked for."""
        return self._as_of

    def _prepare(self, statement: sa.Executable) -> None:
        """Fill temporary tables for projections, and for every model that plain text may name."""
        projections: Iterable[SqlTables] = self._projections.values()
        if is_text(statement):
            for definition in self._models:
                self._replay_model(definition)
        else:
            projections = projections_read(statement, projections)
        for tables in projections:
            self._replay(tables.target(self._log))

    def _replay_model(self, definition: ReadModelDefinition) -> None:
        self._replay(self._target_of(self._models[definition]))

    def _replay(self, target: Target) -> None:
        """Apply the events up to the position to temporary tables, once."""
        definition = target.tables.definition
        if definition in self._replayed:
            return
        self._replayed.add(definition)
        parked = ReplayParkedEvents()
        with writable_scratch(self._connection):
            target.tables.create_temporary(self._connection)
            for batch in self._reported(definition):
                stuck = apply_all(target, self._connection, batch.events, parked)
                if stuck is not None:
                    raise stopped_at(stuck, definition) from stuck.error
                target.committed()

    def _folded(self, definition: ReadModelDefinition, key: Key) -> Any:
        """Return the row of a key, folded from the events of this key alone; None if there was none."""
        definition.fold.start(key)  # raises for a key of the wrong length
        skipped = self._log.skipped_by(definition)
        fold = BatchFold(definition, self._log.registry, history=False, skipped=skipped)
        rows = {key: Row(None, 0)}
        held = set[Key]()
        for batch in self._read(definition.fold.criteria(key)):
            keyed = fold.keyed(batch.events).of_row(key)
            held.update(parked.key for parked in fold.fold(keyed, rows, held).parked)
        return rows[key].state

    def _reported(self, definition: ReadModelDefinition) -> Iterator[Batch]:
        """Read every event that the model folds; report progress once it takes long."""
        begun, report = monotonic(), self._log.on_progress
        for batch in self._read(definition.fold.all_criteria()):
            yield batch
            seconds = monotonic() - begun
            if report is not None and self._log.loop is not None and seconds > SECONDS_BEFORE_PROGRESS:
                progress = ReplayProgress(definition.name, batch.through, self._as_of, seconds)
                self._log.loop.call_soon_threadsafe(report, progress)

    def _read(self, criteria: Criteria) -> Iterator[Batch]:
        """Read whole events: the tags of an event that cannot be decoded name its keys."""
        batches = self._log.store.read(self._log.registry.stored(criteria), upto=self._as_of)
        while (batch := self._log.wait_for(_next(batches))) is not None:
            yield batch


async def _next(batches: AsyncIterator[Batch]) -> Batch | None:
    return await anext(batches, None)
