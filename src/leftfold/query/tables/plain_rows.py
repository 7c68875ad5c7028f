"""Rows on a database of which nothing special is known: in everybody's SQL, by SQLAlchemy's own types."""

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from leftfold.query.tables.model_table import ModelTable
from leftfold.query.tables.row_statements import Values, since


class PlainRows:
    """The statements of one model's tables. Rows are replaced by taking them out first."""

    def __init__(self, table: ModelTable) -> None:
        current, versions = table.current, table.versions
        self._fields, self._key = table.fields, table.key
        self._keys_at = [table.fields.index(name) for name in table.key]
        self._select = sa.select(*(current.c[name] for name in table.fields), since(table)).where(
            _has(current, table.key)
        )
        self._delete = sa.delete(current).where(_has(current, table.key))
        self._insert = sa.insert(current)
        if versions is not None:
            self._delete_versions = sa.delete(versions).where(_has(versions, (*table.key, "valid_from")))
            self._insert_versions = sa.insert(versions)

    def select(self, connection: sa.Connection, keys: Sequence[Values]) -> Iterator[Any]:
        """The rows of these keys, one after the other."""
        for key in keys:
            yield from connection.execute(self._select, _named(self._key, key)).all()

    def delete(self, connection: sa.Connection, keys: Sequence[Values]) -> None:
        """Take them out."""
        if keys:
            connection.execute(self._delete, [_named(self._key, key) for key in keys])

    def put(self, connection: sa.Connection, rows: Sequence[Values]) -> None:
        """Take out what is there, then insert."""
        if not rows:
            return
        if self._key:
            self.delete(connection, [[row[at] for at in self._keys_at] for row in rows])
        connection.execute(self._insert, [dict(zip(self._fields, row, strict=True)) for row in rows])

    def put_versions(self, connection: sa.Connection, rows: Sequence[Values]) -> None:
        """The same with versions."""
        if not rows:
            return
        key, fields = (*self._key, "valid_from"), (*self._fields, "valid_from", "valid_until")
        ended = [_named(key, [*(row[at] for at in self._keys_at), row[-2]]) for row in rows]
        connection.execute(self._delete_versions, ended)
        latest = {(*(row[at] for at in self._keys_at), row[-2]): row for row in rows}
        connection.execute(self._insert_versions, [dict(zip(fields, row, strict=True)) for row in latest.values()])


def _has(table: sa.Table, key: Sequence[str]) -> sa.ColumnElement[bool]:
    return sa.and_(sa.true(), *(table.c[name] == sa.bindparam(f"of_{name}", type_=table.c[name].type) for name in key))


def _named(key: Sequence[str], values: Values) -> dict[str, Any]:
    return {f"of_{name}": value for name, value in zip(key, values, strict=True)}
