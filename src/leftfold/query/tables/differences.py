"""How the rows of one table differ from those of another."""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from leftfold.query.rebuild_report import SAMPLES, Differences

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


def differences_between(
    connection: sa.Connection, present: sa.Table, new: sa.Table, left_out: Collection[str] = ()
) -> Differences:
    """Compare the rows of two tables with the same key, in the columns that both have."""
    key = [column.name for column in new.primary_key]
    if {column.name for column in present.primary_key} != set(key) or not set(key).isdisjoint(left_out):
        return Differences(count_of(connection, new), count_of(connection, present), 0, (), (), ())
    common = [column.name for column in new.columns if column.name in present.columns and column.name not in left_out]
    same = sa.and_(sa.true(), *(new.c[name] == present.c[name] for name in key))
    distinct = (comparable(new.c[name]).is_distinct_from(comparable(present.c[name])) for name in common)
    differs = sa.or_(sa.false(), *distinct)
    added = sa.select(new).where(~_has_row(present, same, beside=new)).order_by(*new.primary_key)
    removed = sa.select(present).where(~_has_row(new, same, beside=present)).order_by(*present.primary_key)
    after = [new.c[name].label(f"after_{name}") for name in common]
    changed = sa.select(*(present.c[name] for name in common), *after).where(same, differs).order_by(*new.primary_key)
    samples = [
        tuple(dict(row) for row in connection.execute(each.limit(SAMPLES)).mappings()) for each in (added, removed)
    ]
    pairs = tuple(_pair(tuple(row), common) for row in connection.execute(changed.limit(SAMPLES)))
    counts = [count_of(connection, each.subquery()) for each in (added, removed, changed)]
    return Differences(counts[0], counts[1], counts[2], samples[0], samples[1], pairs)


def _has_row(table: sa.Table, same: sa.ColumnElement[bool], beside: sa.Table) -> sa.Exists:
    """Return whether a table has a row of the same key; it is named, because an empty key names no table."""
    return sa.select(sa.literal(1)).select_from(table).where(same).correlate(beside).exists()


def comparable(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    """Return the column, or its text where its type may have no equality, or not that of its values."""
    return column if isinstance(column.type, COMPARED_BY_VALUE) else sa.cast(column, sa.Text)


def _pair(row: tuple[object, ...], names: list[str]) -> tuple[dict[str, object], dict[str, object]]:
    width = len(names)
    return dict(zip(names, row[:width], strict=True)), dict(zip(names, row[width:], strict=True))


def count_of(connection: sa.Connection, source: sa.FromClause) -> int:
    """Return how many rows there are."""
    return int(connection.execute(sa.select(sa.func.count()).select_from(source)).scalar_one())
