"""The tables of an SQL projection while they are built again: temporary ones, compared and taken over."""

from collections.abc import Callable, Iterable, Sequence
from uuid import uuid4

import sqlalchemy as sa

from leftfold.errors import LeaseLost, NotKept, ProjectionParked
from leftfold.model.record import StoredEvent
from leftfold.query.progress import CheckpointMoved
from leftfold.query.rebuild_report import SAMPLES, Differences
from leftfold.query.tables.checkpoints import Checkpoint, anchor_at, find
from leftfold.query.tables.database import Database, before_renaming, writable_scratch
from leftfold.query.tables.folding import Identify, Lease
from leftfold.query.tables.handling import Handling, SqlTables, Stuck, copies, real_schema, temporary_schema
from leftfold.query.tables.leases import is_held
from leftfold.query.tables.own_schema import OLD
from leftfold.query.tables.own_tables import checkpoint
from leftfold.query.tables.parked import ParkingLot
from leftfold.query.tables.replace import comparable, count_of, differences_between
from leftfold.store.contract import Batch


def differences(connection: sa.Connection, table: SqlTables, former: Sequence[str]) -> Differences:
    """How the rows of the temporary tables differ from those of the real ones, all tables together."""
    real = real_schema(connection)
    present = {name: _reflected(connection, name, real) for name in former if _has(connection, name, real)}
    found = [
        _named(_compared(connection, new, present.pop(new.name, None)), new.name, alone=len(table.schema) == 1)
        for new in copies(table.schema, schema=temporary_schema(connection))
    ]
    gone = [Differences(0, count_of(connection, left), 0) for left in present.values()]
    return _summed([*found, *gone])


def swap(connection: sa.Connection, table: SqlTables, former: Sequence[str]) -> None:
    """Keep the rows of the real tables as old ones, and put those of the temporary tables in their place.

    The rows are copied: a renamed table would keep the names of its indexes, which the new one has too.
    """
    real = real_schema(connection)
    before_renaming(connection)
    drop_old(connection, table.tables)
    drop_old(connection, former)
    present = [name for name in former if _has(connection, name, real)]
    for name in present:
        old, new = _quoted(connection, real, f"{name}{OLD}"), _quoted(connection, real, name)
        connection.exec_driver_sql(f"CREATE TABLE {old} AS SELECT * FROM {new}")
    for name in present:
        connection.exec_driver_sql(f"DROP TABLE {_quoted(connection, real, name)}")
    built = copies(table.schema, schema=temporary_schema(connection))
    for target, source in zip(copies(table.schema, schema=real), built, strict=True):
        target.create(connection)
        names = [column.name for column in source.columns if column.computed is None]
        rows = sa.select(*(source.c[name] for name in names))
        connection.execute(sa.insert(target).from_select(names, rows, include_defaults=False))
        _continue_numbers(connection, target)


def drop_old(connection: sa.Connection, tables: Iterable[str]) -> bool:
    """Drop what the last swap kept of these tables; whether there was anything."""
    real = real_schema(connection)
    found = [name for name in (f"{table}{OLD}" for table in tables) if _has(connection, name, real)]
    for name in found:
        connection.exec_driver_sql(f"DROP TABLE {_quoted(connection, real, name)}")
    return bool(found)


def _compared(connection: sa.Connection, new: sa.Table, present: sa.Table | None) -> Differences:
    if present is None:
        return Differences(count_of(connection, new), 0, 0)
    if new.primary_key.columns:
        return differences_between(connection, present, new)
    return _without_key(connection, present, new)


def _without_key(connection: sa.Connection, present: sa.Table, new: sa.Table) -> Differences:
    """Rows that only one of the two has."""
    common = [column.name for column in new.columns if column.name in present.columns]
    rows = [sa.select(*(comparable(source.c[name]).label(name) for name in common)) for source in (new, present)]
    added, removed = rows[0].except_(rows[1]).subquery(), rows[1].except_(rows[0]).subquery()
    counts = [count_of(connection, each) for each in (added, removed)]
    samples = [
        tuple(dict(row) for row in connection.execute(sa.select(each).limit(SAMPLES)).mappings())
        for each in (added, removed)
    ]
    return Differences(counts[0], counts[1], 0, samples[0], samples[1])


def _named(found: Differences, table: str, *, alone: bool) -> Differences:
    """The same, with the table's name in the samples where there are several tables."""
    if alone:
        return found
    return Differences(
        found.added,
        found.removed,
        found.changed,
        tuple({"table": table, **fields} for fields in found.added_samples),
        tuple({"table": table, **fields} for fields in found.removed_samples),
        tuple(({"table": table, **before}, {"table": table, **after}) for before, after in found.changed_samples),
    )


def _summed(found: Iterable[Differences]) -> Differences:
    total = Differences(0, 0, 0)
    for each in found:
        total = Differences(
            total.added + each.added,
            total.removed + each.removed,
            total.changed + each.changed,
            (*total.added_samples, *each.added_samples)[:SAMPLES],
            (*total.removed_samples, *each.removed_samples)[:SAMPLES],
            (*total.changed_samples, *each.changed_samples)[:SAMPLES],
        )
    return total


def _reflected(connection: sa.Connection, name: str, schema: str) -> sa.Table:
    return sa.Table(name, sa.MetaData(), autoload_with=connection, schema=schema, resolve_fks=False)


def _has(connection: sa.Connection, name: str, schema: str) -> bool:
    return sa.inspect(connection).has_table(name, schema=schema)


def _quoted(connection: sa.Connection, schema: str, name: str) -> str:
    quote = connection.dialect.identifier_preparer.quote
    return f"{quote(schema)}.{quote(name)}"


def _continue_numbers(connection: sa.Connection, table: sa.Table) -> None:
    """Let PostgreSQL count on from the copied numbers; SQLite does so by itself."""
    column = table.autoincrement_column
    if connection.dialect.name != "postgresql" or column is None:
        return
    name = _quoted(connection, str(table.schema), table.name)
    sequence = connection.execute(sa.select(sa.func.pg_get_serial_sequence(name, column.name))).scalar_one()
    if sequence is not None and count_of(connection, table):
        connection.execute(sa.select(sa.func.setval(sequence, sa.select(sa.func.max(column)).scalar_subquery())))


Tail = Callable[[int, int], list[StoredEvent]]


class SqlReplacement:
    """What `Building` is for read models. On a connection of its own the handler, unchanged, fills temporary tables.

    They are gone when the connection is, so an interrupted rebuild begins again.
    """

    def __init__(
        self,
        table: SqlTables,
        database: Database,
        handling: Handling,
        present: Checkpoint,
        lease: Lease | None,
        identify: Identify,
        *,
        dry_run: bool,
    ) -> None:
        self._identify = identify
        self._table = table
        self._lease = lease
        self._database = database
        self._handling = handling
        self._present = present
        self._dry_run = dry_run
        self.position = 0
        self._connection = database.connect_alone()
        with database.transaction(self._connection), writable_scratch(self._connection):
            table.create_temporary(self._connection)

    def __repr__(self) -> str:
        return f"<SqlReplacement {self._table.name} at {self.position}>"

    def target(self) -> int:
        """How far the present tables are; 0 when there are none."""
        with self._database.reading() as connection:
            found = find(connection, self._table)
        return found.position if found else 0

    def step(self, batch: Batch) -> None:
        """Handle a batch. `ProjectionParked` when an event cannot be handled: the present tables are kept then."""
        with self._database.transaction(self._connection), writable_scratch(self._connection):
            self._handle(batch.events)
        self.position = batch.through

    @property
    def checkpoint(self) -> Checkpoint | None:
        """None: it begins at the beginning of the log each time."""
        return None

    def reload(self) -> None:
        """No other process folds into these tables."""

    def finish(self, tail: Tail, head: Callable[[], int]) -> Differences:
        """Handle what is missing, compare, and put the rows into the real tables, all in one transaction."""
        connection = self._connection
        with self._database.transaction(connection, writes=True) as transaction:
            present = self._locked_present()
            position = max(min(present.position, head()), self.position)
            self._handle(tail(self.position, position) if position > self.position else [])
            self.position = position
            former = present.tables.split()
            compared = differences(connection, self._table, former)
            if self._dry_run:
                transaction.rollback()
            else:
                swap(connection, self._table, former)
                self._write_checkpoint(present)
        return compared

    def discard(self) -> None:
        """Drop all of it."""
        self.close()

    def close(self) -> None:
        """Give back the connection, and with it the temporary tables."""
        self._connection.close()

    def _handle(self, events: Sequence[StoredEvent]) -> None:
        try:
            self._handling.handle_all(self._connection, events)
        except Stuck as stuck:
            raise ProjectionParked(self._table.name, stuck.position, stuck.words) from stuck.problem

    def _locked_present(self) -> Checkpoint:
        """The present checkpoint; who follows the log with it finds it changed, and waits until this is through."""
        of_this = checkpoint.c.model == self._table.stem
        self._connection.execute(sa.update(checkpoint).where(of_this).values(build=uuid4().hex))
        if self._lease is not None and not is_held(self._connection, *self._lease):
            raise LeaseLost(self._lease[0])
        found = find(self._connection, self._table)
        if found is None or found.log_id != self._present.log_id:
            raise NotKept(self._table.name)
        if (found.fingerprint, found.version) != (self._present.fingerprint, self._present.version):
            raise CheckpointMoved
        return found

    def _write_checkpoint(self, present: Checkpoint) -> None:
        definition = self._table.definition
        ParkingLot(definition).clear(self._connection)
        values = {
            "position": self.position,
            "anchor": anchor_at(self.position, self._identify(self.position)),
            "fingerprint": str(definition.fingerprint()),
            "version": definition.version,
            "tables": " ".join(self._table.tables),
        }
        self._connection.execute(sa.update(checkpoint).where(checkpoint.c.model == present.model).values(values))
