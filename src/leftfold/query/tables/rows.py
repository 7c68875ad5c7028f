"""Reading and writing the rows of a read model, many at once."""

from collections.abc import Collection

import sqlalchemy as sa

from leftfold.query.batch_fold import Changes
from leftfold.query.event_keys import Key, key_of
from leftfold.query.row_cache import Row
from leftfold.query.tables.model_table import ModelTable
from leftfold.query.tables.plain_rows import PlainRows
from leftfold.query.tables.postgres_rows import PostgresRows
from leftfold.query.tables.row_codec import PlainCodec, RowCodec
from leftfold.query.tables.row_statements import RowStatements
from leftfold.query.tables.sqlite_rows import SQLiteRows

NO_ROW = Row(None, 0)


class Rows:
    """The rows of one read model in one database."""

    def __init__(self, table: ModelTable, dialect: sa.Dialect) -> None:
        self._table = table
        self._statements = _statements(table, dialect)
        known = not isinstance(self._statements, PlainRows)
        self._codec = RowCodec(table, dialect) if known else PlainCodec(table)
        self._key_of = key_of(table.definition.fold)

    def load(self, connection: sa.Connection, keys: Collection[Key]) -> dict[Key, Row]:
        """The rows of these keys; those that are not in the table have no state."""
        rows = dict.fromkeys(keys, NO_ROW)
        for row in self._statements.select(connection, [self._codec.encode_key(key) for key in keys]):
            state = self._codec.decode(row[:-1])
            rows[self._key_of(state)] = Row(state, row[-1])
        return rows

    def write(self, connection: sa.Connection, changes: Changes) -> None:
        """Bring the table, and its history, up to date."""
        gone = changes.gone
        if changes.present and not self._table.key:
            gone = [()]  # the one row has no key by which it could be replaced
        self._statements.delete(connection, [self._codec.encode_key(key) for key in gone])
        self._statements.put(connection, self._codec.encode(changes.present))
        if changes.versions:
            states = self._codec.encode(row.state for row in changes.versions)
            versions = [(*state, row.since, row.until) for state, row in zip(states, changes.versions, strict=True)]
            self._statements.put_versions(connection, versions)


def _statements(table: ModelTable, dialect: sa.Dialect) -> RowStatements:
    if dialect.name == "sqlite":
        return SQLiteRows(table, dialect)
    return PostgresRows(table, dialect) if dialect.name == "postgresql" else PlainRows(table)
