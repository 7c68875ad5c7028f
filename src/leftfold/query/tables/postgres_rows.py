"""Rows on PostgreSQL: one statement for any number of rows, which takes each column as an array.

Measured beside it, 4,000 rows of four columns: VALUES of many rows and executemany in a pipeline gave a third of the
rows a second, since each value is then a parameter; COPY gave as many, and needs a second table.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from leftfold.query.tables.model_table import ModelTable
from leftfold.query.tables.row_statements import Values

VERSION = ("valid_from", "valid_until")
_collation = re.compile(r' COLLATE "\w+"')
SELECT = "SELECT {fields}, {since} FROM {table} WHERE {wanted}"
DELETE = "DELETE FROM {table} WHERE {wanted}"
SINCE = "(SELECT max(versions.valid_from) FROM {table} AS versions WHERE {same})"
INSERT = "INSERT INTO {table} ({fields}) SELECT * FROM unnest({arrays}){conflict}"


class PostgresRows:
    """The statements of one model's tables, as text with a placeholder for each column."""

    def __init__(self, table: ModelTable, dialect: sa.Dialect) -> None:
        self._dialect = dialect
        self._key = table.key
        self._name = self._quoted(table.current.name)
        wanted = self._wanted(table)
        fields = ", ".join(f"{self._name}.{self._quoted(name)}" for name in table.fields)
        self._select = SELECT.format(fields=fields, since=self._since(table), table=self._name, wanted=wanted)
        self._delete = DELETE.format(table=self._name, wanted=wanted)
        rest = [name for name in table.fields if name not in table.key]
        self._put = self._insert(table.current, table.fields, table.key, rest)
        self._put_versions = ""
        if table.versions is not None:
            key = (*table.key, "valid_from")
            self._put_versions = self._insert(table.versions, (*table.fields, *VERSION), key, ["valid_until"])

    def select(self, connection: sa.Connection, keys: Sequence[Values]) -> Iterable[Any]:
        """The rows of these keys."""
        return self._run(connection, self._select, keys, self._key) if keys else ()

    def delete(self, connection: sa.Connection, keys: Sequence[Values]) -> None:
        """Take them out."""
        if keys:
            self._run(connection, self._delete, keys, self._key)

    def put(self, connection: sa.Connection, rows: Sequence[Values]) -> None:
        """Insert or replace them."""
        if rows:
            self._run(connection, self._put, rows)

    def put_versions(self, connection: sa.Connection, rows: Sequence[Values]) -> None:
        """Insert versions, or end those that are there."""
        if rows:
            self._run(connection, self._put_versions, rows)

    def _run(
        self, connection: sa.Connection, statement: str, rows: Sequence[Values], columns: Sequence[str] | None = None
    ) -> sa.CursorResult[Any]:
        if columns is not None and not columns:
            return connection.exec_driver_sql(statement)
        return connection.exec_driver_sql(statement, tuple(list(column) for column in zip(*rows, strict=True)))

    def _insert(self, table: sa.Table, fields: Sequence[str], key: Sequence[str], rest: Sequence[str]) -> str:
        return INSERT.format(
            table=self._quoted(table.name),
            fields=", ".join(map(self._quoted, fields)),
            arrays=", ".join(f"CAST(%s AS {self._type(table.c[name])}[])" for name in fields),
            conflict=self._conflict(key, rest),
        )

    def _conflict(self, key: Sequence[str], rest: Sequence[str]) -> str:
        if not key:
            return ""
        where = f" ON CONFLICT ({', '.join(map(self._quoted, key))}) DO "
        replaced = ", ".join(f"{self._quoted(name)} = excluded.{self._quoted(name)}" for name in rest)
        return where + (f"UPDATE SET {replaced}" if rest else "NOTHING")

    def _since(self, table: ModelTable) -> str:
        """The position since which the present version of a row is true; 0 where no versions are kept."""
        if table.versions is None:
            return "0"
        same = (f"versions.{self._quoted(name)} = {self._name}.{self._quoted(name)}" for name in table.key)
        return SINCE.format(table=self._quoted(table.versions.name), same=" AND ".join(["true", *same]))

    def _wanted(self, table: ModelTable) -> str:
        if not table.key:
            return "true"
        key = ", ".join(f"{self._name}.{self._quoted(name)}" for name in table.key)
        arrays = ", ".join(f"CAST(%s AS {self._type(table.current.c[name])}[])" for name in table.key)
        return f"({key}) IN (SELECT * FROM unnest({arrays}))"

    def _type(self, column: sa.Column[Any]) -> str:
        return _collation.sub("", self._dialect.type_compiler_instance.process(column.type))

    def _quoted(self, name: str) -> str:
        return self._dialect.identifier_preparer.quote(name).replace("%", "%%")
