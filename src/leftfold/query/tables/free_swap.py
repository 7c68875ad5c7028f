"""Comparing the tables of a free-form projection with temporary ones, and taking over the rows of these."""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from leftfold.query.rebuild_report import SAMPLES, Differences
from leftfold.query.tables.database import before_renaming
from leftfold.query.tables.free_tables import FreeTables, copies, real_schema, temporary_schema
from leftfold.query.tables.own_schema import OLD
from leftfold.query.tables.swap import comparable, count_of, differences_between


def differences(connection: sa.Connection, table: FreeTables, former: Sequence[str]) -> Differences:
    """How the rows of the temporary tables differ from those of the real ones, all tables together."""
    real = real_schema(connection)
    present = {name: _reflected(connection, name, real) for name in former if _has(connection, name, real)}
    found = [
        _named(_compared(connection, new, present.pop(new.name, None)), new.name, alone=len(table.schema) == 1)
        for new in copies(table.schema, schema=temporary_schema(connection))
    ]
    gone = [Differences(0, count_of(connection, left), 0) for left in present.values()]
    return _summed([*found, *gone])


def swap(connection: sa.Connection, table: FreeTables, former: Sequence[str]) -> None:
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
