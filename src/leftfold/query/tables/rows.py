"""Reading and writing the rows of a read model, many at once."""

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from leftfold.query.batch_fold import Changes
from leftfold.query.event_keys import Key, key_of
from leftfold.query.row_cache import Row
from leftfold.query.tables.bulk import Bulk
from leftfold.query.tables.model_table import ModelTable
from leftfold.query.tables.row_codec import RowCodec, Values

NO_ROW = Row(None, 0)


class Rows:
    """The rows of one read model in one database."""

    def __init__(self, table: ModelTable, dialect: sa.Dialect) -> None:
        self._table = table
        self._codec = RowCodec(table, dialect)
        self._key_of = key_of(table.definition.fold)
        self._select = Bulk(self._select_statement, len(table.key), dialect)
        self._put = Bulk(self._put_statement, len(table.fields), dialect)
        self._delete = Bulk(self._delete_statement, len(table.key), dialect)
        self._put_versions = Bulk(self._put_versions_statement, len(table.fields) + 2, dialect)

    def load(self, connection: sa.Connection, keys: Collection[Key]) -> dict[Key, Row]:
        """The rows of these keys; those that are not in the table have no state."""
        rows = dict.fromkeys(keys, NO_ROW)
        for result in self._select.run(connection, [self._codec.encode_key(key) for key in keys]):
            for row in result:
                state = self._codec.decode(row[:-1])
                rows[self._key_of(state)] = Row(state, row[-1])
        return rows

    def write(self, connection: sa.Connection, changes: Changes) -> None:
        """Bring the table, and its history, up to date."""
        gone = changes.gone
        if changes.present and not self._table.key:
            gone = [()]  # the one row has no key by which it could be replaced
        _exhaust(self._delete, connection, [self._codec.encode_key(key) for key in gone])
        _exhaust(self._put, connection, [self._codec.encode(state) for state in changes.present])
        if changes.versions:
            versions = [(*self._codec.encode(row.state), row.since, row.until) for row in changes.versions]
            _exhaust(self._put_versions, connection, versions)

    def _select_statement(self, size: int) -> sa.Select[Any]:
        current = self._table.current
        return sa.select(*(current.c[name] for name in self._table.fields), self._since()).where(self._wanted(size))

    def _since(self) -> sa.ColumnElement[int]:
        """The position since which the present version of a row is true; 0 where no versions are kept."""
        versions = self._table.versions
        if versions is None:
            return sa.literal_column("0")
        same = (versions.c[name] == self._table.current.c[name] for name in self._table.key)
        return sa.select(sa.func.max(versions.c.valid_from)).where(sa.true(), *same).scalar_subquery()

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
