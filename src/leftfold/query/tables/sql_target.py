"""An SQL projection as a target: its handler, unchanged, writes the tables that it declares."""

import logging
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any, NoReturn

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from leftfold.errors import UsageError
from leftfold.model.context import event_context
from leftfold.model.record import StoredEvent
from leftfold.query.event_keys import THE_ONE_ROW, text_of_key
from leftfold.query.folded_log import FoldedLog
from leftfold.query.parking import ParkedEvent, problem_of
from leftfold.query.rebuild_report import SAMPLES, Differences
from leftfold.query.sql_projection import SqlProjection
from leftfold.query.tables.async_connection import run_async
from leftfold.query.tables.checkpoints import find
from leftfold.query.tables.database import database_of, is_trouble
from leftfold.query.tables.differences import comparable, count_of, differences_between
from leftfold.query.tables.model_table import drop
from leftfold.query.tables.own_schema import OLD
from leftfold.query.tables.target import Held, Tables, Target

TEMPORARY = "TEMPORARY"

log = logging.getLogger("leftfold.models")


class SqlTables(Tables):
    """The tables that an SQL projection declares. Its checkpoint has the projection's name."""

    def __init__(self, definition: SqlProjection) -> None:
        super().__init__(definition, definition.table, [definition.table], definition.tables)
        self.schema = definition.schema
        self.handler = definition.handler

    def create(self, connection: sa.Connection) -> None:
        """Create the tables, empty; drop whatever has their names."""
        for name in self.tables:
            drop(connection, name)
        for table in self.schema:
            table.create(connection)

    def create_temporary(self, connection: sa.Connection) -> None:
        """Create empty temporary tables of the same names, which hide the stored ones on this connection."""
        for table in copies(self.schema, prefix=TEMPORARY):
            table.create(connection)

    def answers(self, connection: sa.Connection) -> bool:
        """Return whether the stored tables have the columns that the code selects."""
        if not self.exists(connection):
            return False
        present = sa.inspect(connection)
        found = {table.name: {column["name"] for column in present.get_columns(table.name)} for table in self.schema}
        return all({column.name for column in table.columns} <= found[table.name] for table in self.schema)

    def target(self, log: FoldedLog) -> "SqlTarget":
        """Return what fills the tables."""
        return SqlTarget(self, log)

    def log_inexact_columns(self, dialect: sa.Dialect) -> None:
        """Log the columns of type `sa.Numeric` where SQLite stores them as floats."""
        for column in (column for table in self.schema for column in table.columns if dialect.name == "sqlite"):
            if isinstance(column.type, sa.Numeric) and not isinstance(column.type, sa.Float):
                log.warning(
                    "%s: SQLite stores and adds up the column %s, an sa.Numeric, as floats; "
                    "leftfold.columns.Exact stores and adds up decimals exactly on every database",
                    self.name,
                    column,
                )


(THE_KEY,) = THE_ONE_ROW
THE_KEY_TEXT = text_of_key(THE_KEY)
FIRST_BATCH_LIMIT, LARGEST_BATCH_LIMIT = 500, 8_000  # events in one transaction
SLOW_SECONDS = 0.4  # transactions of a handler that takes longer get smaller: none is to lock out others for long

Call = tuple[Any, ...]  # an event or several, and their contexts where the handler takes them


class SqlTarget(Target):
    """Calls the handler of an SQL projection with events, on a connection whose transaction it cannot end."""

    def __init__(self, tables: SqlTables, log: FoldedLog) -> None:
        super().__init__(tables)
        self.batch_limit = self._limit = FIRST_BATCH_LIMIT
        self._schema = tables.schema
        self._handler = tables.handler
        self._types = {event.owner for event in tables.definition.fold.events}
        self._log = log
        self._skipped = log.skipped_by(tables.definition)

    def apply(self, connection: sa.Connection, events: Sequence[StoredEvent], held: Held) -> list[ParkedEvent]:
        """Call the handler with the events; raise what it raises."""
        begun = monotonic()
        self._handle(connection, events)
        self._adapt(monotonic() - begun)
        return []

    def apply_alone(self, connection: sa.Connection, event: StoredEvent, held: Held) -> list[ParkedEvent]:
        """Call the handler with one event; undo what it wrote if it fails."""
        try:
            with connection.begin_nested():
                self._handle(connection, [event])
        except Exception as problem:
            if is_trouble(problem):
                raise
            return [ParkedEvent(THE_KEY, event.position, problem_of(problem), problem)]
        return []

    def compare(self, connection: sa.Connection) -> Differences:
        """Compare the rows of the temporary tables with those of the stored ones, all tables together."""
        real = _real_schema(connection)
        former = self._former(connection, real)
        present = {name: _reflected(connection, name, real) for name in former}
        found = [
            _named(_compared(connection, new, present.pop(new.name, None)), new.name, alone=len(self._schema) == 1)
            for new in copies(self._schema, schema=_temporary_schema(connection))
        ]
        gone = [Differences(0, count_of(connection, left), 0) for left in present.values()]
        return _summed([*found, *gone])

    def swap(self, connection: sa.Connection) -> None:
        """Keep the stored tables under an old name, and copy the rows of the temporary ones into new ones.

        The rows are copied: a renamed table would keep the names of its indexes, which the new one has too.
        """
        real = _real_schema(connection)
        database_of(connection).wait_for_queries(connection)
        present = self._former(connection, real)
        drop_old(connection, {*self.tables.tables, *present})
        for name in present:
            old, new = _quoted(connection, real, f"{name}{OLD}"), _quoted(connection, real, name)
            connection.exec_driver_sql(f"CREATE TABLE {old} AS SELECT * FROM {new}")
        for name in present:
            connection.exec_driver_sql(f"DROP TABLE {_quoted(connection, real, name)}")
        built = copies(self._schema, schema=_temporary_schema(connection))
        for target, source in zip(copies(self._schema, schema=real), built, strict=True):
            target.create(connection)
            names = [column.name for column in source.columns if column.computed is None]
            rows = sa.select(*(source.c[name] for name in names))
            connection.execute(sa.insert(target).from_select(names, rows, include_defaults=False))
            _continue_numbers(connection, target)

    def _former(self, connection: sa.Connection, real: str) -> list[str]:
        """Return the names of the stored tables: those that the checkpoint names, and that exist."""
        found = find(connection, self.tables)
        return [name for name in (found.tables.split() if found else ()) if _has(connection, name, real)]

    def _adapt(self, seconds: float) -> None:
        if seconds > SLOW_SECONDS:
            self._limit = max(self._limit // 2, 1)
        elif seconds < SLOW_SECONDS / 4:
            self._limit = min(self._limit * 2, LARGEST_BATCH_LIMIT)
        self.batch_limit = self._limit

    def _handle(self, connection: sa.Connection, events: Sequence[StoredEvent]) -> None:
        found = [(event, stored) for stored in events if (event := self._read(stored)) is not None]
        if not found:
            return
        calls = [self._call_of_many(found)] if self._handler.many else [self._call_of(*each) for each in found]
        with _transaction_kept_open(connection, self.tables.name):
            if self._handler.is_async:
                self._await(connection, calls)
            else:
                for event, *more in calls:
                    self._handler.function(event, connection, *more)

    def _read(self, stored: StoredEvent) -> Any:
        """Return the event, or None where it is skipped, or of a type that the handler does not take."""
        if THE_KEY_TEXT in self._skipped.get(stored.position, ()):
            return None
        event = self._log.decode(stored)
        return event if type(event) in self._types else None

    def _call_of(self, event: Any, stored: StoredEvent) -> Call:
        return (event, event_context(stored)) if self._handler.takes_context else (event,)

    def _call_of_many(self, found: Sequence[tuple[Any, StoredEvent]]) -> Call:
        events = [event for event, _ in found]
        return (events, [event_context(stored) for _, stored in found]) if self._handler.takes_context else (events,)

    def _await(self, connection: sa.Connection, calls: Sequence[Call]) -> None:
        handle: Callable[..., Any] = self._handler.function

        async def work(handlers: AsyncConnection) -> None:
            for event, *more in calls:
                await handle(event, handlers, *more)

        run_async(self._log.loop, connection, work)


@contextmanager
def _transaction_kept_open(connection: sa.Connection, projection: str) -> Generator[None, None, None]:
    """Refuse to end the transaction meanwhile: the checkpoint is part of it.

    The methods of this one connection are replaced: SQLAlchemy's own events of a commit come when the transaction
    has been closed, so that the event could not be parked any more.
    """

    def refuse() -> NoReturn:
        raise UsageError(
            f"the handler of {projection} tried to end the transaction",
            "statements that write to its tables; the checkpoint is committed with them",
            "leave out commit() and rollback(); begin_nested() sets a savepoint; raise an exception to undo everything",
        )

    setattr(connection, "commit", refuse)
    setattr(connection, "rollback", refuse)
    try:
        yield
    finally:
        delattr(connection, "commit")
        delattr(connection, "rollback")


def copies(tables: tuple[sa.Table, ...], *, prefix: str = "", schema: str | None = None) -> list[sa.Table]:
    """Return the same tables in another schema, or to be created as temporary ones."""
    metadata = sa.MetaData()
    copied = [_copy(table, metadata, schema) for table in tables]
    for table in copied if prefix else ():
        setattr(table, "_prefixes", [prefix])  # what Table(prefixes=...) sets; to_metadata has no argument for it
    return copied


def _copy(table: sa.Table, metadata: sa.MetaData, schema: str | None) -> sa.Table:
    return table.to_metadata(metadata) if schema is None else table.to_metadata(metadata, schema=schema)


def drop_old(connection: sa.Connection, tables: Iterable[str]) -> bool:
    """Drop what the last swap kept of these tables; return whether there was anything."""
    real = _real_schema(connection)
    found = [name for name in (f"{table}{OLD}" for table in tables) if _has(connection, name, real)]
    for name in found:
        connection.exec_driver_sql(f"DROP TABLE {_quoted(connection, real, name)}")
    return bool(found)


def _temporary_schema(connection: sa.Connection) -> str:
    """Return what SQL calls the schema of temporary tables."""
    return "temp" if connection.dialect.name == "sqlite" else "pg_temp"


def _real_schema(connection: sa.Connection) -> str:
    """Return what SQL calls the schema of the stored tables."""
    if connection.dialect.name == "sqlite":
        return "main"
    return str(connection.execute(sa.select(sa.func.current_schema())).scalar_one())


def _compared(connection: sa.Connection, new: sa.Table, present: sa.Table | None) -> Differences:
    if present is None:
        return Differences(count_of(connection, new), 0, 0)
    if new.primary_key.columns:
        return differences_between(connection, present, new)
    return _without_key(connection, present, new)


def _without_key(connection: sa.Connection, present: sa.Table, new: sa.Table) -> Differences:
    """Compare tables without a primary key: find the rows that only one of the two has."""
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
    """Return the same, with the table's name in the samples if there are several tables."""
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
    """Let PostgreSQL continue from the copied numbers; SQLite does so by itself."""
    column = table.autoincrement_column
    if connection.dialect.name != "postgresql" or column is None:
        return
    name = _quoted(connection, str(table.schema), table.name)
    sequence = connection.execute(sa.select(sa.func.pg_get_serial_sequence(name, column.name))).scalar_one()
    if sequence is not None and count_of(connection, table):
        connection.execute(sa.select(sa.func.setval(sequence, sa.select(sa.func.max(column)).scalar_subquery())))
