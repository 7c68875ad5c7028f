"""Rows on SQLite: multi-row statements with positional values, compiled once for a few sizes."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from leftfold.query.tables.bulk import Bulk
from leftfold.query.tables.model_table import ModelTable
from leftfold.query.tables.row_statements import Values, since


class SQLiteRows:
    """The statements of one model's tables."""

    def __init__(self, table: ModelTable, dialect: sa.Dialect) -> None:
        self._table = table
        self._select = Bulk(self._select_statement, len(table.key), dialect)
        self._put = Bulk(self._put_statement, len(table.fields), dialect)
        self._delete = Bulk(self._delete_statement, len(table.key), dialect)
        self._put_versions = Bulk(self._put_versions_statement, len(table.fields) + 2, dialect)

    def select(self, connection: sa.Connection, keys: Sequence[Values]) -> Iterator[Any]:
        """The rows of these keys."""
        return chain.from_iterable(self._select.run(connection, keys))

    def delete(self, connection: sa.Connection, keys: Sequence[Values]) -> None:
        """Take them out."""
        _exhaust(self._delete, connection, keys)

    def put(self, connection: sa.Connection, rows: Sequence[Values]) -> None:
        """Insert or replace them."""
        _exhaust(self._put, connection, rows)

    def put_versions(self, connection: sa.Connection, rows: Sequence[Values]) -> None:
        """Insert versions, or end those that are there."""
        _exhaust(self._put_versions, connection, rows)

    def _select_statement(self, size: int) -> sa.Select[Any]:
        current = self._table.current
        fields = (current.c[name] for name in self._table.fields)
        return sa.select(*fields, since(self._table)).where(self._wanted(size))

    def _delete_statement(self, size: int) -> sa.Delete:
        return sa.delete(self._table.current).where(self._wanted(size))

    def _put_statement(self, size: int) -> sqlite.Insert:
        rest = [name for name in self._table.fields if name not in self._table.key]
        return _put(self._table.current, self._table.fields, self._table.key, rest, size)

    def _put_versions_statement(self, size: int) -> sqlite.Insert:
        versions = self._table.versions
        assert versions is not None, "a model without history has no versions"
        fields = (*self._table.fields, "valid_from", "valid_until")
        return _put(versions, fields, (*self._table.key, "valid_from"), ["valid_until"], size)

    def _wanted(self, size: int) -> sa.ColumnElement[bool]:
        columns = self._table.key_columns(self._table.current)
        if not columns:
            return sa.true()
        return sa.or_(*(_equals(columns, number) for number in range(size)))


def _equals(columns: Sequence[sa.ColumnElement[Any]], number: int) -> sa.ColumnElement[bool]:
    return sa.and_(*(column == sa.bindparam(f"{column.key}_{number}") for column in columns))


def _put(table: sa.Table, fields: Sequence[str], key: Sequence[str], rest: Sequence[str], size: int) -> sqlite.Insert:
    """Insert rows; where one with the key is there, its `rest` is replaced."""
    statement = sqlite.insert(table).values([dict.fromkeys(fields)] * size)
    if not key:
        return statement
    if not rest:
        return statement.on_conflict_do_nothing(index_elements=key)
    return statement.on_conflict_do_update(index_elements=key, set_={name: statement.excluded[name] for name in rest})


def _exhaust(bulk: Bulk, connection: sa.Connection, rows: Sequence[Values]) -> None:
    for _ in bulk.run(connection, rows):
        pass
