"""Tables that are built beside the present ones, compared with them, and put in their place."""

from collections.abc import Callable, Collection
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from leftfold.model.record import StoredEvent
from leftfold.query.read_model import OnChange, ReadModelDefinition
from leftfold.query.rebuild_report import SAMPLES, Differences
from leftfold.query.tables.checkpoints import (
    BESIDE,
    Checkpoint,
    begin_anew,
    find,
    form_in,
    furthest,
    is_in_former_form,
    is_of,
    is_surely_of,
    put,
)
from leftfold.query.tables.database import Database, before_renaming
from leftfold.query.tables.folding import StoredFolding
from leftfold.query.tables.model_table import KeptTables, ModelTable, drop, tables_of
from leftfold.query.tables.own_tables import checkpoint
from leftfold.query.tables.parked import ParkingLot
from leftfold.store.contract import Batch

OLD = "__old"
TRIAL = "__trial_"
LONGEST_ADDITION = len(f"{TRIAL}12345678_history")
COMPARED_BY_VALUE = (
    sa.Integer,
    sa.Numeric,
    sa.Float,
    sa.Boolean,
    sa.String,
    sa.LargeBinary,
    sa.Date,
    sa.Time,
    sa.DateTime,
    sa.Interval,
    sa.Uuid,
    postgresql.BYTEA,
    postgresql.INTERVAL,
    postgresql.JSONB,
)
"""The types that every database compares by `=`; PostgreSQL has none for json, xml, path and others."""


def is_due(connection: sa.Connection, found: Checkpoint, table: KeptTables, *, on_change: OnChange) -> bool:
    """Whether the table has to be rebuilt, for its version or its columns' form.

    `ReadModelChanged` when the code changed and its version did not rise, unless that is to be answered by a rebuild.
    """
    if is_of(connection, found, table):
        return False
    raised = found.version < table.definition.version or is_in_former_form(connection, found, table)
    if raised or on_change == "rebuild":
        return True
    raise table.definition.changed(found.version)


def answers_until_swapped(connection: sa.Connection, table: KeptTables, found: Checkpoint) -> bool:
    """Whether the present table has the columns that the code asks for, in a form that it can read."""
    return table.reads(form_in(found)) and table.answers(connection)


def beside(connection: sa.Connection, definition: ReadModelDefinition, log_id: str, *, trial: bool) -> ModelTable:
    """The tables of a rebuild: those of one that was interrupted, if this code began it, else new ones."""
    start = definition.table + (TRIAL if trial else BESIDE)
    for name in connection.execute(sa.select(checkpoint.c.model)).scalars().all():
        if name.startswith(start):
            table = ModelTable(definition, name)
            found = find(connection, table)
            fitting = found and found.log_id == log_id and is_surely_of(found, table)
            if not trial and fitting and table.exists(connection):
                return table
            discard(connection, table)
    table = ModelTable(definition, f"{start}{uuid4().hex[:8]}")
    begin_anew(connection, table, log_id)
    return table


def discard(connection: sa.Connection, table: ModelTable) -> None:
    """Drop the tables of a rebuild and everything that is kept about them."""
    found = find(connection, table)
    for name in found.tables.split() if found else ():
        drop(connection, name)
    ParkingLot(table.definition, table.stem).clear(connection)
    connection.execute(sa.delete(checkpoint).where(checkpoint.c.model == table.stem))


def swap(connection: sa.Connection, built: ModelTable) -> None:
    """Put the built tables in the place of the present ones, which are kept as old ones."""
    table = ModelTable(built.definition)
    before_renaming(connection)
    drop_old(connection, built.definition)
    present = find(connection, table)
    for name in present.tables.split() if present else ():
        _rename(connection, name, name.replace(table.stem, table.stem + OLD, 1))
    for name, new_name in zip(built.tables, table.tables, strict=True):
        _rename(connection, name, new_name)
    ParkingLot(table.definition).clear(connection)
    ParkingLot(table.definition, built.stem).move(connection, table.stem)
    begun = find(connection, built)
    assert begun is not None, "tables that were built without a checkpoint"
    connection.execute(sa.delete(checkpoint).where(checkpoint.c.model == built.stem))
    put(connection, table, begun._replace(tables=" ".join(table.tables)))


def drop_old(connection: sa.Connection, definition: ReadModelDefinition) -> bool:
    """Drop the tables that the last swap kept; whether there were any."""
    names = tables_of(definition.table + OLD)
    found = [name for name in names if sa.inspect(connection).has_table(name)]
    for name in found:
        drop(connection, name)
    return bool(found)


def differences(connection: sa.Connection, built: ModelTable) -> Differences:
    """How the built rows differ from the present ones, in the columns that both have in the same form."""
    present = sa.Table(built.definition.table, sa.MetaData(), autoload_with=connection)
    new = sa.Table(built.stem, sa.MetaData(), autoload_with=connection)
    found = find(connection, ModelTable(built.definition))
    form = built.form if found is None else form_in(found)
    return differences_between(connection, present, new, built.columns_after(form))


def differences_between(
    connection: sa.Connection, present: sa.Table, new: sa.Table, left_out: Collection[str] = ()
) -> Differences:
    """How the rows of a table differ from those of another with the same key, in the columns that both have."""
    key = [column.name for column in new.primary_key]
    if {column.name for column in present.primary_key} != set(key) or not set(key).isdisjoint(left_out):
        return Differences(count_of(connection, new), count_of(connection, present), 0, (), (), ())
    common = [column.name for column in new.columns if column.name in present.columns and column.name not in left_out]
    same = sa.and_(sa.true(), *(new.c[name] == present.c[name] for name in key))
    distinct = (comparable(new.c[name]).is_distinct_from(comparable(present.c[name])) for name in common)
    differs = sa.or_(sa.false(), *distinct)
    added = sa.select(new).where(~sa.exists().where(same)).order_by(*new.primary_key)
    removed = sa.select(present).where(~sa.exists().where(same)).order_by(*present.primary_key)
    after = [new.c[name].label(f"after_{name}") for name in common]
    changed = sa.select(*(present.c[name] for name in common), *after).where(same, differs).order_by(*new.primary_key)
    samples = [
        tuple(dict(row) for row in connection.execute(each.limit(SAMPLES)).mappings()) for each in (added, removed)
    ]
    pairs = tuple(_pair(tuple(row), common) for row in connection.execute(changed.limit(SAMPLES)))
    counts = [count_of(connection, each.subquery()) for each in (added, removed, changed)]
    return Differences(counts[0], counts[1], counts[2], samples[0], samples[1], pairs)


def comparable(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    """The column, or its text where its type may have no equality, or one that is not that of its values."""
    return column if isinstance(column.type, COMPARED_BY_VALUE) else sa.cast(column, sa.Text)


def _pair(row: tuple[object, ...], names: list[str]) -> tuple[dict[str, object], dict[str, object]]:
    width = len(names)
    return dict(zip(names, row[:width], strict=True)), dict(zip(names, row[width:], strict=True))


def count_of(connection: sa.Connection, source: sa.FromClause) -> int:
    """How many rows there are."""
    return int(connection.execute(sa.select(sa.func.count()).select_from(source)).scalar_one())


def _rename(connection: sa.Connection, name: str, new_name: str) -> None:
    quote = connection.dialect.identifier_preparer.quote
    connection.exec_driver_sql(f"ALTER TABLE {quote(name)} RENAME TO {quote(new_name)}")


Tail = Callable[[int, int], list[StoredEvent]]


class Building:
    """Tables that are folded up to the position of the present ones, compared with them, and swapped."""

    def __init__(self, table: ModelTable, database: Database, folding: StoredFolding, *, dry_run: bool) -> None:
        self._table = table
        self._present = ModelTable(table.definition)
        self._database = database
        self._folding = folding
        self._dry_run = dry_run
        if dry_run:
            folding.park_quietly()

    def __repr__(self) -> str:
        return f"<Building {self._table.stem} at {self.position}>"

    @property
    def position(self) -> int:
        """How far it is."""
        return self._folding.position

    @property
    def checkpoint(self) -> Checkpoint | None:
        """How far it is, and at which event; another process may have begun it, some time ago."""
        return self._folding.checkpoint

    def target(self) -> int:
        """How far the present tables are, those of the shard that is furthest; 0 when there are none."""
        with self._database.reading() as connection:
            return furthest(connection, self._present)

    def step(self, batch: Batch) -> None:
        """Fold a batch."""
        self._folding.step(batch)

    def reload(self) -> None:
        """Go on from where another process has come with the same tables."""
        self._folding.reload()

    def finish(self, tail: Tail, head: Callable[[], int]) -> Differences:
        """Fold what is missing, but nothing beyond the log's head; compare, and swap, all in one transaction."""
        with self._database.writing() as connection:
            position = max(min(furthest(connection, self._present), head()), self.position)
            missing = tail(self.position, position) if position > self.position else []
            self._folding.finish(connection, Batch(missing, position))  # tells, too, when another process has swapped
            compared = differences(connection, self._table)
            if not self._dry_run:
                swap(connection, self._table)
        self._folding.log_parked()
        return compared

    def close(self) -> None:
        """Nothing is open."""

    def discard(self) -> None:
        """Drop all of it."""
        with self._database.writing() as connection:
            discard(connection, self._table)
