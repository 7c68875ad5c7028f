"""Rows on SQLite: multi-row statements with positional values, made as text for a few sizes.

SQLAlchemy would take some 10 milliseconds to compile each of them.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any

import sqlalchemy as sa

from leftfold.query.tables.bulk import Bulk
from leftfold.query.tables.model_table import ModelTable
from leftfold.query.tables.row_statements import Values

VERSION = ("valid_from", "valid_until")
SELECT = "SELECT {fields}, {since} FROM {table} WHERE {wanted}"
DELETE = "DELETE FROM {table} WHERE {wanted}"
SINCE = "(SELECT max(versions.valid_from) FROM {table} AS versions WHERE {same})"
INSERT = "INSERT INTO {table} ({fields}) VALUES {rows}{conflict}"


class SQLiteRows:
    """The statements of one model's tables."""

    def __init__(self, table: ModelTable, dialect: sa.Dialect) -> None:
        self._quoted = dialect.identifier_preparer.quote
        self._name = self._quoted(table.current.name)
        self._key = table.key
        select = SELECT.format(fields=self._list(table.fields), since=self._since(table), table=self._name, wanted="{}")
        delete = DELETE.format(table=self._name, wanted="{}")
        rest = [name for name in table.fields if name not in table.key]
        put = partial(self._insert, self._name, table.fields, table.key, rest)
        version = (*table.fields, *VERSION)
        ended = partial(self._insert, self._history(table), version, (*table.key, "valid_from"), ["valid_until"])
        self._select = Bulk(lambda size: select.format(self._wanted(size)), len(table.key))
        self._delete = Bulk(lambda size: delete.format(self._wanted(size)), len(table.key))
        self._put = Bulk(put, len(table.fields))
        self._put_versions = Bulk(ended, len(version))

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

    def _insert(self, table: str, fields: Sequence[str], key: Sequence[str], rest: Sequence[str], size: int) -> str:
        """Insert rows; where one with the key is there, its `rest` is replaced."""
        one = f"({', '.join('?' * len(fields))})"
        conflict = self._conflict(key, rest) if key else ""
        return INSERT.format(table=table, fields=self._list(fields), rows=", ".join([one] * size), conflict=conflict)

    def _conflict(self, key: Sequence[str], rest: Sequence[str]) -> str:
        replaced = ", ".join(f"{self._quoted(name)} = excluded.{self._quoted(name)}" for name in rest)
        return f" ON CONFLICT ({self._list(key)}) DO {f'UPDATE SET {replaced}' if rest else 'NOTHING'}"

    def _since(self, table: ModelTable) -> str:
        """The position since which the present version of a row is true; 0 where no versions are kept."""
        if table.versions is None:
            return "0"
        same = (f"versions.{self._quoted(name)} = {self._name}.{self._quoted(name)}" for name in table.key)
        return SINCE.format(table=self._history(table), same=" AND ".join(["true", *same]))

    def _history(self, table: ModelTable) -> str:
        return "" if table.versions is None else self._quoted(table.versions.name)

    def _wanted(self, size: int) -> str:
        """Keys of several values each by themselves: with `IN` they would not be looked up by the primary key."""
        if len(self._key) == 1:
            return f"{self._list(self._key)} IN ({', '.join('?' * size)})"
        one = " AND ".join(f"{self._quoted(name)} = ?" for name in self._key)
        return " OR ".join([one] * size) if one else "true"

    def _list(self, names: Sequence[str]) -> str:
        return ", ".join(map(self._quoted, names))


def _exhaust(bulk: Bulk, connection: sa.Connection, rows: Sequence[Values]) -> None:
    for _ in bulk.run(connection, rows):
        pass
