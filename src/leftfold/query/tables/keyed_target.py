"""A keyed read model as a target: each batch is folded in memory, and the changed rows are written."""

from collections.abc import Sequence
from uuid import uuid4

import sqlalchemy as sa

from leftfold.model.record import StoredEvent
from leftfold.query.batch_fold import BatchFold, KeyedEvents, Row, RowCache
from leftfold.query.event_keys import Key
from leftfold.query.folded_log import FoldedLog
from leftfold.query.parking import ParkedEvent, problem_of
from leftfold.query.read_model import ReadModelDefinition
from leftfold.query.rebuild_report import Differences
from leftfold.query.shard import Owns
from leftfold.query.tables.checkpoints import BESIDE, begin_again, find, form_in, is_surely_of, put
from leftfold.query.tables.database import database_of, is_trouble
from leftfold.query.tables.differences import differences_between
from leftfold.query.tables.model_table import ModelTable, drop, tables_of
from leftfold.query.tables.own_tables import checkpoint
from leftfold.query.tables.parked import StoredParkedEvents
from leftfold.query.tables.rows import Rows
from leftfold.query.tables.target import Held, Tables, Target
from leftfold.query.tables.texts import WORDS

OLD = "__old"
TRIAL = "__trial_"
LONGEST_SUFFIX = len(f"{TRIAL}12345678_history")


class KeyedTarget(Target):
    """Folds batches of events into the rows of a read model; with `owns`, into the rows of one shard."""

    def __init__(
        self,
        tables: ModelTable,
        log: FoldedLog,
        dialect: sa.Dialect,
        *,
        history: bool,
        owns: Owns | None = None,
    ) -> None:
        super().__init__(tables)
        self._table = tables
        self._rows = Rows(tables, dialect)
        skipped = log.skipped_by(tables.definition)
        self._fold = BatchFold(tables.definition, log.registry, history=history, skipped=skipped, owns=owns)
        self._cache = RowCache()
        self._applied: dict[Key, Row] = {}

    def apply(self, connection: sa.Connection, events: Sequence[StoredEvent], held: Held) -> list[ParkedEvent]:
        """Fold the events and write the rows that they change; return the events to park."""
        keyed = self._fold.keyed(events)
        rows, missing = self._cache.among(keyed.keys)
        rows.update(self._rows.load(connection, missing))
        changes = self._fold.fold(keyed, rows, held(connection, rows.keys()))
        self._rows.write(connection, changes)
        self._applied = rows
        return changes.parked

    def apply_alone(self, connection: sa.Connection, event: StoredEvent, held: Held) -> list[ParkedEvent]:
        """Do the same with one event, row by row: a row that cannot be written parks its key too."""
        parked: list[ParkedEvent] = []
        for each in self._fold.keyed([event]).one_by_one():
            parked += self._apply_to_row(connection, each, held)
        return parked

    def committed(self) -> None:
        """Cache the rows, so that they need not be read for the next batch."""
        self._cache.keep(self._applied)

    def forget(self) -> None:
        """Forget the cached rows: something else may have written them."""
        self._cache.clear()
        self._applied = {}

    def compare(self, connection: sa.Connection) -> Differences:
        """Compare the built rows with the present ones, in the columns that both have in the same form."""
        built = self._table
        present, new = _reflected(connection, built.definition.table), _reflected(connection, built.stem)
        found = find(connection, ModelTable(built.definition))
        form = built.form if found is None else form_in(found)
        return differences_between(connection, present, new, built.columns_after(form))

    def swap(self, connection: sa.Connection) -> None:
        """Rename the built tables to the present ones, which are kept under an old name."""
        definition, built = self.tables.definition, self.tables
        present = ModelTable(definition)
        database_of(connection).wait_for_queries(connection)
        drop_old(connection, definition)
        former = find(connection, present)
        for name in former.tables.split() if former else ():
            _rename(connection, name, name.replace(present.stem, present.stem + OLD, 1))
        for name, new_name in zip(built.tables, present.tables, strict=True):
            _rename(connection, name, new_name)
        StoredParkedEvents(definition).clear(connection)
        StoredParkedEvents(definition, built.stem).move(connection, present.stem)
        begun = find(connection, built)
        assert begun is not None, "tables that were built without a checkpoint"
        connection.execute(sa.delete(checkpoint).where(checkpoint.c.model == built.stem))
        put(connection, present, begun._replace(tables=" ".join(present.tables)))

    def _apply_to_row(self, connection: sa.Connection, keyed: KeyedEvents, held: Held) -> Sequence[ParkedEvent]:
        [key] = keyed.keys
        held_keys = held(connection, {key})
        try:
            with connection.begin_nested():
                changes = self._fold.fold(keyed, self._rows.load(connection, [key]), held_keys)
                self._rows.write(connection, changes)
        except Exception as problem:
            if is_trouble(problem):
                raise
            return [ParkedEvent(key, keyed.positions[0], problem_of(problem), problem)]
        return changes.parked


def tables_beside(
    connection: sa.Connection, definition: ReadModelDefinition, log_id: str, *, trial: bool
) -> ModelTable:
    """Return the tables of a rebuild: those of an interrupted one if this code began it, else new ones."""
    start = definition.table + (TRIAL if trial else BESIDE)
    for name in connection.execute(sa.select(checkpoint.c.model)).scalars().all():
        if name.startswith(start):
            tables = ModelTable(definition, name)
            found = find(connection, tables)
            fitting = found and found.log_id == log_id and is_surely_of(found, tables)
            if definition.stops_at_errors and StoredParkedEvents(definition, name).recount(connection):
                fitting = False  # an event stopped it, which may be skipped by now
            if not trial and fitting and tables.exists(connection):
                tables.align(connection)
                return tables
            discard(connection, tables)
    tables = ModelTable(definition, f"{start}{uuid4().hex[:8]}")
    begin_again(connection, tables, log_id)
    return tables


def discard(connection: sa.Connection, tables: Tables) -> None:
    """Drop the tables of a rebuild and delete everything that is stored about them."""
    found = find(connection, tables)
    for name in found.tables.split() if found else ():
        drop(connection, name)
    StoredParkedEvents(tables.definition, tables.stem).clear(connection)
    connection.execute(sa.delete(checkpoint).where(checkpoint.c.model == tables.stem))


def drop_old(connection: sa.Connection, definition: ReadModelDefinition) -> bool:
    """Drop the tables that the last swap kept; return whether there were any."""
    names = tables_of(definition.table + OLD)
    found = [name for name in names if sa.inspect(connection).has_table(name)]
    for name in found:
        drop(connection, name)
    return bool(found)


def _reflected(connection: sa.Connection, name: str) -> sa.Table:
    """Return a table as it is stored, without the words that a full-text index keeps in it."""
    names = [column["name"] for column in sa.inspect(connection).get_columns(name)]
    own = [each for each in names if each != WORDS]
    return sa.Table(name, sa.MetaData(), autoload_with=connection, include_columns=own)


def _rename(connection: sa.Connection, name: str, new_name: str) -> None:
    quote = connection.dialect.identifier_preparer.quote
    connection.exec_driver_sql(f"ALTER TABLE {quote(name)} RENAME TO {quote(new_name)}")
